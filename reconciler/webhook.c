/*
 * The webhooks' server, and the Receivers that say which paths it knows. A Receiver's Secret is
 * read when it changes and at its interval; the token stays in memory and goes nowhere. What isn't
 * known is answered with 404 and nothing else; nobody is told why a signature was refused. Requests
 * are limited per Receiver, and those that lead nowhere all together. On the role's loop.
 */
#include "reconciler/webhook.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/http/server.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"
#include "reconciler/trigger.h"

#define BURST 20.0
#define PER_S 2.0
#define STRAY_BURST 100.0
#define STRAY_PER_S 20.0
#define SECRET_INTERVAL (600 * NS_PER_S)
#define SECRET_RETRY (10 * NS_PER_S)
#define CONNS_MAX 200

/* How much somebody may still ask for. */
struct bucket {
	double left;
	int64_t at;
};

struct receiver {
	struct webhooks *w;
	char *key;
	const struct obj *o;
	struct buf token;
	char path[WEBHOOK_PATH_MAX]; /* "" = none */
	struct client_call *call;
	struct loop_timer timer;
	struct bucket bucket;
};

struct webhooks {
	struct reconciler *r;
	struct http_server *server;
	struct informer *informer;
	struct map receivers, paths;
	struct bucket strays;
};

static bool spend(struct bucket *b, int64_t now, double burst, double per_s)
{
	double gained = (double)(now - b->at) / (double)NS_PER_S * per_s;

	b->left = b->at ? MIN(b->left + gained, burst) : burst;
	b->at = now;
	if (b->left < 1)
		return false;
	b->left -= 1;
	return true;
}

/* ---- Receivers ---- */

static void report(struct receiver *v, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct reconciler *r = v->w->r;
	struct json *o = json_copy(&a, obj_tree(v->o, &a)), *patch;
	bool ok = err->code == ERR_NONE, changed;
	struct str message =
		ok ? arena_strf(&a, "Receiver initialized for path: %s", v->path) : str_c(err->msg);

	json_set_object(&a, o, "status");
	changed = condition_set(&a, o, "Ready", ok ? "True" : "False",
				ok                             ? "Succeeded"
				: err->code == ERR_UNSUPPORTED ? "InvalidSpec"
							       : "TokenNotFound",
				message, loop_wall(r->loop));
	changed |= json_int(json_at(o, "status", "observedGeneration"), 0) != v->o->generation;
	changed |= !str_is(json_str_or(json_at(o, "status", "webhookPath"), STR("")), v->path);
	if (!changed && !statusq_busy(r->statuses, &res_receivers, v->o))
		return;
	patch = json_build(&a, "{s:o,s:I}", "conditions", json_at(o, "status", "conditions"),
			   "observedGeneration", v->o->generation);
	if (ok)
		json_set_str(&a, patch, "webhookPath", str_c(v->path));
	else
		json_set(&a, patch, STR("webhookPath"), NULL);
	statusq_put(r->statuses, &res_receivers, v->o, json_build(&a, "{s:o}", "status", patch));
}

static void close_path(struct receiver *v)
{
	if (v->path[0] && map_get(&v->w->paths, str_c(v->path)) == v)
		map_del(&v->w->paths, str_c(v->path));
	v->path[0] = 0;
	buf_wipe(&v->token);
}

static void read_secret(struct receiver *v);

static void on_timer(struct loop *l, struct loop_timer *t)
{
	(void)l;
	read_secret(CONTAINER_OF(t, struct receiver, timer));
}

static void again_after(struct receiver *v, int64_t ns)
{
	loop_timer_set(v->w->r->loop, &v->timer, ns, on_timer);
}

static int64_t interval_of(const struct json *spec)
{
	int64_t ns;

	if (duration_parse(json_str(json_get(spec, STR("interval"))), &ns))
		return SECRET_INTERVAL;
	return MAX(ns, SECRET_RETRY);
}

static void take_token(struct receiver *v, struct str token)
{
	close_path(v);
	buf_str(&v->token, token);
	webhook_path(token, v->o->name, v->o->namespace, v->path);
	map_set(&v->w->paths, str_c(v->path), v);
}

static void on_secret(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf token = {0};
	struct receiver *v = arg;
	struct err err = answer->err;
	const struct json *spec = json_get(obj_tree(v->o, &a), STR("spec"));
	const struct json *secret = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);
	struct str text = json_str(json_at(secret, "data", "token"));

	v->call = NULL;
	if (secret && (!text.n || base64_decode_lines(text, &token) || !token.n))
		err_set(&err, ERR_NOT_FOUND, "it has no key 'token'");
	if (err.code) {
		err_wrap(&err, "spec.secretRef");
		/* Who cannot be reached keeps what was known. */
		if (err.code == ERR_NOT_FOUND || err.code == ERR_FORBIDDEN)
			close_path(v);
		again_after(v, SECRET_RETRY);
	} else {
		take_token(v, buf_view(&token));
		again_after(v, interval_of(spec));
	}
	buf_wipe(&token);
	report(v, &err);
}

static int check_spec(const struct json *spec, struct err *err)
{
	struct str type = json_str(json_get(spec, STR("type")));

	if (!webhook_type_known(type))
		return err_set(
			err, ERR_UNSUPPORTED,
			"spec.type: '%.*s' is not supported by Plumb (nexus signs with SHA-1, "
			"gcr has to be asked of Google); generic-hmac is",
			STR_ARG(type));
	if (json_str(json_get(spec, STR("resourceFilter"))).n)
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.resourceFilter is not supported by Plumb");
	return 0;
}

static void read_secret(struct receiver *v)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(obj_tree(v->o, &a), STR("spec"));
	struct api_call call = {.verb = API_GET,
				.resource = &res_secrets,
				.namespace = v->o->namespace,
				.name = json_str(json_at(spec, "secretRef", "name"))};
	struct err err = {0};

	if (v->call)
		return;
	if (check_spec(spec, &err)) {
		close_path(v);
		report(v, &err);
		return;
	}
	v->call = client_call(v->w->r->client, &call, on_secret, v);
}

static void receiver_free(struct receiver *v)
{
	map_del(&v->w->receivers, str_c(v->key));
	close_path(v);
	client_call_cancel(v->w->r->client, v->call);
	loop_timer_cancel(v->w->r->loop, &v->timer);
	obj_unref(v->o);
	free(v->key);
	free(v);
}

static void on_receiver(void *arg, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	struct webhooks *w = arg;
	const struct obj *o = new ? new : old;
	struct str key = obj_key(&a, o->namespace, o->name);
	struct receiver *v = map_get(&w->receivers, key);
	bool news = !v || !new || v->o->generation != new->generation;

	if (!new) {
		if (v)
			receiver_free(v);
		return;
	}
	if (!v) {
		v = xalloc(sizeof(*v));
		v->w = w;
		v->key = xstrndup(key.p, key.n);
		map_set(&w->receivers, key, v);
	}
	obj_unref(v->o);
	v->o = obj_ref(new);
	if (!news)
		return;
	client_call_cancel(w->r->client, v->call);
	v->call = NULL;
	read_secret(v);
}

/* ---- requests ---- */

static void answer(struct http_req *q, int status)
{
	struct http_reply h = {.status = status, .content_type = "text/plain"};

	http_reply_bytes(q, &h, STR(""));
}

static int judge(struct webhooks *w, struct receiver *v, struct http_req *q)
{
	AUTO(arena) struct arena a = {0};
	int64_t now = loop_now(w->r->loop);
	const struct json *spec = v ? json_get(obj_tree(v->o, &a), STR("spec")) : NULL;
	struct webhook_request request = {.type = json_str(json_get(spec, STR("type"))),
					  .events = json_get(spec, STR("events")),
					  .headers = &q->headers,
					  .body = q->body};
	struct err err = {0};

	if (!v || json_bool(json_get(spec, STR("suspend")), false))
		return spend(&w->strays, now, STRAY_BURST, STRAY_PER_S) ? 404 : 429;
	if (!str_is(q->method, "POST"))
		return 405;
	request.token = buf_view(&v->token);
	/* Signatures cost work: who guesses them waits with the other strays. */
	if (webhook_check(&request, &err) && err.code != ERR_BAD_REQUEST) {
		log_warn("webhook refused", "receiver", v->key, "from", q->remote, "error",
			 err.msg);
		return spend(&w->strays, now, STRAY_BURST, STRAY_PER_S) ? 401 : 429;
	}
	/* Not one that was asked for: no fault of the caller's. */
	if (err.code)
		return 200;
	if (!spend(&v->bucket, now, BURST, PER_S))
		return 429;
	log_info("webhook", "receiver", v->key, "from", q->remote);
	trigger(w->r, v->o);
	return 200;
}

static void handle(void *arg, struct http_req *q)
{
	struct webhooks *w = arg;

	answer(q, judge(w, map_get(&w->paths, q->path), q));
}

struct webhooks *webhooks_start(struct reconciler *r, const struct webhook_opts *o, struct err *err)
{
	struct webhooks *w = xalloc(sizeof(*w));
	struct tls_files files = {.cert = o->cert, .key = o->key};
	struct http_server_opts so = {
		.max_body = WEBHOOK_BODY_MAX, .max_conns = CONNS_MAX, .handle = handle, .arg = w};
	struct informer_opts io = {.resource = &res_receivers};
	int port = -1;

	w->r = r;
	if (o->cert && *o->cert)
		so.tls = tls_server_new(&files, err);
	if (so.tls || !o->cert || !*o->cert)
		w->server = http_server_new(r->loop, &so, err);
	if (w->server)
		port = http_server_listen(w->server, o->listen, err);
	tls_unref(&so.tls);
	if (port < 0) {
		http_server_free(w->server);
		free(w);
		err_wrap(err, "listen for webhooks at %s", o->listen);
		return NULL;
	}
	log_info("listening for webhooks", "address", o->listen, "port", log_i64(port));
	w->informer = informer_new(r->client, &io);
	informer_on_change(w->informer, on_receiver, w);
	informer_start(w->informer);
	return w;
}

void webhooks_free(struct webhooks *w)
{
	struct map_iter it = {0};

	if (!w)
		return;
	informer_free(w->informer);
	http_server_free(w->server);
	while (map_next(&w->receivers, &it))
		receiver_free(it.value);
	map_release(&w->receivers);
	map_release(&w->paths);
	free(w);
}
