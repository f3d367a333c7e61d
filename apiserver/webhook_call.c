/*
 * Calls to webhooks: one thread with a loop, one HTTP client for each place and authority, kept
 * open while it is used. The core's thread finds out where a Service is and hands the call over;
 * the answer comes back the same way. Must never follow redirects, send credentials, or read an
 * answer without bound. A job's memory is its own; the core's call stays the core's thread's.
 */
#include "apiserver/webhook_call.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/resolve.h"
#include "lib/base/codec.h"
#include "lib/base/list.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/http/tls.h"

#define CLIENTS_MAX 32
#define ANSWER_MAX (8 << 20) /* a review's patch, or a conversion's objects */

struct webhook_calls {
	struct loop *loop; /* the core's */
	struct core *core;
	void (*turned)(void *arg);
	void *arg;
	unsigned turn;
	_Atomic bool stopping;
	bool turning;
	struct list jobs; /* not answered yet */
	struct metric *seconds;
	/* the thread's */
	pthread_t thread;
	struct loop *own;
	struct list peers; /* least recently used first */
	size_t npeers;
};

/* Where calls go: host, port, address and authority make one. */
struct peer {
	struct list all;
	char *key;
	struct http_client *http;
	struct tls_ctx *tls;
	size_t running;
};

struct job {
	struct list all;
	struct webhook_calls *w;
	struct core_call *call;
	/* copied, for the thread */
	char *host, *connect_to, *path, *key;
	int port;
	int64_t timeout_ns, began_ns;
	struct buf body, ca, name, answer;
	struct peer *peer;
	struct err err;
};

static void job_free(struct job *j)
{
	list_remove(&j->all);
	free(j->host);
	free(j->connect_to);
	free(j->path);
	free(j->key);
	buf_release(&j->body);
	buf_release(&j->ca);
	buf_release(&j->name);
	buf_release(&j->answer);
	free(j);
}

/* ---- the core's thread: after ---- */

static void turn_now(void *arg)
{
	struct webhook_calls *w = arg;

	w->turning = false;
	if (w->turned)
		w->turned(w->arg);
}

static void finished(void *arg)
{
	struct job *j = arg;
	struct webhook_calls *w = j->w;

	metric_observe(metric_with(w->seconds, buf_cstr(&j->name),
				   j->err.code == ERR_NONE ? "false" : "true", (char *)NULL),
		       (double)(loop_now(w->loop) - j->began_ns) / 1e9);
	core_call_done(w->core, j->call, buf_view(&j->answer), &j->err);
	job_free(j);
	if (w->turning || w->stopping)
		return;
	w->turning = true;
	loop_post(w->loop, turn_now, w);
}

/* ---- the thread ---- */

static void peer_free(struct webhook_calls *w, struct peer *p)
{
	list_remove(&p->all);
	w->npeers--;
	http_client_free(p->http);
	tls_unref(&p->tls);
	free(p->key);
	free(p);
}

static void trim(struct webhook_calls *w)
{
	LIST_FOREACH (it, &w->peers) {
		struct peer *p = CONTAINER_OF(it, struct peer, all);

		if (w->npeers > CLIENTS_MAX && !p->running)
			peer_free(w, p);
	}
}

static struct peer *peer_new(struct job *j)
{
	struct webhook_calls *w = j->w;
	struct peer *p = xalloc(sizeof(*p));

	list_init(&p->all);
	list_append(&w->peers, &p->all);
	w->npeers++;
	p->key = xstrdup(j->key);
	p->tls = tls_client_new(&(struct tls_files){.ca_pem = buf_view(&j->ca)}, &j->err);
	if (p->tls)
		p->http = http_client_new(w->own,
					  &(struct http_client_opts){.host = j->host,
								     .connect_to = j->connect_to,
								     .port = j->port,
								     .lookup_apart = true,
								     .tls = p->tls},
					  &j->err);
	if (p->http)
		return p;
	peer_free(w, p);
	return NULL;
}

static struct peer *peer_for(struct job *j)
{
	LIST_FOREACH (it, &j->w->peers) {
		struct peer *p = CONTAINER_OF(it, struct peer, all);

		if (strcmp(p->key, j->key))
			continue;
		list_remove(&p->all);
		list_append(&j->w->peers, &p->all);
		return p;
	}
	return peer_new(j);
}

/* As Go's client tells of it. */
static void no_answer(struct job *j, const char *why, bool timed_out)
{
	err_set(&j->err, timed_out ? ERR_TIMEOUT : ERR_UNAVAILABLE,
		"failed to call webhook: Post \"https://%s:%d%s\": %s", j->host, j->port, j->path,
		timed_out ? "context deadline exceeded" : why);
}

static void on_answer(void *arg, const struct http_answer *a)
{
	struct job *j = arg;
	struct webhook_calls *w = j->w;

	j->peer->running--;
	if (!a->status)
		no_answer(j, a->err ? a->err->msg : "no answer",
			  a->err && a->err->code == ERR_TIMEOUT);
	else if (a->status / 100 != 2)
		err_set(&j->err, ERR_INTERNAL,
			"failed to call webhook: an error on the server (\"%.*s\") has prevented "
			"the request from succeeding: HTTP %d",
			(int)MIN(str_trim(a->body).n, 200), str_trim(a->body).p, a->status);
	else
		buf_str(&j->answer, a->body);
	loop_post(w->loop, finished, j);
}

static void begin(void *arg)
{
	struct job *j = arg;
	struct webhook_calls *w = j->w;
	struct http_header accept = {STR("Accept"), STR("application/json, */*")};

	j->peer = w->stopping ? NULL : peer_for(j);
	if (!j->peer) {
		struct err why = j->err;

		no_answer(j, why.code == ERR_NONE ? "the server is stopping" : why.msg, false);
		loop_post(w->loop, finished, j);
		return;
	}
	j->peer->running++;
	trim(w);
	http_client_call(j->peer->http, &(struct http_call){.method = "POST",
							    .path = str_c(j->path),
							    .headers = &accept,
							    .nheaders = 1,
							    .content_type = "application/json",
							    .body = buf_view(&j->body),
							    .timeout_ns = j->timeout_ns,
							    .max_body = ANSWER_MAX,
							    .repeatable = true,
							    .done = on_answer,
							    .arg = j});
}

static void *run(void *arg)
{
	struct webhook_calls *w = arg;

	loop_run(w->own);
	return NULL;
}

/* ---- the core's thread: before ---- */

static char *text_of(struct str s)
{
	return xasprintf("%.*s", STR_ARG(s));
}

/* "https://HOST[:PORT][/PATH]", validated when it was written. */
static int split_url(struct job *j, struct str url)
{
	struct str rest = str_sub(url, 8, url.n), host, path, port;
	int64_t n = 443;

	if (!str_starts(url, STR("https://")))
		return err_set(&j->err, ERR_INVALID, "the URL is not https");
	str_cut(rest, '/', &host, &path);
	if (host.n && host.p[0] == '[') { /* [::1]:443 */
		str_cut(str_sub(host, 1, host.n), ']', &host, &port);
		port = str_sub(port, 1, port.n);
	} else {
		str_cut(str_sub(host, 0, host.n), ':', &host, &port);
	}
	if (port.n && (str_to_i64(port, &n) || n < 1 || n > 65535))
		return err_set(&j->err, ERR_INVALID, "the URL's port is not one");
	j->host = text_of(host);
	j->port = (int)n;
	j->path = xasprintf("/%.*s", STR_ARG(path));
	return 0;
}

static int find_service(struct job *j, const struct core_call *call)
{
	AUTO(arena) struct arena a = {0};
	struct webhook_calls *w = j->w;
	struct endpoint e;

	j->host = xasprintf("%.*s.%.*s.svc", STR_ARG(call->service), STR_ARG(call->namespace));
	j->path = xasprintf("%s%.*s", call->path.n && call->path.p[0] == '/' ? "" : "/",
			    STR_ARG(call->path));
	j->port = call->port;
	if (resolve_service(w->core, call->namespace, call->service, call->port, w->turn++, &a, &e,
			    &j->err)) {
		struct err why = j->err;

		no_answer(j, why.msg, false);
		return -1;
	}
	j->connect_to = xstrdup(e.host);
	j->port = e.port;
	return 0;
}

static void add_timeout(struct job *j)
{
	char *path = xasprintf("%s?timeout=%llds", j->path, (long long)(j->timeout_ns / NS_PER_S));

	free(j->path);
	j->path = path;
}

void webhook_calls_start(void *arg, struct core_call *call)
{
	struct webhook_calls *w = arg;
	struct job *j = xalloc(sizeof(*j));
	char ca[65];

	j->w = w;
	j->call = call;
	j->timeout_ns = call->timeout_ns;
	j->began_ns = loop_now(w->loop);
	list_init(&j->all);
	list_append(&w->jobs, &j->all);
	buf_str(&j->body, call->body);
	buf_str(&j->ca, call->ca_bundle);
	buf_str(&j->name, call->name);
	if (w->stopping)
		err_set(&j->err, ERR_UNAVAILABLE, "failed to call webhook: the server is stopping");
	if (j->err.code != ERR_NONE ||
	    (call->url.n ? split_url(j, call->url) : find_service(j, call))) {
		loop_post(w->loop, finished, j);
		return;
	}
	add_timeout(j);
	sha256_hex(buf_view(&j->ca), ca);
	j->key = xasprintf("%s %s %d %s", j->host, j->connect_to ? j->connect_to : "", j->port, ca);
	loop_post(w->own, begin, j);
}

/* ---- life ---- */

struct webhook_calls *webhook_calls_new(struct loop *l, struct err *err)
{
	static const double buckets[] = {0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25, 0};
	struct webhook_calls *w = xalloc(sizeof(*w));

	w->loop = l;
	w->own = loop_new();
	list_init(&w->jobs);
	list_init(&w->peers);
	w->seconds = metric_new(METRIC_HISTOGRAM,
				"apiserver_admission_webhook_admission_duration_seconds",
				"How long webhooks took.", "name,failed", buckets);
	if (!pthread_create(&w->thread, NULL, run, w))
		return w;
	err_set(err, ERR_INTERNAL, "cannot start a thread");
	loop_free(w->own);
	free(w);
	return NULL;
}

void webhook_calls_attach(struct webhook_calls *w, struct core *c, void (*turned)(void *arg),
			  void *arg)
{
	w->core = c;
	w->turned = turned;
	w->arg = arg;
}

static void stop_own(void *arg)
{
	struct webhook_calls *w = arg;

	LIST_FOREACH (it, &w->peers) /* running calls hear of it, and say so */
		peer_free(w, CONTAINER_OF(it, struct peer, all));
	loop_stop(w->own);
}

void webhook_calls_stop(struct webhook_calls *w)
{
	if (!w || w->stopping)
		return;
	w->stopping = true;
	loop_post(w->own, stop_own, w);
	pthread_join(w->thread, NULL);
	loop_turn(w->own, 0); /* what was posted behind the end */
	while (!list_empty(&w->jobs))
		loop_turn(w->loop, 100);
}

void webhook_calls_free(struct webhook_calls *w)
{
	if (!w)
		return;
	webhook_calls_stop(w);
	loop_free(w->own);
	free(w);
}
