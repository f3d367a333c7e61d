/*
 * Cluster addresses and node ports of Services: two bitmaps, rebuilt from the Services at load and
 * kept true by every change, so that nothing is ever leaked or given twice. The lower part of each
 * range is left to those who ask for an address. IPv4. One thread.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/core-internal.h"

#define PORT_FROM 30000
#define PORT_TO 32767

struct range {
	uint32_t from, n;  /* first value, how many */
	uint32_t reserved; /* given only to those who ask by value */
	uint8_t *used;     /* a count each: a change holds old and new for a moment */
};

struct alloc {
	struct range ips, ports;
};

static void range_init(struct range *r, uint32_t from, uint32_t n)
{
	*r = (struct range){.from = from, .n = n};
	r->reserved = MIN(MAX(n / 16, 16), 256);
	if (r->reserved >= n)
		r->reserved = 0;
	r->used = xalloc(n);
}

static bool range_has(const struct range *r, uint32_t value)
{
	return value >= r->from && value - r->from < r->n;
}

static bool range_is_used(const struct range *r, uint32_t value)
{
	return r->used[value - r->from] > 0;
}

static void range_count(struct range *r, uint32_t value, int by)
{
	if (range_has(r, value))
		r->used[value - r->from] = (uint8_t)(r->used[value - r->from] + by);
}

/* A free value from a random place on; the reserved part last. */
static bool range_pick(const struct range *r, struct rng *rng, uint32_t *ret)
{
	uint32_t open = r->n - r->reserved, start = (uint32_t)rng_below(rng, open);

	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t at = i < open ? r->reserved + (start + i) % open : i - open;

		if (r->used[at])
			continue;
		*ret = r->from + at;
		return true;
	}
	return false;
}

/* "10.96.0.0/16": network and broadcast addresses are never given. */
struct alloc *alloc_new(const char *cidr, struct err *err)
{
	struct str ip, bits;
	char text[INET_ADDRSTRLEN];
	struct in_addr addr;
	struct alloc *a;
	int64_t n;

	if (!str_cut(str_c(cidr), '/', &ip, &bits) || ip.n >= sizeof(text) ||
	    str_to_i64(bits, &n) || n < 12 || n > 30) {
		err_set(err, ERR_BAD_REQUEST,
			"service range %s: must be an IPv4 network of 12 to 30 bits", cidr);
		return NULL;
	}
	memcpy(text, ip.p, ip.n);
	text[ip.n] = 0;
	if (inet_pton(AF_INET, text, &addr) != 1) {
		err_set(err, ERR_BAD_REQUEST, "service range %s: not an IPv4 network", cidr);
		return NULL;
	}
	a = xalloc(sizeof(*a));
	range_init(&a->ips, (ntohl(addr.s_addr) & ~((1u << (32 - n)) - 1)) + 1,
		   (1u << (32 - n)) - 2);
	range_init(&a->ports, PORT_FROM, PORT_TO - PORT_FROM + 1);
	return a;
}

void alloc_free(struct alloc *a)
{
	if (!a)
		return;
	free(a->ips.used);
	free(a->ports.used);
	free(a);
}

static bool parse_ip(struct str s, uint32_t *ret)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr addr;

	if (!s.n || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	if (inet_pton(AF_INET, text, &addr) != 1)
		return false;
	*ret = ntohl(addr.s_addr);
	return true;
}

/* ---- the books ---- */

/* One node port may stand at several ports of a Service (TCP and UDP): counted once. */
static bool port_counted(const struct json *ports, size_t upto, int64_t port)
{
	for (size_t i = 0; i < upto; i++)
		if (json_int(json_get(json_item(ports, i), STR("nodePort")), 0) == port)
			return true;
	return false;
}

static void count_ports(struct alloc *a, const struct json *ports, size_t n, int by)
{
	for (size_t i = 0; i < n; i++) {
		int64_t port = json_int(json_get(json_item(ports, i), STR("nodePort")), 0);

		if (port > 0 && port <= PORT_TO && !port_counted(ports, i, port))
			range_count(&a->ports, (uint32_t)port, by);
	}
}

static void count(struct alloc *a, const struct json *service, int by)
{
	const struct json *ports = json_at(service, "spec", "ports");
	int64_t health = json_int(json_at(service, "spec", "healthCheckNodePort"), 0);
	uint32_t ip;

	if (parse_ip(json_str(json_at(service, "spec", "clusterIP")), &ip))
		range_count(&a->ips, ip, by);
	count_ports(a, ports, json_len(ports), by);
	if (health > 0 && health <= PORT_TO)
		range_count(&a->ports, (uint32_t)health, by);
}

void alloc_change(struct alloc *a, const struct json *old, const struct json *new)
{
	if (old)
		count(a, old, -1);
	if (new)
		count(a, new, 1);
}

/* ---- one Service ---- */

static void give_ip(struct json *spec, uint32_t ip, struct arena *arena)
{
	struct in_addr addr = {htonl(ip)};
	char text[INET_ADDRSTRLEN];
	struct str s = str_c(inet_ntop(AF_INET, &addr, text, sizeof(text)));

	json_set_str(arena, spec, "clusterIP", s);
	json_set(arena, spec, STR("clusterIPs"), json_build(arena, "[S]", arena_str(arena, s)));
}

/* Another address in clusterIP alone is meant for both fields. */
static void follow(struct arena *arena, struct json *spec, const struct json *live,
		   struct str asked)
{
	const struct json *ips = json_get(spec, STR("clusterIPs"));

	json_set_str(arena, spec, "clusterIP", asked);
	if (!json_len(ips) || (!str_eq(asked, json_str(json_at(live, "spec", "clusterIP"))) &&
			       json_equal(ips, json_at(live, "spec", "clusterIPs"))))
		json_set(arena, spec, STR("clusterIPs"), json_build(arena, "[S]", asked));
}

static int cluster_ip(struct alloc *a, struct arena *arena, struct rng *rng, struct json *spec,
		      const struct json *live, struct schema_problems *problems)
{
	struct str asked = json_str(json_get(spec, STR("clusterIP"))),
		   had = json_str(json_at(live, "spec", "clusterIP"));
	uint32_t ip;

	if (!asked.n)
		asked = json_str(json_item(json_get(spec, STR("clusterIPs")), 0));
	/* A writer that leaves the address out means the one there is. */
	if (!asked.n)
		asked = had;
	/* Validation refuses another than the one there is. */
	if (str_is(asked, "None") || had.n) {
		follow(arena, spec, live, asked);
		return 0;
	}
	if (!asked.n && !range_pick(&a->ips, rng, &ip)) {
		schema_problem(problems, "InternalError", STR("spec.clusterIPs"), 0,
			       "Internal error: failed to allocate a serviceIP: range is full");
		return 0;
	}
	if (asked.n && (!parse_ip(asked, &ip) || !range_has(&a->ips, ip)))
		schema_problem(problems, "FieldValueInvalid", STR("spec.clusterIPs"), 0,
			       "Invalid value: []string{\"%.*s\"}: failed to allocate IP %.*s: the "
			       "provided network does not match the current range",
			       (int)MIN(asked.n, 60), asked.p, (int)MIN(asked.n, 60), asked.p);
	else if (asked.n && range_is_used(&a->ips, ip))
		schema_problem(problems, "FieldValueInvalid", STR("spec.clusterIPs"), 0,
			       "Invalid value: []string{\"%.*s\"}: failed to allocate IP %.*s: "
			       "provided IP "
			       "is already allocated",
			       STR_ARG(asked), STR_ARG(asked));
	else
		give_ip(spec, ip, arena);
	return 0;
}

static int64_t live_port(const struct json *live, int64_t port)
{
	const struct json *ports = json_at(live, "spec", "ports");

	return port_counted(ports, json_len(ports), port) ? port : 0;
}

/* What this Service had at the same port, protocol and name keeps its node port. */
static int64_t inherited(const struct json *live, const struct json *port)
{
	const struct json *ports = json_at(live, "spec", "ports");

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);

		if (json_equal(json_get(p, STR("port")), json_get(port, STR("port"))) &&
		    str_eq(json_str(json_get(p, STR("protocol"))),
			   json_str(json_get(port, STR("protocol")))))
			return json_int(json_get(p, STR("nodePort")), 0);
	}
	return 0;
}

/* The same port of another protocol is reached by the same node port, where the Service is new. */
static int64_t of_its_twin(const struct json *ports, const struct json *port)
{
	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);

		if (p != port &&
		    json_equal(json_get(p, STR("port")), json_get(port, STR("port"))) &&
		    !json_equal(json_get(p, STR("protocol")), json_get(port, STR("protocol"))) &&
		    json_int(json_get(p, STR("nodePort")), 0))
			return json_int(json_get(p, STR("nodePort")), 0);
	}
	return 0;
}

static bool taken_here(const struct json *ports, size_t upto, uint32_t value)
{
	return port_counted(ports, upto, value);
}

/* One that neither another Service has nor an earlier port of this one was just given. */
static bool pick_port(struct alloc *a, struct rng *rng, const struct json *ports, size_t upto,
		      uint32_t *ret)
{
	bool found;

	count_ports(a, ports, upto, 1);
	found = range_pick(&a->ports, rng, ret);
	count_ports(a, ports, upto, -1);
	return found;
}

static void node_port(struct alloc *a, struct arena *arena, struct rng *rng, struct json *ports,
		      size_t i, const struct json *live, struct schema_problems *problems)
{
	struct json *port = json_item(ports, i);
	int64_t asked = json_int(json_get(port, STR("nodePort")), 0);
	struct str field = arena_strf(arena, "spec.ports[%zu].nodePort", i);
	uint32_t value;

	if (!asked)
		asked = live ? inherited(live, port) : of_its_twin(ports, port);
	if (!asked) {
		if (!pick_port(a, rng, ports, i, &value)) {
			schema_problem(problems, "InternalError", field, 0,
				       "Internal error: failed to allocate a nodePort: range is "
				       "full");
			return;
		}
		asked = value;
	} else if (asked < PORT_FROM || asked > PORT_TO) {
		schema_problem(problems, "FieldValueInvalid", field, 0,
			       "Invalid value: %lld: provided port is not in the valid range. The "
			       "range of valid ports is %d-%d",
			       (long long)asked, PORT_FROM, PORT_TO);
		return;
	} else if (!live_port(live, asked) && !taken_here(ports, i, (uint32_t)asked) &&
		   range_is_used(&a->ports, (uint32_t)asked)) {
		schema_problem(problems, "FieldValueInvalid", field, 0,
			       "Invalid value: %lld: provided port is already allocated",
			       (long long)asked);
		return;
	}
	json_set_int(arena, port, "nodePort", asked);
}

/* Where load balancers ask a node whether it serves; given as node ports are. */
static void health_port(struct alloc *a, struct arena *arena, struct rng *rng, struct json *spec,
			const struct json *live, struct schema_problems *problems)
{
	const struct json *ports = json_get(spec, STR("ports"));
	int64_t asked = json_int(json_get(spec, STR("healthCheckNodePort")), 0);
	uint32_t value;

	if (asked == json_int(json_at(live, "spec", "healthCheckNodePort"), 0) && asked)
		return;
	if (!asked && pick_port(a, rng, ports, json_len(ports), &value))
		json_set_int(arena, spec, "healthCheckNodePort", value);
	else if (!asked)
		schema_problem(problems, "InternalError", STR("spec.healthCheckNodePort"), 0,
			       "Internal error: failed to allocate a nodePort: range is full");
	else if (asked < PORT_FROM || asked > PORT_TO || range_is_used(&a->ports, (uint32_t)asked))
		schema_problem(problems, "FieldValueInvalid", STR("spec.healthCheckNodePort"), 0,
			       "Invalid value: %lld: provided port is already allocated or not in "
			       "the valid range. The range of valid ports is %d-%d",
			       (long long)asked, PORT_FROM, PORT_TO);
}

/* Load balancers that reach pods by themselves need no node ports. */
static bool wants_node_ports(const struct json *spec, struct str type)
{
	return str_is(type, "NodePort") ||
	       (str_is(type, "LoadBalancer") &&
		json_bool(json_get(spec, STR("allocateLoadBalancerNodePorts")), true));
}

int alloc_service(struct alloc *a, struct arena *arena, struct rng *rng, struct json *next,
		  const struct json *live, struct schema_problems *problems)
{
	struct json *spec = json_set_object(arena, next, "spec"),
		    *ports = json_get(spec, STR("ports"));
	struct str type = json_str_or(json_get(spec, STR("type")), STR("ClusterIP"));

	if (str_is(type, "ExternalName")) {
		json_del(spec, STR("clusterIP"));
		json_del(spec, STR("clusterIPs"));
		return 0;
	}
	if (cluster_ip(a, arena, rng, spec, live, problems))
		return -1;
	for (size_t i = 0; i < json_len(ports); i++) {
		bool asked = json_int(json_at(json_item(ports, i), "nodePort"), 0) > 0;

		if (wants_node_ports(spec, type) || (asked && str_is(type, "LoadBalancer")))
			node_port(a, arena, rng, ports, i, live, problems);
	}
	if (str_is(type, "LoadBalancer") &&
	    str_is(json_str(json_get(spec, STR("externalTrafficPolicy"))), "Local"))
		health_port(a, arena, rng, spec, live, problems);
	return 0;
}
