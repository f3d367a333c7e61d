/*
 * Endpoints: the old form of a Service's addresses, for clients that still read it.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_net.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define SHOWN_MAX 3

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Endpoints", "string", "The sets of addresses and ports."),
	COL_AGE,
	{0},
};

static size_t put_subset(const struct json *subset, size_t shown, struct buf *out)
{
	const struct json *ports = json_get(subset, STR("ports"));
	const struct json *addresses = json_get(subset, STR("addresses"));
	size_t total = 0;

	for (size_t i = 0; i < json_len(addresses); i++) {
		struct str ip = json_str(json_get(json_item(addresses, i), STR("ip")));
		for (size_t k = 0; k < MAX(json_len(ports), 1U); k++, total++) {
			int64_t port = json_int(json_get(json_item(ports, k), STR("port")), 0);
			if (shown + total >= SHOWN_MAX)
				continue;
			buf_printf(out, "%s%.*s", out->n ? "," : "", STR_ARG(ip));
			if (port)
				buf_printf(out, ":%lld", (long long)port);
		}
	}
	return total;
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *subsets = json_get(o, STR("subsets"));
	AUTO(buf) struct buf b = {0};
	size_t n = 0;

	cell_name(c, cells, o);
	for (size_t i = 0; i < json_len(subsets); i++)
		n += put_subset(json_item(subsets, i), n, &b);
	if (n > SHOWN_MAX)
		buf_printf(&b, " + %zu more...", n - SHOWN_MAX);
	cell_str(c, cells, b.n ? arena_str(c->a, buf_view(&b)) : STR("<none>"));
	cell_age(c, cells, o);
}

static void check_addresses(struct kind_ctx *c, const struct spath *at, const struct json *subset,
			    const char *field)
{
	const struct json *list = json_get(subset, str_c(field));
	struct spath all = {.up = at, .name = str_c(field)};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct spath here = SPATH_INDEX(&all, i);

		rule_endpoint_ip(c, &here, "ip", json_get(v, STR("ip")));
		rule_optional_name(c, &here, "hostname", json_get(v, STR("hostname")),
				   name_check_dns1123_label);
	}
}

static void check_subset(struct kind_ctx *c, const struct spath *at, const struct json *subset)
{
	const struct json *ports = json_get(subset, STR("ports"));
	struct spath all = SPATH_FIELD(at, "ports");

	if (!json_len(json_get(subset, STR("addresses"))) &&
	    !json_len(json_get(subset, STR("notReadyAddresses"))))
		rule_required(c, at, NULL, "must specify `addresses` or `notReadyAddresses`");
	check_addresses(c, at, subset, "addresses");
	check_addresses(c, at, subset, "notReadyAddresses");
	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);
		struct spath here = SPATH_INDEX(&all, i);
		if (json_len(ports) > 1 && !json_str(json_get(p, STR("name"))).n)
			rule_required(c, &here, "name", NULL);
		rule_optional_name(c, &here, "name", json_get(p, STR("name")),
				   name_check_dns1123_label);
		rule_port(c, &here, "port", json_get(p, STR("port")));
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *subsets = json_get(next, STR("subsets"));
	struct spath all = SPATH_FIELD(NULL, "subsets");

	(void)live;
	for (size_t i = 0; i < json_len(subsets); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		check_subset(c, &here, json_item(subsets, i));
	}
}

static const char *const short_names[] = {"ep", NULL};

const struct kind kind_endpoints = {
	.group = "",
	.version = "v1",
	.kind = "Endpoints",
	.plural = "endpoints",
	.list_kind = "EndpointsList",
	.singular = "endpoints",
	.short_names = short_names,
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Endpoints",
	.columns = columns,
	.row = row,
	.validate = validate,
};
