/*
 * Links, addresses, routes and network namespaces over rtnetlink (libmnl), and nftables rule sets
 * as text (libnftables). All calls act on the calling thread's network namespace unless they take
 * one. Blocking, microseconds each. Used by the kubelet (pod network), the proxy and `plumb up`.
 */
#ifndef PLUMB_NET_H
#define PLUMB_NET_H

#include <netinet/in.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* IPv4 in host byte order. */
struct cidr {
	uint32_t addr;
	uint8_t bits;
};
MUST_USE int ip4_parse(struct str s, uint32_t *ret);
struct str ip4_format(uint32_t ip, char out[16]);
MUST_USE int cidr_parse(struct str s, struct cidr *ret);
bool cidr_has(struct cidr c, uint32_t ip);

/* Makes a named, mounted namespace at `path` (a file is made and bound over). */
MUST_USE int netns_create(const char *path, struct err *err);
MUST_USE int netns_delete(const char *path,
			  struct err *err);        /* unmounts and unlinks; absent is success */
int netns_open(const char *path, struct err *err); /* descriptor, O_CLOEXEC; -1 on error */
/* Runs fn inside the namespace on this thread, then returns to the old one (panics if that fails).
 */
MUST_USE int netns_do(int netns_fd, int (*fn)(void *arg, struct err *err), void *arg,
		      struct err *err);

MUST_USE int net_link_up(const char *ifname, struct err *err);
MUST_USE int net_link_delete(const char *ifname, struct err *err); /* absent is success */
bool net_link_exists(const char *ifname);
MUST_USE int net_bridge_create(const char *ifname, struct err *err); /* exists is success */
/* veth pair: `a` here, `b` in peer_netns_fd (or here when -1). Names at most 15 bytes. */
MUST_USE int net_veth_create(const char *a, const char *b, int peer_netns_fd, struct err *err);
MUST_USE int net_link_set_master(const char *ifname, const char *bridge, bool hairpin,
				 struct err *err);
MUST_USE int net_link_set_mtu(const char *ifname, uint32_t mtu, struct err *err);
MUST_USE int net_addr_add(const char *ifname, uint32_t ip, uint8_t bits,
			  struct err *err); /* exists is success */
MUST_USE int net_addr_del(const char *ifname, uint32_t ip, uint8_t bits,
			  struct err *err); /* absent is success */
/* via 0 = directly on the link; exists = replaced. ifname NULL = the one that leads to via. */
MUST_USE int net_route_add(struct cidr to, uint32_t via, const char *ifname, struct err *err);
MUST_USE int net_route_del(struct cidr to, struct err *err); /* absent is success */
/* True when a route other than the default overlaps c. */
bool net_route_overlaps(struct cidr c);
/* Deletes the routes to networks within c. */
MUST_USE int net_routes_flush(struct cidr c, struct err *err);
MUST_USE int net_sysctl(const char *name, const char *value,
			struct err *err); /* "net/ipv4/ip_forward" */
/* What bridges of this namespace carry passes its packet filter; loads the kernel's module for it
 * when need be. */
MUST_USE int net_bridge_filter(struct err *err);
/* Address of the interface that the default route leaves by, or of the first one that is up and not
 * loopback; 0 = none. */
uint32_t net_default_ip(void);

/* A tracked UDP or TCP flow: where its packets were sent to, and who they are passed on to. */
struct net_flow {
	uint8_t proto; /* IPPROTO_UDP, _TCP */
	uint32_t to;
	uint16_t to_port;
	uint32_t served_by;
	uint16_t served_port;
};
/* Forgets the flows that gone() says so of; returns how many, or -1. */
int net_flows_forget(bool (*gone)(void *arg, const struct net_flow *f), void *arg, struct err *err);

/* Runs nft commands as one transaction, in this namespace. The message names nft's line. */
MUST_USE int nft_run(struct str commands, struct err *err);

#endif
