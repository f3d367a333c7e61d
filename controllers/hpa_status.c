/* See hpa_core.h: the words for metrics, in status, conditions and events. Pure. */
#include "controllers/hpa_core.h"

#include "lib/base/quantity.h"

#include "lib/base/pure.h"

static const struct {
	const char *type, *member, *failed;
} types[] = {
	{"Resource", "resource", "FailedGetResourceMetric"},
	{"ContainerResource", "containerResource", "FailedGetContainerResourceMetric"},
	{"Pods", "pods", "FailedGetPodsMetric"},
	{"Object", "object", "FailedGetObjectMetric"},
	{"External", "external", "FailedGetExternalMetric"},
};

static size_t type_of(const struct json *m)
{
	struct str type = json_str(json_get(m, STR("type")));
	size_t i = 0;

	while (i < ARRAY_LEN(types) && !str_is(type, types[i].type))
		i++;
	return i;
}

const struct json *hpa_source(const struct json *m)
{
	size_t i = type_of(m);

	return i < ARRAY_LEN(types) ? json_get(m, str_c(types[i].member)) : NULL;
}

const char *hpa_failed_reason(const struct json *m)
{
	size_t i = type_of(m);

	return i < ARRAY_LEN(types) ? types[i].failed : "InvalidMetricSourceType";
}

bool hpa_target(const struct json *source, const char *field, int64_t *ret_milli)
{
	const struct json *v = json_get(json_get(source, STR("target")), str_c(field));
	struct quantity q;

	if (!v || quantity_parse(json_str(v), &q))
		return false;
	*ret_milli = quantity_milli(q);
	return true;
}

/* ---- status.currentMetrics ---- */

static void put_milli(struct arena *a, struct json *o, const char *key, int64_t milli)
{
	AUTO(buf) struct buf text = {0};

	quantity_format((struct quantity){(__int128)milli * 1000000, QUANTITY_DECIMAL_SI}, &text);
	json_set_str(a, o, key, buf_view(&text));
}

struct json *hpa_metric_status(struct arena *a, const struct json *m, const struct hpa_proposal *p)
{
	static const char *const kept[] = {"name", "container", "metric", "describedObject"};
	const struct json *source = hpa_source(m);
	struct json *o = json_new(a, JSON_OBJECT), *to, *current;
	bool value =
		json_at(source, "target", "value") && !json_at(source, "target", "averageValue");

	json_set_str(a, o, "type", json_str(json_get(m, STR("type"))));
	to = json_set_object(a, o, types[type_of(m)].member);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (json_get(source, str_c(kept[i])))
			json_set(a, to, str_c(kept[i]), json_get(source, str_c(kept[i])));
	current = json_set_object(a, to, "current");
	if (p->utilization >= 0)
		json_set_int(a, current, "averageUtilization", p->utilization);
	put_milli(a, current, value ? "value" : "averageValue", p->milli);
	return o;
}

/* ---- names ---- */

struct str hpa_metric_name(struct arena *a, const struct json *m)
{
	const struct json *source = hpa_source(m), *object;
	struct str name = json_str(json_get(source, STR("name")));
	struct str metric = json_str(json_at(source, "metric", "name"));

	object = json_get(source, STR("describedObject"));
	if (name.n && json_at(source, "target", "averageValue"))
		return arena_strf(a, "%.*s resource", STR_ARG(name));
	if (name.n)
		return arena_strf(a, "%.*s resource utilization (percentage of request)",
				  STR_ARG(name));
	if (object)
		return arena_strf(a, "%.*s metric %.*s",
				  STR_ARG(json_str(json_get(object, STR("kind")))),
				  STR_ARG(metric));
	if (str_is(json_str(json_get(m, STR("type"))), "Pods"))
		return arena_strf(a, "pods metric %.*s", STR_ARG(metric));
	return arena_strf(a, "external metric %.*s", STR_ARG(metric));
}
