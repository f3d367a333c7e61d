/*
 * What a scheduling cycle and a preemption share: the plugins in their order, one node's judgement,
 * and the count of reasons that makes the message. Pure, in the cycle's arena.
 */
#ifndef PLUMB_SCHEDULER_CYCLE_INTERNAL_H
#define PLUMB_SCHEDULER_CYCLE_INTERNAL_H

#include "scheduler/plugins/plugin.h"

enum { PLUGINS_MAX = 64 };

/* The plugins in the order of filtering, and what each prepared for this pod. */
struct lineup {
	size_t n;
	const struct plugin *plugin[PLUGINS_MAX];
	unsigned bit[PLUGINS_MAX];
	void *state[PLUGINS_MAX];
	bool skip[PLUGINS_MAX];
};
void lineup_make(const struct sched_cycle *c, struct lineup *l);
/* A pod came (1) or left (-1) since. */
void lineup_moved(const struct sched_cycle *c, struct lineup *l, const struct sched_pod *p,
		  const struct sched_node *n, int sign);

/* How often each reason was given, over all nodes. */
struct tally {
	struct {
		const char *why;
		size_t n;
	} * v;
	size_t n, cap;
};
void tally_add(struct arena *a, struct tally *t, const char *why);
/* "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable." */
struct str tally_text(struct arena *a, size_t nodes, const struct tally *t);

struct verdict {
	uint64_t rejected_by; /* bit i: plugin_registry[i] */
	bool for_good;        /* no pod's leaving would change it */
};
/* Sets *ret and counts the reasons when the pod may not run there. */
bool lineup_fits(const struct sched_cycle *c, const struct lineup *l, const struct sched_node *n,
		 struct tally *t, struct verdict *ret);

#endif
