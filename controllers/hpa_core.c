/*
 * See hpa_core.h: replicas by one metric. Pods that are not ready yet, or that nothing is known of,
 * count in the direction that scales less, so that neither a slow start nor a hole in the figures
 * moves anything. Pure; memory is the caller's arena.
 */
#include "controllers/hpa_core.h"

#include <math.h>

#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define TOLERANCE 0.1
#define CPU_SETTLES (300 * NS_PER_S) /* after a pod's start, its CPU time is looked at closely */
#define READINESS_SETTLES (30 * NS_PER_S) /* not ready since then means: never was */

/* Figures come from outside: sums and times stay where they can be added to. */
#define FIGURE_MAX (INT64_MAX / 4)

static int64_t sum_of(int64_t a, int64_t b)
{
	return MIN(MIN(a, FIGURE_MAX) + MIN(b, FIGURE_MAX), FIGURE_MAX);
}

static int64_t when(const struct json *text)
{
	return MIN(MAX(meta_time_ns(text), 0), FIGURE_MAX);
}

/* ---- the figures ---- */

static int container_milli(const struct json *c, struct str resource, int64_t *ret)
{
	struct quantity q;
	const struct json *v = json_get(json_get(c, STR("usage")), resource);

	if (!v || quantity_parse(json_str(v), &q))
		return -1;
	*ret = MAX(quantity_milli(q), 0);
	return 0;
}

/* 1 = it has a sample, 0 = none. */
static int pod_milli(const struct json *pod, struct str resource, struct str container,
		     int64_t *ret, struct err *err)
{
	const struct json *list = json_get(pod, STR("containers"));
	int64_t sum = 0, milli;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_item(list, i);
		bool is_it = str_eq(json_str(json_get(c, STR("name"))), container);

		if (container.n && !is_it)
			continue;
		if (container_milli(c, resource, &milli))
			return 0;
		if (is_it && container.n) {
			*ret = milli;
			return 1;
		}
		sum = sum_of(sum, milli);
	}
	if (container.n)
		return err_set(err, ERR_NOT_FOUND,
			       "container %.*s not present in metrics for pod %.*s/%.*s",
			       STR_ARG(container), STR_ARG(meta_namespace(pod)),
			       STR_ARG(meta_name(pod)));
	*ret = sum;
	return 1;
}

int hpa_samples(struct arena *a, const struct json *list, struct str resource, struct str container,
		struct hpa_ask *ret, struct err *err)
{
	const struct json *items = json_get(list, STR("items"));
	struct hpa_sample *v = arena_array(a, json_len(items) + 1, sizeof(*v));

	ret->samples = v;
	ret->nsamples = 0;
	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *pod = json_item(items, i);
		struct hpa_sample s = {.pod = meta_name(pod)};
		int has = pod_milli(pod, resource, container, &s.milli, err);

		if (has < 0)
			return -1;
		s.at_ns = when(json_get(pod, STR("timestamp")));
		(void)!duration_parse(json_str(json_get(pod, STR("window"))), &s.window_ns);
		s.window_ns = MIN(MAX(s.window_ns, 0), FIGURE_MAX);
		if (has)
			v[ret->nsamples++] = s;
	}
	return 0;
}

/* ---- the pods ---- */

enum fate { FATE_READY, FATE_UNREADY, FATE_MISSING, FATE_IGNORED };

/* A pod beside what is known of it. */
struct seen {
	const struct json *pod;
	const struct hpa_sample *sample;
	enum fate fate;
	int64_t milli, request; /* as it counts; thousandths */
};

struct crowd {
	struct seen *v;
	size_t n, ready, unready, missing;
};

static bool cpu_unready(const struct hpa_ask *q, const struct json *pod, const struct hpa_sample *s)
{
	const struct json *c = condition_find(pod, "Ready");
	int64_t start = when(json_at(pod, "status", "startTime"));
	int64_t since = when(json_get(c, STR("lastTransitionTime")));
	bool is_false = str_is(json_str(json_get(c, STR("status"))), "False");

	if (!c || !start)
		return true;
	if (start + CPU_SETTLES > q->now_ns)
		return is_false || s->at_ns < since + s->window_ns;
	return is_false && start + READINESS_SETTLES > since;
}

static enum fate fate_of(const struct hpa_ask *q, const struct json *pod,
			 const struct hpa_sample *s)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	if (meta_deleting(pod) || str_is(phase, "Failed"))
		return FATE_IGNORED;
	if (str_is(phase, "Pending"))
		return FATE_UNREADY;
	if (!s)
		return FATE_MISSING;
	if (str_is(q->resource, "cpu") && cpu_unready(q, pod, s))
		return FATE_UNREADY;
	return FATE_READY;
}

static const struct hpa_sample *sample_of(const struct hpa_ask *q, struct str pod)
{
	for (size_t i = 0; i < q->nsamples; i++)
		if (str_eq(q->samples[i].pod, pod))
			return &q->samples[i];
	return NULL;
}

static int group(const struct hpa_ask *q, struct crowd *ret, struct err *err)
{
	struct crowd c = {.v = arena_array(q->a, q->pods.n + 1, sizeof(struct seen))};

	if (!q->nsamples)
		return err_set(err, ERR_NOT_FOUND, "no metrics returned from resource metrics API");
	if (!q->pods.n)
		return err_set(err, ERR_NOT_FOUND,
			       "no pods returned by selector while calculating replica count");
	for (size_t i = 0; i < q->pods.n; i++) {
		const struct json *pod = q->pods.v[i];
		struct seen *s = &c.v[c.n++];

		*s = (struct seen){.pod = pod, .sample = sample_of(q, meta_name(pod))};
		s->fate = fate_of(q, pod, s->sample);
		s->milli = s->fate == FATE_READY ? s->sample->milli : 0;
		c.ready += s->fate == FATE_READY;
		c.unready += s->fate == FATE_UNREADY;
		c.missing += s->fate == FATE_MISSING;
	}
	*ret = c;
	return 0;
}

/* ---- requests ---- */

static int add_request(const struct hpa_ask *q, const struct json *pod, const struct json *c,
		       int64_t *sum, struct err *err)
{
	struct str name = json_str(json_get(c, STR("name")));
	const struct json *v = json_get(json_at(c, "resources", "requests"), q->resource);
	struct quantity quantity;

	if (q->container.n && !str_eq(name, q->container))
		return 0;
	if (!v || quantity_parse(json_str(v), &quantity))
		return err_set(err, ERR_INVALID,
			       "missing request for %.*s in container %.*s of "
			       "Pod %.*s",
			       STR_ARG(q->resource), STR_ARG(name), STR_ARG(meta_name(pod)));
	*sum = sum_of(*sum, MAX(quantity_milli(quantity), 0));
	return 0;
}

static int pod_request(const struct hpa_ask *q, struct seen *s, struct err *err)
{
	const struct json *main = json_at(s->pod, "spec", "containers");
	const struct json *init = json_at(s->pod, "spec", "initContainers");

	for (size_t i = 0; i < json_len(main); i++)
		if (add_request(q, s->pod, json_item(main, i), &s->request, err))
			return -1;
	for (size_t i = 0; i < json_len(init); i++) {
		const struct json *c = json_item(init, i);

		if (str_is(json_str(json_get(c, STR("restartPolicy"))), "Always") &&
		    add_request(q, s->pod, c, &s->request, err))
			return -1;
	}
	return 0;
}

/* ---- ratios ---- */

/* What there is over what should be, of the pods that count. target: percent when by_request, else
 * thousandths. */
struct measure {
	const struct crowd *c;
	bool by_request;
	int64_t target;
	bool with_missing, with_unready; /* these count, too */
};

static bool counts(const struct measure *m, const struct seen *s)
{
	return s->fate == FATE_READY || (m->with_missing && s->fate == FATE_MISSING) ||
	       (m->with_unready && s->fate == FATE_UNREADY);
}

static size_t ratio_of(const struct measure *m, double *ret, struct hpa_proposal *what)
{
	__int128 sum = 0, requests = 0;
	size_t n = 0;

	for (size_t i = 0; i < m->c->n; i++) {
		const struct seen *s = &m->c->v[i];

		if (!counts(m, s))
			continue;
		sum += s->milli;
		requests += s->request;
		n++;
	}
	what->utilization = -1;
	what->milli = n ? (int64_t)(sum / (int64_t)n) : 0;
	*ret = 0;
	if (m->by_request && requests > 0) {
		what->utilization = (int64_t)MIN(sum * 100 / requests, HPA_COUNT_MAX);
		*ret = (double)what->utilization / (double)m->target;
	} else if (!m->by_request && n) {
		*ret = (double)what->milli / (double)m->target;
	}
	return m->by_request && requests <= 0 ? 0 : n;
}

static bool tolerable(double ratio)
{
	return fabs(1.0 - ratio) <= TOLERANCE;
}

static int64_t up(double replicas)
{
	double n = ceil(replicas);

	return n < (double)HPA_COUNT_MAX ? (int64_t)n : HPA_COUNT_MAX;
}

/* Scaling down, the unknown are taken to use all that they may; scaling up, nothing. */
static void assume(struct crowd *c, const struct measure *m, bool down)
{
	for (size_t i = 0; i < c->n; i++) {
		struct seen *s = &c->v[i];

		if (s->fate == FATE_MISSING && down)
			s->milli =
				m->by_request ? s->request * MAX(100, m->target) / 100 : m->target;
	}
}

static void propose(const struct hpa_ask *q, struct crowd *c, struct measure *m, double ratio,
		    struct hpa_proposal *ret)
{
	struct hpa_proposal ignored;
	double again;
	size_t n;

	m->with_unready = c->unready && ratio > 1.0;
	ret->replicas = q->replicas;
	if (!m->with_unready && !c->missing) {
		if (!tolerable(ratio))
			ret->replicas = up(ratio * (double)c->ready);
		return;
	}
	m->with_missing = true;
	assume(c, m, ratio < 1.0);
	n = ratio_of(m, &again, &ignored);
	if (tolerable(again) || (ratio < 1.0) != (again < 1.0))
		return;
	n = (size_t)up(again * (double)n);
	if ((again < 1.0) == ((int64_t)n <= q->replicas))
		ret->replicas = (int64_t)n;
}

static int by_average(const struct hpa_ask *q, bool by_request, int64_t target,
		      struct hpa_proposal *ret, struct err *err)
{
	struct crowd c = {0};
	struct measure m = {.c = &c, .by_request = by_request, .target = target};
	double ratio;

	if (target < 1)
		return err_set(err, ERR_INVALID, "the target is not above 0");
	if (group(q, &c, err))
		return -1;
	for (size_t i = 0; by_request && i < c.n; i++)
		if (pod_request(q, &c.v[i], err))
			return -1;
	if (!c.ready)
		return err_set(err, ERR_NOT_FOUND,
			       "did not receive metrics for targeted pods "
			       "(pods might be unready)");
	if (!ratio_of(&m, &ratio, ret))
		return err_set(err, ERR_NOT_FOUND, "no metrics returned matched known pods");
	propose(q, &c, &m, ratio, ret);
	return 0;
}

int hpa_by_utilization(const struct hpa_ask *q, int64_t percent, struct hpa_proposal *ret,
		       struct err *err)
{
	return by_average(q, true, percent, ret, err);
}

int hpa_by_average(const struct hpa_ask *q, int64_t target_milli, struct hpa_proposal *ret,
		   struct err *err)
{
	return by_average(q, false, target_milli, ret, err);
}

/* ---- single values ---- */

static int64_t ready_pods(const struct hpa_ask *q)
{
	int64_t n = 0;

	for (size_t i = 0; i < q->pods.n; i++) {
		const struct json *pod = q->pods.v[i];

		n += str_is(json_str(json_at(pod, "status", "phase")), "Running") && pod_ready(pod);
	}
	return n;
}

int hpa_by_value(const struct hpa_ask *q, int64_t milli, int64_t target_milli,
		 struct hpa_proposal *ret, struct err *err)
{
	double ratio = (double)milli / (double)target_milli;

	if (target_milli < 1)
		return err_set(err, ERR_INVALID, "the target is not above 0");
	*ret = (struct hpa_proposal){.replicas = q->replicas, .milli = milli, .utilization = -1};
	if (!q->replicas)
		ret->replicas = up(ratio);
	else if (!tolerable(ratio))
		ret->replicas = up(ratio * (double)ready_pods(q));
	return 0;
}

int hpa_by_share(int64_t milli, int64_t target_milli, int64_t shown, struct hpa_proposal *ret,
		 struct err *err)
{
	double ratio;

	if (target_milli < 1)
		return err_set(err, ERR_INVALID, "the target is not above 0");
	ratio = shown ? (double)milli / ((double)target_milli * (double)shown) : 0;
	*ret = (struct hpa_proposal){.replicas = shown, .milli = milli, .utilization = -1};
	if (!shown || !tolerable(ratio))
		ret->replicas = up((double)milli / (double)target_milli);
	if (shown)
		ret->milli = up((double)milli / (double)shown);
	return 0;
}
