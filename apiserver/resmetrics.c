/*
 * See resmetrics.h. A request for metrics.k8s.io waits in the front while every node that is Ready
 * is asked once; who has no earlier reading is asked a second time a second later. What comes of it
 * stands in the kinds' tables, and the core answers as for any kind: selectors, Tables, pages.
 * Must never hold a request for longer than a kubelet that doesn't answer may take. The core's
 * thread; a round's memory is the round's.
 */
#include "apiserver/resmetrics.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/resmetrics_series.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/kube/nodename.h"

#define GROUP "metrics.k8s.io"
#define FRESH (2 * NS_PER_S)  /* what is no older is answered again */
#define SETTLE (1 * NS_PER_S) /* between the two readings of a first rate */
#define FORGET (90 * NS_PER_S)
#define TIMEOUT (3 * NS_PER_S)
#define SUMMARY_MAX ((size_t)16 << 20)
#define KUBELET_PORT 10250

/* One kubelet that is being asked, or has answered. */
struct asked {
	struct list all;
	struct resmetrics *m;
	char *node;
	struct http_client *client;
	struct buf text; /* its Summary */
};

struct resmetrics {
	struct front *f;
	struct series_set series;
	struct list asked;
	size_t running;       /* kubelets that have not answered yet */
	unsigned round;       /* 0 = nobody is being asked */
	int64_t published_ns; /* loop's clock; 0 = never */
	struct loop_timer next;
	bool dying;
};

static const struct kind *kind_of(const struct resmetrics *m, const char *group, const char *plural)
{
	const char *version = *group ? "v1beta1" : "v1";

	return core_kind_find(m->f->o.core, str_c(group), str_c(version), str_c(plural));
}

static void asked_free(struct asked *k)
{
	list_remove(&k->all);
	http_client_free(k->client);
	buf_release(&k->text);
	free(k->node);
	free(k);
}

/* ---- the tables ---- */

struct rows {
	struct obj **v;
	size_t n, cap;
};

static void rows_add(struct rows *r, const struct json *o)
{
	struct err err = {0};
	struct obj *x = o ? obj_from_json(o, &err) : NULL;

	if (!x)
		return;
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 32;
		r->v = xreallocarray(r->v, r->cap, sizeof(*r->v));
	}
	r->v[r->n++] = x;
}

static void add_pod(struct resmetrics *m, struct rows *pods, const struct json *stats)
{
	AUTO(arena) struct arena a = {0};
	const struct json *ref = json_get(stats, STR("podRef"));
	const struct obj *o = core_get(m->f->o.core, kind_of(m, "", "pods"),
				       json_str(json_get(ref, STR("namespace"))),
				       json_str(json_get(ref, STR("name"))));

	if (o && str_eq(o->uid, json_str(json_get(ref, STR("uid")))))
		rows_add(pods, series_pod_metrics(&m->series, &a, obj_tree(o, &a), stats));
}

static void add_answer(struct resmetrics *m, const struct asked *k, struct rows *nodes,
		       struct rows *pods)
{
	AUTO(arena) struct arena a = {0};
	const struct json *summary = json_parse(&a, buf_view(&k->text), NULL, NULL);
	const struct obj *o =
		core_get(m->f->o.core, kind_of(m, "", "nodes"), STR_NONE, str_c(k->node));
	const struct json *list = json_get(summary, STR("pods"));

	if (!summary || !o)
		return;
	rows_add(nodes, series_node_metrics(&m->series, &a, obj_tree(o, &a)));
	for (size_t i = 0; i < json_len(list); i++)
		add_pod(m, pods, json_item(list, i));
}

static void go_on(struct front *f)
{
	LIST_FOREACH (it, &f->in_core) {
		struct front_req *r = CONTAINER_OF(it, struct front_req, link);

		if (!r->awaits_metrics)
			continue;
		r->awaits_metrics = false;
		core_submit(f->o.core, &r->core);
	}
	front_turn(f);
}

static void publish(struct resmetrics *m)
{
	struct loop *l = m->f->o.loop;
	struct rows nodes = {0}, pods = {0};

	LIST_FOREACH (it, &m->asked)
		add_answer(m, CONTAINER_OF(it, struct asked, all), &nodes, &pods);
	core_show(m->f->o.core, kind_of(m, GROUP, "nodes"), nodes.v, nodes.n);
	core_show(m->f->o.core, kind_of(m, GROUP, "pods"), pods.v, pods.n);
	free(nodes.v);
	free(pods.v);
	LIST_FOREACH (it, &m->asked)
		asked_free(CONTAINER_OF(it, struct asked, all));
	series_set_trim(&m->series, loop_wall(l) - FORGET);
	m->round = 0;
	m->published_ns = loop_now(l);
	go_on(m->f);
}

/* ---- asking ---- */

static void ask_all(struct resmetrics *m);

static void on_next(struct loop *l, struct loop_timer *t)
{
	(void)l;
	ask_all(CONTAINER_OF(t, struct resmetrics, next));
}

/* Whether a node that answered has no rate yet: all its containers are then as new to us, or
 * younger than what they are measured over. */
static bool is_incomplete(const struct resmetrics *m)
{
	AUTO(buf) struct buf key = {0};
	struct rate r;

	LIST_FOREACH (it, &m->asked) {
		const struct asked *k = CONTAINER_OF(it, struct asked, all);

		if (k->text.n &&
		    !series_rate(&m->series, series_node_key(&key, str_c(k->node)), &r))
			return true;
	}
	return false;
}

static void on_round_end(struct loop *l, struct loop_timer *t)
{
	struct resmetrics *m = CONTAINER_OF(t, struct resmetrics, next);

	if (m->round == 1 && is_incomplete(m))
		loop_timer_set(l, t, SETTLE, on_next);
	else
		publish(m);
}

static void on_summary(void *arg, const struct http_answer *a)
{
	AUTO(arena) struct arena arena = {0};
	struct asked *k = arg;
	struct resmetrics *m = k->m;
	struct json *v;

	if (m->dying)
		return;
	buf_reset(&k->text);
	if (a->status == 200)
		buf_str(&k->text, a->body);
	else
		log_debug("a kubelet tells nothing of what is used", "node", k->node);
	v = json_parse(&arena, buf_view(&k->text), NULL, NULL);
	if (v && str_is(json_str(json_at(v, "node", "nodeName")), k->node))
		series_take_summary(&m->series, v);
	else
		buf_reset(&k->text);
	if (--m->running == 0) /* clients are freed there, and this one is at work */
		loop_timer_set(m->f->o.loop, &m->next, 0, on_round_end);
}

static struct str address_of(const struct json *status)
{
	const struct json *list = json_get(status, STR("addresses"));

	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_get(json_item(list, i), STR("type"))), "InternalIP"))
			return json_str(json_get(json_item(list, i), STR("address")));
	return STR_NONE;
}

static void ask(struct asked *k)
{
	k->m->running++;
	http_client_call(k->client, &(struct http_call){.method = "GET",
							.path = STR("/stats/summary"),
							.timeout_ns = TIMEOUT,
							.max_body = SUMMARY_MAX,
							.done = on_summary,
							.arg = k});
}

static void begin_node(void *arg, const struct obj *o)
{
	struct resmetrics *m = arg;
	AUTO(arena) struct arena a = {0};
	const struct json *node = obj_tree(o, &a), *status = json_get(node, STR("status"));
	struct http_client_opts opts = {
		.host = arena_printf(&a, "%.*s" KUBELET_NAME_END, STR_ARG(o->name)),
		.connect_to = arena_cstr(&a, address_of(status)),
		.port = (int)json_int(json_at(status, "daemonEndpoints", "kubeletEndpoint", "Port"),
				      KUBELET_PORT),
		.lookup_apart = true,
		.tls = m->f->o.kubelet_tls};
	struct err err = {0};
	struct asked *k;

	if (!*opts.connect_to ||
	    !str_is(json_str(json_at(condition_find(node, "Ready"), "status")), "True"))
		return;
	k = xalloc(sizeof(*k));
	*k = (struct asked){.m = m, .node = xstrndup(o->name.p, o->name.n)};
	list_init(&k->all);
	k->client = http_client_new(m->f->o.loop, &opts, &err);
	list_append(&m->asked, &k->all);
	if (!k->client)
		asked_free(k);
}

static void ask_all(struct resmetrics *m)
{
	m->round++;
	LIST_FOREACH (it, &m->asked)
		ask(CONTAINER_OF(it, struct asked, all));
	if (!m->running)
		loop_timer_set(m->f->o.loop, &m->next, 0, on_round_end);
}

bool resmetrics_serve(struct front_req *r)
{
	struct resmetrics *m = r->f->resmetrics;
	const struct core_req *c = &r->core;
	int64_t now = loop_now(r->f->o.loop);

	if (!str_is(c->group, GROUP) || (c->verb != CORE_GET && c->verb != CORE_LIST) ||
	    !core_kind_find(r->f->o.core, c->group, c->version, c->resource) ||
	    !r->f->o.kubelet_tls || (m->published_ns && now - m->published_ns < FRESH))
		return false;
	r->awaits_metrics = true;
	front_flow_leave(r); /* seats are for those that keep the core busy */
	r->state = FRONT_CORE;
	list_append(&r->f->in_core, &r->link);
	if (m->round)
		return true;
	core_each(r->f->o.core, kind_of(m, "", "nodes"), begin_node, m);
	ask_all(m);
	return true;
}

/* ---- life ---- */

struct resmetrics *resmetrics_new(struct front *f)
{
	struct resmetrics *m = xalloc(sizeof(*m));

	m->f = f;
	list_init(&m->asked);
	return m;
}

void resmetrics_free(struct resmetrics *m)
{
	if (!m)
		return;
	m->dying = true;
	loop_timer_cancel(m->f->o.loop, &m->next);
	LIST_FOREACH (it, &m->asked)
		asked_free(CONTAINER_OF(it, struct asked, all));
	series_set_release(&m->series);
	free(m);
}
