/* TaintToleration: NoSchedule and NoExecute taints keep off, PreferNoSchedule ones cost. Pure. */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static bool filter(const struct sched_cycle *c, const void *state UNUSED,
		   const struct sched_node *n, struct reasons *why)
{
	for (size_t i = 0; i < n->ntaints; i++) {
		const struct taint *t = &n->taints[i];

		if (str_is(t->effect, "PreferNoSchedule") || pod_tolerates(c->pod, t))
			continue;
		reasons_add_for_good(why, arena_printf(c->arena,
						       "node(s) had untolerated taint {%.*s: %.*s}",
						       STR_ARG(t->key), STR_ARG(t->value)));
		return false;
	}
	return true;
}

static int64_t score(const struct sched_cycle *c, const void *state UNUSED,
		     const struct sched_node *n)
{
	int64_t disliked = 0;

	for (size_t i = 0; i < n->ntaints; i++)
		if (str_is(n->taints[i].effect, "PreferNoSchedule") &&
		    !pod_tolerates(c->pod, &n->taints[i]))
			disliked++;
	return disliked;
}

static void normalize(const struct sched_cycle *c UNUSED, const void *state UNUSED, int64_t *scores,
		      size_t n)
{
	scores_normalize(scores, n, true);
}

const struct plugin plugin_taint_toleration = {
	.name = "TaintToleration",
	.order = 30,
	.weight = 3,
	.filter = filter,
	.score = score,
	.normalize = normalize,
	.helped_by = SCHED_NODE_CHANGED,
};
