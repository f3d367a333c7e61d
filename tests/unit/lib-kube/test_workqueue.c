/* The work queue under a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"

static const struct backoff b = {.base_ns = 5 * NS_PER_MS, .max_ns = NS_PER_S};

static void next_is(struct workqueue *q, const char *want)
{
	struct str key;

	assert_true(workqueue_get(q, &key));
	assert_true(str_is(key, want));
}

static void nothing(struct workqueue *q)
{
	struct str key;

	assert_false(workqueue_get(q, &key));
}

void test_workqueue__a_key_is_there_once_and_in_order(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct workqueue *q = workqueue_new(l, "t", b);

	(void)state;
	workqueue_add(q, STR("a"));
	workqueue_add(q, STR("b"));
	workqueue_add(q, STR("a"));
	assert_int_equal(workqueue_len(q), 2);
	next_is(q, "a");
	next_is(q, "b");
	nothing(q);
	workqueue_free(q);
	loop_free(l);
}

void test_workqueue__a_key_being_handled_comes_again_after_done(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct workqueue *q = workqueue_new(l, "t", b);

	(void)state;
	workqueue_add(q, STR("a"));
	next_is(q, "a");
	workqueue_add(q, STR("a"));
	nothing(q);
	workqueue_done(q, STR("a"));
	next_is(q, "a");
	workqueue_done(q, STR("a"));
	nothing(q);
	workqueue_free(q);
	loop_free(l);
}

void test_workqueue__the_earliest_of_several_delays_wins(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct workqueue *q = workqueue_new(l, "t", b);

	(void)state;
	workqueue_add_after(q, STR("a"), 3 * NS_PER_S);
	workqueue_add_after(q, STR("a"), NS_PER_S);
	workqueue_add_after(q, STR("a"), 2 * NS_PER_S);
	loop_advance(l, NS_PER_S - 1);
	nothing(q);
	loop_advance(l, 1);
	next_is(q, "a");
	workqueue_done(q, STR("a"));
	loop_advance(l, 10 * NS_PER_S);
	nothing(q);
	workqueue_free(q);
	loop_free(l);
}

void test_workqueue__failures_back_off_and_are_forgotten(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct workqueue *q = workqueue_new(l, "t", b);
	int64_t after[] = {5, 10, 20, 40};

	(void)state;
	workqueue_add(q, STR("a"));
	for (size_t i = 0; i < ARRAY_LEN(after); i++) {
		next_is(q, "a");
		workqueue_add_failed(q, STR("a"));
		workqueue_done(q, STR("a"));
		loop_advance(l, after[i] * NS_PER_MS - 1);
		nothing(q);
		loop_advance(l, 1);
	}
	assert_int_equal(workqueue_failures(q, STR("a")), 4);
	workqueue_forget(q, STR("a"));
	assert_int_equal(workqueue_failures(q, STR("a")), 0);
	assert_int_equal(backoff_after(&b, 63), NS_PER_S);
	workqueue_free(q);
	loop_free(l);
}

static void count(void *arg)
{
	++*(int *)arg;
}

void test_workqueue__tells_once_for_what_came_in_one_turn(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct workqueue *q = workqueue_new(l, "t", b);
	int told = 0;

	(void)state;
	workqueue_on_ready(q, count, &told);
	workqueue_add(q, STR("a"));
	workqueue_add(q, STR("b"));
	assert_int_equal(told, 0);
	loop_advance(l, 0);
	assert_int_equal(told, 1);
	workqueue_free(q);
	loop_free(l);
}
