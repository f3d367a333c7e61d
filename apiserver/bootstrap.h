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

/* ---- bootstrap_rbac.c ---- */
/* {"kind": …, "metadata": …, …} of each ClusterRole and ClusterRoleBinding. */
void bootstrap_rbac(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg);

/* ---- bootstrap_flow.c ---- */
/* FlowSchemas and PriorityLevelConfigurations. */
void bootstrap_flow(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg);

#endif
