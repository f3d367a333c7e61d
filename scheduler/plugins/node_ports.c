/* NodePorts: a hostPort is given once per node, protocol and address. Pure. */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static bool skip(const struct sched_cycle *c, const void *state UNUSED)
{
	return !c->pod->nports;
}

static bool clash(const struct host_port *a, const struct host_port *b)
{
	return a->port == b->port && str_eq(a->protocol, b->protocol) &&
	       (!a->ip.n || !b->ip.n || str_eq(a->ip, b->ip));
}

static bool pods_clash(const struct sched_pod *a, const struct sched_pod *b)
{
	for (size_t i = 0; i < a->nports; i++)
		for (size_t j = 0; j < b->nports; j++)
			if (clash(&a->ports[i], &b->ports[j]))
				return true;
	return false;
}

static bool filter(const struct sched_cycle *c, const void *state UNUSED,
		   const struct sched_node *n, struct reasons *why)
{
	for (size_t i = 0; i < n->npods; i++) {
		if (!pods_clash(c->pod, n->pods[i]))
			continue;
		reasons_add(why, "node(s) didn't have free ports for the requested pod ports");
		return false;
	}
	return true;
}

const struct plugin plugin_node_ports = {
	.name = "NodePorts",
	.order = 50,
	.skip = skip,
	.filter = filter,
	.helped_by = SCHED_POD_GONE,
};
