/*
 * The figures for an autoscaler's turn: each of spec.metrics is fetched from the API that has it,
 * one after another, and judged by hpa_core.c. Must never end the turn because one metric can't be
 * had: the others may still scale up. On the controllers' loop; memory is the turn's.
 */
#include "controllers/hpa-internal.h"

#include <stdio.h>

#include "lib/base/codec.h"
#include "lib/base/quantity.h"

#define CUSTOM "custom.metrics.k8s.io"
#define EXTERNAL "external.metrics.k8s.io"

static const struct resource pod_metrics = {"metrics.k8s.io", "v1beta1", "pods", "PodMetrics",
					    true};

static void look_on(struct turn *t);

static const struct json *spec_of(const struct turn *t)
{
	return json_item(json_get(t->spec, STR("metrics")), t->metric);
}

/* ---- what came of one ---- */

static void failed(struct turn *t, const struct err *why)
{
	const struct json *m = spec_of(t);
	struct str name = json_str(json_get(hpa_source(m), STR("name")));
	struct str type = json_str(json_get(m, STR("type")));

	/* Its place stays: readers pair these with spec.metrics. */
	json_append(&t->a, t->statuses, json_build(&t->a, "{s:s}", "type", ""));
	if (t->failed++)
		return;
	t->first_failure = *why;
	t->first_reason = hpa_failed_reason(m);
	if (name.n)
		err_wrap(&t->first_failure, "failed to get %.*s %s metric value", STR_ARG(name),
			 str_is(type, "Resource") ? "resource" : "container");
	else
		err_wrap(&t->first_failure, "failed to get %.*s metric value", STR_ARG(type));
	hpa_turn_inactive(t, t->first_reason,
			  arena_printf(&t->a, "the HPA was unable to compute the replica count: %s",
				       why->msg));
}

static void judged(struct turn *t, const struct hpa_proposal *p)
{
	const struct json *m = spec_of(t);

	json_append(&t->a, t->statuses, hpa_metric_status(&t->a, m, p));
	if (t->best >= p->replicas)
		return;
	t->best = p->replicas;
	t->best_name = hpa_metric_name(&t->a, m);
}

static struct hpa_ask ask_of(struct turn *t)
{
	const struct json *source = hpa_source(spec_of(t));

	return (struct hpa_ask){.a = &t->a,
				.now_ns = t->now_ns,
				.pods = t->pods,
				.resource = json_str(json_get(source, STR("name"))),
				.container = json_str(json_get(source, STR("container"))),
				.replicas = t->replicas};
}

static void finish(struct turn *t, int rc, const struct hpa_proposal *p, const struct err *err)
{
	if (rc)
		failed(t, err);
	else
		judged(t, p);
	t->metric++;
	t->second_version = false;
}

/* ---- resources ---- */

static int judge_resource(struct turn *t, struct hpa_proposal *p, struct err *err)
{
	const struct json *source = hpa_source(spec_of(t)), *percent;
	struct hpa_ask q = ask_of(t);
	int64_t milli;
	int rc;

	if (hpa_samples(&t->a, t->pod_metrics, q.resource, q.container, &q, err))
		return err_wrap(err, "failed to get %.*s usage", STR_ARG(q.resource));
	percent = json_at(source, "target", "averageUtilization");
	if (!hpa_target(source, "averageValue", &milli) && !percent)
		return err_set(err, ERR_INVALID,
			       "invalid resource metric source: neither an average utilization "
			       "target nor an average value (usage) target was set");
	if (hpa_target(source, "averageValue", &milli))
		rc = hpa_by_average(&q, milli, p, err);
	else
		rc = hpa_by_utilization(&q, json_int(percent, 0), p, err);
	if (!rc)
		return 0;
	if (!q.nsamples)
		err_wrap(err, "unable to get metrics for resource %.*s", STR_ARG(q.resource));
	return err_wrap(err, "failed to get %.*s %s", STR_ARG(q.resource),
			percent ? "utilization" : "usage");
}

static void on_pod_metrics(void *arg, const struct api_answer *answer)
{
	struct turn *t = arg;
	struct hpa_proposal p = {0};
	struct err err = answer->err;
	struct str text = arena_str(&t->a, answer->body);

	t->call = NULL;
	if (!err.code)
		t->pod_metrics = json_parse(&t->a, text, NULL, &err);
	if (err.code)
		err_wrap(&err,
			 "failed to get %.*s utilization: unable to get metrics for resource "
			 "%.*s: unable to fetch metrics from resource metrics API",
			 STR_ARG(ask_of(t).resource), STR_ARG(ask_of(t).resource));
	finish(t, err.code || judge_resource(t, &p, &err) ? -1 : 0, &p, &err);
	look_on(t);
}

static void selector_query(const struct selector *s, const char *name, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	selector_write(s, &text);
	buf_printf(out, "%s=", name);
	url_escape(buf_view(&text), out);
}

/* These say whether the metric is done with; else a call is under way. */
static bool get_pod_metrics(struct turn *t)
{
	AUTO(buf) struct buf query = {0};
	struct hpa_proposal p = {0};
	struct err err = {0};

	if (t->pod_metrics) {
		int rc = judge_resource(t, &p, &err);

		finish(t, rc, &p, &err);
		return true;
	}
	selector_query(&t->selector, "labelSelector", &query);
	t->call = client_call(t->s->h->client,
			      &(struct api_call){.verb = API_LIST,
						 .resource = &pod_metrics,
						 .namespace = t->obj->namespace,
						 .query = arena_cstr(&t->a, buf_view(&query))},
			      on_pod_metrics, t);
	return false;
}

/* ---- other APIs: values by a path ---- */

static bool is_about(const struct json *m, const char *type)
{
	return str_is(json_str(json_get(m, STR("type"))), type);
}

static int object_path(struct turn *t, const struct json *source, struct buf *out, struct err *err)
{
	const struct json *o = json_get(source, STR("describedObject"));
	const struct resource *r =
		restmap_find(t->s->h->map, json_str_or(json_get(o, STR("apiVersion")), STR("v1")),
			     json_str(json_get(o, STR("kind"))));

	if (!r)
		return err_set(err, ERR_NOT_FOUND, "no matches for kind \"%.*s\"",
			       STR_ARG(json_str(json_get(o, STR("kind")))));
	if (str_is(str_c(r->kind), "Namespace")) {
		buf_puts(out, "/namespaces/");
		url_escape(json_str(json_get(o, STR("name"))), out);
		buf_puts(out, "/metrics/");
		return 0;
	}
	if (r->namespaced)
		buf_printf(out, "/namespaces/%.*s", STR_ARG(t->obj->namespace));
	buf_printf(out, "/%s%s%s/", r->plural, *r->group ? "." : "", r->group);
	url_escape(json_str(json_get(o, STR("name"))), out);
	buf_putc(out, '/');
	return 0;
}

static int value_path(struct turn *t, struct buf *out, struct err *err)
{
	const struct json *m = spec_of(t), *source = hpa_source(m);
	const struct json *choose = json_at(source, "metric", "selector");
	bool external = is_about(m, "External"), pods = is_about(m, "Pods");
	struct selector s = {0};

	if (external)
		buf_printf(out, "/apis/" EXTERNAL "/v1beta1/namespaces/%.*s/",
			   STR_ARG(t->obj->namespace));
	else
		buf_printf(out, "/apis/" CUSTOM "/%s", t->second_version ? "v1beta1" : "v1beta2");
	if (pods)
		buf_printf(out, "/namespaces/%.*s/pods/*/", STR_ARG(t->obj->namespace));
	if (!external && !pods && object_path(t, source, out, err))
		return -1;
	url_escape(json_str(json_at(source, "metric", "name")), out);
	buf_putc(out, '?');
	if (pods)
		selector_query(&t->selector, "labelSelector", out);
	if (!choose)
		return 0;
	if (selector_from_json(&t->a, choose, &s, err))
		return -1;
	buf_puts(out, pods ? "&" : "");
	selector_query(&s, external ? "labelSelector" : "metricLabelSelector", out);
	return 0;
}

static int64_t milli_of(const struct json *item)
{
	struct quantity q;

	return quantity_parse(json_str(json_get(item, STR("value"))), &q) ? 0 : quantity_milli(q);
}

static int judge_pods(struct turn *t, const struct json *items, struct hpa_proposal *p,
		      struct err *err)
{
	struct hpa_ask q = ask_of(t);
	struct hpa_sample *v = arena_array(&t->a, json_len(items) + 1, sizeof(*v));
	int64_t target = 0;

	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *item = json_item(items, i);

		v[i] = (struct hpa_sample){
			.pod = json_str(json_at(item, "describedObject", "name")),
			.milli = milli_of(item),
			.at_ns = meta_time_ns(json_get(item, STR("timestamp"))),
			.window_ns = count_of(json_get(item, STR("windowSeconds")), 60) *
				     INT64_C(1000000000)};
	}
	q.samples = v;
	q.nsamples = json_len(items);
	if (!q.nsamples)
		return err_set(err, ERR_NOT_FOUND, "no metrics returned from custom metrics API");
	(void)hpa_target(hpa_source(spec_of(t)), "averageValue", &target);
	return hpa_by_average(&q, target, p, err);
}

static int judge_values(struct turn *t, const struct json *list, struct hpa_proposal *p,
			struct err *err)
{
	const struct json *m = spec_of(t), *items = json_get(list, STR("items"));
	struct hpa_ask q = ask_of(t);
	int64_t sum = 0, target = 0;

	if (is_about(m, "Pods"))
		return judge_pods(t, items, p, err);
	if (!json_len(items))
		return err_set(err, ERR_NOT_FOUND, "no metrics returned from %s metrics API",
			       is_about(m, "External") ? "external" : "custom");
	for (size_t i = 0; i < json_len(items); i++)
		sum += milli_of(json_item(items, i));
	if (hpa_target(hpa_source(m), "averageValue", &target))
		return hpa_by_share(sum, target, t->shown, p, err);
	(void)hpa_target(hpa_source(m), "value", &target);
	return hpa_by_value(&q, sum, target, p, err);
}

static bool get_values(struct turn *t);

static void on_values(void *arg, const struct api_answer *answer)
{
	struct turn *t = arg;
	bool external = is_about(spec_of(t), "External");
	struct hpa_proposal p = {0};
	struct err err = answer->err;
	struct str text = arena_str(&t->a, answer->body);
	const struct json *list;

	t->call = NULL;
	if (answer->status == 404 && !external && !t->second_version) {
		t->second_version = true;
		if (get_values(t))
			look_on(t);
		return;
	}
	list = err.code ? NULL : json_parse(&t->a, text, NULL, &err);
	if (answer->status == 404)
		err_set(&err, ERR_NOT_FOUND,
			external ? "no external metrics API (" EXTERNAL ") registered"
				 : "no custom metrics API (" CUSTOM ") registered");
	if (!list)
		err_wrap(&err,
			 "unable to get metric %.*s: unable to fetch metrics from %s metrics "
			 "API",
			 STR_ARG(json_str(json_at(hpa_source(spec_of(t)), "metric", "name"))),
			 external ? "external" : "custom");
	finish(t, !list || judge_values(t, list, &p, &err) ? -1 : 0, &p, &err);
	look_on(t);
}

static bool get_values(struct turn *t)
{
	AUTO(buf) struct buf path = {0};
	struct err err = {0};

	if (!value_path(t, &path, &err)) {
		t->call = client_raw(t->s->h->client, arena_cstr(&t->a, buf_view(&path)),
				     "application/json", on_values, t);
		if (t->call)
			return false;
		err_set(&err, ERR_UNSUPPORTED, "this client reaches no metrics API");
	}
	finish(t, -1, NULL, &err);
	return true;
}

/* ---- one after another ---- */

static bool look_at(struct turn *t)
{
	const struct json *m = spec_of(t);
	struct err err = {0};

	if (is_about(m, "Resource") || is_about(m, "ContainerResource"))
		return get_pod_metrics(t);
	if (hpa_source(m))
		return get_values(t);
	err_set(&err, ERR_INVALID, "unknown metric source type \"%.*s\"",
		STR_ARG(json_str(json_get(m, STR("type")))));
	finish(t, -1, NULL, &err);
	return true;
}

/* A loop, for a spec may hold any number of them. */
static void look_on(struct turn *t)
{
	while (t->metric < json_len(json_get(t->spec, STR("metrics"))))
		if (!look_at(t))
			return;
	hpa_turn_measured(t);
}

void hpa_turn_measure(struct turn *t)
{
	t->best = -1;
	t->statuses = json_new(&t->a, JSON_ARRAY);
	look_on(t);
}
