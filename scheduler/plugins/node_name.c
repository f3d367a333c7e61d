/* NodeName: a pod that names its node goes there or nowhere. Pure. */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static bool skip(const struct sched_cycle *c, const void *state UNUSED)
{
	return !c->pod->node_name.n;
}

static bool filter(const struct sched_cycle *c, const void *state UNUSED,
		   const struct sched_node *n, struct reasons *why)
{
	if (str_eq(c->pod->node_name, n->name))
		return true;
	reasons_add_for_good(why, "node(s) didn't match the requested node name");
	return false;
}

const struct plugin plugin_node_name = {
	.name = "NodeName",
	.order = 20,
	.skip = skip,
	.filter = filter,
};
