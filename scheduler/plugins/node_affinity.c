/* NodeAffinity: nodeSelector, required terms, and preferences by weight. Pure. */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static bool skip(const struct sched_cycle *c, const void *state UNUSED)
{
	return !c->pod->node_selector && !c->pod->node_affinity;
}

static bool filter(const struct sched_cycle *c, const void *state UNUSED,
		   const struct sched_node *n, struct reasons *why)
{
	if (node_matches_selector(c->pod, n))
		return true;
	reasons_add_for_good(why, "node(s) didn't match Pod's node affinity/selector");
	return false;
}

static int64_t score(const struct sched_cycle *c, const void *state UNUSED,
		     const struct sched_node *n)
{
	const struct json *preferred =
		json_at(c->pod->node_affinity, "preferredDuringSchedulingIgnoredDuringExecution");
	int64_t sum = 0;

	for (size_t i = 0; i < json_len(preferred); i++) {
		const struct json *p = json_item(preferred, i);
		const struct json *term = json_at(p, "preference");

		/* Unlike a required term, an empty preference likes every node. */
		if (!json_len(term) || node_term_matches(term, n))
			sum += json_int(json_at(p, "weight"), 0);
	}
	return sum;
}

static void normalize(const struct sched_cycle *c UNUSED, const void *state UNUSED, int64_t *scores,
		      size_t n)
{
	scores_normalize(scores, n, false);
}

const struct plugin plugin_node_affinity = {
	.name = "NodeAffinity",
	.order = 40,
	.weight = 2,
	.skip = skip,
	.filter = filter,
	.score = score,
	.normalize = normalize,
	.helped_by = SCHED_NODE_CHANGED,
};
