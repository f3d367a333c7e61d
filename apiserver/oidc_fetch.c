/*
 * Brings an issuer's keys: its discovery document, then the key set that it names; at start, every
 * hour, and when a token shows a key that isn't known. Must never ask more than once in a few
 * seconds, whatever strangers send, nor follow an issuer to another address than https. On its
 * loop's thread, but for oidc_fetch_wait.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "apiserver/oidc.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/json/json.h"

#define DISCOVERY "/.well-known/openid-configuration"
#define AGAIN_NS (5 * NS_PER_S)
#define RETRY_NS (10 * NS_PER_S)
#define FRESH_NS (3600 * NS_PER_S)
#define ANSWER_MAX (1 << 20)
#define WAITERS_MAX 1000

struct waiter {
	void (*fn)(void *arg);
	void *arg;
};

struct oidc_fetch {
	struct loop *loop;
	struct oidc *oidc;
	const char *issuer;
	struct tls_ctx *tls;
	struct http_client *client;    /* of the running question */
	struct http_client *abandoned; /* of the one before: freed outside its callback */
	bool running, stopped;
	int64_t again_ns;
	int64_t asked_ns; /* when the last question ended, 0 = never */
	struct loop_timer timer;
	struct waiter waiters[WAITERS_MAX];
	size_t nwaiters;
	pthread_mutex_t lock; /* of fresh */
	struct waiter fresh[WAITERS_MAX];
	size_t nfresh;
};

static void start(struct oidc_fetch *f);

/* ---- ends ---- */

static void release_waiters(struct oidc_fetch *f)
{
	size_t n = f->nwaiters;

	f->nwaiters = 0;
	for (size_t i = 0; i < n; i++)
		f->waiters[i].fn(f->waiters[i].arg);
}

static void on_time(struct loop *l, struct loop_timer *t)
{
	struct oidc_fetch *f = CONTAINER_OF(t, struct oidc_fetch, timer);

	(void)l;
	start(f);
}

static void ended(struct oidc_fetch *f, const char *problem)
{
	if (problem)
		log_warn("OIDC keys not fetched", "issuer", f->issuer, "error", problem);
	f->running = false;
	f->asked_ns = loop_now(f->loop);
	if (!f->stopped)
		loop_timer_set(f->loop, &f->timer, problem ? RETRY_NS : FRESH_NS, on_time);
	release_waiters(f);
}

/* ---- questions ---- */

struct place {
	char *host, *path;
	int port;
};

static void place_release(struct place *p)
{
	free(p->host);
	free(p->path);
}

/* "https://HOST[:PORT][/PATH]" */
static int read_url(struct str url, struct place *ret, struct err *err)
{
	struct str rest = str_sub(url, 8, url.n), host, path, port = STR_NONE;
	int64_t n = 443;

	if (!str_starts(url, STR("https://")) || url.n > 2000)
		return err_set(err, ERR_INVALID, "the address is not https");
	for (size_t i = 0; i < url.n; i++) {
		if (url.p[i] <= ' ' || url.p[i] == 127)
			return err_set(err, ERR_INVALID, "the address is malformed");
	}
	str_cut(rest, '/', &host, &path);
	if (host.n && host.p[0] == '[') {
		str_cut(str_sub(host, 1, host.n), ']', &host, &port);
		port = str_sub(port, 1, port.n);
	} else {
		str_cut(host, ':', &host, &port);
	}
	if (!host.n || (port.n && (str_to_i64(port, &n) || n < 1 || n > 65535)))
		return err_set(err, ERR_INVALID, "the address is malformed");
	*ret = (struct place){.host = xstrndup(host.p, host.n),
			      .path = xasprintf("/%.*s", STR_ARG(path)),
			      .port = (int)n};
	return 0;
}

static int ask(struct oidc_fetch *f, struct str url,
	       void (*done)(void *arg, const struct http_answer *a), struct err *err)
{
	struct http_header accept = {STR("Accept"), STR("application/json")};
	struct place p = {0};

	if (read_url(url, &p, err))
		return -1;
	http_client_free(f->abandoned);
	f->abandoned = f->client;
	f->client = http_client_new(
		f->loop,
		&(struct http_client_opts){
			.host = p.host, .port = p.port, .tls = f->tls, .lookup_apart = true},
		err);
	if (f->client)
		http_client_call(f->client, &(struct http_call){.method = "GET",
								.path = str_c(p.path),
								.headers = &accept,
								.nheaders = 1,
								.timeout_ns = 10 * NS_PER_S,
								.max_body = ANSWER_MAX,
								.done = done,
								.arg = f});
	place_release(&p);
	return f->client ? 0 : -1;
}

static const char *problem_of(const struct http_answer *a, char out[80])
{
	if (a->status == 200)
		return NULL;
	if (!a->status)
		return a->err ? a->err->msg : "no answer";
	snprintf(out, 80, "the issuer answered %d", a->status);
	return out;
}

static void on_keys(void *arg, const struct http_answer *a)
{
	struct oidc_fetch *f = arg;
	struct err err = {0};
	char text[80];
	const char *problem = problem_of(a, text);

	if (!problem && oidc_keys(f->oidc, a->body, &err))
		problem = err.msg;
	ended(f, problem);
}

static void on_discovery(void *arg, const struct http_answer *a)
{
	AUTO(arena) struct arena tmp = {0};
	struct json_limits limits = {.depth = 8, .nodes = 10000};
	struct oidc_fetch *f = arg;
	struct err err = {0};
	char text[80];
	const char *problem = problem_of(a, text);

	if (problem) {
		ended(f, problem);
		return;
	}
	const struct json *v = json_parse(&tmp, a->body, &limits, &err);
	struct str uri = json_str(json_get(v, STR("jwks_uri")));
	if (!v)
		ended(f, err.msg);
	else if (!str_is(json_str(json_get(v, STR("issuer"))), f->issuer))
		ended(f, "the discovery document is another issuer's");
	else if (ask(f, uri, on_keys, &err))
		ended(f, err.msg);
}

static void start(struct oidc_fetch *f)
{
	AUTO(buf) struct buf url = {0};
	struct err err = {0};

	if (f->running || f->stopped)
		return;
	loop_timer_cancel(f->loop, &f->timer);
	f->running = true;
	struct str base = str_c(f->issuer);
	buf_str(&url, str_ends(base, STR("/")) ? str_sub(base, 0, base.n - 1) : base);
	buf_puts(&url, DISCOVERY);
	if (ask(f, buf_view(&url), on_discovery, &err))
		ended(f, err.msg);
}

/* ---- who waits ---- */

static void take_fresh(void *arg)
{
	struct oidc_fetch *f = arg;

	pthread_mutex_lock(&f->lock);
	while (f->nfresh && f->nwaiters < WAITERS_MAX)
		f->waiters[f->nwaiters++] = f->fresh[--f->nfresh];
	bool left = f->nfresh;
	pthread_mutex_unlock(&f->lock);
	if (left)
		loop_post(f->loop, take_fresh, f);
	bool recent = f->asked_ns && loop_now(f->loop) - f->asked_ns < f->again_ns;
	if (f->stopped || (!f->running && recent))
		release_waiters(f);
	else
		start(f);
}

void oidc_fetch_wait(struct oidc_fetch *f, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&f->lock);
	bool room = f->nfresh < WAITERS_MAX / 2;
	if (room)
		f->fresh[f->nfresh++] = (struct waiter){fn, arg};
	pthread_mutex_unlock(&f->lock);
	if (room)
		loop_post(f->loop, take_fresh, f);
	else
		loop_post(f->loop, fn, arg);
}

struct oidc_fetch *oidc_fetch_new(struct loop *l, struct oidc *o, const struct oidc_opts *opts,
				  struct err *err)
{
	struct tls_ctx *tls = tls_client_new(&(struct tls_files){.ca = opts->ca_file}, err);

	if (!tls)
		return NULL;
	struct oidc_fetch *f = xalloc(sizeof(*f));
	f->loop = l;
	f->oidc = o;
	f->issuer = opts->issuer_url;
	f->tls = tls;
	f->again_ns = opts->again_ns ? opts->again_ns : AGAIN_NS;
	pthread_mutex_init(&f->lock, NULL);
	loop_timer_set(l, &f->timer, 0, on_time);
	return f;
}

void oidc_fetch_stop(struct oidc_fetch *f)
{
	if (!f || f->stopped)
		return;
	f->stopped = true;
	loop_timer_cancel(f->loop, &f->timer);
	take_fresh(f);
	release_waiters(f);
}

void oidc_fetch_free(struct oidc_fetch *f)
{
	if (!f)
		return;
	oidc_fetch_stop(f);
	http_client_free(f->client);
	http_client_free(f->abandoned);
	loop_timer_cancel(f->loop, &f->timer);
	tls_unref(&f->tls);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
