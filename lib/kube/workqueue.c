/*
 * The work queue. An item lives as long as its key is queued, being handled, waiting for its time,
 * or has failures to remember. One loop, no locks.
 */
#include "lib/kube/workqueue.h"

#include <stdlib.h>

#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/base/metrics.h"

struct item {
	struct list ready; /* in workqueue.ready when queued */
	struct workqueue *q;
	struct loop_timer timer; /* armed while a delayed add waits */
	struct str key;          /* behind the item */
	unsigned failures;
	bool queued, working, again;
};

struct workqueue {
	struct loop *loop;
	struct backoff backoff;
	struct map items;
	struct list ready;
	size_t len;
	struct loop_timer told; /* armed until `fn` was called for what is ready */
	void (*fn)(void *arg);
	void *arg;
	struct metric_value *adds, *depth, *retries;
};

int64_t backoff_after(const struct backoff *b, unsigned failures)
{
	int64_t after = b->base_ns;

	while (failures-- && after < b->max_ns)
		after *= 2;
	return MIN(after, b->max_ns);
}

struct workqueue *workqueue_new(struct loop *l, const char *name, struct backoff b)
{
	struct workqueue *q = xalloc(sizeof(*q));

	q->loop = l;
	q->backoff = b;
	list_init(&q->ready);
	q->adds = metric_with(
		metric_new(METRIC_COUNTER, "workqueue_adds_total", "Keys added.", "name", NULL),
		name, (char *)NULL);
	q->depth = metric_with(
		metric_new(METRIC_GAUGE, "workqueue_depth", "Keys waiting.", "name", NULL), name,
		(char *)NULL);
	q->retries = metric_with(metric_new(METRIC_COUNTER, "workqueue_retries_total",
					    "Keys added after a failure.", "name", NULL),
				 name, (char *)NULL);
	return q;
}

void workqueue_free(struct workqueue *q)
{
	struct map_iter it = {0};

	if (!q)
		return;
	while (map_next(&q->items, &it)) {
		struct item *i = it.value;

		loop_timer_cancel(q->loop, &i->timer);
		free(i);
	}
	map_release(&q->items);
	loop_timer_cancel(q->loop, &q->told);
	free(q);
}

void workqueue_on_ready(struct workqueue *q, void (*fn)(void *arg), void *arg)
{
	q->fn = fn;
	q->arg = arg;
}

static struct item *item_of(struct workqueue *q, struct str key)
{
	struct item *i = map_get(&q->items, key);
	char *text;

	if (i)
		return i;
	i = xalloc(sizeof(*i) + key.n);
	text = (char *)(i + 1);
	for (size_t n = 0; n < key.n; n++)
		text[n] = key.p[n];
	i->key = (struct str){text, key.n};
	i->q = q;
	list_init(&i->ready);
	map_set(&q->items, i->key, i);
	return i;
}

static void item_drop_idle(struct item *i)
{
	if (i->queued || i->working || i->failures || loop_timer_armed(&i->timer))
		return;
	map_del(&i->q->items, i->key);
	free(i);
}

static void tell(struct loop *l, struct loop_timer *t)
{
	struct workqueue *q = CONTAINER_OF(t, struct workqueue, told);

	(void)l;
	if (q->len && q->fn)
		q->fn(q->arg);
}

static void item_queue(struct item *i)
{
	struct workqueue *q = i->q;

	metric_add(q->adds, 1);
	if (i->working) {
		i->again = true;
		return;
	}
	if (i->queued)
		return;
	i->queued = true;
	list_append(&q->ready, &i->ready);
	q->len++;
	metric_set(q->depth, (double)q->len);
	if (!loop_timer_armed(&q->told))
		loop_timer_set(q->loop, &q->told, 0, tell);
}

void workqueue_add(struct workqueue *q, struct str key)
{
	item_queue(item_of(q, key));
}

static void on_due(struct loop *l, struct loop_timer *t)
{
	(void)l;
	item_queue(CONTAINER_OF(t, struct item, timer));
}

void workqueue_add_after(struct workqueue *q, struct str key, int64_t after_ns)
{
	struct item *i = item_of(q, key);

	if (after_ns <= 0) {
		item_queue(i);
		return;
	}
	if (!loop_timer_armed(&i->timer) || i->timer.at > loop_now(q->loop) + after_ns)
		loop_timer_set(q->loop, &i->timer, after_ns, on_due);
}

void workqueue_add_failed(struct workqueue *q, struct str key)
{
	struct item *i = item_of(q, key);
	int64_t after = backoff_after(&q->backoff, i->failures);

	if (i->failures < 64)
		i->failures++;
	metric_add(q->retries, 1);
	workqueue_add_after(q, key, after);
}

void workqueue_forget(struct workqueue *q, struct str key)
{
	struct item *i = map_get(&q->items, key);

	if (!i)
		return;
	i->failures = 0;
	item_drop_idle(i);
}

unsigned workqueue_failures(const struct workqueue *q, struct str key)
{
	const struct item *i = map_get(&q->items, key);

	return i ? i->failures : 0;
}

bool workqueue_get(struct workqueue *q, struct str *ret_key)
{
	struct item *i;

	if (list_empty(&q->ready))
		return false;
	i = CONTAINER_OF(q->ready.next, struct item, ready);
	list_remove(&i->ready);
	i->queued = false;
	i->working = true;
	q->len--;
	metric_set(q->depth, (double)q->len);
	*ret_key = i->key;
	return true;
}

void workqueue_done(struct workqueue *q, struct str key)
{
	struct item *i = map_get(&q->items, key);

	if (!i)
		return;
	i->working = false;
	if (i->again) {
		i->again = false;
		item_queue(i);
	}
	item_drop_idle(i);
}

size_t workqueue_len(const struct workqueue *q)
{
	return q->len;
}
