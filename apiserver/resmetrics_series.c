/*
 * See resmetrics_series.h. What kubelets tell is not trusted further than to be numbers: a counter
 * that goes back, or a clock that does, makes no rate. Pure.
 */
#include "apiserver/resmetrics_series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define WINDOW (10 * NS_PER_S)    /* a rate is about the last so long, where it can be */
#define LOOK_BACK (90 * NS_PER_S) /* an older reading says nothing of now */
#define WINDOW_MIN (500 * NS_PER_MS)
#define SERIES_MAX 200000

/* ---- readings ---- */

void series_set_release(struct series_set *s)
{
	struct map_iter it = {0};

	while (map_next(&s->map, &it))
		free(it.value);
	map_release(&s->map);
}

void series_set_trim(struct series_set *s, int64_t since_ns)
{
	struct map_iter it = {0};

	while (map_next(&s->map, &it)) {
		struct series *x = it.value;

		if (x->v[x->n - 1].at_ns >= since_ns)
			continue;
		map_del(&s->map, it.key);
		free(x);
	}
}

static void begin(struct series *x, int64_t started_ns)
{
	x->n = 0;
	x->started_ns = started_ns;
	if (started_ns) /* a counter begins at nothing */
		x->v[x->n++] = (struct reading){.at_ns = started_ns};
}

void series_add(struct series_set *s, struct str key, int64_t started_ns, struct reading r)
{
	struct series *x = map_get(&s->map, key);
	const struct reading *last;

	if (!x && s->map.n >= SERIES_MAX)
		return;
	if (!x) {
		x = xalloc(sizeof(*x));
		begin(x, started_ns);
		map_set(&s->map, key, x);
	}
	last = x->n ? &x->v[x->n - 1] : NULL;
	if (x->started_ns != started_ns || (last && r.cpu_ns < last->cpu_ns))
		begin(x, started_ns);
	else if (last && r.at_ns <= last->at_ns)
		return;
	if (x->n == SERIES_READINGS) {
		memmove(x->v, x->v + 1, (SERIES_READINGS - 1) * sizeof(*x->v));
		x->n--;
	}
	x->v[x->n++] = r;
}

/* The oldest within the window; else the newest before it. */
static const struct reading *base_of(const struct series *x)
{
	const struct reading *now = &x->v[x->n - 1], *base = NULL;

	for (size_t i = x->n - 1; i-- > 0;) {
		int64_t age = now->at_ns - x->v[i].at_ns;

		if (age > LOOK_BACK || (base && age > WINDOW))
			break;
		if (age >= WINDOW_MIN)
			base = &x->v[i];
	}
	return base;
}

bool series_rate(const struct series_set *s, struct str key, struct rate *ret)
{
	const struct series *x = map_get(&s->map, key);
	const struct reading *base = x && x->n ? base_of(x) : NULL, *now;

	if (!base)
		return false;
	now = &x->v[x->n - 1];
	ret->at_ns = now->at_ns;
	ret->window_ns = now->at_ns - base->at_ns;
	ret->memory = now->memory;
	ret->nanocores = (uint64_t)((unsigned __int128)(now->cpu_ns - base->cpu_ns) * NS_PER_S /
				    (uint64_t)ret->window_ns);
	return true;
}

/* ---- a kubelet's Summary ---- */

struct str series_node_key(struct buf *b, struct str node)
{
	buf_reset(b);
	buf_printf(b, "node/%.*s", STR_ARG(node));
	return buf_view(b);
}

struct str series_container_key(struct buf *b, struct str uid, struct str container)
{
	buf_reset(b);
	buf_printf(b, "pod/%.*s/%.*s", STR_ARG(uid), STR_ARG(container));
	return buf_view(b);
}

static int64_t time_of(const struct json *v)
{
	int64_t ns;

	return time_parse(json_str(v), &ns) || ns < 0 ? 0 : ns;
}

static void take(struct series_set *s, struct str key, const struct json *o, bool ever)
{
	int64_t cpu = json_int(json_at(o, "cpu", "usageCoreNanoSeconds"), -1);
	int64_t memory = json_int(json_at(o, "memory", "workingSetBytes"), -1);
	int64_t at = time_of(json_at(o, "cpu", "time"));

	if (cpu >= 0 && memory >= 0 && at > 0)
		series_add(s, key, ever ? 0 : time_of(json_get(o, STR("startTime"))),
			   (struct reading){at, (uint64_t)cpu, (uint64_t)memory});
}

void series_take_summary(struct series_set *s, const struct json *summary)
{
	const struct json *node = json_get(summary, STR("node"));
	const struct json *pods = json_get(summary, STR("pods"));
	AUTO(buf) struct buf key = {0};

	take(s, series_node_key(&key, json_str(json_get(node, STR("nodeName")))), node, true);
	for (size_t i = 0; i < json_len(pods); i++) {
		const struct json *list = json_at(json_item(pods, i), "containers");
		struct str uid = json_str(json_at(json_item(pods, i), "podRef", "uid"));

		for (size_t j = 0; j < json_len(list); j++) {
			const struct json *c = json_item(list, j);
			struct str name = json_str(json_get(c, STR("name")));

			take(s, series_container_key(&key, uid, name), c, false);
		}
	}
}

/* ---- objects ---- */

static void put_quantity(struct arena *a, struct json *o, const char *key, __int128 nano,
			 enum quantity_format format)
{
	AUTO(buf) struct buf text = {0};

	quantity_format((struct quantity){nano, format}, &text);
	json_set_str(a, o, key, buf_view(&text));
}

static void put_usage(struct arena *a, struct json *o, const struct rate *r)
{
	struct json *usage = json_set_object(a, o, "usage");

	put_quantity(a, usage, "cpu", r->nanocores, QUANTITY_DECIMAL_SI);
	put_quantity(a, usage, "memory", (__int128)r->memory * NS_PER_S, QUANTITY_BINARY_SI);
}

static struct json *skeleton(struct arena *a, const char *kind, const struct json *of)
{
	const struct json *labels = json_at(of, "metadata", "labels");
	struct json *o = json_build(a, "{s:s,s:s,s:{s:S}}", "kind", kind, "apiVersion",
				    "metrics.k8s.io/v1beta1", "metadata", "name", meta_name(of));

	if (meta_namespace(of).n)
		json_set_str(a, json_get(o, STR("metadata")), "namespace", meta_namespace(of));
	if (json_len(labels))
		json_set(a, json_get(o, STR("metadata")), STR("labels"), labels);
	return o;
}

static void put_times(struct arena *a, struct json *o, const struct rate *r)
{
	AUTO(buf) struct buf window = {0};
	char text[TIME_TEXT_MAX];
	struct str at = time_format(r->at_ns, text);

	json_set_str(a, json_get(o, STR("metadata")), "creationTimestamp", at);
	json_set_str(a, o, "timestamp", at);
	duration_format(r->window_ns / NS_PER_MS * NS_PER_MS, &window);
	json_set_str(a, o, "window", buf_view(&window));
}

struct json *series_node_metrics(const struct series_set *s, struct arena *a, const struct json *of)
{
	AUTO(buf) struct buf key = {0};
	struct rate r;
	struct json *o;

	if (!series_rate(s, series_node_key(&key, meta_name(of)), &r))
		return NULL;
	o = skeleton(a, "NodeMetrics", of);
	put_times(a, o, &r);
	put_usage(a, o, &r);
	return o;
}

struct json *series_pod_metrics(const struct series_set *s, struct arena *a, const struct json *of,
				const struct json *stats)
{
	const struct json *list = json_get(stats, STR("containers"));
	struct json *o = skeleton(a, "PodMetrics", of), *containers;
	AUTO(buf) struct buf key = {0};
	struct rate whole = {0}, r;

	containers = json_new(a, JSON_ARRAY);
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_get(json_item(list, i), STR("name")));
		struct json *c;

		if (!series_rate(s, series_container_key(&key, meta_uid(of), name), &r))
			return NULL;
		c = json_append_object(a, containers);
		json_set_str(a, c, "name", name);
		put_usage(a, c, &r);
		whole.window_ns = i ? MIN(whole.window_ns, r.window_ns) : r.window_ns;
		whole.at_ns = i ? MIN(whole.at_ns, r.at_ns) : r.at_ns;
	}
	if (!json_len(list))
		return NULL;
	put_times(a, o, &whole);
	json_set(a, o, STR("containers"), containers);
	return o;
}
