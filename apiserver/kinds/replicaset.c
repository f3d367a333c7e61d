/* ReplicaSets: so many pods of one template. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Desired", "integer", "Pods wanted."),
	COL("Current", "integer", "Pods there."),
	COL("Ready", "integer", "Pods ready."),
	COL_AGE,
	COL("Containers", "string", "Names of the template's containers.", .priority = 1),
	COL("Images", "string", "Images of the template's containers.", .priority = 1),
	COL("Selector", "string", "Labels of its pods.", .priority = 1),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_int(c, cells, json_int(json_at(o, "spec", "replicas"), 0));
	cell_int(c, cells, json_int(json_at(o, "status", "replicas"), 0));
	cell_int(c, cells, json_int(json_at(o, "status", "readyReplicas"), 0));
	cell_age(c, cells, o);
	cell_containers(c, cells, json_at(o, "spec", "template", "spec"));
	cell_selector(c, cells, json_at(o, "spec", "selector"));
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");

	default_int(c, spec, "replicas", 1);
	podtemplate_defaults(c, json_set_object(c->a, spec, "template"));
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (!live)
		json_set_int(c->a, json_set_object(c->a, next, "status"), "replicas", 0);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), template_at = SPATH_FIELD(&at, "template");
	const struct json *spec = json_get(next, STR("spec"));
	bool well;

	if (c->subresource) {
		rule_status_replicas(c, next);
		return;
	}
	rule_non_negative(c, &at, spec, "replicas");
	rule_non_negative(c, &at, spec, "minReadySeconds");
	well = rule_selector_matches(c, &at, spec);
	if (live)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), "selector");
	if (well)
		rule_template(c, &template_at, json_get(spec, STR("template")), "ReplicaSet");
}

static const char *const selectable[] = {"status.replicas", NULL};
static const char *const short_names[] = {"rs", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_replicaset = {
	.group = "apps",
	.version = "v1",
	.kind = "ReplicaSet",
	.plural = "replicasets",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_SCALE | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.apps.v1.ReplicaSet",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
