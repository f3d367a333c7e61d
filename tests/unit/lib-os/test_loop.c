/* The loop: order of timers and calls, virtual time, descriptors, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"

static char story[4096];

static void tell(const char *what)
{
	size_t n = strlen(story);

	snprintf(story + n, sizeof(story) - n, "%s ", what);
}

static int fresh(void **state)
{
	(void)state;
	story[0] = 0;
	return 0;
}

struct named {
	struct loop_timer timer;
	const char *name;
	int64_t again_ns;
	int left;
};

static void fired(struct loop *l, struct loop_timer *t)
{
	struct named *n = CONTAINER_OF(t, struct named, timer);

	assert_false(loop_timer_armed(t));
	tell(n->name);
	if (n->left-- > 0)
		loop_timer_set(l, t, n->again_ns, fired);
}

void test_loop__timers_come_in_order_of_time_then_of_arming(void **state)
{
	struct loop *l = loop_new_virtual(1000);
	struct named n[4] = {{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};

	fresh(state);
	loop_timer_set(l, &n[0].timer, 20, fired);
	loop_timer_set(l, &n[1].timer, 10, fired);
	loop_timer_set(l, &n[2].timer, 20, fired);
	loop_timer_set(l, &n[3].timer, 5, fired);
	loop_timer_set(l, &n[3].timer, 30, fired); /* moved */
	assert_int_equal(loop_next(l), 10);
	loop_advance(l, 9);
	assert_string_equal(story, "");
	loop_advance(l, 11);
	assert_string_equal(story, "b a c ");
	loop_timer_cancel(l, &n[3].timer);
	loop_timer_cancel(l, &n[3].timer);
	assert_int_equal(loop_next(l), -1);
	loop_advance(l, 100);
	assert_string_equal(story, "b a c ");
	assert_int_equal(loop_wall(l), 1000 + 120);
	loop_free(l);
}

void test_loop__a_timer_may_arm_itself_again(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct named n = {.name = "x", .again_ns = 10, .left = 3};

	fresh(state);
	loop_timer_set(l, &n.timer, 10, fired);
	loop_advance(l, 1000);
	assert_string_equal(story, "x x x x ");
	loop_free(l);
}

/* Many timers set, moved and cancelled against a plain array. */
void test_loop__the_heap_as_an_array_would(void **state)
{
	enum { TIMERS = 200 };
	struct loop *l = loop_new_virtual(0);
	static struct named n[TIMERS];
	int64_t due[TIMERS] = {0};
	struct rng r;

	fresh(state);
	rng_seed(&r, 3);
	for (int i = 0; i < 20000; i++) {
		size_t k = rng_below(&r, TIMERS);
		int64_t soonest = -1;

		n[k].name = "";
		if (rng_below(&r, 3)) {
			int64_t after = (int64_t)rng_below(&r, 1000) + 1;

			due[k] = loop_now(l) + after;
			loop_timer_set(l, &n[k].timer, after, fired);
		} else {
			due[k] = 0;
			loop_timer_cancel(l, &n[k].timer);
		}
		for (size_t j = 0; j < TIMERS; j++) {
			assert_int_equal(loop_timer_armed(&n[j].timer), due[j] != 0);
			if (due[j] && (soonest < 0 || due[j] - loop_now(l) < soonest))
				soonest = due[j] - loop_now(l);
		}
		assert_int_equal(loop_next(l), soonest);
		if (i % 50 == 0) {
			loop_advance(l, 300);
			for (size_t j = 0; j < TIMERS; j++)
				due[j] = due[j] > loop_now(l) ? due[j] : 0;
		}
	}
	loop_free(l);
}

static void say(void *arg)
{
	tell(arg);
}

struct chain {
	struct loop *l;
	int left;
};

static void post_more(void *arg)
{
	struct chain *c = arg;

	tell("p");
	if (c->left-- > 0)
		loop_post(c->l, post_more, c);
}

void test_loop__posted_calls_come_in_a_later_turn(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct chain c = {l, 2};

	fresh(state);
	loop_post(l, say, (void *)(uintptr_t) "1");
	loop_post(l, say, (void *)(uintptr_t) "2");
	loop_post(l, post_more, &c);
	assert_string_equal(story, "");
	assert_int_equal(loop_next(l), 0);
	loop_advance(l, 0);
	assert_string_equal(story, "1 2 p p p ");
	loop_free(l);
}

void test_loop__what_is_pending_is_dropped_with_it(void **state)
{
	struct loop *l = loop_new_virtual(0);
	struct named n = {.name = "x"};

	fresh(state);
	loop_timer_set(l, &n.timer, 0, fired);
	loop_post(l, say, (void *)(uintptr_t) "never");
	loop_free(l);
	assert_string_equal(story, "");
}

struct reader {
	struct loop_fd w;
	struct loop *l;
	size_t got;
};

static void readable(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct reader *r = CONTAINER_OF(w, struct reader, w);
	char c;
	ssize_t n = read(w->fd, &c, 1);

	(void)ready;
	if (n == 1 && ++r->got < 3) /* level-triggered: one byte at a time */
		return;
	loop_fd_del(l, w);
	loop_stop(l);
}

void test_loop__descriptors_until_they_are_empty(void **state)
{
	struct loop *l = loop_new();
	struct reader r = {.w = {.fn = readable}};
	struct err err = {0};
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	r.w.fd = ends[0];
	assert_int_equal(loop_fd_set(l, &r.w, EPOLLIN, &err), 0);
	loop_turn(l, 0);
	assert_int_equal(r.got, 0);
	assert_int_equal(write(ends[1], "abcd", 4), 4);
	loop_run(l);
	assert_int_equal(r.got, 3);
	loop_fd_del(l, &r.w); /* harmless */
	close(ends[0]), close(ends[1]);
	loop_free(l);
}

static void on_signal(void *arg, int signo)
{
	assert_int_equal(signo, SIGUSR1);
	tell("signal");
	loop_stop(arg);
}

void test_loop__signals_come_as_calls(void **state)
{
	struct loop *l = loop_new();
	struct err err = {0};

	fresh(state);
	assert_int_equal(loop_signal(l, SIGUSR1, on_signal, l, &err), 0);
	kill(getpid(), SIGUSR1);
	assert_string_equal(story, "");
	loop_run(l);
	assert_string_equal(story, "signal ");
	loop_free(l);
}

enum { POSTS = 2000 };
static int counted;

static void count(void *arg)
{
	if (++counted == 2 * POSTS)
		loop_stop(arg);
}

static void *poster(void *arg)
{
	for (int i = 0; i < POSTS; i++)
		loop_post(arg, count, arg);
	return NULL;
}

void test_loop__calls_from_other_threads_wake_it(void **state)
{
	struct loop *l = loop_new();
	pthread_t t[2];

	(void)state;
	counted = 0;
	assert_int_equal(pthread_create(&t[0], NULL, poster, l), 0);
	assert_int_equal(pthread_create(&t[1], NULL, poster, l), 0);
	loop_run(l);
	pthread_join(t[0], NULL), pthread_join(t[1], NULL);
	assert_int_equal(counted, 2 * POSTS);
	loop_free(l);
}

void test_loop__real_timers_wait(void **state)
{
	struct loop *l = loop_new();
	struct named n = {.name = "t"};
	int64_t from = loop_now(l);

	fresh(state);
	loop_timer_set(l, &n.timer, 20 * NS_PER_MS, fired);
	while (!story[0])
		loop_turn(l, 1000);
	loop_turn(l, 0);
	assert_true(loop_now(l) - from >= 20 * NS_PER_MS);
	loop_free(l);
}

/* What is noted with the wall clock's time in the middle of a turn must not be counted from its
 * beginning. */
void test_loop__a_moment_is_later_than_its_turn(void **state)
{
	struct loop *l = loop_new();
	int64_t turn = loop_now(l);

	(void)state;
	usleep(20000);
	assert_int_equal(loop_now(l), turn);
	assert_true(loop_moment(l) - turn >= 20 * NS_PER_MS);
	loop_free(l);
	l = loop_new_virtual(0);
	assert_int_equal(loop_moment(l), loop_now(l));
	loop_free(l);
}
