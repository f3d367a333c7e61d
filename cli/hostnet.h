/*
 * What `plumb up` makes on the machine's network: a bridge, a namespace per node with a link to it,
 * routes to the service and pod networks, and an nftables table that forwards NodePorts and
 * masquerades. Everything carries the instance's name, so instances do not collide and each can
 * be taken down by its name alone. Blocking; needs root.
 */
#ifndef PLUMB_CLI_HOSTNET_H
#define PLUMB_CLI_HOSTNET_H

#include "cli/datadir.h"
#include "lib/os/net.h"

struct hostnet {
	char bridge[16];  /* plbr-INSTANCE */
	char table[16];   /* plumb_INSTANCE */
	struct cidr link; /* 172.30.X.0/24 */
	uint32_t gateway; /* .1: the host, as nodes see it */
	struct cidr services, pods;
};

#define HOSTNET_NODES_MAX 200

/* Finds this instance's link network (that of an earlier run, or a free one) and makes the bridge.
 */
MUST_USE int hostnet_up(struct hostnet *h, const struct datadir *d, struct err *err);
/* Makes node i's namespace at DIR/nodes/NAME/netns with eth0 at .10+i; what exists is kept. */
MUST_USE int hostnet_node(const struct hostnet *h, const struct datadir *d, const char *node,
			  unsigned i, struct err *err);
uint32_t hostnet_node_ip(const struct hostnet *h, unsigned i);
/* Routes and NodePort forwarding to node 0, where no other instance has them: what was left out is
 * said in `notes`. */
MUST_USE int hostnet_forward(const struct hostnet *h, struct buf *notes, struct err *err);
/* Removes bridge, table and routes of the instance; namespaces are host_cleanup's. Absent is
 * success. */
void hostnet_down(const struct datadir *d);

#endif
