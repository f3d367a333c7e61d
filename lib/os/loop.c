/*
 * The event loop. A turn: posted calls, timers that are due, then file descriptors. One thread
 * runs it; loop_post() is the only door for others (a locked list and an eventfd). A virtual loop
 * has no descriptors and a clock that moves only when told.
 */
#include "lib/os/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/timefmt.h"

#define EVENTS_A_TURN 64
#define SIGNALS_MAX 65

struct posted {
	struct posted *next;
	void (*fn)(void *arg);
	void *arg;
};

struct on_signal {
	void (*fn)(void *arg, int signo);
	void *arg;
};

struct loop {
	bool is_virtual, stop;
	int64_t now, wall_offset; /* wall = now + offset on a virtual loop */
	struct loop_timer **heap;
	size_t ntimers, heap_cap;
	uint64_t order;

	int epoll;
	struct loop_fd wake, signals;
	struct epoll_event ready[EVENTS_A_TURN];
	int nready; /* of the turn under way: loop_fd_del clears entries */
	struct on_signal on_signal[SIGNALS_MAX];
	sigset_t mask;

	pthread_mutex_t lock;
	struct posted *first, **last;
	bool woken;
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void drain_wake(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	uint64_t n;

	(void)l, (void)ready;
	ssize_t got = read(w->fd, &n, sizeof(n));
	(void)got; /* the posted calls are run at the start of the next turn */
}

static struct loop *make(bool is_virtual)
{
	struct loop *l = xalloc(sizeof(*l));

	l->is_virtual = is_virtual;
	l->epoll = l->wake.fd = l->signals.fd = -1;
	l->last = &l->first;
	pthread_mutex_init(&l->lock, NULL);
	sigemptyset(&l->mask);
	return l;
}

struct loop *loop_new(void)
{
	struct loop *l = make(false);
	struct err err = {0};

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->wake.fn = drain_wake;
	if (l->epoll < 0 || l->wake.fd < 0 || loop_fd_set(l, &l->wake, EPOLLIN, &err))
		panic("no event loop: %s", strerror(errno));
	l->now = clock_ns(CLOCK_MONOTONIC);
	return l;
}

struct loop *loop_new_virtual(int64_t start_wall_ns)
{
	struct loop *l = make(true);

	l->now = NS_PER_S;
	l->wall_offset = start_wall_ns - l->now;
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (struct posted *p = l->first, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	for (size_t i = 0; i < l->ntimers; i++)
		l->heap[i]->heap_at = 0;
	free(l->heap);
	if (l->signals.fd >= 0)
		close(l->signals.fd);
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	if (l->epoll >= 0)
		close(l->epoll);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int64_t loop_now(struct loop *l)
{
	return l->now;
}

int64_t loop_wall(struct loop *l)
{
	return l->is_virtual ? l->now + l->wall_offset : clock_ns(CLOCK_REALTIME);
}

int64_t loop_moment(struct loop *l)
{
	return l->is_virtual ? l->now : clock_ns(CLOCK_MONOTONIC);
}

/* ---- timers: a binary heap ordered by time, then by arming ---- */

static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->heap_at = i + 1;
}

static void sift_up(struct loop *l, size_t i, struct loop_timer *t)
{
	while (i > 0 && before(t, l->heap[(i - 1) / 2])) {
		put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(l, i, t);
}

static void sift_down(struct loop *l, size_t i, struct loop_timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= l->ntimers)
			break;
		if (child + 1 < l->ntimers && before(l->heap[child + 1], l->heap[child]))
			child++;
		if (!before(l->heap[child], t))
			break;
		put(l, i, l->heap[child]);
		i = child;
	}
	put(l, i, t);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	if (!t->heap_at)
		return;
	size_t i = t->heap_at - 1;
	struct loop_timer *moved = l->heap[--l->ntimers];

	t->heap_at = 0;
	if (moved == t)
		return;
	if (i > 0 && before(moved, l->heap[(i - 1) / 2]))
		sift_up(l, i, moved);
	else
		sift_down(l, i, moved);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ns,
		    void (*fn)(struct loop *, struct loop_timer *))
{
	loop_timer_cancel(l, t);
	t->at = l->now + MAX(after_ns, 0);
	t->order = ++l->order;
	t->fn = fn;
	if (l->ntimers == l->heap_cap) {
		l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 16;
		l->heap = xreallocarray(l->heap, l->heap_cap, sizeof(struct loop_timer *));
	}
	sift_up(l, l->ntimers++, t);
}

static void run_timers(struct loop *l)
{
	/* Timers armed meanwhile for now run in the next turn, so that descriptors get theirs. */
	uint64_t last = l->order;

	while (l->ntimers && !l->stop && l->heap[0]->at <= l->now && l->heap[0]->order <= last) {
		struct loop_timer *t = l->heap[0];
		loop_timer_cancel(l, t);
		t->fn(l, t);
	}
}

/* ---- posted calls ---- */

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct posted *p = xalloc(sizeof(*p));
	bool wake;

	p->fn = fn;
	p->arg = arg;
	pthread_mutex_lock(&l->lock);
	*l->last = p;
	l->last = &p->next;
	wake = !l->woken && !l->is_virtual;
	l->woken = true;
	pthread_mutex_unlock(&l->lock);
	if (wake) {
		ssize_t n = write(l->wake.fd, &(uint64_t){1}, sizeof(uint64_t));
		(void)n; /* full means it is awake */
	}
}

static void run_posted(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct posted *p = l->first;
	l->first = NULL;
	l->last = &l->first;
	l->woken = false;
	pthread_mutex_unlock(&l->lock);
	while (p) {
		struct posted *next = p->next;
		p->fn(p->arg);
		free(p);
		p = next;
	}
}

/* ---- descriptors ---- */

int loop_fd_set(struct loop *l, struct loop_fd *w, uint32_t events, struct err *err)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	assert(!l->is_virtual);
	if (events == 0) {
		loop_fd_del(l, w);
		return 0;
	}
	if (w->events == events)
		return 0;
	if (epoll_ctl(l->epoll, w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &e))
		return err_sys(err, "watch a descriptor");
	w->events = events;
	return 0;
}

void loop_fd_del(struct loop *l, struct loop_fd *w)
{
	if (!w->events)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->events = 0;
	for (int i = 0; i < l->nready; i++) {
		if (l->ready[i].data.ptr == w)
			l->ready[i].data.ptr = NULL;
	}
}

/* ---- signals ---- */

static void take_signals(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct signalfd_siginfo si;

	(void)ready;
	while (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo < SIGNALS_MAX && l->on_signal[si.ssi_signo].fn)
			l->on_signal[si.ssi_signo].fn(l->on_signal[si.ssi_signo].arg,
						      (int)si.ssi_signo);
	}
}

int loop_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg,
		struct err *err)
{
	assert(!l->is_virtual && signo > 0 && signo < SIGNALS_MAX);
	l->on_signal[signo] = (struct on_signal){fn, arg};
	sigaddset(&l->mask, signo);
	if (pthread_sigmask(SIG_BLOCK, &l->mask, NULL))
		return err_sys(err, "block signals");
	int fd = signalfd(l->signals.fd, &l->mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, "signalfd");
	l->signals.fd = fd;
	l->signals.fn = take_signals;
	return loop_fd_set(l, &l->signals, EPOLLIN, err);
}

/* ---- turning ---- */

static int wait_ms(struct loop *l, int timeout_ms)
{
	pthread_mutex_lock(&l->lock);
	bool posted = l->first != NULL;
	pthread_mutex_unlock(&l->lock);
	if (posted || l->stop)
		return 0;
	if (!l->ntimers)
		return timeout_ms;
	int64_t ns = l->heap[0]->at - l->now;
	int64_t ms = ns <= 0 ? 0 : (ns + NS_PER_MS - 1) / NS_PER_MS;
	if (timeout_ms >= 0 && timeout_ms < ms)
		return timeout_ms;
	return (int)MIN(ms, INT64_C(3600000));
}

static void turn_real(struct loop *l, int timeout_ms)
{
	int n = epoll_wait(l->epoll, l->ready, EVENTS_A_TURN, wait_ms(l, timeout_ms));

	if (n < 0 && errno != EINTR)
		panic("epoll_wait: %s", strerror(errno));
	l->now = clock_ns(CLOCK_MONOTONIC);
	/* Calls, timers and callbacks may remove descriptors that are ready in this very turn: see
	 * loop_fd_del. */
	l->nready = MAX(n, 0);
	run_posted(l);
	run_timers(l);
	for (int i = 0; i < l->nready; i++) {
		struct loop_fd *w = l->ready[i].data.ptr;
		if (w)
			w->fn(l, w, l->ready[i].events);
	}
	l->nready = 0;
}

void loop_turn(struct loop *l, int timeout_ms)
{
	if (!l->is_virtual) {
		turn_real(l, timeout_ms);
		return;
	}
	run_posted(l);
	run_timers(l);
}

void loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop)
		loop_turn(l, -1);
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

/* ---- virtual time ---- */

int64_t loop_next(struct loop *l)
{
	assert(l->is_virtual);
	if (l->first)
		return 0;
	return l->ntimers ? MAX(l->heap[0]->at - l->now, 0) : -1;
}

void loop_advance(struct loop *l, int64_t ns)
{
	int64_t until = l->now + ns;

	assert(l->is_virtual);
	for (;;) {
		int64_t next = loop_next(l);
		if (next < 0 || l->now + next > until)
			break;
		l->now += next;
		loop_turn(l, 0);
	}
	l->now = until;
}
