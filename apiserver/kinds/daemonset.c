/* DaemonSets: a pod on every node. Pure. */
#include "apiserver/kinds/rules.h"
#include "lib/kube/selector.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Desired", "integer", "Nodes that shall run it."),
	COL("Current", "integer", "Nodes that run it."),
	COL("Ready", "integer", "Nodes where it is ready."),
	COL("Up-to-date", "integer", "Nodes with the newest template."),
	COL("Available", "integer", "Nodes where it has been ready long enough."),
	COL("Node Selector", "string", "Which nodes count."),
	COL_AGE,
	COL("Containers", "string", "Names of the template's containers.", .priority = 1),
	COL("Images", "string", "Images of the template's containers.", .priority = 1),
	COL("Selector", "string", "Labels of its pods.", .priority = 1),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	static const char *const counts[] = {"desiredNumberScheduled", "currentNumberScheduled",
					     "numberReady", "updatedNumberScheduled",
					     "numberAvailable"};

	cell_name(c, cells, o);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		cell_int(c, cells, json_int(json_at(o, "status", counts[i]), 0));
	cell_labels(c, cells, json_at(o, "spec", "template", "spec", "nodeSelector"));
	cell_age(c, cells, o);
	cell_containers(c, cells, json_at(o, "spec", "template", "spec"));
	cell_selector(c, cells, json_at(o, "spec", "selector"));
}

/* Which template this is, as old clients read it: 1, 2, …. Theirs is only the annotation. */
#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"

static struct json *annotations(struct kind_ctx *c, struct json *o)
{
	return json_set_object(c->a, json_set_object(c->a, o, "metadata"), "annotations");
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct str was = json_str(json_at(live, "metadata", "annotations", TEMPLATE_GENERATION));
	uint64_t n = 0;

	if (live && str_to_u64(was, &n))
		n = 0;
	if (!live ||
	    !json_equal(json_at(next, "spec", "template"), json_at(live, "spec", "template")))
		n++;
	json_set_str(c->a, annotations(c, next), TEMPLATE_GENERATION,
		     arena_strf(c->a, "%llu", (unsigned long long)MAX(n, 1)));
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");
	struct json *strategy = json_set_object(c->a, spec, "updateStrategy"), *rolling;

	default_str(c, annotations(c, o), TEMPLATE_GENERATION, "0");
	podtemplate_defaults(c, json_set_object(c->a, spec, "template"));
	default_str(c, strategy, "type", "RollingUpdate");
	if (!str_is(json_str(json_get(strategy, STR("type"))), "RollingUpdate"))
		return;
	rolling = json_set_object(c->a, strategy, "rollingUpdate");
	default_int(c, rolling, "maxUnavailable", 1);
	default_int(c, rolling, "maxSurge", 0);
}

/* Either so many nodes may be without, or so many may have two. */
static void validate_rolling(struct kind_ctx *c, const struct spath *at, const struct json *rolling)
{
	const struct json *unavailable = json_get(rolling, STR("maxUnavailable")),
			  *surge = json_get(rolling, STR("maxSurge"));

	if (!rolling)
		return;
	rule_int_or_percent_100(c, at, "maxUnavailable", unavailable);
	rule_int_or_percent_100(c, at, "maxSurge", surge);
	if (rule_scaled(unavailable, 100, false) && rule_scaled(surge, 100, false))
		rule_invalid(c, at, "maxSurge", surge,
			     "may not be set when maxUnavailable is non-zero");
	if (!rule_scaled(unavailable, 100, false) && !rule_scaled(surge, 100, false))
		rule_required(c, at, "maxUnavailable", "cannot be 0 when maxSurge is 0");
}

/* Unlike with other workloads it isn't missed when it isn't there: it selects nothing then. */
static void check_selector(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *selector = json_get(spec, STR("selector")),
			  *labels = json_at(spec, "template", "metadata", "labels");
	struct spath template = SPATH_FIELD(at, "template"),
		     meta = SPATH_FIELD(&template, "metadata");
	bool there = json_is(selector, JSON_OBJECT);
	struct selector sel = {0};
	struct err err = {0};

	rule_selector(c, at, "selector", selector);
	if (there && selector_from_json(c->a, selector, &sel, &err))
		return;
	if (!there || !selector_match_json(&sel, labels))
		rule_invalid(c, &meta, "labels", labels ? labels : json_new(c->a, JSON_OBJECT),
			     "`selector` does not match template `labels`");
	if (there && !json_len(json_get(selector, STR("matchLabels"))) &&
	    !json_len(json_get(selector, STR("matchExpressions"))))
		rule_invalid(c, at, "selector", selector,
			     "empty selector is invalid for daemonset");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const types[] = {"RollingUpdate", "OnDelete", NULL};
	struct spath at = SPATH_FIELD(NULL, "spec"), template_at = SPATH_FIELD(&at, "template");
	struct spath strategy = SPATH_FIELD(&at, "updateStrategy");
	struct spath rolling_at = SPATH_FIELD(&strategy, "rollingUpdate");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *rolling = json_at(spec, "updateStrategy", "rollingUpdate");

	if (c->subresource) {
		rule_status_counts(c, next);
		return;
	}
	rule_non_negative(c, &at, spec, "minReadySeconds");
	rule_non_negative(c, &at, spec, "revisionHistoryLimit");
	check_selector(c, &at, spec);
	rule_template(c, &template_at, json_get(spec, STR("template")), "DaemonSet");
	if (!str_is(json_str(json_at(spec, "updateStrategy", "type")), "RollingUpdate") &&
	    !str_is(json_str(json_at(spec, "updateStrategy", "type")), "OnDelete"))
		rule_unsupported(c, &at, "updateStrategy", json_get(spec, STR("updateStrategy")),
				 types);
	if (str_is(json_str(json_at(spec, "updateStrategy", "type")), "RollingUpdate"))
		validate_rolling(c, &rolling_at, rolling);
	if (live)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), "selector");
}

static const char *const short_names[] = {"ds", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_daemonset = {
	.group = "apps",
	.version = "v1",
	.kind = "DaemonSet",
	.plural = "daemonsets",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.apps.v1.DaemonSet",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
