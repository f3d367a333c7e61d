/*
 * What kubelets and metrics APIs tell: figures from outside, by which somebody's pods are scaled.
 * The input is JSON: {"summary": a kubelet's Summary, "pods": […], "metrics": a list of PodMetrics,
 * "spec": a HorizontalPodAutoscaler's}. Nothing may crash, and no verdict leaves its bounds.
 */
#include <stddef.h>
#include <stdint.h>

#include "apiserver/resmetrics_series.h"
#include "controllers/hpa_core.h"
#include "lib/base/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NOW (INT64_C(1700000000) * NS_PER_S)

static void look_at_summary(struct arena *a, const struct json *summary)
{
	struct series_set s = {0};
	const struct json *pods = json_get(summary, STR("pods"));

	series_take_summary(&s, summary);
	series_take_summary(&s, summary);
	(void)series_node_metrics(&s, a, summary);
	for (size_t i = 0; i < json_len(pods); i++)
		(void)series_pod_metrics(&s, a, json_item(pods, i), json_item(pods, i));
	series_set_trim(&s, NOW);
	series_set_release(&s);
}

static void check(const struct json *spec, struct hpa_memory *m, int64_t current, int64_t wanted)
{
	int64_t min = hpa_min(spec), max = hpa_max(spec);
	struct hpa_verdict v = {0};

	if (current < min || current > max) /* decided before */
		return;
	hpa_remember(m, NOW, current);
	hpa_limit(spec, m, NOW, current, wanted, &v);
	assert(v.replicas >= min && v.replicas <= max);
	assert(v.able_reason && v.limited_reason);
	hpa_note(spec, m, NOW, current, v.replicas);
}

static void scale(struct arena *a, const struct json *v, const struct json *metric,
		  struct hpa_memory *memory)
{
	const struct json *list = json_get(v, STR("pods")), *source = hpa_source(metric);
	struct hpa_ask q = {.a = a, .now_ns = NOW, .resource = STR("cpu"), .replicas = 3};
	struct hpa_proposal p = {0};
	struct err err = {0};
	const struct json **pods = arena_array(a, json_len(list) + 1, sizeof(*pods));
	int64_t milli = 1;

	for (size_t i = 0; i < json_len(list); i++)
		pods[i] = json_item(list, i);
	q.pods = (struct json_set_view){pods, json_len(list)};
	(void)hpa_target(source, "averageValue", &milli);
	if (hpa_samples(a, json_get(v, STR("metrics")), q.resource, STR_NONE, &q, &err))
		return;
	for (int way = 0; way < 4; way++) {
		int rc = way == 0   ? hpa_by_utilization(&q, milli, &p, &err)
			 : way == 1 ? hpa_by_average(&q, milli, &p, &err)
			 : way == 2 ? hpa_by_value(&q, milli, 1000, &p, &err)
				    : hpa_by_share(milli, 1000, 3, &p, &err);

		if (rc)
			continue;
		assert(p.replicas >= 0 && p.replicas <= HPA_COUNT_MAX);
		check(json_get(v, STR("spec")), memory, 3, p.replicas);
		if (source)
			(void)hpa_metric_status(a, metric, &p);
	}
	(void)hpa_metric_name(a, metric);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	const struct json *v = json_parse(&a, (struct str){(const char *)data, n}, NULL, NULL);
	const struct json *metrics = json_at(v, "spec", "metrics");
	struct hpa_memory memory = {0};

	if (!v)
		return 0;
	look_at_summary(&a, json_get(v, STR("summary")));
	for (size_t i = 0; i < json_len(metrics) && i < 8; i++)
		scale(&a, v, json_item(metrics, i), &memory);
	hpa_memory_release(&memory);
	return 0;
}
