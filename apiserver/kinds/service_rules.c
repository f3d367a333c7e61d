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

bool service_is_open(const struct json *spec)
{
	return str_is(json_str(json_get(spec, STR("clusterIP"))), "None") &&
	       !json_len(json_get(spec, STR("selector")));
}

static bool single(const struct json *spec)
{
	return str_is(json_str(json_get(spec, STR("ipFamilyPolicy"))), "SingleStack");
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
	/* Who says that one family is enough has said it of both lists. */
	if (single(spec) && json_len(json_get(spec, STR("ipFamilies"))) == 2 &&
	    json_equal(json_get(spec, STR("ipFamilies")), json_get(had, STR("ipFamilies"))))
		json_set(c->a, spec, STR("ipFamilies"),
			 json_build(c->a, "[o]", json_item(json_get(had, STR("ipFamilies")), 0)));
	/* It selects pods from now on, and those have IPv4. */
	if (service_is_open(had) && !service_is_open(spec) &&
	    json_equal(json_get(spec, STR("ipFamilies")), json_get(had, STR("ipFamilies"))) &&
	    str_is(json_str(json_get(spec, STR("ipFamilyPolicy"))), "RequireDualStack")) {
		json_set_str(c->a, spec, "ipFamilyPolicy", STR("SingleStack"));
		json_set(c->a, spec, STR("ipFamilies"), json_build(c->a, "[s]", "IPv4"));
	}
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
	rule_name(c, at, "appProtocol", json_get(p, STR("appProtocol")), name_check_qualified);
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
	static const char *const distributions[] = {"PreferClose", NULL};
	const struct json *near = json_get(spec, STR("trafficDistribution"));

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
	else
		rule_optional_name(c, at, "loadBalancerClass",
				   json_get(spec, STR("loadBalancerClass")), name_check_qualified);
	if (near && !str_is(json_str(near), "PreferClose"))
		rule_unsupported(c, at, "trafficDistribution", near, distributions);
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
	if (json_len(json_get(spec, STR("ipFamilies"))))
		rule_forbidden(c, at, "ipFamilies", "may not be set for ExternalName services");
	if (json_str(json_get(spec, STR("ipFamilyPolicy"))).n)
		rule_forbidden(c, at, "ipFamilyPolicy", "may not be set for ExternalName services");
}

/* This cluster's Services have IPv4 addresses. */
static void check_families(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *list = json_get(spec, STR("ipFamilies")),
			  *policy = json_get(spec, STR("ipFamilyPolicy"));
	struct spath all = SPATH_FIELD(at, "ipFamilies");

	if (single(spec) && json_len(list) > 1)
		rule_invalid(c, at, "ipFamilyPolicy", policy,
			     "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP "
			     "families are specified");
	if (json_len(list) > 1 && json_equal(json_item(list, 0), json_item(list, 1))) {
		struct spath here = SPATH_INDEX(&all, 1);

		rule_duplicate(c, &here, NULL, json_item(list, 1));
	}
	if (service_is_open(spec))
		return;
	if (str_is(json_str(policy), "RequireDualStack"))
		rule_invalid(c, at, "ipFamilyPolicy", policy,
			     "this cluster is not configured for dual-stack services");
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		if (!str_is(json_str(json_item(list, i)), "IPv4"))
			rule_invalid(c, &here, NULL, json_item(list, i),
				     "not configured on this cluster");
	}
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
	if (!c->problems.n)
		check_families(c, at, spec);
}

/* Where a load balancer says that it can be reached. */
static void check_status(struct kind_ctx *c, const struct json *o)
{
	static const char *const modes[] = {"Proxy", "VIP", NULL};
	const struct json *list = json_at(o, "status", "loadBalancer", "ingress");
	struct spath st = SPATH_FIELD(NULL, "status"), lb = SPATH_FIELD(&st, "loadBalancer"),
		     all = SPATH_FIELD(&lb, "ingress");

	if (json_len(list) && !balanced(json_get(o, STR("spec"))))
		rule_forbidden(c, &all, NULL,
			       "may only be used when `spec.type` is \"LoadBalancer\"");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *in = json_item(list, i), *ip = json_get(in, STR("ip")),
				  *mode = json_get(in, STR("ipMode")),
				  *name = json_get(in, STR("hostname"));
		struct spath here = SPATH_INDEX(&all, i);

		if (json_str(ip).n && !ip_family(json_str(ip)))
			rule_invalid(
				c, &here, "ip", ip,
				"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
		if (mode && !json_str(ip).n)
			rule_forbidden(c, &here, "ipMode", "may not be set when `ip` is not set");
		else if (mode && !str_is(json_str(mode), "VIP") && !str_is(json_str(mode), "Proxy"))
			rule_unsupported(c, &here, "ipMode", mode, modes);
		if (ip_family(json_str(name)))
			rule_invalid(c, &here, "hostname", name,
				     "must be a DNS name, not an IP address");
		else
			rule_optional_name(c, &here, "hostname", name,
					   name_check_dns1123_subdomain);
	}
}

void service_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec")), *had = json_get(live, STR("spec"));

	if (c->subresource) {
		check_status(c, next);
		return;
	}
	check_name(c, &at, spec);
	check_addresses(c, &at, spec, had);
	check_ports(c, &at, spec);
	check_networks(c, &at, spec);
	check_affinity(c, &at, spec);
	check_outside(c, &at, spec);
	if (live && balanced(had) && balanced(spec) && !same(had, spec, "loadBalancerClass"))
		rule_invalid(c, &at, "loadBalancerClass", json_get(spec, STR("loadBalancerClass")),
			     "may not change once set");
	if (live && has_health_port(had) && has_health_port(spec))
		rule_immutable(c, &at, spec, had, "healthCheckNodePort");
	rule_labels(c, &at, "selector", json_get(spec, STR("selector")));
}
