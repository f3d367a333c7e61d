/*
 * A small API server behind struct client, for testing what drives calls itself (scheduler,
 * garbage collection, namespace deletion, the whole of controllers) on a virtual clock. It keeps
 * objects in a list and every change in a log that watches read; answers take a millisecond. It
 * knows uids, revisions, preconditions, finalizers, propagation and bindings; it does not
 * validate or default.
 */
#ifndef MINIAPI_H
#define MINIAPI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/list.h"
#include "lib/base/timefmt.h"
#include "lib/json/patch.h"
#include "lib/kube/client.h"
#include "lib/kube/resources.h"

enum { MINI_MAX = 2000 };

struct mini_event {
	const struct resource *r;
	enum watch_event type;
	struct obj *o;
};
struct mini {
	struct client client;
	struct loop *loop;
	struct arena arena;
	struct {
		const struct resource *r;
		struct json *tree;
	} v[MINI_MAX];
	size_t n;
	struct mini_event log[20 * MINI_MAX];
	size_t nlog;
	struct list calls, watches;
	bool graceful_pods; /* a placed pod's deletion only marks it */
	bool no_new_pods;   /* they are refused, as by a quota */
	int lose_answers;   /* of the next so many writes */
	size_t binds, refused;
	size_t under_way, most_under_way; /* calls, but for those in the background */
};

struct client_call {
	struct list all;
	struct mini *m;
	struct loop_timer timer;
	api_done *done;
	void *arg;
	struct arena arena;
	struct api_call call;
};
struct client_watch {
	struct list all;
	struct mini *m;
	struct loop_timer timer;
	struct watch_call call;
	struct str namespace;
	size_t at;
};

#define MINI_DELAY NS_PER_MS

static struct json *mini_find(struct mini *m, const struct resource *r, struct str ns,
			      struct str name, size_t *ret_at)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].r == r && str_eq(meta_name(m->v[i].tree), name) &&
		    (!r->namespaced || str_eq(meta_namespace(m->v[i].tree), ns))) {
			if (ret_at)
				*ret_at = i;
			return m->v[i].tree;
		}
	return NULL;
}

static const struct json *mini_get(struct mini *m, const struct resource *r, const char *ns,
				   const char *name)
{
	return mini_find(m, r, str_c(ns), str_c(name), NULL);
}

static void mini_deliver(struct loop *l, struct loop_timer *t)
{
	struct client_watch *w = CONTAINER_OF(t, struct client_watch, timer);
	struct mini *m = w->m;
	struct mini_event *e;

	while (w->at < m->nlog) {
		e = &m->log[w->at++];
		if (e->r != w->call.resource)
			continue;
		if (w->namespace.n && !str_eq(w->namespace, e->o->namespace))
			continue;
		/* One event a turn: the watch may be cancelled inside. */
		loop_timer_set(l, t, 0, mini_deliver);
		w->call.event(w->call.arg, e->type, e->o);
		return;
	}
}

static void mini_log(struct mini *m, const struct resource *r, enum watch_event type,
		     const struct json *tree)
{
	struct err err = {0};

	assert_true(m->nlog < ARRAY_LEN(m->log));
	m->log[m->nlog++] = (struct mini_event){r, type, obj_from_json(tree, &err)};
	LIST_FOREACH (it, &m->watches) {
		struct client_watch *w = CONTAINER_OF(it, struct client_watch, all);

		if (!loop_timer_armed(&w->timer))
			loop_timer_set(m->loop, &w->timer, MINI_DELAY, mini_deliver);
	}
}

static void mini_stamp(struct mini *m, struct json *o)
{
	json_set_str(&m->arena, json_set_object(&m->arena, o, "metadata"), "resourceVersion",
		     arena_strf(&m->arena, "%zu", m->nlog + 1));
}

static struct json *mini_create(struct mini *m, const struct resource *r, const struct json *from)
{
	struct json *o = json_copy(&m->arena, from);
	struct json *meta = json_set_object(&m->arena, o, "metadata");
	char text[TIME_TEXT_MAX];

	assert_true(m->n < MINI_MAX);
	mini_stamp(m, o);
	if (!meta_uid(o).n)
		json_set_str(&m->arena, meta, "uid", arena_strf(&m->arena, "u%zu", m->nlog + 1));
	json_set_str(&m->arena, meta, "creationTimestamp", time_format(loop_wall(m->loop), text));
	json_set_int(&m->arena, meta, "generation", 1);
	m->v[m->n].r = r;
	m->v[m->n++].tree = o;
	mini_log(m, r, WATCH_ADDED, o);
	return o;
}

static void mini_drop(struct mini *m, size_t at)
{
	const struct resource *r = m->v[at].r;
	struct json *o = m->v[at].tree;

	memmove(&m->v[at], &m->v[at + 1], (m->n - at - 1) * sizeof(m->v[0]));
	m->n--;
	mini_stamp(m, o);
	mini_log(m, r, WATCH_DELETED, o);
}

/* Stores what is new at `at`; one that is being deleted and has no finalizers left goes. */
static void mini_store(struct mini *m, size_t at, struct json *o)
{
	bool deleting = json_at(o, "metadata", "deletionTimestamp") != NULL;
	bool ns_done = m->v[at].r != &res_namespaces || !json_len(json_at(o, "spec", "finalizers"));
	bool pod_done = m->v[at].r != &res_pods || !m->graceful_pods;

	if (!json_equal(json_at(o, "spec"), json_at(m->v[at].tree, "spec")))
		json_set_int(&m->arena, json_set_object(&m->arena, o, "metadata"), "generation",
			     json_int(json_at(o, "metadata", "generation"), 1) + 1);
	m->v[at].tree = o;
	if (deleting && !json_len(json_at(o, "metadata", "finalizers")) && ns_done && pod_done) {
		mini_drop(m, at);
		return;
	}
	mini_stamp(m, o);
	mini_log(m, m->v[at].r, WATCH_MODIFIED, o);
}

static void mini_delete(struct mini *m, size_t at, const struct json *options)
{
	struct json *o = json_copy(&m->arena, m->v[at].tree);
	struct json *meta = json_set_object(&m->arena, o, "metadata");
	struct str policy = json_str(json_at(options, "propagationPolicy"));
	char text[TIME_TEXT_MAX];

	if (!json_at(meta, "deletionTimestamp"))
		json_set_str(&m->arena, meta, "deletionTimestamp",
			     time_format(loop_wall(m->loop), text));
	if (str_is(policy, "Foreground"))
		json_append_str(&m->arena, json_set_array(&m->arena, meta, "finalizers"),
				STR("foregroundDeletion"));
	if (str_is(policy, "Orphan"))
		json_append_str(&m->arena, json_set_array(&m->arena, meta, "finalizers"),
				STR("orphan"));
	if (m->v[at].r == &res_pods && json_int(json_at(options, "gracePeriodSeconds"), 30) == 0 &&
	    !json_len(json_at(meta, "finalizers")))
		mini_drop(m, at);
	else
		mini_store(m, at, o);
}

/* ---- calls ---- */

static int mini_error(struct api_answer *a, int status, enum err_code code, const char *text)
{
	a->status = status;
	return err_set(&a->err, code, "%s", text);
}

static bool mini_stale(const struct json *have, const struct json *want)
{
	struct str revision = json_str(json_at(want, "resourceVersion"));
	struct str uid = json_str(json_at(want, "uid"));

	return (revision.n &&
		!str_eq(revision, json_str(json_at(have, "metadata", "resourceVersion")))) ||
	       (uid.n && !str_eq(uid, meta_uid(have)));
}

static int mini_bind(struct mini *m, size_t at, const struct json *body, struct api_answer *a)
{
	struct json *o = json_copy(&m->arena, m->v[at].tree);

	if (json_str(json_at(o, "spec", "nodeName")).n) {
		m->refused++;
		return mini_error(a, 409, ERR_CONFLICT, "already assigned");
	}
	json_set_str(&m->arena, json_set_object(&m->arena, o, "spec"), "nodeName",
		     json_str(json_at(body, "target", "name")));
	mini_store(m, at, o);
	m->binds++;
	a->status = 201;
	return 0;
}

static struct json *mini_updated(struct mini *m, const struct api_call *c, const struct json *was,
				 const struct json *body)
{
	struct json *o;

	if (c->verb == API_PATCH)
		return patch_merge(&m->arena, was, body);
	o = json_copy(&m->arena, c->subresource ? was : body);
	if (c->subresource && !strcmp(c->subresource, "status"))
		json_set(&m->arena, o, STR("status"),
			 json_copy(&m->arena, json_at(body, "status")));
	else if (c->subresource)
		json_set(&m->arena, o, STR("spec"), json_copy(&m->arena, json_at(body, "spec")));
	else if (json_at(was, "status"))
		json_set(&m->arena, o, STR("status"), json_at(was, "status"));
	else
		json_del(o, STR("status"));
	return o;
}

static struct json *mini_list(struct mini *m, const struct api_call *c, struct arena *a)
{
	struct json *list = json_build(a, "{s:{s:S}, s:[]}", "metadata", "resourceVersion",
				       arena_strf(a, "%zu", m->nlog), "items");
	struct str name = STR_NONE;
	const char *field = c->query ? strstr(c->query, "metadata.name%3D") : NULL;

	if (field)
		name = (struct str){field + 16, strcspn(field + 16, "&")};
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].r == c->resource &&
		    (!c->namespace.n || str_eq(c->namespace, meta_namespace(m->v[i].tree))) &&
		    (!name.n || str_eq(name, meta_name(m->v[i].tree))))
			json_append(a, json_set_array(a, list, "items"), m->v[i].tree);
	return list;
}

static int mini_write(struct mini *m, const struct api_call *c, const struct json *body,
		      struct api_answer *a, const struct json **ret)
{
	struct json *was, *new;
	size_t at;

	if (c->verb == API_CREATE && !c->subresource) {
		if (mini_find(m, c->resource, c->namespace, meta_name(body), NULL))
			return mini_error(a, 409, ERR_EXISTS, "exists");
		if (m->no_new_pods && c->resource == &res_pods) {
			m->refused++;
			return mini_error(a, 403, ERR_FORBIDDEN, "exceeded quota");
		}
		*ret = mini_create(m, c->resource, body);
		return 0;
	}
	was = mini_find(m, c->resource, c->namespace, c->name, &at);
	if (!was)
		return mini_error(a, 404, ERR_NOT_FOUND, "not found");
	*ret = was;
	if (c->verb == API_GET)
		return 0;
	if (mini_stale(was, c->verb == API_DELETE ? json_at(body, "preconditions")
						  : json_at(body, "metadata")))
		return mini_error(a, 409, ERR_CONFLICT, "changed");
	if (c->verb == API_DELETE) {
		mini_delete(m, at, body);
		return 0;
	}
	if (c->subresource && !strcmp(c->subresource, "binding"))
		return mini_bind(m, at, body, a);
	new = mini_updated(m, c, was, body);
	mini_store(m, at, new);
	*ret = new;
	return 0;
}

static void mini_call_free(struct client_call *c)
{
	list_remove(&c->all);
	c->m->under_way -= !c->call.background;
	loop_timer_cancel(c->m->loop, &c->timer);
	arena_release(&c->arena);
	free(c);
}

static void mini_answer(struct loop *l, struct loop_timer *t)
{
	struct client_call *c = CONTAINER_OF(t, struct client_call, timer);
	struct api_answer a = {.status = 200};
	const struct json *body = NULL, *result = NULL;
	AUTO(buf) struct buf text = {0};
	struct err err = {0};

	(void)l;
	if (c->call.body.n)
		body = json_parse(&c->arena, c->call.body, NULL, &err);
	if (c->call.verb == API_LIST)
		result = mini_list(c->m, &c->call, &c->arena);
	else
		(void)mini_write(c->m, &c->call, body, &a, &result);
	if (result)
		json_write(result, &text);
	a.body = buf_view(&text);
	if (c->call.verb > API_LIST && c->m->lose_answers > 0 && c->call.resource != &res_events) {
		c->m->lose_answers--;
		a = (struct api_answer){0};
		err_set(&a.err, ERR_IO, "connection lost");
	}
	c->done(c->arg, &a);
	mini_call_free(c);
}

static struct client_call *mini_call(struct client *client, const struct api_call *call,
				     api_done *done, void *arg)
{
	struct client_call *c = xalloc(sizeof(*c));
	struct mini *m = CONTAINER_OF(client, struct mini, client);

	c->m = m;
	c->done = done;
	c->arg = arg;
	c->call = *call;
	c->call.body = arena_str(&c->arena, call->body);
	c->call.namespace = arena_str(&c->arena, call->namespace);
	c->call.name = arena_str(&c->arena, call->name);
	if (call->query)
		c->call.query = arena_cstr(&c->arena, str_c(call->query));
	list_append(&m->calls, &c->all);
	m->under_way += !call->background;
	m->most_under_way = MAX(m->most_under_way, m->under_way);
	loop_timer_set(m->loop, &c->timer, MINI_DELAY, mini_answer);
	return c;
}

/* As HTTP: what was sent is carried out, its answer goes nowhere. */
static void mini_nobody(void *arg, const struct api_answer *a)
{
	(void)arg;
	(void)a;
}

static void mini_call_cancel(struct client *client, struct client_call *c)
{
	(void)client;
	c->done = mini_nobody;
}

static struct client_watch *mini_watch(struct client *client, const struct watch_call *call)
{
	struct client_watch *w = xalloc(sizeof(*w));
	struct mini *m = CONTAINER_OF(client, struct mini, client);

	w->m = m;
	w->call = *call;
	w->namespace = call->namespace;
	w->at = call->from;
	list_append(&m->watches, &w->all);
	loop_timer_set(m->loop, &w->timer, MINI_DELAY, mini_deliver);
	return w;
}

static void mini_watch_cancel(struct client *client, struct client_watch *w)
{
	(void)client;
	list_remove(&w->all);
	loop_timer_cancel(w->m->loop, &w->timer);
	free(w);
}

static const struct client_ops mini_ops = {
	.call = mini_call,
	.call_cancel = mini_call_cancel,
	.watch = mini_watch,
	.watch_cancel = mini_watch_cancel,
};

static struct mini *mini_new(void)
{
	struct mini *m = xalloc(sizeof(*m));

	m->loop = loop_new_virtual(1700000000 * NS_PER_S);
	m->client = (struct client){.ops = &mini_ops, .loop = m->loop, .field_manager = "test"};
	list_init(&m->calls);
	list_init(&m->watches);
	return m;
}

static void mini_free(struct mini *m)
{
	LIST_FOREACH (it, &m->calls)
		mini_call_free(CONTAINER_OF(it, struct client_call, all));
	assert_true(list_empty(&m->watches));
	for (size_t i = 0; i < m->nlog; i++)
		obj_unref(m->log[i].o);
	loop_free(m->loop);
	arena_release(&m->arena);
	free(m);
}

static struct json *mini_json(struct mini *m, const char *text)
{
	char *copy = arena_cstr(&m->arena, str_c(text));
	struct err err = {0};
	struct json *v;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	v = json_parse(&m->arena, str_c(copy), NULL, &err);
	if (!v)
		fail_msg("%s in %s", err.msg, copy);
	return v;
}

static struct json *mini_add(struct mini *m, const struct resource *r, const char *text)
{
	return mini_create(m, r, mini_json(m, text));
}

/* What a person or kubelet changes. */
static void mini_merge(struct mini *m, const struct resource *r, const char *ns, const char *name,
		       const char *patch)
{
	size_t at;
	struct json *was = mini_find(m, r, str_c(ns), str_c(name), &at);

	assert_non_null(was);
	mini_store(m, at, patch_merge(&m->arena, was, mini_json(m, patch)));
}

static void mini_remove(struct mini *m, const struct resource *r, const char *ns, const char *name,
			const char *policy)
{
	size_t at;

	assert_non_null(mini_find(m, r, str_c(ns), str_c(name), &at));
	mini_delete(m, at,
		    json_build(&m->arena, "{s:s, s:i}", "propagationPolicy", policy,
			       "gracePeriodSeconds", 0));
}

static size_t mini_count(const struct mini *m, const struct resource *r)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->v[i].r == r;
	return n;
}

UNUSED static void mini_unused(void)
{
	(void)mini_free;
	(void)mini_new;
	(void)mini_add;
	(void)mini_merge;
	(void)mini_remove;
	(void)mini_count;
	(void)mini_get;
}

#endif
