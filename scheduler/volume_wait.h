/*
 * Between the choice of a node and the binding of a pod: what its claims are to get is written,
 * and then waited for. On the scheduler's loop.
 */
#ifndef PLUMB_SCHEDULER_VOLUME_WAIT_H
#define PLUMB_SCHEDULER_VOLUME_WAIT_H

#include "lib/kube/client.h"
#include "scheduler/core.h"

struct volume_wait;
typedef void volume_wait_done(void *arg, const struct err *err);

/* NULL when every claim has its volume. done comes once, in a later turn; err->code ERR_NONE =
 * they all have one now, else the pod has to be placed anew. Then it is to be freed. */
struct volume_wait *volume_wait_new(struct client *c, struct sched_cache *cache,
				    const struct sched_pod *pod, const struct sched_node *node,
				    volume_wait_done *done, void *arg);
void volume_wait_free(struct volume_wait *w); /* NULL is fine */
/* A claim changed in the cache: look again. */
void volume_wait_look(struct volume_wait *w);

#endif
