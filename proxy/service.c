/*
 * Reads Services and EndpointSlices into the small structs that rules are made from. Whoever may
 * write a Service may write anything, so every address, port and name is checked here: what
 * doesn't fit is left out, and no text of a user's reaches a rule but through these types.
 * Pure: no I/O, no thread of its own, memory in the caller's arena.
 */
#include "proxy/service.h"

#include <stdlib.h>

#include "lib/kube/obj.h"
#include "lib/os/net.h"

#include "lib/base/pure.h"

const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_UDP ? "udp" : proto == IPPROTO_SCTP ? "sctp" : "tcp";
}

static uint8_t proto_read(const struct json *v)
{
	struct str s = json_str_or(v, STR("TCP"));

	return str_is(s, "TCP")    ? IPPROTO_TCP
	       : str_is(s, "UDP")  ? IPPROTO_UDP
	       : str_is(s, "SCTP") ? IPPROTO_SCTP
				   : 0;
}

static uint16_t port_read(const struct json *v)
{
	int64_t n = json_int(v, 0);

	return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

/* An address that others may be sent to: not this host itself, not a link's, not a group's. */
static bool ip_usable(uint32_t ip)
{
	uint8_t top = (uint8_t)(ip >> 24);

	return top != 0 && top != 127 && top < 224 && (ip >> 16) != 0xa9fe;
}

static uint32_t ip_read(const struct json *v)
{
	uint32_t ip;

	return ip4_parse(json_str(v), &ip) == 0 && ip_usable(ip) ? ip : 0;
}

static bool external_add(struct service *s, uint32_t ip)
{
	if (!ip || ip == s->cluster_ip || s->nexternal == SERVICE_IPS_MAX)
		return false;
	for (size_t i = 0; i < s->nexternal; i++)
		if (s->external_ips[i] == ip)
			return false;
	s->external_ips[s->nexternal++] = ip;
	return true;
}

/* One that cannot be read lets nobody in: with none left, everybody would get in. */
static void ranges_read(struct arena *a, const struct json *o, struct service *s)
{
	const struct json *all = json_at(o, "spec", "loadBalancerSourceRanges");

	s->ranges = arena_array(a, SERVICE_RANGES_MAX, sizeof(*s->ranges));
	for (size_t i = 0; i < json_len(all) && s->nranges < SERVICE_RANGES_MAX; i++) {
		struct cidr *range = &s->ranges[s->nranges++];

		if (cidr_parse(str_trim(json_str(json_item(all, i))), range))
			*range = (struct cidr){0, 32};
	}
}

static void externals_read(struct arena *a, const struct json *o, struct service *s)
{
	const struct json *ips = json_at(o, "spec", "externalIPs");
	const struct json *ingress = json_at(o, "status", "loadBalancer", "ingress");

	s->external_ips = arena_array(a, SERVICE_IPS_MAX, sizeof(*s->external_ips));
	for (size_t i = 0; i < json_len(ips); i++)
		external_add(s, ip_read(json_item(ips, i)));
	for (size_t i = 0; i < json_len(ingress); i++) {
		const struct json *in = json_item(ingress, i);

		if (!str_is(json_str(json_get(in, STR("ipMode"))), "Proxy"))
			s->nbalancer += external_add(s, ip_read(json_get(in, STR("ip"))));
	}
	if (s->nbalancer)
		ranges_read(a, o, s);
}

/* The port of a slice that serves a Service's port: same name, same protocol. */
static uint16_t slice_port(const struct json *slice, const struct service_port *p)
{
	const struct json *ports = json_get(slice, STR("ports"));

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *v = json_item(ports, i);
		struct str name = json_str_or(json_get(v, STR("name")), STR(""));

		if (str_eq(name, p->name) && proto_read(json_get(v, STR("protocol"))) == p->proto)
			return port_read(json_get(v, STR("port")));
	}
	return 0;
}

static bool meant_for(const struct json *zones, struct str zone)
{
	for (size_t i = 0; zone.n && i < json_len(zones); i++)
		if (str_eq(json_str(json_at(json_item(zones, i), "name")), zone))
			return true;
	return false;
}

static void endpoint_read(const struct json *v, uint16_t port, const struct place *here,
			  struct endpoint *ret)
{
	const struct json *c = json_get(v, STR("conditions"));
	const struct json *zones = json_at(v, "hints", "forZones");
	struct str node = here->node;
	bool ready = json_bool(json_get(c, STR("ready")), true);

	*ret = (struct endpoint){
		.ip = ip_read(json_item(json_get(v, STR("addresses")), 0)),
		.port = port,
		.ready = ready,
		.serving = json_bool(json_get(c, STR("serving")), ready),
		.terminating = json_bool(json_get(c, STR("terminating")), false),
		.local = node.n && str_eq(json_str(json_get(v, STR("nodeName"))), node),
		.hinted = json_len(zones) > 0,
		.near = meant_for(zones, here->zone),
	};
}

static int endpoint_cmp(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	if (x->ip != y->ip)
		return x->ip < y->ip ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	/* Of duplicates (an endpoint moving between slices) the ready one is kept. */
	return (int)y->ready - (int)x->ready;
}

/* One that nobody meant for a zone is for all, and then so are the others. */
static bool near_only(const struct service_port *p)
{
	bool any = false;

	for (size_t i = 0; i < p->nendpoints; i++) {
		if (p->endpoints[i].ready && !p->endpoints[i].hinted)
			return false;
		any |= p->endpoints[i].ready && p->endpoints[i].near;
	}
	return any;
}

static void endpoints_read(struct arena *a, struct service_port *p,
			   const struct json *const *slices, size_t nslices,
			   const struct place *here)
{
	size_t max = 0, n = 0, kept = 0;

	for (size_t i = 0; i < nslices; i++)
		max += json_len(json_get(slices[i], STR("endpoints")));
	max = MIN(max, SERVICE_ENDPOINTS_MAX);
	p->endpoints = arena_array(a, max ? max : 1, sizeof(*p->endpoints));
	for (size_t i = 0; i < nslices; i++) {
		const struct json *all = json_get(slices[i], STR("endpoints"));
		uint16_t port = slice_port(slices[i], p);

		if (!port || !str_is(json_str(json_get(slices[i], STR("addressType"))), "IPv4"))
			continue;
		for (size_t j = 0; j < json_len(all) && n < max; j++) {
			endpoint_read(json_item(all, j), port, here, &p->endpoints[n]);
			n += p->endpoints[n].ip != 0;
		}
	}
	if (n)
		qsort(p->endpoints, n, sizeof(*p->endpoints), endpoint_cmp);
	for (size_t i = 0; i < n; i++)
		if (!kept || p->endpoints[i].ip != p->endpoints[kept - 1].ip ||
		    p->endpoints[i].port != p->endpoints[kept - 1].port)
			p->endpoints[kept++] = p->endpoints[i];
	p->nendpoints = kept;
	p->only_near = near_only(p);
}

static bool ours(const struct json *o)
{
	return o && !meta_label(o, "service.kubernetes.io/service-proxy-name").p &&
	       !meta_label(o, "service.kubernetes.io/headless").p &&
	       !str_is(json_str(json_at(o, "spec", "type")), "ExternalName");
}

static void ports_read(struct arena *a, const struct json *o, struct service *s)
{
	const struct json *ports = json_at(o, "spec", "ports");
	bool node_ports =
		!str_is(json_str_or(json_at(o, "spec", "type"), STR("ClusterIP")), "ClusterIP");

	s->ports = arena_array(a, MIN(json_len(ports), SERVICE_PORTS_MAX) + 1, sizeof(*s->ports));
	for (size_t i = 0; i < json_len(ports) && s->nports < SERVICE_PORTS_MAX; i++) {
		const struct json *v = json_item(ports, i);
		struct service_port p = {
			.name = json_str_or(json_get(v, STR("name")), STR("")),
			.proto = proto_read(json_get(v, STR("protocol"))),
			.port = port_read(json_get(v, STR("port"))),
			.node_port = node_ports ? port_read(json_get(v, STR("nodePort"))) : 0,
		};

		if (p.proto && p.port)
			s->ports[s->nports++] = p;
	}
}

struct service *service_read(struct arena *a, const struct json *o,
			     const struct json *const *slices, size_t nslices,
			     const struct place *here)
{
	struct service *s;

	if (!ours(o))
		return NULL;
	s = arena_alloc(a, sizeof(*s));
	s->namespace = meta_namespace(o);
	s->name = meta_name(o);
	s->cluster_ip = ip_read(json_at(o, "spec", "clusterIP"));
	if (!s->cluster_ip)
		return NULL;
	s->external_local = str_is(json_str(json_at(o, "spec", "externalTrafficPolicy")), "Local");
	s->internal_local = str_is(json_str(json_at(o, "spec", "internalTrafficPolicy")), "Local");
	if (str_is(json_str(json_at(o, "spec", "sessionAffinity")), "ClientIP")) {
		s->affinity_s = json_int(
			json_at(o, "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"),
			10800);
		s->affinity_s = MAX(1, MIN(s->affinity_s, 86400));
	}
	if (s->external_local)
		s->health_port = port_read(json_at(o, "spec", "healthCheckNodePort"));
	externals_read(a, o, s);
	ports_read(a, o, s);
	for (size_t i = 0; i < s->nports; i++)
		endpoints_read(a, &s->ports[i], slices, nslices, here);
	return s;
}

size_t service_local(const struct service *s)
{
	size_t most = 0;

	/* A pod counts once, however many ports it serves: the port with most of them tells. */
	for (size_t i = 0; i < s->nports; i++) {
		size_t n = 0;

		for (size_t j = 0; j < s->ports[i].nendpoints; j++)
			n += s->ports[i].endpoints[j].local && s->ports[i].endpoints[j].ready;
		most = MAX(most, n);
	}
	return most;
}
