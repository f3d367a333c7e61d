/*
 * VolumeBinding, with what VolumeRestrictions says of ReadWriteOncePod: nodes that a pod's volumes
 * reach, or on which they can be had. What is to be written once a node is chosen is
 * volume_wait.c's business. Pure.
 */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static void *prepare(const struct sched_cycle *c)
{
	struct pod_volumes *v = arena_alloc(c->arena, sizeof(*v));

	pod_volumes_find(c->cache, c->pod, c->arena, v);
	return v;
}

static const char *refuse(const struct sched_cycle *c UNUSED, const void *state)
{
	return ((const struct pod_volumes *)state)->refused;
}

static bool skip(const struct sched_cycle *c, const void *state UNUSED)
{
	return !c->pod->nclaims;
}

static bool filter(const struct sched_cycle *c, const void *state, const struct sched_node *n,
		   struct reasons *why)
{
	const struct pod_volumes *v = state;
	const struct json **chosen = arena_array(c->arena, v->nwaiting + 1, sizeof(*chosen));
	const char *text = NULL;

	if (pod_volumes_choose(c->cache, v, n, chosen, &text))
		return true;
	reasons_add_for_good(why, text);
	return false;
}

const struct plugin plugin_volume_binding = {
	.name = "VolumeBinding",
	.order = 70,
	.prepare = prepare,
	.refuse = refuse,
	.skip = skip,
	.filter = filter,
	.helped_by = SCHED_CLAIM_CHANGED | SCHED_NODE_CHANGED | SCHED_POD_GONE,
};
