/*
 * Pods that wait for a node. Active ones go by priority, then by age; what fits nowhere waits for
 * a change that may help it; what failed backs off (100 ms doubling to 10 s). Time is passed in:
 * pure. Items are keyed by uid and hold a reference on their pod.
 */
#ifndef PLUMB_SCHEDULER_QUEUE_H
#define PLUMB_SCHEDULER_QUEUE_H

#include "lib/base/list.h"
#include "scheduler/core.h"

enum queue_state { QUEUE_ACTIVE, QUEUE_BACKOFF, QUEUE_WAITING, QUEUE_TAKEN };

struct queue_item {
	struct sched_pod *pod;
	enum queue_state state;
	bool gone; /* removed while it was taken */
	unsigned attempts, helped_by;
	int64_t ready_ns; /* backing off until then */
	int64_t since_ns; /* waiting since */
	uint64_t order;   /* of arrival */
	size_t heap_at;
	struct list waiting;
};
struct queue_heap {
	struct queue_item **v;
	size_t n, cap;
	bool (*before)(const struct queue_item *a, const struct queue_item *b);
};
struct queue {
	struct map items; /* uid → struct queue_item */
	struct queue_heap active, backoff;
	struct list waiting;
	size_t nwaiting;
	uint64_t arrivals;
};
void queue_init(struct queue *q);
void queue_release(struct queue *q);

/* Adds the pod, or replaces what is known of it. changed: in what counts for placing it. */
void queue_put(struct queue *q, struct sched_pod *pod, bool changed, int64_t now_ns);
void queue_del(struct queue *q, struct str uid);
/* The next pod to place, taken until one of the three calls below; NULL = none. */
struct queue_item *queue_take(struct queue *q, int64_t now_ns);
void queue_done(struct queue *q, struct queue_item *i);                  /* placed */
void queue_retry(struct queue *q, struct queue_item *i, int64_t now_ns); /* failed: backs off */
void queue_wait(struct queue *q, struct queue_item *i, unsigned helped_by, int64_t now_ns);
/* Something changed in the cluster (enum sched_event). */
void queue_event(struct queue *q, unsigned event, int64_t now_ns);
/* When to look again; INT64_MAX = not before something happens, 0 = at once. */
int64_t queue_next(const struct queue *q);

#endif
