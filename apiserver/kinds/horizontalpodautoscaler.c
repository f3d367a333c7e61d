/* HorizontalPodAutoscalers: replicas by load. Stored for the autoscaler that a cluster may have.
 * Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Reference", "string", "What is scaled."),
	COL("Targets", "string", "What there is of what is wanted."),
	COL("MinPods", "string", "No fewer than these."),
	COL("MaxPods", "string", "No more than these."),
	COL("Replicas", "string", "How many there are."),
	COL_AGE,
	{0},
};

/* ---- cells: "cpu: 12%/80%", at most two of them ---- */

static void put_value(struct buf *b, const struct json *v)
{
	const struct json *percent = json_get(v, STR("averageUtilization")), *q;

	if (percent) {
		buf_printf(b, "%lld%%", (long long)json_int(percent, 0));
		return;
	}
	q = json_get(v, STR("averageValue"));
	if (json_str(q).n) {
		buf_str(b, json_str(q));
		return;
	}
	q = json_get(v, STR("value"));
	buf_str(b, json_str(q).n ? json_str(q) : STR("<unknown>"));
}

static const struct json *source_of(const struct json *m)
{
	static const char *const sources[] = {"resource", "containerResource", "pods", "object",
					      "external"};
	const struct json *v = NULL;

	for (size_t i = 0; i < ARRAY_LEN(sources) && !v; i++)
		v = json_get(m, str_c(sources[i]));
	return v;
}

static void cell_targets(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	const struct json *metrics = json_at(o, "spec", "metrics"),
			  *now = json_at(o, "status", "currentMetrics");
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < MIN(json_len(metrics), 2u); i++) {
		const struct json *v = source_of(json_item(metrics, i));
		struct str name = json_str(json_get(v, STR("name")));

		buf_puts(&b, i ? ", " : "");
		if (name.n)
			buf_printf(&b, "%.*s: ", STR_ARG(name));
		put_value(&b, json_get(source_of(json_item(now, i)), STR("current")));
		buf_putc(&b, '/');
		put_value(&b, json_get(v, STR("target")));
	}
	if (json_len(metrics) > 2)
		buf_printf(&b, " + %zu more...", json_len(metrics) - 2);
	cell_str(c, cells, b.n ? buf_view(&b) : STR("<none>"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ref = json_at(o, "spec", "scaleTargetRef");

	cell_name(c, cells, o);
	cell_text(c, cells, "%.*s/%.*s", STR_ARG(json_str(json_get(ref, STR("kind")))),
		  STR_ARG(json_str(json_get(ref, STR("name")))));
	cell_targets(c, cells, o);
	cell_int(c, cells, json_int(json_at(o, "spec", "minReplicas"), 1));
	cell_int(c, cells, json_int(json_at(o, "spec", "maxReplicas"), 0));
	cell_int(c, cells, json_int(json_at(o, "status", "currentReplicas"), 0));
	cell_age(c, cells, o);
}

/* ---- defaults ---- */

static void default_policies(struct kind_ctx *c, struct json *rules, bool up)
{
	struct json *all = json_set_array(c->a, rules, "policies");

	if (json_len(all))
		return;
	if (up)
		json_append(c->a, all,
			    json_build(c->a, "{s:s,s:i,s:i}", "type", "Pods", "value", 4,
				       "periodSeconds", 15));
	json_append(c->a, all,
		    json_build(c->a, "{s:s,s:i,s:i}", "type", "Percent", "value", 100,
			       "periodSeconds", 15));
}

static void default_behavior(struct kind_ctx *c, struct json *behavior)
{
	static const char *const ways[] = {"scaleUp", "scaleDown"};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct json *rules = json_set_object(c->a, behavior, ways[i]);

		if (!i)
			default_int(c, rules, "stabilizationWindowSeconds", 0);
		default_str(c, rules, "selectPolicy", "Max");
		default_policies(c, rules, !i);
	}
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");
	struct json *behavior = json_get(spec, STR("behavior"));

	if (!json_len(json_get(spec, STR("metrics"))))
		json_append(c->a, json_set_array(c->a, spec, "metrics"),
			    json_build(c->a, "{s:s,s:{s:s,s:{s:s,s:i}}}", "type", "Resource",
				       "resource", "name", "cpu", "target", "type", "Utilization",
				       "averageUtilization", 80));
	behavior = json_get(spec, STR("behavior"));
	if (json_is(behavior, JSON_OBJECT))
		default_behavior(c, behavior);
}

/* ---- rules ---- */

static void check_metric(struct kind_ctx *c, const struct spath *at, const struct json *m)
{
	static const struct {
		const char *type, *field;
	} sources[] = {{"Object", "object"},
		       {"Pods", "pods"},
		       {"Resource", "resource"},
		       {"External", "external"},
		       {"ContainerResource", "containerResource"}};
	struct str type = json_str(json_get(m, STR("type")));

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		const struct json *v = json_get(m, str_c(sources[i].field));
		struct spath here = SPATH_FIELD(at, sources[i].field);

		if (str_is(type, sources[i].type) && !json_is(v, JSON_OBJECT))
			rule_required(c, at, sources[i].field,
				      "must populate information for the given metric source");
		else if (v && !str_is(type, sources[i].type))
			rule_forbidden(c, at, sources[i].field,
				       "must populate the given metric source only");
		else if (v && json_int(json_at(v, "target", "averageUtilization"), 1) < 1)
			rule_invalid(c, &here, "target.averageUtilization",
				     json_at(v, "target", "averageUtilization"),
				     "must be greater than 0");
	}
}

static void check_metrics(struct kind_ctx *c, const struct spath *at, const struct json *metrics)
{
	struct spath all = SPATH_FIELD(at, "metrics");

	for (size_t i = 0; i < json_len(metrics); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		check_metric(c, &here, json_item(metrics, i));
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), ref_at = SPATH_FIELD(&at, "scaleTargetRef");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *max = json_get(spec, STR("maxReplicas"));
	const struct json *min = json_get(spec, STR("minReplicas"));

	(void)live;
	if (c->subresource) {
		rule_status_counts(c, next);
		return;
	}
	if (json_is(min, JSON_INT) && min->i < 1)
		rule_invalid(c, &at, "minReplicas", min, "must be greater than or equal to 1");
	if (json_int(max, 0) < 1)
		rule_invalid(c, &at, "maxReplicas", max, "must be greater than 0");
	else if (json_int(max, 0) < json_int(min, 1))
		rule_invalid(c, &at, "maxReplicas", max,
			     "must be greater than or equal to `minReplicas`");
	check_metrics(c, &at, json_get(spec, STR("metrics")));
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
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.validate = validate,
};
