/* ReplicationControllers: ReplicaSets' forerunners, whose selector is a plain map. Pure. */
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
	cell_labels(c, cells, json_at(o, "spec", "selector"));
}

/* Selector and labels come from the template's labels where they are not said. */
static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec"), *meta;
	const struct json *labels = json_at(spec, "template", "metadata", "labels");

	default_int(c, spec, "replicas", 1);
	if (json_get(spec, STR("template")))
		podtemplate_defaults(c, json_set_object(c->a, spec, "template"));
	if (!json_len(labels))
		return;
	labels = json_copy(c->a, labels);
	if (!json_len(json_get(spec, STR("selector"))))
		json_set(c->a, spec, STR("selector"), labels);
	meta = json_set_object(c->a, o, "metadata");
	if (!json_len(json_get(meta, STR("labels"))))
		json_set(c->a, meta, STR("labels"), labels);
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (!live)
		json_set_int(c->a, json_set_object(c->a, next, "status"), "replicas", 0);
}

static bool contains(const struct json *labels, const struct json *selector)
{
	for (size_t i = 0; i < json_len(selector); i++)
		if (!str_eq(json_str(json_get(labels, selector->members[i].key)),
			    json_str(&selector->members[i].value)))
			return false;
	return true;
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), template_at = SPATH_FIELD(&at, "template"),
		     meta_at = SPATH_FIELD(&template_at, "metadata");
	const struct json *spec = json_get(next, STR("spec")),
			  *template = json_get(spec, STR("template")),
			  *selector = json_get(spec, STR("selector")),
			  *labels = json_at(template, "metadata", "labels");

	(void)live;
	if (c->subresource) {
		rule_status_replicas(c, next);
		return;
	}
	rule_non_negative(c, &at, spec, "replicas");
	rule_non_negative(c, &at, spec, "minReadySeconds");
	if (!json_len(selector))
		rule_required(c, &at, "selector", NULL);
	if (!template) {
		rule_required(c, &at, "template", NULL);
		return;
	}
	if (!contains(labels, selector))
		rule_invalid(c, &meta_at, "labels", labels ? labels : json_new(c->a, JSON_OBJECT),
			     "`selector` does not match template `labels`");
	rule_template(c, &template_at, template, "ReplicationController");
}

static const char *const selectable[] = {"status.replicas", NULL};
static const char *const short_names[] = {"rc", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_replicationcontroller = {
	.group = "",
	.version = "v1",
	.kind = "ReplicationController",
	.plural = "replicationcontrollers",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_SCALE | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE | KIND_ORPHANS,
	.schema_name = "io.k8s.api.core.v1.ReplicationController",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
