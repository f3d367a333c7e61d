/*
 * What an autoscaler makes of figures: how many replicas one metric asks for (hpa_core.c), and what
 * rules, history and limits make of that (hpa_limits.c). Values are in thousandths, as quantities
 * of metrics are compared. Pure. Specification: Kubernetes' documentation of horizontal pod
 * autoscaling, "Algorithm details" and "Configurable scaling behavior".
 */
#ifndef PLUMB_CONTROLLERS_HPA_CORE_H
#define PLUMB_CONTROLLERS_HPA_CORE_H

#include "controllers/common.h"

#define HPA_COUNT_MAX INT64_C(2147483647)

/* ---- one metric ---- */

/* What was measured of one pod. */
struct hpa_sample {
	struct str pod;
	int64_t milli;
	int64_t at_ns, window_ns;
};

struct hpa_ask {
	struct arena *a;
	int64_t now_ns;
	struct json_set_view pods; /* those that the target's selector picks */
	struct str resource;       /* "cpu"; STR_NONE when the metric is no resource */
	struct str container;      /* only this one's requests count; STR_NONE = all */
	int64_t replicas;          /* that the target has been told to have */
	const struct hpa_sample *samples;
	size_t nsamples;
};

struct hpa_proposal {
	int64_t replicas;
	int64_t milli;       /* what there is: an average, or the value itself */
	int64_t utilization; /* percent of the requests; -1 = not asked for */
};

/* The samples in a list of PodMetrics for a resource, of one container or all. -1 with err when a
 * pod has no such container. A pod that lacks the resource in a container has no sample. */
MUST_USE int hpa_samples(struct arena *a, const struct json *list, struct str resource,
			 struct str container, struct hpa_ask *ret, struct err *err);

/* Average use as a percentage of the requests. */
MUST_USE int hpa_by_utilization(const struct hpa_ask *q, int64_t percent, struct hpa_proposal *ret,
				struct err *err);
/* An average value for each pod. */
MUST_USE int hpa_by_average(const struct hpa_ask *q, int64_t target_milli, struct hpa_proposal *ret,
			    struct err *err);
/* One value that is to be as big as the target, whatever pods there are. */
MUST_USE int hpa_by_value(const struct hpa_ask *q, int64_t milli, int64_t target_milli,
			  struct hpa_proposal *ret, struct err *err);
/* One value that the pods share; `shown` replicas are there. */
MUST_USE int hpa_by_share(int64_t milli, int64_t target_milli, int64_t shown,
			  struct hpa_proposal *ret, struct err *err);

/* ---- limits ---- */

struct hpa_event {
	int64_t at_ns, n; /* a recommendation, or by how many replicas it was scaled */
};
struct hpa_events {
	struct hpa_event *v;
	size_t n, cap;
};
/* What is remembered of an autoscaler between its turns. A zeroed one is new. */
struct hpa_memory {
	struct hpa_events recommended, up, down;
};
void hpa_memory_release(struct hpa_memory *m);

struct hpa_verdict {
	int64_t replicas;
	const char *able_reason, *able_message; /* condition AbleToScale, which is True */
	bool limited;                           /* condition ScalingLimited */
	const char *limited_reason, *limited_message;
};

/* At the beginning of a turn: what there is counts as recommended when nothing else is known. */
void hpa_remember(struct hpa_memory *m, int64_t now_ns, int64_t replicas);
/* From `current` towards `wanted`, as far as the HorizontalPodAutoscaler's spec lets it go. */
void hpa_limit(const struct json *spec, struct hpa_memory *m, int64_t now_ns, int64_t current,
	       int64_t wanted, struct hpa_verdict *ret);
/* It was scaled. */
void hpa_note(const struct json *spec, struct hpa_memory *m, int64_t now_ns, int64_t from,
	      int64_t to);
int64_t hpa_min(const struct json *spec);
int64_t hpa_max(const struct json *spec);

/* ---- what is said of it (hpa_status.c) ---- */

/* The status of the metric `m` of spec.metrics, for status.currentMetrics. */
struct json *hpa_metric_status(struct arena *a, const struct json *m, const struct hpa_proposal *p);
/* "cpu resource utilization (percentage of request)": what events call it. */
struct str hpa_metric_name(struct arena *a, const struct json *m);
/* The member of a metric that holds its source: "resource" of {"type": "Resource", "resource": …}.
 */
const struct json *hpa_source(const struct json *m);
/* "FailedGetResourceMetric", by the metric's type. */
const char *hpa_failed_reason(const struct json *m);
/* A target's quantity in thousandths; false when it isn't set. */
bool hpa_target(const struct json *source, const char *field, int64_t *ret_milli);

#endif
