/*
 * What a Service's backends are: its selected pods with an address, the ports by name or number,
 * and their conditions. Shared by the EndpointSlice and the Endpoints controller. Pure.
 */
#ifndef PLUMB_ENDPOINTS_CORE_H
#define PLUMB_ENDPOINTS_CORE_H

#include "controllers/common.h"

/* Services by one of the labels that their selector asks for ("namespace/key=value"). */
#define INDEX_SELECTS "selects"
index_fn index_selects;
/* The Services that select a pod. */
mapper_view_fn map_pod_to_services;

struct backend {
	const struct json *pod;
	struct str ip;
	bool ready, serving, terminating;
	const struct json *ports; /* array of {name, port, protocol[, appProtocol]} */
};
struct backends {
	struct backend *v;
	size_t n;
};
/* Has a selector, and isn't a mere name for something outside. */
bool service_selects_pods(const struct json *service);
bool service_headless(const struct json *service);
/* Of one address family. Pods that finished or have no address are left out. */
struct backends service_backends(const struct view *v, const struct json *service, bool ipv6);
/* Families that the Service has addresses in. */
void service_families(const struct json *service, bool *ret_ipv4, bool *ret_ipv6);
/* {kind: Pod, namespace, name, uid}. */
struct json *pod_target_ref(struct arena *a, const struct json *pod);

#endif
