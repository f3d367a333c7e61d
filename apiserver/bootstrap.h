/*
 * What exists in every cluster from the start: namespaces, roles and bindings, priority classes,
 * and the Service and endpoints of the API itself. Made through the core like anybody's objects;
 * what is already there and right is left alone. The core's thread, before anybody is served.
 */
#ifndef PLUMB_APISERVER_BOOTSTRAP_H
#define PLUMB_APISERVER_BOOTSTRAP_H

#include "apiserver/core.h"

struct bootstrap_opts {
	struct str service_ip;     /* of default/kubernetes */
	struct str address;        /* where the API answers; STR_NONE = no endpoints */
	struct str public_address; /* where nodes and people find it; STR_NONE = not told */
	int port;
	struct str ca; /* PEM: whose client certificates are believed; STR_NONE = not told */
};
MUST_USE int bootstrap(struct core *c, const struct bootstrap_opts *o, struct err *err);

/* Looks every few seconds whether the Service and its endpoints are still there and right. The
 * texts of `o` must outlive it; go(arg) has the core carry out what was submitted. Freed after
 * the core: what it asked for may still wait there. */
struct bootstrap_keeper;
struct bootstrap_keeper *bootstrap_keep(struct loop *l, struct core *c,
					const struct bootstrap_opts *o, void (*go)(void *arg),
					void *arg);
void bootstrap_keeper_free(struct bootstrap_keeper *k); /* NULL is fine */

/* ---- bootstrap_rbac.c ---- */
/* {"kind": …, "metadata": …, …} of each ClusterRole and ClusterRoleBinding. */
void bootstrap_rbac(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg);

/* ---- bootstrap_flow.c ---- */
/* FlowSchemas and PriorityLevelConfigurations. */
void bootstrap_flow(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg);

#endif
