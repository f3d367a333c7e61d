/*
 * The git helper on behalf of a source, outside of its polls: pushes, and fetches of what it does
 * not follow. Credentials are those that the last poll read, but for a GitHub App's token, which
 * lives for an hour, and the polls may be further apart: the forge's gate is asked, which keeps one
 * until shortly before it ends. An App's key must never get to git. On the role's loop; memory: its
 * own, wiped, until done was called or it is cancelled.
 */
#include <stdlib.h>
#include <string.h>

#include "reconciler/engine.h"
#include "reconciler/forge_call.h"

struct sourcecall {
	struct reconciler *r;
	struct sourcejob job;
	struct buf request; /* as JSON, while a token is waited for */
	struct forge_call *token;
	struct githelper *helper;
};

static void release(struct sourcecall *c)
{
	buf_wipe(&c->request);
	free(c);
}

void source_call_cancel(struct sourcecall *c)
{
	if (!c)
		return;
	forge_call_cancel(c->token);
	githelper_cancel(c->helper);
	release(c);
}

static void on_answer(void *arg, const struct json *answer, const struct err *err)
{
	struct sourcecall *c = arg;
	struct sourcejob job = c->job;

	/* Whoever is told may start the next one. */
	release(c);
	job.done(job.arg, answer, err);
}

static void start(struct sourcecall *c, struct json *request)
{
	json_del(json_get(request, STR("auth")), STR("githubAppPrivateKey"));
	c->helper =
		githelper_start(c->r->loop, c->job.what, request, c->job.timeout_ns, on_answer, c);
}

static void on_token(void *arg, const struct forge_answer *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct sourcecall *c = arg;
	struct json *request, *auth;
	struct err why = *err;

	c->token = NULL;
	request = answer ? json_parse(&a, arena_str(&a, buf_view(&c->request)), NULL, &why) : NULL;
	if (!request) {
		on_answer(c, NULL, &why);
		return;
	}
	auth = json_get(request, STR("auth"));
	json_set_str(&a, auth, "username", STR("x-access-token"));
	json_set_str(&a, auth, "password", answer->token);
	buf_wipe(&c->request);
	start(c, request);
}

struct sourcecall *source_call(struct source *s, const struct sourcejob *job)
{
	AUTO(arena) struct arena a = {0};
	const struct forge_ask q = {.verb = FORGE_TOKEN};
	struct sourcecall *c = xalloc(sizeof(*c));
	struct json *request = json_copy(&a, job->request);
	struct json *auth = s->auth.n ? json_parse(&a, buf_view(&s->auth), NULL, NULL) : NULL;
	struct forge_repo repo;
	struct err err = {0};

	c->r = s->r;
	c->job = *job;
	c->job.request = NULL;
	if (auth)
		json_set(&a, request, STR("auth"), auth);
	/* Where nobody can be asked, the last token has to do. */
	if (!forge_is_app(auth) || source_app_api(s, &a, auth, &repo, &err)) {
		start(c, request);
		return c;
	}
	json_write(request, &c->request);
	c->token = forge_call(s->r, &repo, auth, &q, on_token, c);
	return c;
}
