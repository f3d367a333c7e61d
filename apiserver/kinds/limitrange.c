/* LimitRanges: how much a container, a pod or a claim of a namespace may ask for. Pure. */
#include <string.h>

#include "apiserver/kinds/rules.h"
#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

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

/* ---- rules ---- */

/* Wherever both are said, the low one is not above the high one. `told` says whose fault it is. */
static const struct order {
	const char *low, *high, *low_is, *high_is, *told;
} orders[] = {
	{"min", "max", "min value", "max value", "min"},
	{"min", "defaultRequest", "min value", "default request value", "defaultRequest"},
	{"defaultRequest", "max", "default request value", "max value", "defaultRequest"},
	{"defaultRequest", "default", "default request value", "default limit value",
	 "defaultRequest"},
	{"min", "default", "min value", "default value", "default"},
	{"default", "max", "default value", "max value", "default"},
};

static bool read_amount(const struct json *map, struct str name, struct quantity *ret)
{
	return !quantity_parse(json_str(json_get(map, name)), ret);
}

static void check_order(struct kind_ctx *c, const struct spath *at, const struct json *item,
			const struct order *o)
{
	const struct json *low = json_get(item, str_c(o->low)),
			  *high = json_get(item, str_c(o->high));
	struct spath in = {.up = at, .name = str_c(o->told)};

	for (size_t i = 0; i < json_len(low); i++) {
		struct str name = low->members[i].key;
		struct spath here = SPATH_KEY(&in, name);
		struct quantity a, b;

		if (read_amount(low, name, &a) && read_amount(high, name, &b) &&
		    quantity_cmp(a, b) > 0)
			rule_invalid(c, &here, NULL, json_get(json_get(item, str_c(o->told)), name),
				     arena_printf(c->a, "%s %.*s is greater than %s %.*s",
						  o->low_is, STR_ARG(json_str(json_get(low, name))),
						  o->high_is,
						  STR_ARG(json_str(json_get(high, name)))));
	}
}

/* How much more than what is asked for may be had: at least as much, at most what the bounds say.
 */
static void check_ratios(struct kind_ctx *c, const struct spath *at, const struct json *item)
{
	const struct json *ratios = json_get(item, STR("maxLimitRequestRatio"));
	struct spath in = SPATH_FIELD(at, "maxLimitRequestRatio");

	for (size_t i = 0; i < json_len(ratios); i++) {
		struct str name = ratios->members[i].key;
		struct spath here = SPATH_KEY(&in, name);
		struct quantity r, min, max;
		double most;

		if (!read_amount(ratios, name, &r))
			continue;
		if (r.nano < 1000000000)
			rule_invalid(c, &here, NULL, json_get(ratios, name),
				     arena_printf(c->a, "ratio %.*s is less than 1",
						  STR_ARG(json_str(json_get(ratios, name)))));
		if (!read_amount(json_get(item, STR("min")), name, &min) ||
		    !read_amount(json_get(item, STR("max")), name, &max) || !min.nano)
			continue;
		most = (double)max.nano / (double)min.nano;
		if ((double)r.nano / 1e9 > most)
			rule_invalid(c, &here, NULL, json_get(ratios, name),
				     arena_printf(c->a, "ratio %.*s is greater than max/min = %f",
						  STR_ARG(json_str(json_get(ratios, name))), most));
	}
}

/* Of what can't be promised twice, the default request is the default limit. */
static void check_promises(struct kind_ctx *c, const struct spath *at, const struct json *item)
{
	const struct json *asked = json_get(item, STR("defaultRequest")),
			  *given = json_get(item, STR("default"));
	struct spath in = SPATH_FIELD(at, "defaultRequest");

	for (size_t i = 0; i < json_len(asked); i++) {
		struct str name = asked->members[i].key;
		struct spath here = SPATH_KEY(&in, name);
		struct quantity a, b;

		if (amount_overcommits(name) || !read_amount(asked, name, &a) ||
		    !read_amount(given, name, &b) || !quantity_cmp(a, b))
			continue;
		rule_invalid(c, &here, NULL, json_get(asked, name),
			     arena_printf(c->a,
					  "default value %.*s must equal to defaultRequest value "
					  "%.*s in %.*s",
					  STR_ARG(json_str(json_get(given, name))),
					  STR_ARG(json_str(json_get(asked, name))), STR_ARG(name)));
	}
}

static void check_names(struct kind_ctx *c, const struct spath *at, const struct json *item,
			const char *field)
{
	const struct json *amounts = json_get(item, str_c(field));
	struct str type = json_str(json_get(item, STR("type")));
	bool container = str_is(type, "Pod") || str_is(type, "Container");
	struct spath in = {.up = at, .name = str_c(field)};

	for (size_t i = 0; i < json_len(amounts); i++) {
		struct spath here = SPATH_KEY(&in, amounts->members[i].key);

		rule_amount_name(c, &here, amounts->members[i].key,
				 container ? AMOUNT_OF_CONTAINER : AMOUNT_OF_ANY);
	}
}

static void check_item(struct kind_ctx *c, const struct spath *at, const struct json *item)
{
	static const char *const defaults[] = {"default", "defaultRequest"};
	struct str type = json_str(json_get(item, STR("type")));
	bool pod = str_is(type, "Pod");

	check_names(c, at, item, "max");
	check_names(c, at, item, "min");
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		if (!pod)
			check_names(c, at, item, defaults[i]);
		else if (json_len(json_get(item, str_c(defaults[i]))))
			rule_forbidden(c, at, defaults[i],
				       "may not be specified when `type` is 'Pod'");
	}
	if (str_is(type, "PersistentVolumeClaim") && !json_at(item, "min", "storage") &&
	    !json_at(item, "max", "storage"))
		rule_required(c, at, "limits",
			      "either minimum or maximum storage value is required, but neither "
			      "was provided");
	check_names(c, at, item, "maxLimitRequestRatio");
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		if (!pod || (strncmp(orders[i].told, "default", 7) != 0))
			check_order(c, at, item, &orders[i]);
	check_ratios(c, at, item);
	if (!pod)
		check_promises(c, at, item);
}

static void check_type(struct kind_ctx *c, const struct spath *at, struct str type)
{
	static const char *const known[] = {"Pod", "Container", "PersistentVolumeClaim"};
	const char *why = name_check_qualified(type);

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_is(type, known[i]))
			return;
	if (!why && str_find(type, STR("/")) < 0)
		why = "must be a standard limit type or fully qualified";
	if (why)
		rule_invalid(c, at, "type", json_new_str(c->a, type), why);
}

static void limit_validate(struct kind_ctx *c, const struct json *next,
			   const struct json *live UNUSED)
{
	const struct json *items = json_at(next, "spec", "limits");
	struct spath spec = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&spec, "limits");

	for (size_t i = 0; i < json_len(items); i++) {
		struct spath at = SPATH_INDEX(&all, i);
		struct str type = json_str_or(json_get(json_item(items, i), STR("type")), STR(""));

		check_type(c, &at, type);
		for (size_t k = 0; k < i; k++)
			if (str_eq(type, json_str_or(json_get(json_item(items, k), STR("type")),
						     STR("")))) {
				rule_duplicate(c, &at, "type", json_new_str(c->a, type));
				break;
			}
		check_item(c, &at, json_item(items, i));
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
