/* PodTemplates: what pods are made from, kept for whoever makes them. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Containers", "string", "Names of the template's containers."),
	COL("Images", "string", "Images of the template's containers."),
	COL("Pod Labels", "string", "Labels of its pods."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_containers(c, cells, json_at(o, "template", "spec"));
	cell_labels(c, cells, json_at(o, "template", "metadata", "labels"));
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	podtemplate_defaults(c, json_set_object(c->a, o, "template"));
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "template");

	(void)live;
	podtemplate_validate(c, &at, json_get(next, STR("template")));
}

const struct kind kind_podtemplate = {
	.group = "",
	.version = "v1",
	.kind = "PodTemplate",
	.plural = "podtemplates",
	.flags = KIND_NAMESPACED | KIND_GENERATION | KIND_UNCONDITIONAL_UPDATE | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.PodTemplate",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.validate = validate,
};
