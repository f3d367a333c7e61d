/*
 * What may stand in a Service. Its type says which of the other members make sense; what a change
 * of type leaves without sense is dropped when the writer didn't touch it, and refused when he did.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_net.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static bool type_is(const struct json *spec, const char *type)
{
	return str_is(json_str_or(json_get(spec, STR("type")), STR("ClusterIP")), type);
}

static bool balanced(const struct json *spec)
{
	return type_is(spec, "LoadBalancer");
}

static bool has_node_ports(const struct json *spec)
{
	return balanced(spec) || type_is(spec, "NodePort");
}

static bool has_cluster_ip(const struct json *spec)
{
	return !type_is(spec, "ExternalName");
}

static bool reached_from_outside(const struct json *spec)
{
	return has_node_ports(spec) ||
	       (type_is(spec, "ClusterIP") && json_len(json_get(spec, STR("externalIPs"))));
}

static bool has_health_port(const struct json *spec)
{
	return balanced(spec) &&
	       str_is(json_str(json_get(spec, STR("externalTrafficPolicy"))), "Local");
}

/* ---- what an update means ---- */

static void keep(struct kind_ctx *c, struct json *spec, const struct json *had, const char *field)
{
	const struct json *v = json_get(had, str_c(field));

	if (v && !json_get(spec, str_c(field)))
		json_set(c->a, spec, str_c(field), v);
}

static void drop_same(struct json *spec, const struct json *had, const char *field)
{
	if (json_equal(json_get(spec, str_c(field)), json_get(had, str_c(field))))
		json_del(spec, str_c(field));
}

static void drop_node_ports(struct json *spec, const struct json *had)
{
	const struct json *ports = json_get(spec, STR("ports")), *old = json_get(had, STR("ports"));

	for (size_t i = 0; i < json_len(ports); i++) {
		struct json *p = json_item(ports, i);
		const struct json *node = json_get(p, STR("nodePort"));

		for (size_t j = 0; node && j < json_len(old); j++)
			if (json_equal(node, json_at(json_item(old, j), "nodePort"))) {
				json_del(p, STR("nodePort"));
				break;
			}
	}
}

static void drop_senseless(struct json *spec, const struct json *had)
{
	static const char *const families[] = {"clusterIP", "clusterIPs", "ipFamilies",
					       "ipFamilyPolicy", "internalTrafficPolicy"};

	for (size_t i = 0; !has_cluster_ip(spec) && i < ARRAY_LEN(families); i++)
		drop_same(spec, had, families[i]);
	if (!has_node_ports(spec))
		drop_node_ports(spec, had);
	if (!has_health_port(spec))
		drop_same(spec, had, "healthCheckNodePort");
	if (!balanced(spec)) {
		drop_same(spec, had, "allocateLoadBalancerNodePorts");
		drop_same(spec, had, "loadBalancerClass");
	}
	if (!reached_from_outside(spec))
		drop_same(spec, had, "externalTrafficPolicy");
	if (str_is(json_str(json_get(spec, STR("sessionAffinity"))), "None"))
		drop_same(spec, had, "sessionAffinityConfig");
}

void service_prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct json *spec = json_get(next, STR("spec"));
	const struct json *had = json_get(live, STR("spec"));

	if (!live) {
		json_set_object(c->a, json_set_object(c->a, next, "status"), "loadBalancer");
		return;
	}
	if (c->subresource)
		return;
	if (has_cluster_ip(spec)) {
		keep(c, spec, had, "clusterIP");
		keep(c, spec, had, "clusterIPs");
	}
	if (has_health_port(spec))
		keep(c, spec, had, "healthCheckNodePort");
	drop_senseless(spec, had);
	if (balanced(had) && !balanced(spec))
		json_set(c->a, json_set_object(c->a, next, "status"), STR("loadBalancer"),
			 json_new(c->a, JSON_OBJECT));
}

/* ---- what may stand there ---- */

static void check_port(struct kind_ctx *c, const struct spath *at, const struct json *p,
		       const struct json *spec)
{
	int64_t node = json_int(json_get(p, STR("nodePort")), 0);

	rule_port(c, at, "port", json_get(p, STR("port")));
	rule_port_or_name(c, at, "targetPort", json_get(p, STR("targetPort")));
	rule_optional_name(c, at, "name", json_get(p, STR("name")), name_check_dns1123_label);
	if (node && !has_node_ports(spec))
		rule_forbidden(c, at, "nodePort",
			       arena_printf(c->a, "may not be used when `type` is '%.*s'",
					    STR_ARG(json_str(json_get(spec, STR("type"))))));
	if (str_is(json_str(json_get(spec, STR("clusterIP"))), "None") && !has_node_ports(spec))
		return;
	if (node && (node < 0 || node > 65535))
		rule_port(c, at, "nodePort", json_get(p, STR("nodePort")));
}

static bool same(const struct json *a, const struct json *b, const char *field)
{
	return json_equal(json_get(a, str_c(field)), json_get(b, str_c(field)));
}

static void check_ports(struct kind_ctx *c, const struct spath *spec_at, const struct json *spec)
{
	const struct json *ports = json_get(spec, STR("ports"));
	struct spath at = SPATH_FIELD(spec_at, "ports");

	for (size_t i = 0; i < json_len(ports); i++) {
		struct spath item = SPATH_INDEX(&at, i);
		const struct json *p = json_item(ports, i), *name = json_get(p, STR("name"));

		if (!json_str(name).n && json_len(ports) > 1)
			rule_required(c, &item, "name", NULL);
		check_port(c, &item, p, spec);
		for (size_t j = 0; j < i; j++) {
			const struct json *q = json_item(ports, j);

			if (json_str(name).n && json_equal(name, json_get(q, STR("name"))))
				rule_duplicate(c, &item, "name", name);
			else if (same(p, q, "port") && same(p, q, "protocol"))
				rule_duplicate(c, &item, NULL, p);
			else if (json_int(json_get(p, STR("nodePort")), 0) &&
				 same(p, q, "nodePort") && same(p, q, "protocol"))
				rule_duplicate(c, &item, "nodePort", json_get(p, STR("nodePort")));
		}
	}
}

static void check_networks(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *ips = json_get(spec, STR("externalIPs")),
			  *ranges = json_get(spec, STR("loadBalancerSourceRanges"));
	struct spath ips_at = SPATH_FIELD(at, "externalIPs"),
		     ranges_at = SPATH_FIELD(at, "loadBalancerSourceRanges");

	for (size_t i = 0; i < json_len(ips); i++) {
		struct spath here = SPATH_INDEX(&ips_at, i);

		rule_endpoint_ip(c, &here, NULL, json_item(ips, i));
	}
	if (json_len(ranges) && !balanced(spec))
		rule_forbidden(c, at, "loadBalancerSourceRanges",
			       "may only be used when `type` is 'LoadBalancer'");
	for (size_t i = 0; i < json_len(ranges); i++) {
		struct spath here = SPATH_INDEX(&ranges_at, i);

		rule_cidr(c, &here, NULL, json_item(ranges, i));
	}
}

static void check_affinity(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *config = json_get(spec, STR("sessionAffinityConfig"));
	const struct json *seconds = json_at(config, "clientIP", "timeoutSeconds");
	struct spath config_at = SPATH_FIELD(at, "sessionAffinityConfig"),
		     client_at = SPATH_FIELD(&config_at, "clientIP");
	int64_t n = json_int(seconds, 0);

	if (!str_is(json_str(json_get(spec, STR("sessionAffinity"))), "ClientIP")) {
		if (json_len(config))
			rule_forbidden(c, at, "sessionAffinityConfig",
				       "must not be set when session affinity is None");
		return;
	}
	if (!seconds)
		rule_required(c, &client_at, "timeoutSeconds", NULL);
	else if (n <= 0 || n > 86400)
		rule_invalid(c, &client_at, "timeoutSeconds", seconds,
			     "must be greater than 0 and less than 86400");
}

/* Members that belong to some types only. */
static void check_outside(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	if (json_str(json_get(spec, STR("externalTrafficPolicy"))).n && !reached_from_outside(spec))
		rule_invalid(c, at, "externalTrafficPolicy",
			     json_get(spec, STR("externalTrafficPolicy")),
			     "may only be set for externally-accessible services");
	if (json_int(json_get(spec, STR("healthCheckNodePort")), 0) && !has_health_port(spec))
		rule_invalid(c, at, "healthCheckNodePort",
			     json_get(spec, STR("healthCheckNodePort")),
			     "may only be set when `type` is 'LoadBalancer' and "
			     "`externalTrafficPolicy` is 'Local'");
	if (json_get(spec, STR("allocateLoadBalancerNodePorts")) && !balanced(spec))
		rule_forbidden(c, at, "allocateLoadBalancerNodePorts",
			       "may only be used when `type` is 'LoadBalancer'");
	if (json_str(json_get(spec, STR("loadBalancerClass"))).n && !balanced(spec))
		rule_forbidden(c, at, "loadBalancerClass",
			       "may only be used when `type` is 'LoadBalancer'");
}

static void check_name(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *v = json_get(spec, STR("externalName"));
	struct str name = json_str(v);
	const char *why;

	if (has_cluster_ip(spec))
		return;
	if (!name.n) {
		rule_required(c, at, "externalName", NULL);
		return;
	}
	if (name.n > 1 && str_ends(name, STR(".")))
		name = str_sub(name, 0, name.n - 1);
	why = name_check_dns1123_subdomain(name);
	if (why)
		rule_invalid(c, at, "externalName", v, why);
	if (json_str(json_get(spec, STR("clusterIP"))).n)
		rule_forbidden(c, at, "clusterIPs", "may not be set for ExternalName services");
}

static void check_addresses(struct kind_ctx *c, const struct spath *at, const struct json *spec,
			    const struct json *had)
{
	const struct json *ip = json_get(spec, STR("clusterIP")),
			  *ips = json_get(spec, STR("clusterIPs"));
	bool headless = str_is(json_str(ip), "None");

	if (!has_cluster_ip(spec))
		return;
	if (!headless && !json_len(json_get(spec, STR("ports"))))
		rule_required(c, at, "ports", NULL);
	if (headless && has_node_ports(spec))
		rule_invalid(c, at, "clusterIPs", ips ? ips : ip,
			     balanced(spec) ? "may not be set to 'None' for LoadBalancer services"
					    : "may not be set to 'None' for NodePort services");
	if (json_str(ip).n && !headless && !ip_family(json_str(ip)))
		rule_invalid(c, at, "clusterIPs", ip,
			     "must be empty, 'None', or a valid IP address");
	if (json_len(ips) > 1)
		rule_invalid(c, at, "clusterIPs", ips,
			     "may only hold up to 1 value in a single-stack cluster");
	if (json_len(ips) && json_str(ip).n && !json_equal(json_item(ips, 0), ip))
		rule_invalid(c, at, "clusterIPs", ips, "first value must match `clusterIP`");
	if (has_cluster_ip(had) && json_str(json_get(had, STR("clusterIP"))).n && json_str(ip).n &&
	    !same(had, spec, "clusterIP"))
		rule_invalid(c, at, "clusterIPs[0]", ips ? ips : ip, "may not change once set");
	if (str_is(json_str(json_get(spec, STR("ipFamilyPolicy"))), "RequireDualStack"))
		rule_invalid(c, at, "ipFamilyPolicy", json_get(spec, STR("ipFamilyPolicy")),
			     "this cluster is not configured for dual-stack services");
	if (str_is(json_str(json_item(json_get(spec, STR("ipFamilies")), 0)), "IPv6"))
		rule_invalid(c, at, "ipFamilies", json_get(spec, STR("ipFamilies")),
			     "not configured on this cluster");
}

void service_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec")), *had = json_get(live, STR("spec"));

	if (c->subresource)
		return;
	check_name(c, &at, spec);
	check_addresses(c, &at, spec, had);
	check_ports(c, &at, spec);
	check_networks(c, &at, spec);
	check_affinity(c, &at, spec);
	check_outside(c, &at, spec);
	if (live && balanced(had) && balanced(spec) && !same(had, spec, "loadBalancerClass"))
		rule_invalid(c, &at, "loadBalancerClass", json_get(spec, STR("loadBalancerClass")),
			     "may not change once set");
	rule_labels(c, &at, "selector", json_get(spec, STR("selector")));
}
