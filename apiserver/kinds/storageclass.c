/* StorageClasses: ways to make volumes. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Provisioner", "string", "Who makes the volumes."),
	COL("ReclaimPolicy", "string", "What becomes of them afterwards."),
	COL("VolumeBindingMode", "string", "When they are made."),
	COL("AllowVolumeExpansion", "string", "Whether they can grow."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	bool standard =
		str_is(meta_annotation(o, "storageclass.kubernetes.io/is-default-class"), "true");
	bool grows = json_bool(json_get(o, STR("allowVolumeExpansion")), false);

	cell_text(c, cells, "%.*s%s", STR_ARG(meta_name(o)), standard ? " (default)" : "");
	cell_str(c, cells, json_str(json_get(o, STR("provisioner"))));
	cell_str(c, cells, json_str(json_get(o, STR("reclaimPolicy"))));
	cell_str(c, cells, json_str(json_get(o, STR("volumeBindingMode"))));
	cell_str(c, cells, grows ? STR("true") : STR("false"));
	cell_age(c, cells, o);
}

static struct str lower(struct kind_ctx *c, struct str s)
{
	char *out = arena_cstr(c->a, s);

	for (size_t i = 0; i < s.n; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
	return (struct str){out, s.n};
}

static void check_provisioner(struct kind_ctx *c, const struct json *v)
{
	const char *why = name_check_qualified(lower(c, json_str_or(v, STR(""))));

	if (json_str(v).n && why)
		rule_invalid(c, NULL, "provisioner", v, why);
}

static void check_parameters(struct kind_ctx *c, const struct json *map)
{
	size_t total = 0;

	if (json_len(map) > 512) {
		rule_too_long(c, NULL, "parameters", 512);
		return;
	}
	for (size_t i = 0; i < json_len(map); i++) {
		if (!map->members[i].key.n)
			rule_invalid(c, NULL, "parameters", json_new_str(c->a, STR("")),
				     "field can not be empty.");
		total += map->members[i].key.n + json_str(&map->members[i].value).n;
	}
	if (total > 256 << 10)
		rule_too_long(c, NULL, "parameters", 256 << 10);
}

static void check_requirement(struct kind_ctx *c, const struct spath *at, const struct json *r)
{
	const struct json *values = json_get(r, STR("values"));
	struct spath all = SPATH_FIELD(at, "values");

	for (size_t i = 0; i < json_len(values); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		for (size_t k = 0; k < i; k++)
			if (json_equal(json_item(values, i), json_item(values, k))) {
				rule_duplicate(c, &here, NULL, json_item(values, i));
				break;
			}
	}
	rule_key(c, at, json_get(r, STR("key")));
}

/* Terms differ, and say something. */
static void check_topologies(struct kind_ctx *c, const struct json *terms)
{
	struct spath all = SPATH_FIELD(NULL, "allowedTopologies");

	for (size_t i = 0; i < json_len(terms); i++) {
		const struct json *list =
			json_get(json_item(terms, i), STR("matchLabelExpressions"));
		struct spath at = SPATH_INDEX(&all, i),
			     in = SPATH_FIELD(&at, "matchLabelExpressions");
		bool twice = !json_len(list);

		for (size_t k = 0; k < json_len(list); k++) {
			struct spath here = SPATH_INDEX(&in, k);
			const struct json *key = json_get(json_item(list, k), STR("key"));

			check_requirement(c, &here, json_item(list, k));
			for (size_t j = 0; j < k; j++)
				if (json_equal(key, json_get(json_item(list, j), STR("key")))) {
					rule_duplicate(c, &here, "key", key);
					break;
				}
		}
		for (size_t k = 0; k < i; k++)
			twice |= json_equal(json_item(terms, i), json_item(terms, k));
		if (twice)
			rule_duplicate(c, &at, "matchLabelExpressions",
				       json_new_str(c->a, STR("")));
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const fixed[] = {"provisioner", "reclaimPolicy"};

	check_provisioner(c, json_get(next, STR("provisioner")));
	check_parameters(c, json_get(next, STR("parameters")));
	check_topologies(c, json_get(next, STR("allowedTopologies")));
	if (!live)
		return;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (!json_equal(json_get(next, str_c(fixed[i])), json_get(live, str_c(fixed[i]))))
			rule_forbidden(
				c, NULL, fixed[i],
				arena_printf(c->a, "updates to %s are forbidden.", fixed[i]));
	rule_immutable(c, NULL, next, live, "volumeBindingMode");
	if (!schema_equal(NULL, json_get(next, STR("parameters")),
			  json_get(live, STR("parameters"))))
		rule_forbidden(c, NULL, "parameters", "updates to parameters are forbidden.");
}

static const char *const short_names[] = {"sc", NULL};

const struct kind kind_storageclass = {
	.group = "storage.k8s.io",
	.version = "v1",
	.kind = "StorageClass",
	.plural = "storageclasses",
	.short_names = short_names,
	.flags = KIND_UNCONDITIONAL_UPDATE | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.storage.v1.StorageClass",
	.columns = columns,
	.row = row,
	.validate = validate,
};
