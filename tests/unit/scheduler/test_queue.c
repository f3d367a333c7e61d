/* The scheduling queue in passed-in time. */
#include "cluster.h"

#include "lib/base/timefmt.h"
#include "scheduler/queue.h"

static void add(struct queue *q, const char *name, int priority, int64_t now)
{
	AUTO(arena) struct arena a = {0};
	struct sched_pod *p = make_pod(name, "", arena_printf(&a, "'priority':%d", priority));

	queue_put(q, p, false, now);
	sched_pod_unref(p);
}

static const char *take(struct queue *q, int64_t now, struct queue_item **ret)
{
	static char name[64];
	struct queue_item *i = queue_take(q, now);

	*ret = i;
	if (!i)
		return "";
	snprintf(name, sizeof(name), "%.*s", STR_ARG(i->pod->name));
	return name;
}

void test_queue__by_priority_then_age(void **state)
{
	struct queue q;
	struct queue_item *i;
	static const char *const order[] = {"vip", "one", "two", "low"};

	(void)state;
	queue_init(&q);
	add(&q, "one", 0, 0);
	add(&q, "low", -5, 0);
	add(&q, "two", 0, 0);
	add(&q, "vip", 100, 0);
	for (size_t n = 0; n < ARRAY_LEN(order); n++) {
		assert_string_equal(take(&q, 0, &i), order[n]);
		queue_done(&q, i);
	}
	assert_string_equal(take(&q, 0, &i), "");
	assert_true(queue_next(&q) == INT64_MAX);
	queue_release(&q);
}

void test_queue__waits_for_events_that_help(void **state)
{
	struct queue q;
	struct queue_item *i;

	(void)state;
	queue_init(&q);
	add(&q, "p", 0, 0);
	take(&q, 0, &i);
	queue_wait(&q, i, SCHED_NODE_ADDED, 0);
	queue_event(&q, SCHED_POD_GONE, 0);
	assert_string_equal(take(&q, 20 * NS_PER_S, &i), "");
	queue_event(&q, SCHED_NODE_ADDED, 20 * NS_PER_S);
	assert_string_equal(take(&q, 20 * NS_PER_S, &i), "p");
	/* Sooner than its back-off allows: it waits that out. */
	queue_wait(&q, i, SCHED_NODE_ADDED, 20 * NS_PER_S);
	queue_event(&q, SCHED_NODE_ADDED, 20 * NS_PER_S);
	assert_string_equal(take(&q, 20 * NS_PER_S + 199 * NS_PER_MS, &i), "");
	assert_true(queue_next(&q) == 20 * NS_PER_S + 200 * NS_PER_MS);
	assert_string_equal(take(&q, 20 * NS_PER_S + 200 * NS_PER_MS, &i), "p");
	queue_release(&q);
}

void test_queue__a_changed_pod_and_long_waiting_are_tried_again(void **state)
{
	struct queue q;
	struct queue_item *i;
	struct sched_pod *p = make_pod("p", "", "'priority':1");

	(void)state;
	queue_init(&q);
	queue_put(&q, p, false, 0);
	take(&q, 0, &i);
	queue_wait(&q, i, SCHED_NODE_ADDED, 0);
	queue_put(&q, p, false, 5 * NS_PER_S);
	assert_string_equal(take(&q, 5 * NS_PER_S, &i), "");
	queue_put(&q, p, true, 5 * NS_PER_S);
	assert_string_equal(take(&q, 5 * NS_PER_S, &i), "p");
	queue_wait(&q, i, SCHED_NODE_ADDED, 5 * NS_PER_S);
	assert_string_equal(take(&q, 306 * NS_PER_S, &i), "p");
	sched_pod_unref(p);
	queue_release(&q);
}

void test_queue__backs_off_up_to_ten_seconds(void **state)
{
	static const int64_t want[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
	struct queue q;
	struct queue_item *i;
	int64_t now = 0;

	(void)state;
	queue_init(&q);
	add(&q, "p", 0, 0);
	for (size_t n = 0; n < ARRAY_LEN(want); n++) {
		take(&q, now, &i);
		assert_non_null(i);
		queue_retry(&q, i, now);
		assert_int_equal(queue_next(&q), now + want[n] * NS_PER_MS);
		now = queue_next(&q);
	}
	queue_release(&q);
}

void test_queue__removed_while_taken_does_not_come_back(void **state)
{
	struct queue q;
	struct queue_item *i;

	(void)state;
	queue_init(&q);
	add(&q, "p", 0, 0);
	add(&q, "q", 0, 0);
	take(&q, 0, &i);
	queue_del(&q, STR("uid-p"));
	queue_retry(&q, i, 0);
	queue_del(&q, STR("uid-q"));
	assert_string_equal(take(&q, 100 * NS_PER_S, &i), "");
	assert_int_equal(q.items.n, 0);
	queue_release(&q);
}
