/*
 * Telling a pod that it has to make way for a more important one: its status says why, then it is
 * deleted with the time it has asked for, and an event names who comes instead. On the scheduler's
 * loop; what fails is left, the preemptor will ask again.
 */
#ifndef PLUMB_SCHEDULER_EVICT_H
#define PLUMB_SCHEDULER_EVICT_H

#include "lib/base/list.h"
#include "lib/kube/client.h"
#include "lib/kube/events.h"
#include "scheduler/core.h"

struct evictor {
	struct client *client;
	struct recorder *recorder;
	struct map *leaving; /* sched_cache.leaving: who is told is in it, unless that fails */
	struct list all;     /* evictions under way */
};
void evictor_init(struct evictor *e, struct client *c, struct recorder *r, struct map *leaving);
void evictor_release(struct evictor *e); /* what is under way is left as it is */
/* A victim that is being told, or was, isn't told twice. */
void evict_pod(struct evictor *e, struct sched_pod *victim, struct str by_uid, struct str node);
/* A pod as events name it. */
const struct json *pod_reference(const struct sched_pod *p, struct arena *a);

#endif
