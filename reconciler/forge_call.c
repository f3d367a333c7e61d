/*
 * Requests to forges. A gate stands before each forge and token: one request passes at a time, as
 * forges ask for, and none while the forge wants to be left alone. GitHub Apps' tokens are fetched
 * when they are needed and kept in memory only. No token is ever logged. On the role's loop.
 */
#include "reconciler/forge_call.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"
#include "reconciler/webcall.h"

#define ATTEMPTS_MAX 4
#define PATIENCE_S 10 /* longer pauses are the asker's business */
#define APP_TOKEN_SPARE (120 * NS_PER_S)

struct gate {
	struct reconciler *r;
	struct list waiting;
	struct forge_call *running;
	struct githelper *helper;
	struct loop_timer timer;
	int64_t until; /* closed */
	struct buf app_token;
	int64_t app_token_until; /* wall clock */
};

struct forge_call {
	struct gate *gate;
	struct list link;
	struct arena arena; /* repo, ask, secret */
	struct forge_repo repo;
	struct forge_ask ask;
	const struct json *secret;
	unsigned attempts;
	bool canceled; /* while its helper runs */
	forge_done *done;
	void *arg;
};

static void gate_look(struct gate *g);

/* ---- Secrets ---- */

static struct str key_of(const struct json *secret, const char *key)
{
	return str_trim(json_str(json_get(secret, str_c(key))));
}

bool forge_is_app(const struct json *secret)
{
	return key_of(secret, "githubAppID").n && key_of(secret, "githubAppPrivateKey").n;
}

static struct str token_of(const struct json *secret)
{
	struct str token = key_of(secret, "token");

	if (!token.n)
		token = key_of(secret, "bearerToken");
	/* Beside an SSH key it is that key's passphrase. */
	if (!token.n && !key_of(secret, "identity").n)
		token = key_of(secret, "password");
	return token;
}

static struct str ca_of(const struct json *secret)
{
	struct str ca = key_of(secret, "ca.crt");

	return ca.n ? ca : key_of(secret, "caFile");
}

/* What spec.proxySecretRef names, see add_auth in source_request.c. */
static const struct json *proxy_of(const struct json *secret)
{
	const struct json *proxy = json_get(secret, STR("proxy"));

	return json_is(proxy, JSON_OBJECT) ? proxy : NULL;
}

/* ---- calls ---- */

static void call_free(struct forge_call *c)
{
	/* The arena held a token. */
	arena_release(&c->arena);
	free(c);
}

static void finish(struct forge_call *c, const struct forge_answer *answer, const struct err *err)
{
	if (!c->canceled)
		c->done(c->arg, answer, err);
	call_free(c);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	(void)l;
	gate_look(CONTAINER_OF(t, struct gate, timer));
}

static void look_later(struct gate *g, int64_t ns)
{
	loop_timer_set(g->r->loop, &g->timer, ns, on_timer);
}

/* A comment that was perhaps written must not be written twice. */
static bool repeatable(const struct forge_call *c, const struct err *err)
{
	if (err->code == ERR_TOO_MANY)
		return true;
	if (err->code != ERR_UNAVAILABLE && err->code != ERR_TIMEOUT && err->code != ERR_IO)
		return false;
	return c->ask.verb != FORGE_COMMENT;
}

/* True when the call goes back to the head of the queue. */
static bool try_again(struct forge_call *c, const struct err *err)
{
	static const struct backoff pauses = {.base_ns = 500 * NS_PER_MS, .max_ns = 4 * NS_PER_S};
	struct gate *g = c->gate;
	int64_t pause = err->retry_after_s * NS_PER_S, now = loop_now(g->r->loop);

	if (err->retry_after_s)
		g->until = now + pause;
	c->attempts++;
	if (c->canceled || c->attempts >= ATTEMPTS_MAX || err->retry_after_s > PATIENCE_S ||
	    !repeatable(c, err))
		return false;
	if (!pause)
		g->until = now + backoff_after(&pauses, c->attempts - 1);
	list_append(g->waiting.next, &c->link); /* the first one */
	return true;
}

static void on_answer(void *arg, const struct json *answer, const struct err *failure)
{
	AUTO(arena) struct arena a = {0};
	struct gate *g = arg;
	struct forge_call *c = g->running;
	struct str body = json_str(json_get(answer, STR("body")));
	struct str token = buf_view(&g->app_token);
	struct forge_answer read = {0};
	struct err err = *failure;

	g->helper = NULL;
	g->running = NULL;
	look_later(g, 0);
	if (!forge_is_app(c->secret))
		token = token_of(c->secret);
	if (answer &&
	    !forge_judge((int)json_int(json_get(answer, STR("status")), 0),
			 json_get(answer, STR("headers")), body, token,
			 loop_wall(g->r->loop) / NS_PER_S, &err) &&
	    !forge_answer_read(&a, &c->repo, &c->ask, body, &read, &err)) {
		finish(c, &read, &err);
		return;
	}
	/* An App's token may be withdrawn before its time. */
	if (err.code == ERR_UNAUTHORIZED)
		buf_wipe(&g->app_token);
	if (!try_again(c, &err))
		finish(c, NULL, &err);
}

static void send(struct gate *g, struct forge_call *c, struct str token)
{
	AUTO(arena) struct arena a = {0};
	const struct forge_ops *ops = c->repo.ops;
	struct forge_request q;
	struct json *headers = json_new(&a, JSON_OBJECT);
	struct webcall w = {
		.headers = headers, .ca = ca_of(c->secret), .proxy = proxy_of(c->secret)};

	if (c->ask.verb == FORGE_TOKEN) {
		struct forge_answer answer = {.token = token};
		struct err none = {0};

		look_later(g, 0);
		finish(c, &answer, &none);
		return;
	}
	forge_request_make(&a, &c->repo, &c->ask, &q);
	json_set_str(&a, headers, "Accept", str_c(ops->media));
	if (ops == &forge_github)
		json_set_str(&a, headers, "X-GitHub-Api-Version", STR("2022-11-28"));
	if (token.n)
		json_set_str(&a, headers, ops->auth_header,
			     arena_strf(&a, "%s%.*s",
					forge_is_app(c->secret) ? "Bearer " : ops->auth_prefix,
					STR_ARG(token)));
	w.method = q.method;
	w.url = arena_strf(&a, "%.*s%.*s", STR_ARG(c->repo.origin), STR_ARG(q.path));
	w.body = q.body;
	if (q.body.n)
		w.content_type = STR("application/json");
	g->running = c;
	g->helper = webcall_start(g->r->loop, &w, on_answer, g);
}

/* ---- GitHub Apps ---- */

static void on_app_token(void *arg, const struct json *answer, const struct err *failure)
{
	AUTO(arena) struct arena a = {0};
	struct gate *g = arg;
	struct forge_call *c = g->running;
	struct err err = *failure;
	const struct json *v;
	struct str token;
	int64_t wall = loop_wall(g->r->loop);

	g->helper = NULL;
	g->running = NULL;
	if (answer &&
	    !forge_judge((int)json_int(json_get(answer, STR("status")), 0),
			 json_get(answer, STR("headers")), json_str(json_get(answer, STR("body"))),
			 STR_NONE, wall / NS_PER_S, &err)) {
		v = json_parse(&a, json_str(json_get(answer, STR("body"))), NULL, NULL);
		token = json_str(json_get(v, STR("token")));
		if (token.n &&
		    !time_parse(json_str(json_get(v, STR("expires_at"))), &g->app_token_until)) {
			buf_wipe(&g->app_token);
			buf_str(&g->app_token, token);
			send(g, c, buf_view(&g->app_token));
			return;
		}
		err_set(&err, ERR_PARSE, "the forge gave no token");
	}
	look_later(g, 0);
	err_wrap(&err, "token of the GitHub App");
	if (!try_again(c, &err))
		finish(c, NULL, &err);
}

static int fetch_app_token(struct gate *g, struct forge_call *c, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct str installation = key_of(c->secret, "githubAppInstallationID");
	struct json *headers = json_new(&a, JSON_OBJECT);
	char *jwt = forge_app_token(&a, key_of(c->secret, "githubAppID"),
				    key_of(c->secret, "githubAppPrivateKey"),
				    loop_wall(g->r->loop) / NS_PER_S, err);
	struct webcall w = {.method = "POST",
			    .headers = headers,
			    .ca = ca_of(c->secret),
			    .proxy = proxy_of(c->secret)};
	int64_t number;

	if (!jwt)
		return -1;
	if (str_to_i64(installation, &number))
		return err_set(err, ERR_INVALID, "githubAppInstallationID is not a number");
	json_set_str(&a, headers, "Accept", str_c(c->repo.ops->media));
	json_set_str(&a, headers, "Authorization", arena_strf(&a, "Bearer %s", jwt));
	w.url = arena_strf(&a, "%.*s%.*s/app/installations/%lld/access_tokens",
			   STR_ARG(c->repo.origin), STR_ARG(c->repo.base), (long long)number);
	g->running = c;
	g->helper = webcall_start(g->r->loop, &w, on_app_token, g);
	return 0;
}

/* ---- gates ---- */

static void gate_look(struct gate *g)
{
	struct err err = {0};
	struct forge_call *c;
	int64_t now = loop_now(g->r->loop);

	if (g->running || list_empty(&g->waiting))
		return;
	if (now < g->until) {
		look_later(g, g->until - now);
		return;
	}
	c = CONTAINER_OF(g->waiting.next, struct forge_call, link);
	list_remove(&c->link);
	if (c->ask.fresh && !c->attempts)
		buf_wipe(&g->app_token);
	if (!forge_is_app(c->secret)) {
		send(g, c, token_of(c->secret));
	} else if (g->app_token.n && loop_wall(g->r->loop) < g->app_token_until - APP_TOKEN_SPARE) {
		send(g, c, buf_view(&g->app_token));
	} else if (fetch_app_token(g, c, &err)) {
		look_later(g, 0);
		finish(c, NULL, &err);
	}
}

static struct gate *gate_of(struct reconciler *r, const struct forge_repo *repo,
			    const struct json *secret)
{
	AUTO(arena) struct arena a = {0};
	struct str who = forge_is_app(secret) ? key_of(secret, "githubAppID") : token_of(secret);
	char digest[65];
	struct gate *g;
	struct str key;

	sha256_hex(arena_strf(&a, "%.*s %.*s", STR_ARG(who),
			      STR_ARG(key_of(secret, "githubAppInstallationID"))),
		   digest);
	key = arena_strf(&a, "%.*s %s", STR_ARG(repo->origin), digest);
	g = map_get(&r->gates, key);
	if (g)
		return g;
	g = xalloc(sizeof(*g));
	g->r = r;
	list_init(&g->waiting);
	map_set(&r->gates, key, g);
	return g;
}

struct forge_call *forge_call(struct reconciler *r, const struct forge_repo *repo,
			      const struct json *secret, const struct forge_ask *ask,
			      forge_done *done, void *arg)
{
	struct forge_call *c = xalloc(sizeof(*c));
	struct arena *a = &c->arena;

	c->gate = gate_of(r, repo, secret);
	c->repo = (struct forge_repo){.ops = repo->ops,
				      .origin = arena_str(a, repo->origin),
				      .base = arena_str(a, repo->base),
				      .path = arena_str(a, repo->path)};
	c->ask = *ask;
	c->ask.head = arena_str(a, ask->head);
	c->ask.base = arena_str(a, ask->base);
	c->ask.title = arena_str(a, ask->title);
	c->ask.body = arena_str(a, ask->body);
	c->ask.sha = arena_str(a, ask->sha);
	c->ask.context = arena_str(a, ask->context);
	c->ask.link = arena_str(a, ask->link);
	c->secret = secret ? json_copy(a, secret) : json_new(a, JSON_OBJECT);
	c->done = done;
	c->arg = arg;
	list_append(&c->gate->waiting, &c->link);
	if (!c->gate->running && !loop_timer_armed(&c->gate->timer))
		look_later(c->gate, 0);
	return c;
}

void forge_call_cancel(struct forge_call *c)
{
	if (!c)
		return;
	c->canceled = true;
	if (c->gate->running == c)
		return; /* what was sent is sent: its end frees it */
	list_remove(&c->link);
	call_free(c);
}

void forge_gates_free(struct reconciler *r)
{
	struct map_iter it = {0};

	while (map_next(&r->gates, &it)) {
		struct gate *g = it.value;

		githelper_cancel(g->helper);
		loop_timer_cancel(r->loop, &g->timer);
		if (g->running)
			call_free(g->running);
		while (!list_empty(&g->waiting)) {
			struct forge_call *c =
				CONTAINER_OF(g->waiting.next, struct forge_call, link);

			list_remove(&c->link);
			call_free(c);
		}
		buf_wipe(&g->app_token);
		free(g);
	}
	map_release(&r->gates);
}

/* ---- a source's ---- */

int source_forge(const struct source *s, struct arena *a, struct forge_repo *ret, struct err *err)
{
	const struct json *o = obj_tree(s->o, a);
	struct str kind = str_trim(meta_annotation(o, FORGE));

	if (!kind.n || s->kind != SOURCE_GIT)
		return 0;
	if (forge_repo_parse(a, kind, str_trim(meta_annotation(o, FORGE_REPOSITORY)),
			     json_str(json_at(o, "spec", "url")), ret, err))
		return err_wrap(err, FORGE);
	return 1;
}

struct forge_call *source_ask(struct source *s, const struct forge_repo *repo,
			      const struct forge_ask *ask, forge_done *done, void *arg)
{
	AUTO(arena) struct arena a = {0};
	const struct json *secret =
		s->auth.n ? json_parse(&a, buf_view(&s->auth), NULL, NULL) : NULL;

	return forge_call(s->r, repo, secret, ask, done, arg);
}
