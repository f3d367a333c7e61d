/*
 * NodeResourcesFit: what a pod asks for must be left on the node. Among those that have it, the
 * least allocated is best. Pure.
 */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

/* Written as a subtraction: what is used may add up to more than there is, never overflow. */
static bool short_of(int64_t want, int64_t have, int64_t used)
{
	return want > 0 && want > have - used;
}

static bool filter(const struct sched_cycle *c, const void *state UNUSED,
		   const struct sched_node *n, struct reasons *why)
{
	const struct amounts *want = &c->pod->requests;

	if ((int64_t)n->npods + 1 > n->max_pods)
		reasons_add(why, "Too many pods");
	if (short_of(want->cpu_m, n->allocatable.cpu_m, n->used.cpu_m))
		reasons_add(why, "Insufficient cpu");
	if (short_of(want->memory, n->allocatable.memory, n->used.memory))
		reasons_add(why, "Insufficient memory");
	if (short_of(want->ephemeral, n->allocatable.ephemeral, n->used.ephemeral))
		reasons_add(why, "Insufficient ephemeral-storage");
	for (size_t i = 0; i < want->n; i++) {
		struct str name = want->others[i].name;

		if (short_of(want->others[i].value, amounts_other(&n->allocatable, name),
			     amounts_other(&n->used, name)))
			reasons_add(why,
				    arena_printf(c->arena, "Insufficient %.*s", STR_ARG(name)));
	}
	return why->n == 0;
}

static int64_t left_percent(int64_t have, int64_t used)
{
	if (have <= 0 || used >= have)
		return 0;
	return (int64_t)((__int128)(have - used) * SCORE_MAX / have);
}

static int64_t score(const struct sched_cycle *c, const void *state UNUSED,
		     const struct sched_node *n)
{
	int64_t cpu = left_percent(n->allocatable.cpu_m, n->score_cpu_m + c->pod->score_cpu_m);
	int64_t memory =
		left_percent(n->allocatable.memory, n->score_memory + c->pod->score_memory);

	return (cpu + memory) / 2;
}

const struct plugin plugin_node_resources_fit = {
	.name = "NodeResourcesFit",
	.order = 60,
	.filter = filter,
	.score = score,
	.helped_by = SCHED_NODE_CHANGED | SCHED_POD_GONE,
};
