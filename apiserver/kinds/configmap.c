/*
 * ConfigMaps.
 *
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

#define DATA_MAX (1024 * 1024)

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Data", "string", "Number of entries."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_int(c, cells,
		 (int64_t)(json_len(json_get(o, STR("data"))) +
			   json_len(json_get(o, STR("binaryData")))));
	cell_age(c, cells, o);
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	default_base64(c, o, "binaryData");
}

static size_t check_keys(struct kind_ctx *c, const char *field, const struct json *map,
			 const struct json *other)
{
	struct spath at = {.name = str_c(field)};
	size_t total = 0;

	for (size_t i = 0; i < json_len(map); i++) {
		const struct json_member *m = &map->members[i];
		struct spath here = SPATH_KEY(&at, m->key);
		const char *why = rule_config_key(m->key);
		if (why)
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key), why);
		if (json_get(other, m->key))
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key),
				     "duplicate of key present in binaryData");
		total += json_str(&m->value).n;
	}
	return total;
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *data = json_get(next, STR("data"));
	const struct json *binary = json_get(next, STR("binaryData"));
	size_t total = check_keys(c, "data", data, binary);

	total += check_keys(c, "binaryData", binary, NULL) / 4 * 3;
	if (total > DATA_MAX)
		rule_too_long(c, NULL, "", DATA_MAX);
	if (!live || !json_bool(json_get(live, STR("immutable")), false))
		return;
	if (!json_bool(json_get(next, STR("immutable")), false))
		rule_forbidden(c, NULL, "immutable", "field is immutable when `immutable` is set");
	if (!schema_equal(NULL, data, json_get(live, STR("data"))))
		rule_forbidden(c, NULL, "data", "field is immutable when `immutable` is set");
	if (!schema_equal(NULL, binary, json_get(live, STR("binaryData"))))
		rule_forbidden(c, NULL, "binaryData", "field is immutable when `immutable` is set");
}

static const char *const short_names[] = {"cm", NULL};

const struct kind kind_configmap = {
	.group = "",
	.version = "v1",
	.kind = "ConfigMap",
	.plural = "configmaps",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.ConfigMap",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.validate = validate,
};
