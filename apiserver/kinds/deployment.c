/* Deployments: a template, how many, and how to get from one template to the next. Pure. */
#include <string.h>

#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Ready", "string", "Ready pods of those wanted."),
	COL("Up-to-date", "string", "Pods of the newest template."),
	COL("Available", "string", "Pods that have been ready long enough."),
	COL_AGE,
	COL("Containers", "string", "Names of the template's containers.", .priority = 1),
	COL("Images", "string", "Images of the template's containers.", .priority = 1),
	COL("Selector", "string", "Labels of its pods.", .priority = 1),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *status = json_get(o, STR("status"));

	cell_name(c, cells, o);
	cell_text(c, cells, "%lld/%lld",
		  (long long)json_int(json_get(status, STR("readyReplicas")), 0),
		  (long long)json_int(json_at(o, "spec", "replicas"), 0));
	cell_int(c, cells, json_int(json_get(status, STR("updatedReplicas")), 0));
	cell_int(c, cells, json_int(json_get(status, STR("availableReplicas")), 0));
	cell_age(c, cells, o);
	cell_containers(c, cells, json_at(o, "spec", "template", "spec"));
	cell_selector(c, cells, json_at(o, "spec", "selector"));
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec"), *strategy;

	default_int(c, spec, "replicas", 1);
	default_int(c, spec, "revisionHistoryLimit", 10);
	default_int(c, spec, "progressDeadlineSeconds", 600);
	strategy = json_set_object(c->a, spec, "strategy");
	default_str(c, strategy, "type", "RollingUpdate");
	if (str_is(json_str(json_get(strategy, STR("type"))), "RollingUpdate")) {
		struct json *rolling = json_set_object(c->a, strategy, "rollingUpdate");

		default_str(c, rolling, "maxUnavailable", "25%");
		default_str(c, rolling, "maxSurge", "25%");
	}
	podtemplate_defaults(c, json_set_object(c->a, spec, "template"));
}

/* Whoever writes the status leaves the labels alone. */
static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (c->subresource && !strcmp(c->subresource, "status"))
		rule_keep_meta(c, next, live, "labels");
}

static void validate_strategy(struct kind_ctx *c, const struct spath *spec_at,
			      const struct json *strategy)
{
	struct spath at = SPATH_FIELD(spec_at, "strategy"),
		     rolling_at = SPATH_FIELD(&at, "rollingUpdate");
	const struct json *rolling = json_get(strategy, STR("rollingUpdate"));
	const struct json *unavailable = json_get(rolling, STR("maxUnavailable")),
			  *surge = json_get(rolling, STR("maxSurge"));

	static const char *const types[] = {"Recreate", "RollingUpdate", NULL};

	if (!str_is(json_str(json_get(strategy, STR("type"))), "Recreate") &&
	    !str_is(json_str(json_get(strategy, STR("type"))), "RollingUpdate")) {
		rule_unsupported(c, spec_at, "strategy", strategy, types);
		return;
	}
	if (str_is(json_str(json_get(strategy, STR("type"))), "Recreate")) {
		if (rolling)
			rule_forbidden(c, &at, "rollingUpdate",
				       "may not be specified when strategy `type` is 'Recreate'");
		return;
	}
	rule_int_or_percent_100(c, &rolling_at, "maxUnavailable", unavailable);
	rule_int_or_percent(c, &rolling_at, "maxSurge", surge);
	if (rolling && !rule_scaled(unavailable, 100, false) && !rule_scaled(surge, 100, true))
		rule_invalid(c, &rolling_at, "maxUnavailable", unavailable,
			     "may not be 0 when `maxSurge` is 0");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), template_at = SPATH_FIELD(&at, "template");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *deadline = json_get(spec, STR("progressDeadlineSeconds"));
	bool well;

	if (c->subresource) {
		rule_status_replicas(c, next);
		return;
	}
	rule_non_negative(c, &at, spec, "replicas");
	rule_non_negative(c, &at, spec, "minReadySeconds");
	rule_non_negative(c, &at, spec, "revisionHistoryLimit");
	rule_non_negative(c, &at, spec, "progressDeadlineSeconds");
	if (deadline &&
	    json_int(deadline, 0) <= json_int(json_get(spec, STR("minReadySeconds")), 0))
		rule_invalid(c, &at, "progressDeadlineSeconds", deadline,
			     "must be greater than minReadySeconds");
	well = rule_selector_matches(c, &at, spec);
	if (live)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), "selector");
	validate_strategy(c, &at, json_get(spec, STR("strategy")));
	if (well)
		rule_template(c, &template_at, json_get(spec, STR("template")), "Deployment");
}

static const char *const short_names[] = {"deploy", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_deployment = {
	.group = "apps",
	.version = "v1",
	.kind = "Deployment",
	.plural = "deployments",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_SCALE | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.apps.v1.Deployment",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
