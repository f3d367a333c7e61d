/* Volumes on their way to nodes, and classes of what can be changed about them. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Attacher", "string", "Who attaches it.", .format = "name"),
	COL("PV", "string", "The volume."),
	COL("Node", "string", "Where it is to go."),
	COL("Attached", "boolean", "Whether it is there."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec"));
	bool attached = json_bool(json_at(o, "status", "attached"), false);

	cell_name(c, cells, o);
	cell_str(c, cells, json_str_or(json_get(spec, STR("attacher")), STR("")));
	cell_str(c, cells, json_str_or(json_at(spec, "source", "persistentVolumeName"), STR("")));
	cell_str(c, cells, json_str_or(json_get(spec, STR("nodeName")), STR("")));
	json_append(c->a, cells, json_new_bool(c->a, attached));
	cell_age(c, cells, o);
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct json *status = json_set_object(c->a, next, "status");

	if (!live || !json_get(status, STR("attached")))
		json_set_bool(c->a, status, "attached",
			      json_bool(json_get(status, STR("attached")), false));
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec")),
			  *source = json_get(spec, STR("source")),
			  *node = json_get(spec, STR("nodeName"));

	if (c->subresource)
		return;
	if (live)
		rule_immutable(c, NULL, next, live, "spec");
	if (!json_str(json_get(spec, STR("attacher"))).n)
		rule_required(c, &at, "attacher", NULL);
	else if (!live) /* older ones may be called otherwise */
		rule_name(c, &at, "attacher", json_get(spec, STR("attacher")),
			  name_check_dns1123_subdomain);
	rule_name(c, &at, "nodeName", node ? node : json_new_str(c->a, STR("")),
		  name_check_dns1123_subdomain);
	if (json_get(source, STR("inlineVolumeSpec")) &&
	    json_get(source, STR("persistentVolumeName")))
		rule_forbidden(c, &at, "source",
			       "must specify exactly one of inlineVolumeSpec and "
			       "persistentVolumeName");
	else if (!json_get(source, STR("inlineVolumeSpec")) &&
		 !json_get(source, STR("persistentVolumeName")))
		rule_required(c, &at, "source",
			      "must specify exactly one of inlineVolumeSpec and "
			      "persistentVolumeName");
}

const struct kind kind_volumeattachment = {
	.group = "storage.k8s.io",
	.version = "v1",
	.kind = "VolumeAttachment",
	.plural = "volumeattachments",
	.flags = KIND_STATUS | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.storage.v1.VolumeAttachment",
	.columns = columns,
	.row = row,
	.prepare = prepare,
	.validate = validate,
};

static const struct kind_column class_columns[] = {
	COL_NAME,
	COL("DriverName", "string", "Whose volumes it is for.", .path = ".driverName"),
	COL_AGE,
	{0},
};

static void class_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	if (!json_str(json_get(next, STR("driverName"))).n)
		rule_required(c, NULL, "driverName", NULL);
	else
		rule_name(c, NULL, "driverName", json_get(next, STR("driverName")),
			  name_check_dns1123_subdomain);
	if (!json_len(json_get(next, STR("parameters"))))
		rule_required(c, NULL, "parameters", "must contain at least one key/value pair");
	if (!live)
		return;
	rule_immutable(c, NULL, next, live, "driverName");
	if (!json_equal(json_get(next, STR("parameters")), json_get(live, STR("parameters"))))
		rule_forbidden(c, NULL, "parameters", "updates to parameters are forbidden.");
}

static const char *const class_short_names[] = {"vac", NULL};

const struct kind kind_volumeattributesclass = {
	.group = "storage.k8s.io",
	.version = "v1beta1",
	.kind = "VolumeAttributesClass",
	.plural = "volumeattributesclasses",
	.short_names = class_short_names,
	.flags = KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.storage.v1beta1.VolumeAttributesClass",
	.columns = class_columns,
	.validate = class_validate,
};
