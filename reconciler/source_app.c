/*
 * GitHub Apps for fetching and pushing: the App's key gets a token of an hour through the forge's
 * gate, which keeps it until shortly before it ends; git then sends it as a password. Neither
 * leaves memory, but to the helper. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "reconciler/engine.h"
#include "reconciler/forge_call.h"

struct apptoken {
	struct source *s;
	struct forge_call *call;
	struct buf secrets; /* as JSON, until the token is there */
	void (*done)(struct source *s, const struct json *secrets, const struct err *err);
};

static void release(struct apptoken *t)
{
	t->s->apptoken = NULL;
	buf_wipe(&t->secrets);
	free(t);
}

void source_app_cancel(struct source *s)
{
	if (!s->apptoken)
		return;
	forge_call_cancel(s->apptoken->call);
	release(s->apptoken);
}

static void on_token(void *arg, const struct forge_answer *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct apptoken *t = arg;
	struct source *s = t->s;
	struct json *secrets = NULL, *auth;
	struct err why = *err;
	void (*done)(struct source *, const struct json *, const struct err *) = t->done;

	if (answer) {
		secrets = json_parse(&a, arena_str(&a, buf_view(&t->secrets)), NULL, &why);
		auth = json_get(secrets, STR("auth"));
		json_set_str(&a, auth, "username", STR("x-access-token"));
		json_set_str(&a, auth, "password", answer->token);
	}
	release(t);
	done(s, secrets, &why);
}

int source_app_api(const struct source *s, struct arena *a, const struct json *auth,
		   struct forge_repo *ret, struct err *err)
{
	struct str base = str_trim(json_str(json_get(auth, STR("githubAppBaseURL"))));
	struct str kind = STR("github");
	int rc;

	while (str_ends(base, STR("/")))
		base = str_sub(base, 0, base.n - 1);
	if (str_ends(base, STR("/api/v3")))
		base = str_sub(base, 0, base.n - strlen("/api/v3"));
	if (base.n && !str_is(base, "https://api.github.com")) {
		kind = arena_strf(a, "github=%.*s", STR_ARG(base));
	} else if (!base.n) {
		rc = source_forge(s, a, ret, err);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	/* Which repository doesn't matter. */
	return forge_repo_parse(a, kind, STR("any/any"), str_c(s->url), ret, err);
}

bool source_app(struct source *s, const struct json *secrets,
		void (*done)(struct source *s, const struct json *secrets, const struct err *err))
{
	AUTO(arena) struct arena a = {0};
	const struct json *auth = json_get(secrets, STR("auth"));
	/* One that was refused may have been withdrawn. */
	const struct forge_ask q = {.verb = FORGE_TOKEN, .fresh = s->failures > 0};
	struct forge_repo repo;
	struct err err = {0};
	struct apptoken *t;

	if (s->kind != SOURCE_GIT || !forge_is_app(auth) || str_starts(str_c(s->url), STR("file:")))
		return false;
	t = s->apptoken = xalloc(sizeof(*t));
	t->s = s;
	t->done = done;
	if (source_app_api(s, &a, auth, &repo, &err)) {
		on_token(t, NULL, &err);
		return true;
	}
	json_write(secrets, &t->secrets);
	/* By the road that git takes. */
	if (json_get(secrets, STR("proxy"))) {
		struct json *with = json_copy(&a, auth);

		json_set(&a, with, STR("proxy"), json_get(secrets, STR("proxy")));
		auth = with;
	}
	t->call = forge_call(s->r, &repo, auth, &q, on_token, t);
	return true;
}
