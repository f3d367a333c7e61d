/*
 * The event loop: file descriptors, timers, signals, child processes and posted calls, on one
 * thread. Callbacks run one at a time, so code on a loop needs no locks.
 *
 * A loop is real (epoll and CLOCK_MONOTONIC) or virtual: time stands still but for
 * loop_advance(), file descriptors are refused, and everything else behaves the same. The whole
 * cluster runs in one process on a virtual loop in tests/sim.
 *
 * Thread-safety: everything but loop_post() belongs to the thread that runs the loop.
 */
#ifndef PLUMB_LOOP_H
#define PLUMB_LOOP_H

#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/list.h"

struct loop;

struct loop *loop_new(void);
struct loop *loop_new_virtual(int64_t start_wall_ns);
void loop_free(struct loop *l); /* pending callbacks are dropped, file descriptors are not closed */

void loop_run(struct loop *l);  /* until loop_stop() */
void loop_stop(struct loop *l); /* from a callback, or through loop_post() */
/* One turn: waits at most timeout_ms (-1 = for ever) for something to do, runs it. */
void loop_turn(struct loop *l, int timeout_ms);

/* ---- time ---- */
int64_t loop_now(struct loop *l);  /* monotonic ns, read once a turn */
int64_t loop_wall(struct loop *l); /* wall clock ns since the epoch */
/* Monotonic ns of this very moment, for what is compared with loop_wall(): a turn may be long. */
int64_t loop_moment(struct loop *l);
/* Virtual only: runs all that is due up to now + ns, in order of time, then in order of arming. */
void loop_advance(struct loop *l, int64_t ns);
/* Virtual only: time until the next timer, or -1. Posted calls count as 0. */
int64_t loop_next(struct loop *l);

/*
 * A timer is embedded in its owner; a zeroed one is disarmed. Arming an armed timer moves it.
 * The callback finds its timer disarmed and may arm it again.
 */
struct loop_timer {
	int64_t at;
	size_t heap_at; /* position in the heap + 1; 0 = disarmed */
	uint64_t order;
	void (*fn)(struct loop *l, struct loop_timer *t);
};
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ns,
		    void (*fn)(struct loop *, struct loop_timer *));
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_armed(const struct loop_timer *t)
{
	return t->heap_at != 0;
}

/* ---- file descriptors (level-triggered) ---- */
struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN | EPOLLOUT …; 0 = not watched */
	void (*fn)(struct loop *l, struct loop_fd *w, uint32_t ready);
};
/* Starts watching, or changes what is watched for. The owner keeps fd open while it is watched. */
MUST_USE int loop_fd_set(struct loop *l, struct loop_fd *w, uint32_t events, struct err *err);
void loop_fd_del(struct loop *l, struct loop_fd *w); /* before close(); harmless when not watched */

/* ---- calls ---- */
/* Runs fn(arg) in a later turn of the loop. Callable from any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* ---- signals: blocked process-wide, delivered here ---- */
MUST_USE int loop_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg,
			 struct err *err);

#endif
