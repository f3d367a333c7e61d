/*
 * HorizontalPodAutoscalers in their older versions. autoscaling/v1 knows one target, the CPU's; all
 * else is kept in annotations, in the terms of v2beta1, whose metrics are flat. Must give back on
 * the way in what it hid on the way out. Pure. Specification: pkg/apis/autoscaling/v1 (conversion).
 */
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/versions.h"

#include "lib/base/pure.h"

extern const struct kind kind_horizontalpodautoscaler;

#define KEPT(what) "autoscaling.alpha.kubernetes.io/" what

/* ---- metrics: where v2 has "target" (or "current") and "metric", v2beta1 has flat members ---- */

struct flat {
	const char *source;        /* which of a metric's members */
	const char *name;          /* in v2beta1 */
	const char *outer, *inner; /* in v2; outer NULL = beside */
};

static const struct flat wanted[] = {
	{"resource", "targetAverageUtilization", "target", "averageUtilization"},
	{"resource", "targetAverageValue", "target", "averageValue"},
	{"containerResource", "targetAverageUtilization", "target", "averageUtilization"},
	{"containerResource", "targetAverageValue", "target", "averageValue"},
	{"pods", "metricName", "metric", "name"},
	{"pods", "selector", "metric", "selector"},
	{"pods", "targetAverageValue", "target", "averageValue"},
	{"object", "target", NULL, "describedObject"},
	{"object", "metricName", "metric", "name"},
	{"object", "selector", "metric", "selector"},
	{"object", "targetValue", "target", "value"},
	{"object", "averageValue", "target", "averageValue"},
	{"external", "metricName", "metric", "name"},
	{"external", "metricSelector", "metric", "selector"},
	{"external", "targetValue", "target", "value"},
	{"external", "targetAverageValue", "target", "averageValue"},
	{0},
};

static const struct flat found[] = {
	{"resource", "currentAverageUtilization", "current", "averageUtilization"},
	{"resource", "currentAverageValue", "current", "averageValue"},
	{"containerResource", "currentAverageUtilization", "current", "averageUtilization"},
	{"containerResource", "currentAverageValue", "current", "averageValue"},
	{"pods", "metricName", "metric", "name"},
	{"pods", "selector", "metric", "selector"},
	{"pods", "currentAverageValue", "current", "averageValue"},
	{"object", "target", NULL, "describedObject"},
	{"object", "metricName", "metric", "name"},
	{"object", "selector", "metric", "selector"},
	{"object", "currentValue", "current", "value"},
	{"object", "averageValue", "current", "averageValue"},
	{"external", "metricName", "metric", "name"},
	{"external", "metricSelector", "metric", "selector"},
	{"external", "currentValue", "current", "value"},
	{"external", "currentAverageValue", "current", "averageValue"},
	{0},
};

static const char *const sources[] = {"resource", "containerResource", "pods", "object",
				      "external"};

static bool is_row(const struct flat *f, const char *source)
{
	return str_is(str_c(f->source), source);
}

static struct json *flatten(struct arena *a, const char *source, const struct json *v,
			    const struct flat *rows)
{
	struct json *out = json_new(a, JSON_OBJECT);

	for (size_t i = 0; i < json_len(v); i++)
		if (v->members[i].value.type != JSON_OBJECT)
			json_set(a, out, v->members[i].key, &v->members[i].value);
	for (; rows->source; rows++) {
		const struct json *at = rows->outer ? json_get(v, str_c(rows->outer)) : v,
				  *have = json_get(at, str_c(rows->inner));

		if (have && is_row(rows, source))
			json_set(a, out, str_c(rows->name), have);
	}
	return out;
}

/* v2 says of a target which of its values counts. */
static void set_type(struct arena *a, struct json *target, const char *source)
{
	const char *type = "AverageValue";

	if (json_get(target, STR("averageUtilization")))
		type = "Utilization";
	else if (json_get(target, STR("averageValue")))
		json_del(target, STR("value")); /* required there, and 0 when it doesn't count */
	else if (str_is(str_c(source), "object") || json_get(target, STR("value")))
		type = "Value";
	json_set_str(a, target, "type", str_c(type));
}

static struct json *unflatten(struct arena *a, const char *source, const struct json *v,
			      const struct flat *rows)
{
	struct json *out = json_new(a, JSON_OBJECT);

	for (size_t i = 0; i < json_len(v); i++) {
		const struct flat *f = rows;

		while (f->source && (!is_row(f, source) || !str_is(v->members[i].key, f->name)))
			f++;
		struct json *at = f->outer ? json_set_object(a, out, f->outer) : out;
		json_set(a, at, f->source ? str_c(f->inner) : v->members[i].key,
			 &v->members[i].value);
	}
	if (rows == wanted)
		set_type(a, json_set_object(a, out, "target"), source);
	else
		json_set_object(a, out, "current");
	return out;
}

static struct json *each_metric(struct arena *a, const struct json *list, const struct flat *rows,
				struct json *(*fn)(struct arena *, const char *,
						   const struct json *, const struct flat *))
{
	struct json *out = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *m = json_item(list, i);
		struct json *to;

		if (!json_is(m, JSON_OBJECT))
			continue;
		to = json_append_object(a, out);
		json_set_str(a, to, "type", json_str(json_get(m, STR("type"))));
		for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
			const struct json *v = json_get(m, str_c(sources[s]));

			if (json_is(v, JSON_OBJECT))
				json_set(a, to, str_c(sources[s]), fn(a, sources[s], v, rows));
		}
	}
	return out;
}

/* ---- v2beta1 ---- */

static void convert_list(struct arena *a, struct json *o, const char *field,
			 const struct flat *rows,
			 struct json *(*fn)(struct arena *, const char *, const struct json *,
					    const struct flat *))
{
	const struct json *list = json_get(o, str_c(field));

	if (json_is(list, JSON_ARRAY))
		json_set(a, o, str_c(field), each_metric(a, list, rows, fn));
}

static void keep_behavior(struct arena *a, struct json *o)
{
	struct json *spec = json_get(o, STR("spec"));
	const struct json *behavior = json_get(spec, STR("behavior"));

	if (!json_is(behavior, JSON_OBJECT))
		return;
	version_keep(a, o, KEPT("behavior"), behavior);
	json_del(json_get(o, STR("spec")), STR("behavior"));
}

static void take_behavior(struct arena *a, struct json *o)
{
	const struct json *behavior = version_take(a, o, KEPT("behavior"));

	if (json_is(behavior, JSON_OBJECT))
		json_set(a, json_set_object(a, o, "spec"), STR("behavior"), behavior);
}

static void v2beta1_from_stored(struct arena *a, struct json *o)
{
	convert_list(a, json_get(o, STR("spec")), "metrics", wanted, flatten);
	convert_list(a, json_get(o, STR("status")), "currentMetrics", found, flatten);
	keep_behavior(a, o);
}

static void v2beta1_to_stored(struct arena *a, struct json *o)
{
	convert_list(a, json_get(o, STR("spec")), "metrics", wanted, unflatten);
	convert_list(a, json_get(o, STR("status")), "currentMetrics", found, unflatten);
	take_behavior(a, o);
}

/* ---- v1 ---- */

/* The CPU's average utilization among metrics, taken off the list; NULL when there is none. */
static const struct json *take_cpu(struct json *list, const char *holder)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *r = json_get(json_item(list, i), STR("resource")),
				  *n = json_at(r, holder, "averageUtilization");

		if (!n || !str_is(json_str(json_get(r, STR("name"))), "cpu"))
			continue;
		json_remove(list, i);
		return n;
	}
	return NULL;
}

static void hide_metrics(struct arena *a, struct json *o, const char *part, const char *field)
{
	bool spec = str_is(str_c(part), "spec");
	struct json *list = json_at(o, part, field);
	const struct json *cpu = take_cpu(list, spec ? "target" : "current");
	const char *annotation = spec ? KEPT("metrics") : KEPT("current-metrics");

	if (cpu)
		json_set(a, json_get(o, str_c(part)),
			 spec ? STR("targetCPUUtilizationPercentage")
			      : STR("currentCPUUtilizationPercentage"),
			 cpu);
	list = json_at(o, part, field);
	if (json_len(list))
		version_keep(a, o, annotation,
			     each_metric(a, list, spec ? wanted : found, flatten));
	json_del(json_get(o, str_c(part)), str_c(field));
}

static void v1_from_stored(struct arena *a, struct json *o)
{
	const struct json *conditions = json_at(o, "status", "conditions");

	keep_behavior(a, o);
	hide_metrics(a, o, "spec", "metrics");
	hide_metrics(a, o, "status", "currentMetrics");
	if (json_len(conditions))
		version_keep(a, o, KEPT("conditions"), conditions);
	json_del(json_get(o, STR("status")), STR("conditions"));
}

static void show_metrics(struct arena *a, struct json *o, const char *part, const char *field)
{
	bool spec = str_is(str_c(part), "spec");
	const char *annotation = spec ? KEPT("metrics") : KEPT("current-metrics");
	const struct json *kept = version_take(a, o, annotation);
	struct str name = spec ? STR("targetCPUUtilizationPercentage")
			       : STR("currentCPUUtilizationPercentage");
	const struct json *cpu = json_at(o, part, name.p);
	struct json *list = json_is(kept, JSON_ARRAY)
				    ? each_metric(a, kept, spec ? wanted : found, unflatten)
				    : json_new(a, JSON_ARRAY);

	if (cpu)
		json_insert(a, list, 0,
			    spec ? json_build(a, "{s:s,s:{s:s,s:{s:s,s:o}}}", "type", "Resource",
					      "resource", "name", "cpu", "target", "type",
					      "Utilization", "averageUtilization", cpu)
				 : json_build(a, "{s:s,s:{s:s,s:{s:o}}}", "type", "Resource",
					      "resource", "name", "cpu", "current",
					      "averageUtilization", cpu));
	json_del(json_get(o, str_c(part)), name);
	if (json_len(list))
		json_set(a, json_set_object(a, o, part), str_c(field), list);
}

static void v1_to_stored(struct arena *a, struct json *o)
{
	const struct json *conditions = version_take(a, o, KEPT("conditions"));

	show_metrics(a, o, "spec", "metrics");
	show_metrics(a, o, "status", "currentMetrics");
	if (json_is(conditions, JSON_ARRAY))
		json_set(a, json_set_object(a, o, "status"), STR("conditions"), conditions);
	take_behavior(a, o);
}

const struct kind kind_horizontalpodautoscaler_v1 = {
	.group = "autoscaling",
	.version = "v1",
	.kind = "HorizontalPodAutoscaler",
	.plural = "horizontalpodautoscalers",
	.stored = &kind_horizontalpodautoscaler,
	.schema_name = "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
	.from_stored = v1_from_stored,
	.to_stored = v1_to_stored,
};

const struct kind kind_horizontalpodautoscaler_v2beta1 = {
	.group = "autoscaling",
	.version = "v2beta1",
	.kind = "HorizontalPodAutoscaler",
	.plural = "horizontalpodautoscalers",
	.stored = &kind_horizontalpodautoscaler,
	.schema_name = "io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscaler",
	.from_stored = v2beta1_from_stored,
	.to_stored = v2beta1_to_stored,
};
