/* NodeResourcesBalancedAllocation: prefers nodes where cpu and memory run out together. Pure. */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static double fraction(int64_t used, int64_t have)
{
	if (have <= 0 || used >= have)
		return 1;
	return (double)used / (double)have;
}

static int64_t score(const struct sched_cycle *c, const void *state UNUSED,
		     const struct sched_node *n)
{
	double cpu = fraction(n->used.cpu_m + c->pod->requests.cpu_m, n->allocatable.cpu_m);
	double memory = fraction(n->used.memory + c->pod->requests.memory, n->allocatable.memory);
	double apart = cpu > memory ? cpu - memory : memory - cpu;

	/* The standard deviation of two values is half their distance. */
	return (int64_t)((1 - apart / 2) * SCORE_MAX);
}

const struct plugin plugin_balanced_allocation = {
	.name = "NodeResourcesBalancedAllocation",
	.score = score,
};
