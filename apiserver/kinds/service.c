/*
 * Services: one stable address in front of pods. Addresses and node ports are given by the core's
 * allocator; what may be asked for is in
 * service_rules.c.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_net.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Type", "string", "How it is reached."),
	COL("Cluster-IP", "string", "Address within the cluster."),
	COL("External-IP", "string", "Addresses from outside."),
	COL("Port(s)", "string", "Ports, and node ports behind a colon."),
	COL_AGE,
	COL("Selector", "string", "Labels of the pods behind it.", .priority = 1),
	{0},
};

static void cell_ports(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	const struct json *ports = json_at(o, "spec", "ports");
	AUTO(buf) struct buf out = {0};

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);
		int64_t node = json_int(json_get(p, STR("nodePort")), 0);

		buf_printf(&out, "%s%lld", i ? "," : "",
			   (long long)json_int(json_get(p, STR("port")), 0));
		if (node)
			buf_printf(&out, ":%lld", (long long)node);
		buf_printf(&out, "/%.*s",
			   STR_ARG(json_str_or(json_get(p, STR("protocol")), STR("TCP"))));
	}
	cell_str(c, cells, out.n ? buf_view(&out) : STR("<none>"));
}

static void cell_external(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	struct str type = json_str(json_at(o, "spec", "type"));
	const struct json *ips = json_at(o, "spec", "externalIPs"),
			  *ingress = json_at(o, "status", "loadBalancer", "ingress");
	AUTO(buf) struct buf out = {0};

	if (str_is(type, "ExternalName")) {
		cell_str(c, cells, json_str(json_at(o, "spec", "externalName")));
		return;
	}
	for (size_t i = 0; i < json_len(ingress); i++)
		buf_printf(&out, "%s%.*s", out.n ? "," : "",
			   STR_ARG(json_str_or(
				   json_get(json_item(ingress, i), STR("ip")),
				   json_str(json_get(json_item(ingress, i), STR("hostname"))))));
	for (size_t i = 0; i < json_len(ips); i++)
		buf_printf(&out, "%s%.*s", out.n ? "," : "", STR_ARG(json_str(json_item(ips, i))));
	cell_str(c, cells,
		 out.n                          ? buf_view(&out)
		 : str_is(type, "LoadBalancer") ? STR("<pending>")
						: STR("<none>"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	struct str ip = json_str(json_at(o, "spec", "clusterIP"));

	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "spec", "type")));
	cell_str(c, cells, ip.n ? ip : STR("<none>"));
	cell_external(c, cells, o);
	cell_ports(c, cells, o);
	cell_age(c, cells, o);
	cell_labels(c, cells, json_at(o, "spec", "selector"));
}

/* ---- rules ---- */

/* What nobody gives addresses to, and nobody selects pods for, may have either family. */
static void default_families(struct kind_ctx *c, struct json *spec)
{
	struct json *families = json_get(spec, STR("ipFamilies"));
	bool several = json_len(families) > 1, opened = service_is_open(spec);

	default_str(c, spec, "ipFamilyPolicy", opened ? "RequireDualStack" : "SingleStack");
	if (!json_len(families)) {
		families = json_build(c->a, "[s]", "IPv4");
		json_set(c->a, spec, STR("ipFamilies"), families);
		families = json_get(spec, STR("ipFamilies"));
	}
	if (opened && !several &&
	    !str_is(json_str(json_get(spec, STR("ipFamilyPolicy"))), "SingleStack"))
		json_append_str(c->a, families,
				str_is(json_str(json_item(families, 0)), "IPv6") ? STR("IPv4")
										 : STR("IPv6"));
}

static void default_status(struct kind_ctx *c, struct json *o)
{
	struct json *ingress = json_at(o, "status", "loadBalancer", "ingress");

	for (size_t i = 0; i < json_len(ingress); i++) {
		struct json *in = json_item(ingress, i);

		if (json_str(json_get(in, STR("ip"))).n && !json_get(in, STR("ipMode")))
			json_set_str(c->a, in, "ipMode", STR("VIP"));
	}
}

/* Go's clients write 0 for a port that nobody set. */
static bool no_port(const struct json *v)
{
	return !v || (json_is(v, JSON_INT) && !json_int(v, 0)) ||
	       (json_is(v, JSON_STRING) && !json_str(v).n);
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec"), *ports = json_get(spec, STR("ports"));
	struct str type;

	default_status(c, o);
	default_str(c, spec, "type", "ClusterIP");
	default_str(c, spec, "sessionAffinity", "None");
	type = json_str(json_get(spec, STR("type")));
	for (size_t i = 0; i < json_len(ports); i++) {
		struct json *p = json_item(ports, i);

		default_str(c, p, "protocol", "TCP");
		if (no_port(json_get(p, STR("targetPort"))) && json_get(p, STR("port")))
			json_set(c->a, p, STR("targetPort"), json_get(p, STR("port")));
	}
	if (str_is(json_str(json_get(spec, STR("sessionAffinity"))), "None"))
		json_del(spec, STR("sessionAffinityConfig"));
	if (str_is(json_str(json_get(spec, STR("sessionAffinity"))), "ClientIP") &&
	    !json_at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"))
		json_set(c->a, spec, STR("sessionAffinityConfig"),
			 json_build(c->a, "{s:{s:i}}", "clientIP", "timeoutSeconds", 10800));
	if (str_is(type, "ExternalName"))
		return;
	default_str(c, spec, "internalTrafficPolicy", "Cluster");
	if (str_is(type, "NodePort") || str_is(type, "LoadBalancer"))
		default_str(c, spec, "externalTrafficPolicy", "Cluster");
	if (str_is(type, "LoadBalancer") && !json_get(spec, STR("allocateLoadBalancerNodePorts")))
		json_set_bool(c->a, spec, "allocateLoadBalancerNodePorts", true);
	default_families(c, spec);
}

static const char *const selectable[] = {"spec.clusterIP", "spec.type", NULL};
static const char *const short_names[] = {"svc", NULL};
static const char *const categories[] = {"all", NULL};
static const char *const subresources[] = {"proxy", NULL};

const struct kind kind_service = {
	.group = "",
	.version = "v1",
	.kind = "Service",
	.plural = "services",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META |
		 KIND_UNCONDITIONAL_UPDATE | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.Service",
	.subresources = subresources,
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.set_defaults = set_defaults,
	.prepare = service_prepare,
	.validate = service_validate,
	.name_check = name_check_dns1035_label,
};
