/*
 * The shell around NetworkPolicies: follows them and, from the first one on, the cluster's pods and
 * namespaces; a cluster without policies pays for one empty watch. On the client's loop.
 */
#ifndef PLUMB_PROXY_GUARD_H
#define PLUMB_PROXY_GUARD_H

#include "lib/kube/client.h"
#include "proxy/ruleset.h"

struct guard_opts {
	struct client *client;
	struct ruleset *rules;      /* outlives the guard */
	const char *node;           /* ours */
	void (*changed)(void *arg); /* there is something to render, or more is known */
	void *arg;
};

struct guard;
struct guard *guard_start(const struct guard_opts *o);
void guard_stop(struct guard *g); /* NULL is fine */
/* Is all known that the rules depend on? Until then there must be no transaction. */
bool guard_synced(const struct guard *g);
/* Writes what is due into the rule set. */
void guard_render(struct guard *g);

#endif
