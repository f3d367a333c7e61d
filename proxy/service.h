/*
 * What the dataplane needs of one Service and its EndpointSlices, read out of their trees and
 * checked: whatever is in here may be written into a rule. Everything lives in the arena it was
 * made in. Pure.
 */
#ifndef PLUMB_PROXY_SERVICE_H
#define PLUMB_PROXY_SERVICE_H

#include <netinet/in.h>

#include "lib/json/json.h"
#include "lib/os/net.h"

enum {
	SERVICE_PORTS_MAX = 1000,
	SERVICE_ENDPOINTS_MAX = 5000,
	SERVICE_IPS_MAX = 64,
	SERVICE_RANGES_MAX = 1000
};

struct endpoint {
	uint32_t ip; /* host byte order */
	uint16_t port;
	bool ready, serving, terminating;
	bool local; /* on this node */
	/* Somebody said whom it is for, and that this node's zone is among them. */
	bool hinted, near;
};

struct service_port {
	struct str name;
	uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t port, node_port;
	struct endpoint *endpoints; /* sorted by ip and port, without duplicates */
	size_t nendpoints;
	bool only_near; /* those that are ready are meant for zones, and some for ours */
};

/* Where we are. */
struct place {
	struct str node, zone; /* zone: empty when the node has none */
};

struct service {
	struct str namespace, name;
	uint32_t cluster_ip;
	uint32_t *external_ips; /* externalIPs, and the last nbalancer ones the load balancer's */
	size_t nexternal, nbalancer;
	struct cidr *ranges; /* who may use the load balancer's; none = anybody */
	size_t nranges;
	struct service_port *ports;
	size_t nports;
	bool external_local, internal_local; /* traffic policies */
	int64_t affinity_s;                  /* 0 = none */
	uint16_t health_port;                /* where load balancers ask for it; 0 = nowhere */
};

/*
 * Reads a Service; slices are its EndpointSlices. NULL when the Service has no part
 * in the dataplane (headless, ExternalName, another proxy's, no IPv4 address) or isn't there.
 */
struct service *service_read(struct arena *a, const struct json *service,
			     const struct json *const *slices, size_t nslices,
			     const struct place *here);

/* How many of its pods are ready on this node. */
size_t service_local(const struct service *s);

/* "tcp", "udp", "sctp". */
const char *proto_name(uint8_t proto);

#endif
