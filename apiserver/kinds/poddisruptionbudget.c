/* PodDisruptionBudgets: how many pods may be missing on purpose. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Min Available", "string", "How many must stay."),
	COL("Max Unavailable", "string", "How many may go."),
	COL("Allowed Disruptions", "integer", "How many may go now."),
	COL_AGE,
	{0},
};

static void cell_number(struct kind_ctx *c, const struct json *v, struct json *cells)
{
	if (json_is(v, JSON_STRING))
		cell_str(c, cells, json_str(v));
	else if (json_is(v, JSON_INT))
		cell_text(c, cells, "%lld", (long long)v->i);
	else
		cell_str(c, cells, STR("N/A"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_number(c, json_at(o, "spec", "minAvailable"), cells);
	cell_number(c, json_at(o, "spec", "maxUnavailable"), cells);
	cell_int(c, cells, json_int(json_at(o, "status", "disruptionsAllowed"), 0));
	cell_age(c, cells, o);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *min = json_get(spec, STR("minAvailable"));
	const struct json *max = json_get(spec, STR("maxUnavailable"));

	(void)live;
	if (c->subresource)
		return;
	if (min && max)
		rule_invalid(c, &at, NULL, spec,
			     "minAvailable and maxUnavailable cannot be both set");
	rule_int_or_percent_100(c, &at, "minAvailable", min);
	rule_int_or_percent_100(c, &at, "maxUnavailable", max);
	rule_selector(c, &at, "selector", json_get(spec, STR("selector")));
}

static const char *const short_names[] = {"pdb", NULL};

const struct kind kind_poddisruptionbudget = {
	.group = "policy",
	.version = "v1",
	.kind = "PodDisruptionBudget",
	.plural = "poddisruptionbudgets",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_GENERATION,
	.schema_name = "io.k8s.api.policy.v1.PodDisruptionBudget",
	.columns = columns,
	.row = row,
	.validate = validate,
};
