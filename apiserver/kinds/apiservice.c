/*
 * APIServices: who answers for a group's version: this server, or a Service that it passes requests
 * on to. Pure. Specification: k8s.io/kube-aggregator/pkg/apis/apiregistration/validation.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Service", "string", "The Service that answers, or Local."),
	COL("Available", "string", "Whether it can be asked."),
	COL_AGE,
	{0},
};

static const struct json *service_of(const struct json *o)
{
	const struct json *s = json_at(o, "spec", "service");

	return json_is(s, JSON_OBJECT) ? s : NULL;
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *s = service_of(o), *available = condition_find(o, "Available");
	struct str status = json_str(json_get(available, STR("status"))),
		   reason = json_str(json_get(available, STR("reason"))),
		   ns = json_str(json_get(s, STR("namespace"))),
		   name = json_str(json_get(s, STR("name")));

	cell_name(c, cells, o);
	if (s)
		cell_text(c, cells, "%.*s/%.*s", STR_ARG(ns), STR_ARG(name));
	else
		cell_str(c, cells, STR("Local"));
	if (!status.n)
		cell_str(c, cells, STR("Unknown"));
	else if (str_is(status, "True"))
		cell_str(c, cells, status);
	else
		cell_text(c, cells, "%.*s (%.*s)", STR_ARG(status), STR_ARG(reason));
	cell_age(c, cells, o);
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (c->subresource || live || service_of(next))
		return;
	condition_set(c->a, next, "Available", "True", "Local",
		      STR("Local APIServices are always available"), c->now_ns);
}

/* ---- rules ---- */

static void check_name(struct kind_ctx *c, const struct json *o, struct str group,
		       struct str version)
{
	struct str want = arena_strf(c->a, "%.*s.%.*s", STR_ARG(version), STR_ARG(group));
	struct spath meta = {.name = STR("metadata")};

	if (!str_eq(meta_name(o), want))
		rule_invalid(c, &meta, "name", json_at(o, "metadata", "name"),
			     arena_printf(c->a, "must be `spec.version+\".\"+spec.group`: \"%.*s\"",
					  (int)MIN(want.n, 300), want.p));
}

static void check_priority(struct kind_ctx *c, const struct spath *at, const struct json *spec,
			   const char *field, int64_t max)
{
	const struct json *v = json_get(spec, str_c(field));
	int64_t n = json_int(v, 0);

	if (n <= 0 || n > max)
		rule_invalid(
			c, at, field, v ? v : json_new_int(c->a, 0),
			arena_printf(c->a, "must be positive and less than %lld", (long long)max));
}

static void check_service(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *s = json_get(spec, STR("service"));
	struct spath here = SPATH_FIELD(at, "service");
	bool insecure = json_bool(json_get(spec, STR("insecureSkipTLSVerify")), false);
	struct str ca = json_str(json_get(spec, STR("caBundle")));

	if (!json_is(s, JSON_OBJECT)) {
		if (ca.n)
			rule_invalid(c, at, "caBundle",
				     json_new_str(c->a, arena_strf(c->a, "%zu bytes", ca.n)),
				     "local APIServices may not have a caBundle");
		if (insecure)
			rule_invalid(c, at, "insecureSkipTLSVerify",
				     json_get(spec, STR("insecureSkipTLSVerify")),
				     "local APIServices may not have insecureSkipTLSVerify");
		return;
	}
	if (!json_str(json_get(s, STR("namespace"))).n)
		rule_required(c, &here, "namespace", NULL);
	if (!json_str(json_get(s, STR("name"))).n)
		rule_required(c, &here, "name", NULL);
	rule_range(c, &here, s, "port", 1, 65535);
	if (insecure && ca.n)
		rule_invalid(c, at, "insecureSkipTLSVerify",
			     json_get(spec, STR("insecureSkipTLSVerify")),
			     "may not be true if caBundle is present");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *spec = json_get(next, STR("spec"));
	struct str group = json_str(json_get(spec, STR("group"))),
		   version = json_str(json_get(spec, STR("version")));
	struct spath at = {.name = STR("spec")};

	(void)live;
	check_name(c, next, group, version);
	if (!group.n && !str_is(version, "v1"))
		rule_required(c, &at, "group",
			      "only v1 may have an empty group and it better be legacy kube");
	if (group.n)
		rule_name(c, &at, "group", json_get(spec, STR("group")),
			  name_check_dns1123_subdomain);
	rule_name(c, &at, "version", json_new_str(c->a, version), name_check_dns1035_label);
	check_priority(c, &at, spec, "groupPriorityMinimum", 20000);
	check_priority(c, &at, spec, "versionPriority", 1000);
	check_service(c, &at, spec);
}

static const char *const categories[] = {"api-extensions", NULL};

const struct kind kind_apiservice = {
	.group = "apiregistration.k8s.io",
	.version = "v1",
	.kind = "APIService",
	.plural = "apiservices",
	.categories = categories,
	.flags = KIND_STATUS,
	.schema_name = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
	.columns = columns,
	.row = row,
	.prepare = prepare,
	.validate = validate,
	.name_check = name_check_path_segment,
};
