/* HorizontalPodAutoscalers: replicas by load. Stored for the autoscaler that a cluster may have.
 * Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Reference", "string", "What is scaled."),
	COL("MinPods", "string", "No fewer than these."),
	COL("MaxPods", "string", "No more than these."),
	COL("Replicas", "string", "How many there are."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ref = json_at(o, "spec", "scaleTargetRef");

	cell_name(c, cells, o);
	cell_text(c, cells, "%.*s/%.*s", STR_ARG(json_str(json_get(ref, STR("kind")))),
		  STR_ARG(json_str(json_get(ref, STR("name")))));
	cell_int(c, cells, json_int(json_at(o, "spec", "minReplicas"), 1));
	cell_int(c, cells, json_int(json_at(o, "spec", "maxReplicas"), 0));
	cell_int(c, cells, json_int(json_at(o, "status", "currentReplicas"), 0));
	cell_age(c, cells, o);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), ref_at = SPATH_FIELD(&at, "scaleTargetRef");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *max = json_get(spec, STR("maxReplicas"));
	const struct json *min = json_get(spec, STR("minReplicas"));

	(void)live;
	if (c->subresource)
		return;
	if (json_is(min, JSON_INT) && min->i < 1)
		rule_invalid(c, &at, "minReplicas", min, "must be greater than or equal to 1");
	if (json_int(max, 0) < 1)
		rule_invalid(c, &at, "maxReplicas", max, "must be greater than 0");
	else if (json_int(max, 0) < json_int(min, 1))
		rule_invalid(c, &at, "maxReplicas", max,
			     "must be greater than or equal to `minReplicas`");
	if (!json_str(json_at(spec, "scaleTargetRef", "kind")).n)
		rule_required(c, &ref_at, "kind", NULL);
	if (!json_str(json_at(spec, "scaleTargetRef", "name")).n)
		rule_required(c, &ref_at, "name", NULL);
}

static const char *const short_names[] = {"hpa", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_horizontalpodautoscaler = {
	.group = "autoscaling",
	.version = "v2",
	.kind = "HorizontalPodAutoscaler",
	.plural = "horizontalpodautoscalers",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
	.columns = columns,
	.row = row,
	.validate = validate,
};
