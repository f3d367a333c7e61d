/*
 * The dataplane of one node: follows Services and EndpointSlices and keeps the nftables table of
 * the network namespace it runs in true to them. On one loop.
 */
#ifndef PLUMB_PROXY_PROXY_H
#define PLUMB_PROXY_PROXY_H

#include "lib/kube/client.h"
#include "proxy/ruleset.h"

struct proxy_opts {
	struct ruleset_opts rules;
	const char *node;          /* outlives the proxy */
	void (*synced)(void *arg); /* the table is complete for the first time; may be NULL */
	void *arg;
	/* Brings a transaction into the kernel; NULL = nft_run. */
	int (*run)(struct str commands, struct err *err);
	/* Drops stale flows; NULL = net_flows_forget. */
	int (*forget)(bool (*gone)(void *arg, const struct net_flow *f), void *arg,
		      struct err *err);
};

struct proxy;
struct proxy *proxy_start(struct client *c, const struct proxy_opts *o);
/* Leaves the table as it is: connections go on, the next one takes over. */
void proxy_stop(struct proxy *p);
bool proxy_synced(const struct proxy *p);
/* Complete, and the kernel took the last change. */
bool proxy_healthy(const struct proxy *p);

#endif
