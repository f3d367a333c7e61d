/*
 * The pods' network on this node: bridge plumb0 holding the first address of the node's podCIDR, a
 * veth pair into each pod's network namespace, routes to the other nodes' CIDRs by their addresses.
 * Runs inside the node's own network namespace. Addresses are files DIR/nodes/NODE/ips/ADDRESS that
 * hold the pod's uid. Blocking, a few milliseconds at most.
 */
#ifndef PLUMB_KUBELET_PODNET_H
#define PLUMB_KUBELET_PODNET_H

#include "lib/base/map.h"
#include "lib/os/net.h"

#define PODNET_BRIDGE "plumb0"

struct podnet {
	char *dir;       /* …/ips */
	char ifname[16]; /* what the node's own address is on */
	struct cidr cidr;
	bool ready;
	uint32_t last;      /* given out last: the next one follows, so that addresses rest */
	struct map routes;  /* node name to struct podnet_route */
	struct map leaving; /* host ends of pairs whose namespace was let go */
};
struct podnet_route {
	struct cidr to;
	uint32_t via;
};

MUST_USE int podnet_init(struct podnet *n, const char *state_dir, const char *node_ip,
			 struct err *err);
void podnet_release(struct podnet *n);
/* The node's podCIDR, once known: makes the bridge. Changing it later is refused while ready. */
MUST_USE int podnet_set_cidr(struct podnet *n, struct str cidr, struct err *err);
/* Makes the namespace at `path` and joins it; ret_ip is the pod's address. */
MUST_USE int podnet_add(struct podnet *n, struct str uid, const char *path, char ret_ip[16],
			struct err *err);
/* The node's end of a pod's pair. */
void podnet_link(struct str uid, char out[16]);
void podnet_del(struct podnet *n, struct str uid, const char *path, const char *ip);
/* Deletes what did not go with its namespace by itself. Now and then. */
void podnet_tidy(struct podnet *n);
/* Gives back the addresses of pods that `known` doesn't know. */
void podnet_sweep(struct podnet *n, bool (*known)(void *arg, struct str uid), void *arg);
/* What another node owns; empty cidr or via 0 = nothing (any more). */
MUST_USE int podnet_route(struct podnet *n, struct str node, struct str cidr, uint32_t via,
			  struct err *err);

/* ---- addresses (ipam.c) ---- */
MUST_USE int ipam_take(struct podnet *n, struct str uid, uint32_t *ret_ip, struct err *err);
void ipam_give_back(struct podnet *n, struct str uid, const char *ip);

#endif
