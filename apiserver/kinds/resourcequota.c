/* ResourceQuotas and LimitRanges: bounds of a namespace. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Request", "string", "Used and allowed requests."),
	COL("Limit", "string", "Used and allowed limits."),
	COL_AGE,
	{0},
};

static void cell_used(struct kind_ctx *c, const struct json *o, bool limits, struct json *cells)
{
	const struct json *hard = json_at(o, "status", "hard");
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(hard); i++) {
		struct str key = hard->members[i].key;
		struct str used = json_str(json_get(json_at(o, "status", "used"), key));
		if (str_starts(key, STR("limits.")) != limits)
			continue;
		buf_printf(&b, "%s%.*s: %.*s/%.*s", b.n ? ", " : "", STR_ARG(key), STR_ARG(used),
			   STR_ARG(json_str(&hard->members[i].value)));
	}
	cell_str(c, cells, buf_view(&b));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_used(c, o, false, cells);
	cell_used(c, o, true, cells);
	cell_age(c, cells, o);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const known[] = {"Terminating",
					    "NotTerminating",
					    "BestEffort",
					    "NotBestEffort",
					    "PriorityClass",
					    "CrossNamespacePodAffinity",
					    NULL};
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *scopes = json_at(next, "spec", "scopes");

	if (c->subresource)
		return;
	for (size_t i = 0; i < json_len(scopes); i++) {
		size_t k = 0;

		while (known[k] && !str_is(json_str(json_item(scopes, i)), known[k]))
			k++;
		if (!known[k])
			rule_invalid(c, &at, "scopes", scopes, "unsupported scope");
	}
	if (live)
		rule_immutable(c, &at, json_get(next, STR("spec")), json_get(live, STR("spec")),
			       "scopes");
}

static const char *const short_names[] = {"quota", NULL};

const struct kind kind_resourcequota = {
	.group = "",
	.version = "v1",
	.kind = "ResourceQuota",
	.plural = "resourcequotas",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE |
		 KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.ResourceQuota",
	.columns = columns,
	.row = row,
	.validate = validate,
};

static const struct kind_column limit_columns[] = {
	COL_NAME,
	{.name = "Created At",
	 .type = "date",
	 .description = "When it was made.",
	 .path = ".metadata.creationTimestamp"},
	{0},
};

/* What isn't there is taken from what is: a limit from the maximum, a request from the limit, else
 * from the minimum. */
static void fill(struct kind_ctx *c, struct json *item, const char *to, const char *from)
{
	const struct json *map = json_get(item, str_c(from));

	for (size_t i = 0; i < json_len(map); i++) {
		struct json *all = json_set_object(c->a, item, to);

		if (!json_get(all, map->members[i].key))
			json_set(c->a, all, map->members[i].key, &map->members[i].value);
	}
}

static void limit_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *items = json_at(o, "spec", "limits");

	for (size_t i = 0; i < json_len(items); i++) {
		struct json *item = json_item(items, i);

		if (!str_is(json_str(json_get(item, STR("type"))), "Container"))
			continue;
		fill(c, item, "default", "max");
		fill(c, item, "defaultRequest", "default");
		fill(c, item, "defaultRequest", "min");
	}
}

static const char *const limit_short_names[] = {"limits", NULL};

const struct kind kind_limitrange = {
	.group = "",
	.version = "v1",
	.kind = "LimitRange",
	.plural = "limitranges",
	.short_names = limit_short_names,
	.flags = KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.LimitRange",
	.columns = limit_columns,
	.set_defaults = limit_defaults,
};
