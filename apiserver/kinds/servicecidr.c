/* ServiceCIDRs and IPAddresses: where Services' addresses come from and who has which. Pure. */
#include "apiserver/kinds/rules.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define GROUP "networking.k8s.io"

/* An address in the one form that Kubernetes writes it in. 4, 6, or 0 when it is none. */
static int family(struct str s)
{
	char text[INET6_ADDRSTRLEN + 1], back[INET6_ADDRSTRLEN + 1];
	unsigned char raw[16];
	int af = memchr(s.p ? s.p : "", ':', s.n) ? AF_INET6 : AF_INET;

	if (!s.n || s.n >= sizeof(text))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	if (inet_pton(af, text, raw) != 1 || !inet_ntop(af, raw, back, sizeof(back)) ||
	    strcmp(text, back))
		return 0;
	return af == AF_INET ? 4 : 6;
}

static int canonical_cidr(struct str s)
{
	struct str address, bits;
	int64_t n;
	int f;

	if (!str_cut(s, '/', &address, &bits) || str_to_i64(bits, &n) || n < 0)
		return 0;
	f = family(address);
	return f && n <= (f == 4 ? 32 : 128) ? f : 0;
}

/* ---- ranges ---- */

static const struct kind_column columns[] = {
	COL_NAME,
	COL("CIDRs", "string", "The ranges."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *list = json_at(o, "spec", "cidrs");
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		buf_puts(&b, i ? "," : "");
		buf_str(&b, json_str_or(json_item(list, i), STR("")));
	}
	cell_name(c, cells, o);
	cell_str(c, cells, buf_view(&b));
	cell_age(c, cells, o);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&at, "cidrs");
	const struct json *list = json_at(next, "spec", "cidrs");
	int seen = 0;

	if (c->subresource)
		return;
	if (!json_len(list))
		rule_required(c, &at, "cidrs", "at least one CIDR required");
	if (json_len(list) > 2)
		rule_invalid(c, &at, "cidrs", list,
			     "may only hold up to 2 values, one for each IP family");
	for (size_t i = 0; i < json_len(list) && i < 2; i++) {
		struct spath here = SPATH_INDEX(&all, i);
		int f = canonical_cidr(json_str(json_item(list, i)));

		if (!f)
			rule_invalid(c, &here, NULL, json_item(list, i),
				     "must be a valid CIDR value in canonical form");
		else if (f == seen)
			rule_invalid(c, &here, NULL, json_item(list, i),
				     "may specify no more than one IP for each IP family");
		seen = f;
	}
	if (live)
		rule_immutable(c, &at, json_get(next, STR("spec")), json_get(live, STR("spec")),
			       "cidrs");
}

const struct kind kind_servicecidr = {
	.group = GROUP,
	.version = "v1beta1",
	.kind = "ServiceCIDR",
	.plural = "servicecidrs",
	.flags = KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.networking.v1beta1.ServiceCIDR",
	.columns = columns,
	.row = row,
	.validate = validate,
};

/* ---- addresses ---- */

static const struct kind_column address_columns[] = {
	COL_NAME,
	COL("ParentRef", "string", "Who has it."),
	COL_AGE,
	{0},
};

static void address_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	static const char *const parts[] = {"group", "resource", "namespace", "name"};
	const struct json *ref = json_at(o, "spec", "parentRef");
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct str s = json_str(json_get(ref, str_c(parts[i])));

		if (!s.n)
			continue;
		buf_puts(&b, b.n ? (i == 1 ? "." : "/") : "");
		buf_str(&b, s);
	}
	cell_name(c, cells, o);
	cell_str(c, cells, b.n ? buf_view(&b) : STR("<none>"));
	cell_age(c, cells, o);
}

static const char *address_name(struct str name)
{
	return family(name) ? NULL : "be a valid IP address in canonical form";
}

static void address_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), ref_at = SPATH_FIELD(&at, "parentRef");
	const struct json *ref = json_at(next, "spec", "parentRef");

	if (!ref) {
		rule_required(c, &at, "parentRef", NULL);
		return;
	}
	if (!json_str(json_get(ref, STR("resource"))).n)
		rule_required(c, &ref_at, "resource", NULL);
	if (!json_str(json_get(ref, STR("name"))).n)
		rule_required(c, &ref_at, "name", NULL);
	if (live)
		rule_immutable(c, &at, json_get(next, STR("spec")), json_get(live, STR("spec")),
			       "parentRef");
}

static const char *const short_names[] = {"ip", NULL};

const struct kind kind_ipaddress = {
	.group = GROUP,
	.version = "v1beta1",
	.kind = "IPAddress",
	.plural = "ipaddresses",
	.short_names = short_names,
	.flags = KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.networking.v1beta1.IPAddress",
	.columns = address_columns,
	.row = address_row,
	.validate = address_validate,
	.name_check = address_name,
};
