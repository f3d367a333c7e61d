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

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const fixed[] = {"provisioner", "reclaimPolicy"};

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
