/*
 * EndpointSlices: a Service's addresses, as the proxy reads them.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_net.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define SHOWN_MAX 3

static const struct kind_column columns[] = {
	COL_NAME,
	COL("AddressType", "string", "Family of the addresses."),
	COL("Ports", "string", "The ports that every endpoint has."),
	COL("Endpoints", "string", "The addresses."),
	COL_AGE,
	{0},
};

static void cell_ports(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ports = json_get(o, STR("ports"));
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(ports) && i < SHOWN_MAX; i++) {
		const struct json *p = json_get(json_item(ports, i), STR("port"));
		if (json_is(p, JSON_INT))
			buf_printf(&b, "%s%lld", i ? "," : "", (long long)p->i);
		else
			buf_printf(&b, "%s*", i ? "," : "");
	}
	if (json_len(ports) > SHOWN_MAX)
		buf_printf(&b, " + %zu more...", json_len(ports) - SHOWN_MAX);
	cell_str(c, cells, b.n ? arena_str(c->a, buf_view(&b)) : STR("<unset>"));
}

static void cell_endpoints(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *list = json_get(o, STR("endpoints"));
	AUTO(buf) struct buf b = {0};
	size_t n = 0;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *addresses = json_get(json_item(list, i), STR("addresses"));
		for (size_t k = 0; k < json_len(addresses); k++, n++)
			if (n < SHOWN_MAX)
				buf_printf(&b, "%s%.*s", n ? "," : "",
					   STR_ARG(json_str(json_item(addresses, k))));
	}
	if (n > SHOWN_MAX)
		buf_printf(&b, " + %zu more...", n - SHOWN_MAX);
	cell_str(c, cells, b.n ? arena_str(c->a, buf_view(&b)) : STR("<unset>"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_get(o, STR("addressType"))));
	cell_ports(c, o, cells);
	cell_endpoints(c, o, cells);
	cell_age(c, cells, o);
}

static void check_addresses(struct kind_ctx *c, const struct spath *at, const struct json *list,
			    struct str type)
{
	struct spath all = SPATH_FIELD(at, "addresses");

	for (size_t i = 0; i < json_len(list) && i < 100; i++) {
		const struct json *v = json_item(list, i);
		struct spath here = SPATH_INDEX(&all, i);
		int family = ip_family(json_str(v));

		if (str_is(type, "FQDN"))
			rule_name(c, &here, NULL, v, name_check_dns1123_subdomain);
		else if (str_is(type, "IPv4") && family != 4)
			rule_invalid(c, &here, NULL, v, "must be a valid IPv4 address");
		else if (str_is(type, "IPv6") && family != 6)
			rule_invalid(c, &here, NULL, v, "must be a valid IPv6 address");
		else
			rule_endpoint_ip(c, &here, NULL, v);
	}
}

static const char *port_name(struct str name)
{
	return name.n ? name_check_dns1123_label(name) : NULL;
}

static void check_ports(struct kind_ctx *c, const struct json *ports)
{
	struct spath all = SPATH_FIELD(NULL, "ports");

	if (json_len(ports) > 20000)
		rule_invalid(c, NULL, "ports", NULL, "must have at most 20000 items");
	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i), *name = json_get(p, STR("name"));
		struct spath here = SPATH_INDEX(&all, i);

		rule_name(c, &here, "name", name, port_name);
		/* A few: beyond that the cost counts more than a name given twice. */
		for (size_t j = 0; j < i && i < 100; j++)
			if (str_eq(json_str(name),
				   json_str(json_get(json_item(ports, j), STR("name"))))) {
				rule_duplicate(c, &here, "name", name);
				break;
			}
	}
}

static void check_hints(struct kind_ctx *c, const struct spath *up, const struct json *hints)
{
	const struct json *zones = json_get(hints, STR("forZones"));
	struct spath at = SPATH_FIELD(up, "hints"), all = SPATH_FIELD(&at, "forZones");

	if (json_len(zones) > 8) {
		rule_invalid(c, &at, "forZones", NULL, "must have at most 8 items");
		return;
	}
	for (size_t i = 0; i < json_len(zones); i++) {
		const struct json *name = json_at(json_item(zones, i), "name");
		struct spath here = SPATH_INDEX(&all, i);

		rule_name(c, &here, "name", name, name_check_label_value);
		for (size_t k = 0; k < i; k++)
			if (json_equal(name, json_at(json_item(zones, k), "name")))
				rule_duplicate(c, &here, "name", name);
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *list = json_get(next, STR("endpoints"));
	struct spath all = SPATH_FIELD(NULL, "endpoints");

	if (!json_str(json_get(next, STR("addressType"))).n)
		rule_required(c, NULL, "addressType", NULL);
	if (live)
		rule_immutable(c, NULL, next, live, "addressType");
	check_ports(c, json_get(next, STR("ports")));
	if (json_len(list) > 1000)
		rule_invalid(c, NULL, "endpoints", NULL, "must have at most 1000 items");
	for (size_t i = 0; i < json_len(list); i++) {
		size_t n = json_len(json_get(json_item(list, i), STR("addresses")));
		struct spath here = SPATH_INDEX(&all, i);
		check_hints(c, &here, json_get(json_item(list, i), STR("hints")));
		if (!n)
			rule_required(c, &here, "addresses", "must contain at least 1 address");
		if (n > 100)
			rule_invalid(c, &here, "addresses", NULL, "must have at most 100 items");
		check_addresses(c, &here, json_get(json_item(list, i), STR("addresses")),
				json_str(json_get(next, STR("addressType"))));
		rule_name(c, &here, "hostname", json_get(json_item(list, i), STR("hostname")),
			  name_check_dns1123_label);
	}
}

const struct kind kind_endpointslice = {
	.group = "discovery.k8s.io",
	.version = "v1",
	.kind = "EndpointSlice",
	.plural = "endpointslices",
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_GENERATION | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.discovery.v1.EndpointSlice",
	.columns = columns,
	.row = row,
	.validate = validate,
};
