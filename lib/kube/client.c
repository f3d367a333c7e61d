/*
 * What all API clients share: dispatch, the path and query of a call, the blocking form, and
 * errors out of Status objects. One loop.
 */
#include "lib/kube/client.h"

#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/client-internal.h"

struct client_call *client_call(struct client *c, const struct api_call *call, api_done *done,
				void *arg)
{
	return c->ops->call(c, call, done, arg);
}

struct client_call *client_raw(struct client *c, const char *path, const char *accept,
			       api_done *done, void *arg)
{
	return c->ops->raw ? c->ops->raw(c, path, accept, done, arg) : NULL;
}

void client_call_cancel(struct client *c, struct client_call *call)
{
	if (call)
		c->ops->call_cancel(c, call);
}

struct client_watch *client_watch(struct client *c, const struct watch_call *w)
{
	return c->ops->watch(c, w);
}

void client_watch_cancel(struct client *c, struct client_watch *w)
{
	if (w)
		c->ops->watch_cancel(c, w);
}

void client_free(struct client *c)
{
	if (c)
		c->ops->free(c);
}

/* ---- paths ---- */

static void resource_path(const struct resource *r, struct str namespace, struct buf *out)
{
	if (r->group[0])
		buf_printf(out, "/apis/%s/%s", r->group, r->version);
	else
		buf_printf(out, "/api/%s", r->version);
	if (r->namespaced && namespace.n) {
		buf_puts(out, "/namespaces/");
		url_escape(namespace, out);
	}
	buf_printf(out, "/%s", r->plural);
}

void client_query_add(struct buf *out, const char *name, struct str value)
{
	buf_putc(out, out->n && memchr(out->p, '?', out->n) ? '&' : '?');
	buf_puts(out, name);
	buf_putc(out, '=');
	url_escape(value, out);
}

static bool writes_fields(enum api_verb v)
{
	return v == API_CREATE || v == API_UPDATE || v == API_PATCH || v == API_APPLY;
}

void client_path(const struct api_call *call, const char *default_manager, struct buf *out)
{
	const char *manager = call->field_manager ? call->field_manager : default_manager;

	resource_path(call->resource, call->namespace, out);
	if (call->name.n) {
		buf_putc(out, '/');
		url_escape(call->name, out);
	}
	if (call->subresource)
		buf_printf(out, "/%s", call->subresource);
	if (call->query && call->query[0])
		buf_printf(out, "?%s", call->query);
	if (manager && writes_fields(call->verb))
		client_query_add(out, "fieldManager", str_c(manager));
	if (call->verb == API_APPLY && call->force)
		client_query_add(out, "force", STR("true"));
}

void client_watch_path(const struct watch_call *w, struct buf *out)
{
	resource_path(w->resource, w->namespace, out);
	buf_puts(out, "?watch=true&allowWatchBookmarks=true");
	buf_printf(out, "&resourceVersion=%llu", (unsigned long long)w->from);
	if (w->label_selector)
		client_query_add(out, "labelSelector", str_c(w->label_selector));
	if (w->field_selector)
		client_query_add(out, "fieldSelector", str_c(w->field_selector));
}

/* ---- errors ---- */

void client_status_error(int http, const struct json *status, struct err *ret)
{
	struct str reason = json_str(json_get(status, STR("reason")));
	struct str message = json_str(json_get(status, STR("message")));
	char name[64] = "";

	if (reason.n < sizeof(name))
		memcpy(name, reason.p ? reason.p : "", reason.n);
	if (message.n)
		err_set(ret, err_from_http(http, name[0] ? name : NULL), "%.*s",
			(int)MIN(message.n, 480), message.p);
	else
		err_set(ret, err_from_http(http, name[0] ? name : NULL),
			"the API server answered %d", http);
	ret->retry_after_s = (int)json_int(json_at(status, "details", "retryAfterSeconds"), 0);
}

void client_answer_error(int http, struct str body, struct err *ret)
{
	AUTO(arena) struct arena a = {0};
	struct err ignored = {0};

	client_status_error(http, json_parse(&a, body, NULL, &ignored), ret);
}

/* ---- blocking ---- */

struct sync {
	bool done;
	struct buf *body;
	struct err *err;
	int ret;
};

static void sync_done(void *arg, const struct api_answer *a)
{
	struct sync *s = arg;

	s->done = true;
	if (s->body)
		buf_str(s->body, a->body);
	if (a->err.code == ERR_NONE)
		return;
	s->ret = -1;
	if (s->err)
		*s->err = a->err;
}

int client_sync(struct client *c, const struct api_call *call, struct buf *ret, struct err *err)
{
	struct sync s = {.body = ret, .err = err};

	client_call(c, call, sync_done, &s);
	while (!s.done)
		loop_turn(c->loop, -1);
	return s.ret;
}
