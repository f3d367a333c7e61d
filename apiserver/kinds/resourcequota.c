/* ResourceQuotas and LimitRanges: bounds of a namespace. Pure. */
#include "apiserver/kinds/rules.h"
#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

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
	.validate = quota_validate,
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

/* ---- limits ---- */

static const struct order {
	const char *low, *high, *low_is, *high_is;
} orders[] = {
	{"min", "max", "min value", "max value"},
	{"defaultRequest", "max", "default request value", "max value"},
	{"defaultRequest", "default", "default request value", "default limit value"},
	{"default", "max", "default value", "max value"},
};

/* For each amount of the low one: not more than what the high one says of the same. */
static void validate_order(struct kind_ctx *c, const struct spath *at, const struct json *item,
			   const struct order *o)
{
	const struct json *amounts = json_get(item, str_c(o->low)),
			  *bounds = json_get(item, str_c(o->high));
	struct spath in = {.up = at, .name = str_c(o->low)};

	for (size_t i = 0; i < json_len(amounts); i++) {
		struct str have = json_str(&amounts->members[i].value),
			   most = json_str(json_get(bounds, amounts->members[i].key));
		struct spath here = SPATH_KEY(&in, amounts->members[i].key);
		struct quantity a, b;

		if (most.n && !quantity_parse(have, &a) && !quantity_parse(most, &b) &&
		    quantity_cmp(a, b) > 0)
			rule_invalid(c, &here, NULL, &amounts->members[i].value,
				     arena_printf(c->a, "%s %.*s is greater than %s %.*s",
						  o->low_is, STR_ARG(have), o->high_is,
						  STR_ARG(most)));
	}
}

static void validate_amounts(struct kind_ctx *c, const struct spath *at, const struct json *amounts)
{
	for (size_t i = 0; i < json_len(amounts); i++) {
		const struct json_member *m = &amounts->members[i];
		struct spath here = SPATH_KEY(at, m->key);
		const char *why = name_check_qualified(m->key);
		struct quantity q;

		if (why)
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key), why);
		if (!quantity_parse(json_str(&m->value), &q) && q.nano < 0)
			rule_invalid(c, &here, NULL, &m->value,
				     "must be greater than or equal to 0");
	}
}

static void validate_limit(struct kind_ctx *c, const struct spath *at, const struct json *item)
{
	static const char *const amounts[] = {"max", "min", "default", "defaultRequest"};

	for (size_t i = 0; i < ARRAY_LEN(amounts); i++) {
		struct spath here = {.up = at, .name = str_c(amounts[i])};

		validate_amounts(c, &here, json_get(item, str_c(amounts[i])));
	}
	if (str_is(json_str(json_get(item, STR("type"))), "Pod")) {
		if (json_len(json_get(item, STR("default"))))
			rule_forbidden(c, at, "default",
				       "may not be specified when `type` is 'Pod'");
		if (json_len(json_get(item, STR("defaultRequest"))))
			rule_forbidden(c, at, "defaultRequest",
				       "may not be specified when `type` is 'Pod'");
	}
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		validate_order(c, at, item, &orders[i]);
}

static void limit_validate(struct kind_ctx *c, const struct json *next,
			   const struct json *live UNUSED)
{
	const struct json *items = json_at(next, "spec", "limits");
	struct spath spec = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&spec, "limits");

	for (size_t i = 0; i < json_len(items); i++) {
		struct spath at = SPATH_INDEX(&all, i);
		struct str type = json_str(json_get(json_item(items, i), STR("type")));

		for (size_t k = 0; k < i; k++)
			if (str_eq(type, json_str(json_get(json_item(items, k), STR("type")))))
				rule_duplicate(c, &at, "type", json_new_str(c->a, type));
		validate_limit(c, &at, json_item(items, i));
	}
}

static const char *const limit_short_names[] = {"limits", NULL};

const struct kind kind_limitrange = {
	.group = "",
	.version = "v1",
	.kind = "LimitRange",
	.plural = "limitranges",
	.short_names = limit_short_names,
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.LimitRange",
	.columns = limit_columns,
	.set_defaults = limit_defaults,
	.validate = limit_validate,
};
