/*
 * The front's traffic: from the HTTP server's threads, which read and authenticate requests, to
 * the core's thread, which serves them in batches, one transaction each, and back. Must never
 * touch the core from a connection's thread, nor block either.
 *
 * A request's memory is its HTTP request's arena. The core's thread holds a reference from the
 * moment it is queued until front_done(), so a client that leaves early takes nothing away; it
 * only sends word (left), upon which the core drops the request.
 */
#include "apiserver/front.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/aggregate.h"
#include "apiserver/discovery.h"
#include "apiserver/front-internal.h"
#include "apiserver/oidc.h"
#include "apiserver/resmetrics.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"
#include "lib/schema/proto.h"

#define THREADS_MAX 4
#define INFLIGHT_READ 4000
#define INFLIGHT_WRITE 2000
#define READ_AHEAD_MAX ((size_t)64 << 10) /* bytes of a body */
#define DRAIN_NS (300 * NS_PER_MS)
#define ENDED_MANY 500              /* streams */
#define GIVE_BACK_NS (2 * NS_PER_S) /* after so many have ended */

static void drain(void *arg);

/* ---- to the core's thread ---- */

static void wake(struct front *f, bool first)
{
	if (first)
		loop_post(f->o.loop, drain, f);
}

static void enqueue(struct front_req *r)
{
	struct front *f = r->f;

	http_req_ref(r->http);
	pthread_mutex_lock(&f->lock);
	*f->queue_end = r;
	f->queue_end = &r->next;
	bool first = !f->posted;
	f->posted = true;
	pthread_mutex_unlock(&f->lock);
	wake(f, first);
}

static void on_gone(struct http_req *h)
{
	struct front_req *r = h->user;
	struct front *f = r->f;

	r->client_left = true;
	if (r->call)
		kubelet_client_left(r);
	http_req_ref(h);
	pthread_mutex_lock(&f->lock);
	*f->left_end = r;
	f->left_end = &r->left_next;
	bool first = !f->posted;
	f->posted = true;
	pthread_mutex_unlock(&f->lock);
	wake(f, first);
}

static void on_drained(struct http_req *h)
{
	struct front_req *r = h->user;

	if (r->call)
		kubelet_drained(r);
}

/* ---- on the connection's thread ---- */

static bool is_mutating(struct str method)
{
	return !str_is(method, "GET") && !str_is(method, "HEAD");
}

static bool is_allowed(struct str method, bool resource, bool proxied)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (str_is(method, methods[i]))
			return true;
	}
	return ((!resource || proxied) && str_is(method, "HEAD")) ||
	       (proxied && str_is(method, "OPTIONS"));
}

/* Fair shares are dealt out on the core's thread (front_flow.c); this is about memory alone. */
static bool too_many(struct front *f, const struct admission_user *u, bool mutating)
{
	size_t limit = mutating ? INFLIGHT_WRITE : INFLIGHT_READ;

	return !user_in_group(u, "system:masters") &&
	       atomic_load_explicit(&f->inflight[mutating], memory_order_relaxed) >= limit;
}

/* The core reads JSON; the other form is turned into it here, beside the core's thread. */
static void convert_body(struct front_req *r)
{
	AUTO(buf) struct buf text = {0};
	struct err err = {0};

	if (!str_starts(r->core.content_type, STR("application/vnd.kubernetes.protobuf")))
		return;
	struct json *v = proto_decode(&r->http->arena, r->core.body, &err);
	if (!v) {
		r->bad_body = arena_printf(&r->http->arena, "%s", err.msg);
		return;
	}
	json_write(v, &text);
	r->core.body = arena_str(&r->http->arena, buf_view(&text));
	r->core.content_type = STR("application/json");
}

/* JSON is read here, beside the core's thread; what is wrong with it the core will say. Only what
 * is small: a tree takes several times its text, and hundreds may wait. */
static void read_body(struct front_req *r)
{
	struct arena *a = &r->http->arena;
	struct json_limits limits = {0};
	struct str type, rest;

	str_cut(r->core.content_type, ';', &type, &rest);
	type = str_trim(type);
	if (!r->resource || !r->mutating || !r->core.body.n || r->core.body.n > READ_AHEAD_MAX ||
	    str_is(r->core.subresource, "proxy") || (type.n && !str_ends(type, STR("json"))))
		return;
	r->core.repeats = limits.repeats = arena_alloc(a, sizeof(*limits.repeats));
	r->core.read = json_parse(a, r->core.body, &limits, NULL);
}

static void fill_core_req(struct front_req *r)
{
	struct http_req *h = r->http;

	r->core.query = h->query;
	r->core.content_type = http_header(&h->headers, "Content-Type");
	r->core.body = h->body;
	r->core.form = r->accepts.form;
	r->core.form_version = r->accepts.form_version;
	r->core.user_agent = http_header(&h->headers, "User-Agent");
	r->core.sink = &front_sink;
	r->core.may_create = front_may_create;
	r->core.user_data = r;
	r->core.arena = &h->arena;
}

static void refuse(struct http_req *h, enum err_code code, const char *msg)
{
	struct err err = {0};

	err_set(&err, code, "%s", msg);
	if (code == ERR_TOO_MANY)
		err.retry_after_s = 1;
	front_status(h, &err, NULL);
}

static void on_keys(void *arg);

/* Whom to trust, told to everybody: who joins knows its hash, and asks before knowing us. */
static bool tell_authority(const struct front *f, struct http_req *h)
{
	if (!str_is(h->path, "/cacerts") || !str_is(h->method, "GET") || !f->o.ca.n)
		return false;
	http_reply_bytes(
		h, &(struct http_reply){.status = 200, .content_type = "application/x-pem-file"},
		f->o.ca);
	return true;
}

static void receive(struct front_req *r)
{
	struct front *f = r->f;
	struct http_req *h = r->http;
	struct err err = {0};

	if (tell_authority(f, h))
		return;
	if (authn_request(&f->authn, h, loop_wall(h->loop) / NS_PER_S, &r->who, &err)) {
		if (err.code == ERR_UNAVAILABLE && !r->asked_again) {
			http_req_ref(h);
			oidc_fetch_wait(f->authn.oidc_fetch, on_keys, r);
			return;
		}
		log_debug("request without an identity", "remote", h->remote, "why", err.msg);
		refuse(h, ERR_UNAUTHORIZED, "Unauthorized");
		front_audit_stranger(r);
		return;
	}
	r->mutating = is_mutating(h->method);
	if (too_many(f, &r->who.user, r->mutating)) {
		metric_add(metric_with(f->refused, r->mutating ? "mutating" : "readOnly",
				       (char *)NULL),
			   1);
		refuse(h, ERR_TOO_MANY, "too many requests, please try again later");
		return;
	}
	accept_parse(http_header(&h->headers, "Accept"), &r->accepts);
	r->core.arena = &h->arena;
	r->resource = core_route(h->method, h->path, h->query, &r->core);
	if (!is_allowed(h->method, r->resource, str_is(r->core.subresource, "proxy"))) {
		refuse(h, ERR_METHOD_NOT_ALLOWED,
		       "the server does not allow this method on the requested resource");
		return;
	}
	fill_core_req(r);
	convert_body(r);
	read_body(r);
	r->counted = true;
	atomic_fetch_add_explicit(&f->inflight[r->mutating], 1, memory_order_relaxed);
	h->gone = on_gone;
	h->drained = on_drained;
	enqueue(r);
}

static void on_request(void *arg, struct http_req *h)
{
	struct front_req *r = arena_alloc(&h->arena, sizeof(*r));

	r->f = arg;
	r->http = h;
	h->user = r;
	receive(r);
}

static void receive_again(void *arg)
{
	struct front_req *r = arg;
	struct http_req *h = r->http;

	r->asked_again = true;
	receive(r);
	http_req_unref(h);
}

/* The main thread: the issuer has been asked. */
static void on_keys(void *arg)
{
	struct front_req *r = arg;

	loop_post(r->http->loop, receive_again, r);
}

/* ---- on the core's thread ---- */

void front_uncount(struct front_req *r)
{
	front_flow_leave(r);
	if (r->counted)
		atomic_fetch_sub_explicit(&r->f->inflight[r->mutating], 1, memory_order_relaxed);
	r->counted = false;
}

static void on_give_back(struct loop *l, struct loop_timer *t)
{
	struct front *f = CONTAINER_OF(t, struct front, give_back);

	(void)l;
	f->nended = 0;
	malloc_trim(0);
}

/* Thousands of connections leave holes all over the heap, which the allocator keeps by itself. */
static void count_ended(struct front *f)
{
	if (++f->nended >= ENDED_MANY && !loop_timer_armed(&f->give_back))
		loop_timer_set(f->o.loop, &f->give_back, GIVE_BACK_NS, on_give_back);
}

void front_done(struct front_req *r, int status)
{
	struct http_req *h = r->http;

	front_uncount(r);
	if (r->state == FRONT_CORE)
		list_remove(&r->link);
	if (status)
		front_measure(r, status);
	front_audit_end(r, status ? status : r->streaming ? 200 : 0);
	front_flow_forget(r);
	if (r->streaming)
		count_ended(r->f);
	r->state = FRONT_DONE;
	http_req_unref(h);
}

static void client_left(struct front_req *r)
{
	struct http_req *h = r->http;

	if (r->state == FRONT_CORE) {
		core_cancel(r->f->o.core, &r->core);
		front_done(r, 0);
	} else if (r->state == FRONT_WAITS) {
		front_done(r, 0);
	}
	http_req_unref(h);
}

static void drain(void *arg)
{
	struct front *f = arg;

	pthread_mutex_lock(&f->lock);
	struct front_req *queue = f->queue, *left = f->left;
	f->queue = f->left = NULL;
	f->queue_end = &f->queue;
	f->left_end = &f->left;
	f->posted = false;
	pthread_mutex_unlock(&f->lock);

	while (queue) {
		struct front_req *r = queue;
		queue = r->next;
		front_serve(r);
	}
	while (left) {
		struct front_req *r = left;
		left = r->left_next;
		client_left(r);
	}
	front_turn(f);
}

static void on_due(struct loop *l, struct loop_timer *t)
{
	struct front *f = CONTAINER_OF(t, struct front, due);

	(void)l;
	front_turn(f);
}

void front_turn(struct front *f)
{
	core_turn(f->o.core);
	front_flow_turn(f);
	if (f->o.turned)
		f->o.turned(f->o.arg);
	metric_set(f->running[false], (double)atomic_load(&f->inflight[0]));
	metric_set(f->running[true], (double)atomic_load(&f->inflight[1]));
	int64_t due = core_due(f->o.core), after = front_flow_due(f);
	if (core_pending(f->o.core)) {
		after = 0;
	} else if (due) {
		due = MAX(due - loop_wall(f->o.loop), 0);
		after = after < 0 ? due : MIN(after, due);
	}
	if (after < 0)
		loop_timer_cancel(f->o.loop, &f->due);
	else
		loop_timer_set(f->o.loop, &f->due, after, on_due);
}

/* ---- life ---- */

static void on_change(void *arg, const struct kind *k, const struct obj *old, const struct obj *new)
{
	struct front *f = arg;

	rights_change(f->rights, k, old, new);
	discovery_change(f->discovery, k);
	aggregate_change(f->aggregate, k, old, new);
	front_flow_change(f, k, old, new);
	if (f->authn.boot && !*k->group && !strcmp(k->plural, "secrets"))
		bootstrap_tokens_change(f->authn.boot, new ? new : old, !new);
}

static void feed_secret(void *arg, const struct obj *o)
{
	bootstrap_tokens_change(arg, o, false);
}

static void front_authn_new(struct front *f)
{
	const struct kind *k = core_kind_find(f->o.core, STR(""), STR("v1"), STR("secrets"));

	if (f->o.authn)
		f->authn = *f->o.authn;
	f->authn.tokens = f->o.tokens;
	f->authn.boot = bootstrap_tokens_new();
	if (k)
		core_each(f->o.core, k, feed_secret, f->authn.boot);
}

struct front *front_new(const struct front_opts *o, struct err *err)
{
	struct front *f = xalloc(sizeof(*f));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	f->o = *o;
	if (o->kubelet_tls)
		f->o.kubelet_tls = tls_ref(o->kubelet_tls);
	f->queue_end = &f->queue;
	f->left_end = &f->left;
	list_init(&f->in_core);
	list_init(&f->streams);
	pthread_mutex_init(&f->lock, NULL);
	front_measure_new(f);
	f->rights = rights_new(o->core);
	rights_abac(f->rights, o->abac);
	f->discovery = discovery_new(o->core, o->address);
	f->aggregate = aggregate_new(f);
	f->resmetrics = resmetrics_new(f);
	front_flow_new(f);
	front_authn_new(f);
	core_on_change(o->core, on_change, f);
	f->http = http_server_new(
		o->loop,
		&(struct http_server_opts){
			.threads = o->threads ? o->threads : (int)MAX(1, MIN(cpus, THREADS_MAX)),
			.tls = o->tls,
			.handle = on_request,
			.refusal = front_refusal,
			.max_body = FRONT_BODY_MAX,
			.arg = f},
		err);
	f->any_tls = tls_client_new(&(struct tls_files){.insecure = true}, err);
	if (!f->http || !f->any_tls) {
		front_free(f);
		return NULL;
	}
	return f;
}

int front_listen(struct front *f, const char *addr, struct err *err)
{
	return http_server_listen(f->http, addr, err);
}

void front_set_tls(struct front *f, struct tls_ctx *tls)
{
	http_server_set_tls(f->http, tls);
}

void front_set_kubelet_tls(struct front *f, struct tls_ctx *tls)
{
	struct tls_ctx *old = f->o.kubelet_tls;

	f->o.kubelet_tls = tls_ref(tls);
	tls_unref(&old);
}

void front_renew_proxy(struct front *f)
{
	aggregate_renew(f->aggregate);
}

void front_ready(struct front *f)
{
	f->ready = true;
	aggregate_start(f->aggregate);
}

/* Watches end as if their time were over: clients come again, to whoever answers then. */
static void end_all(struct front *f)
{
	struct err err = {0};

	err_set(&err, ERR_UNAVAILABLE, "the server is stopping");
	err.retry_after_s = 1;
	while (front_flow_end_one(f, &err))
		;
	LIST_FOREACH (it, &f->in_core) {
		struct front_req *r = CONTAINER_OF(it, struct front_req, link);
		core_cancel(f->o.core, &r->core);
		front_fail(r, &err);
	}
	LIST_FOREACH (it, &f->streams) {
		struct front_req *r = CONTAINER_OF(it, struct front_req, link);
		core_cancel(f->o.core, &r->core);
		http_stream_end(r->http);
		front_done(r, 200);
	}
}

void front_stop(struct front *f)
{
	f->ready = false;
	f->stopping = true;
	oidc_fetch_stop(f->authn.oidc_fetch);
	drain(f);
	while (core_pending(f->o.core))
		core_turn(f->o.core);
	end_all(f);
	http_server_stop(f->http, DRAIN_NS);
	drain(f);
	loop_timer_cancel(f->o.loop, &f->due);
	loop_timer_cancel(f->o.loop, &f->give_back);
}

void front_free(struct front *f)
{
	if (!f)
		return;
	http_server_free(f->http);
	tls_unref(&f->any_tls);
	tls_unref(&f->o.kubelet_tls);
	resmetrics_free(f->resmetrics);
	aggregate_free(f->aggregate);
	rights_free(f->rights);
	discovery_free(f->discovery);
	openapi_cache_free(f->openapi);
	front_flow_free(f);
	bootstrap_tokens_free(f->authn.boot);
	front_measure_free(f);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
