/*
 * The scheduling queue: two heaps and a list. Events wake only those pods that they may help;
 * whoever waits five minutes is tried again anyway, should a hint have been wrong. Pure.
 */
#include "scheduler/queue.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

/* Sooner than Kubernetes' 1 s: retries come only with an event that may help. */
#define BACKOFF_FIRST (100 * NS_PER_MS)
#define BACKOFF_MAX (10 * NS_PER_S)
#define WAIT_MAX (300 * NS_PER_S)

/* ---- heaps ---- */

static bool more_urgent(const struct queue_item *a, const struct queue_item *b)
{
	if (a->pod->priority != b->pod->priority)
		return a->pod->priority > b->pod->priority;
	return a->order < b->order;
}

static bool ready_sooner(const struct queue_item *a, const struct queue_item *b)
{
	if (a->ready_ns != b->ready_ns)
		return a->ready_ns < b->ready_ns;
	return a->order < b->order;
}

static void heap_place(struct queue_heap *h, size_t at, struct queue_item *i)
{
	h->v[at] = i;
	i->heap_at = at;
}

static void heap_settle(struct queue_heap *h, size_t at)
{
	struct queue_item *i = h->v[at];

	for (; at > 0 && h->before(i, h->v[(at - 1) / 2]); at = (at - 1) / 2)
		heap_place(h, at, h->v[(at - 1) / 2]);
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < h->n && h->before(h->v[child + 1], h->v[child]))
			child++;
		if (child >= h->n || !h->before(h->v[child], i))
			break;
		heap_place(h, at, h->v[child]);
		at = child;
	}
	heap_place(h, at, i);
}

static void heap_push(struct queue_heap *h, struct queue_item *i)
{
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 64;
		h->v = xreallocarray(h->v, h->cap, sizeof(struct queue_item *));
	}
	h->v[h->n++] = i;
	heap_settle(h, h->n - 1);
}

static void heap_remove(struct queue_heap *h, struct queue_item *i)
{
	size_t at = i->heap_at;

	h->n--;
	if (at == h->n)
		return;
	h->v[at] = h->v[h->n];
	heap_settle(h, at);
}

/* ---- states ---- */

static void leave(struct queue *q, struct queue_item *i)
{
	switch (i->state) {
	case QUEUE_ACTIVE:
		heap_remove(&q->active, i);
		break;
	case QUEUE_BACKOFF:
		heap_remove(&q->backoff, i);
		break;
	case QUEUE_WAITING:
		list_remove(&i->waiting);
		q->nwaiting--;
		break;
	case QUEUE_TAKEN:
		break;
	}
}

static void enter(struct queue *q, struct queue_item *i, enum queue_state s)
{
	i->state = s;
	switch (s) {
	case QUEUE_ACTIVE:
		heap_push(&q->active, i);
		break;
	case QUEUE_BACKOFF:
		heap_push(&q->backoff, i);
		break;
	case QUEUE_WAITING:
		list_append(&q->waiting, &i->waiting);
		q->nwaiting++;
		break;
	case QUEUE_TAKEN:
		break;
	}
}

static void move(struct queue *q, struct queue_item *i, enum queue_state s)
{
	leave(q, i);
	enter(q, i, s);
}

static void wake(struct queue *q, struct queue_item *i, int64_t now_ns)
{
	move(q, i, i->ready_ns > now_ns ? QUEUE_BACKOFF : QUEUE_ACTIVE);
}

static void item_free(struct queue_item *i)
{
	sched_pod_unref(i->pod);
	free(i);
}

void queue_init(struct queue *q)
{
	*q = (struct queue){.active = {.before = more_urgent}, .backoff = {.before = ready_sooner}};
	list_init(&q->waiting);
}

void queue_release(struct queue *q)
{
	struct map_iter it = {0};

	while (map_next(&q->items, &it))
		item_free(it.value);
	map_release(&q->items);
	free(q->active.v);
	free(q->backoff.v);
	queue_init(q);
}

/* ---- adding and removing ---- */

void queue_put(struct queue *q, struct sched_pod *pod, bool changed, int64_t now_ns)
{
	struct queue_item *i = map_get(&q->items, pod->uid);

	if (!i) {
		i = xalloc(sizeof(*i));
		i->pod = sched_pod_ref(pod);
		i->order = q->arrivals++;
		i->since_ns = now_ns;
		map_set(&q->items, pod->uid, i);
		enter(q, i, QUEUE_ACTIVE);
		return;
	}
	sched_pod_ref(pod);
	sched_pod_unref(i->pod);
	i->pod = pod;
	i->gone = false;
	if (i->state == QUEUE_ACTIVE)
		heap_settle(&q->active, i->heap_at); /* the priority may be another */
	else if (i->state == QUEUE_WAITING && changed)
		wake(q, i, now_ns);
}

void queue_del(struct queue *q, struct str uid)
{
	struct queue_item *i = map_get(&q->items, uid);

	if (!i)
		return;
	if (i->state == QUEUE_TAKEN) {
		i->gone = true;
		return;
	}
	leave(q, i);
	map_del(&q->items, uid);
	item_free(i);
}

/* ---- taking and giving back ---- */

static void flush(struct queue *q, int64_t now_ns)
{
	while (q->backoff.n && q->backoff.v[0]->ready_ns <= now_ns)
		move(q, q->backoff.v[0], QUEUE_ACTIVE);
	/* In the order of waiting: the first is the oldest. */
	while (!list_empty(&q->waiting)) {
		struct queue_item *i = CONTAINER_OF(q->waiting.next, struct queue_item, waiting);

		if (i->since_ns + WAIT_MAX > now_ns)
			break;
		move(q, i, QUEUE_ACTIVE);
	}
}

struct queue_item *queue_take(struct queue *q, int64_t now_ns)
{
	struct queue_item *i;

	flush(q, now_ns);
	if (!q->active.n)
		return NULL;
	i = q->active.v[0];
	move(q, i, QUEUE_TAKEN);
	i->attempts++;
	return i;
}

void queue_done(struct queue *q, struct queue_item *i)
{
	map_del(&q->items, i->pod->uid);
	item_free(i);
}

static int64_t backoff(unsigned attempts)
{
	int64_t ns = BACKOFF_FIRST;

	for (unsigned n = 1; n < attempts && ns < BACKOFF_MAX; n++)
		ns *= 2;
	return MIN(ns, BACKOFF_MAX);
}

void queue_retry(struct queue *q, struct queue_item *i, int64_t now_ns)
{
	if (i->gone) {
		queue_done(q, i);
		return;
	}
	i->ready_ns = now_ns + backoff(i->attempts);
	enter(q, i, QUEUE_BACKOFF);
}

void queue_wait(struct queue *q, struct queue_item *i, unsigned helped_by, int64_t now_ns)
{
	if (i->gone) {
		queue_done(q, i);
		return;
	}
	i->helped_by = helped_by;
	i->since_ns = now_ns;
	i->ready_ns = now_ns + backoff(i->attempts);
	enter(q, i, QUEUE_WAITING);
}

void queue_event(struct queue *q, unsigned event, int64_t now_ns)
{
	LIST_FOREACH (it, &q->waiting) {
		struct queue_item *i = CONTAINER_OF(it, struct queue_item, waiting);

		if (i->helped_by & event)
			wake(q, i, now_ns);
	}
}

int64_t queue_next(const struct queue *q)
{
	int64_t next = INT64_MAX;

	if (q->active.n)
		return 0;
	if (q->backoff.n)
		next = q->backoff.v[0]->ready_ns;
	if (!list_empty(&q->waiting)) {
		const struct queue_item *i =
			CONTAINER_OF(q->waiting.next, struct queue_item, waiting);

		next = MIN(next, i->since_ns + WAIT_MAX);
	}
	return next;
}
