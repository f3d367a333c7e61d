/* NodeUnschedulable: cordoned nodes take nobody but who tolerates it. Pure. */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static bool filter(const struct sched_cycle *c, const void *state UNUSED,
		   const struct sched_node *n, struct reasons *why)
{
	static const struct taint cordoned = {
		{"node.kubernetes.io/unschedulable",
		 sizeof("node.kubernetes.io/unschedulable") - 1},
		{NULL, 0},
		{"NoSchedule", sizeof("NoSchedule") - 1},
	};

	if (!n->unschedulable || pod_tolerates(c->pod, &cordoned))
		return true;
	reasons_add_for_good(why, "node(s) were unschedulable");
	return false;
}

const struct plugin plugin_node_unschedulable = {
	.name = "NodeUnschedulable",
	.order = 10,
	.filter = filter,
	.helped_by = SCHED_NODE_CHANGED,
};
