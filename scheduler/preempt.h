/*
 * Making room for a pod that fits nowhere: on which node pods of lower priority shall go, and which
 * ones. Nothing is written here; the cache is changed while it is tried out and is as before when
 * the answer comes. Pure.
 */
#ifndef PLUMB_SCHEDULER_PREEMPT_H
#define PLUMB_SCHEDULER_PREEMPT_H

#include "scheduler/core.h"

struct preemption {
	const struct sched_node *node; /* NULL: there is no such node, and message says why */
	struct str message;            /* in the arena */
	struct sched_pod **victims;    /* in the arena; each is the cache's */
	size_t n;
	bool keep; /* its earlier victims are still going: what it was nominated to stands */
};
/* `of` is what sched_pick just said of the pod in the same cache. */
void sched_preempt(struct sched_cache *c, const struct sched_pod *pod,
		   const struct sched_result *of, struct arena *a, struct preemption *ret);

/*
 * Nominations: a pod that waits for its victims to go has its room kept for it. While another pod
 * is placed, those nominated pods that are as important stand on their nodes in the cache.
 */
/* Keeps or replaces (by pod->nominated); STR_NONE there ends it. */
void sched_nominate(struct sched_cache *c, struct sched_pod *pod);
/* The nomination of that uid ends; true when there was one. */
bool sched_unnominate(struct sched_cache *c, struct str uid);
void sched_nominations_release(struct sched_cache *c);
struct trial {
	struct sched_pod **v;
	size_t n;
};
struct trial sched_nominated_enter(struct sched_cache *c, const struct sched_pod *pod,
				   struct arena *a);
void sched_nominated_leave(struct sched_cache *c, const struct trial *t);

#endif
