/*
 * The Secrets that a source names, read one after another before each poll: what they hold is kept
 * no longer than that. Never in a message, never in a log. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"

static const struct {
	const char *what, *field, *inner;
} wishes[] = {
	{"auth", "secretRef", NULL},
	{"proxy", "proxySecretRef", NULL},
	{"cert", "certSecretRef", NULL},
	{"verify", "verify", "secretRef"},
};

struct source_secrets {
	struct source *s;
	struct arena a;
	struct json *found;
	size_t at; /* of the wish that is being asked for */
	struct client_call *call;
	void (*done)(struct source *s, const struct json *secrets, const struct err *err);
};

static void release(struct source_secrets *q)
{
	client_call_cancel(q->s->r->client, q->call);
	q->s->secrets = NULL;
	arena_release(&q->a);
	free(q);
}

void source_secrets_cancel(struct source *s)
{
	if (s->secrets)
		release(s->secrets);
}

static void finish(struct source_secrets *q, const struct err *err)
{
	struct source *s = q->s;

	/* Whoever is told may start the next round. */
	s->secrets = NULL;
	q->done(s, err->code ? NULL : q->found, err);
	arena_release(&q->a);
	free(q);
}

/* The keys of a Secret, decoded. */
static struct json *decode(struct arena *a, const struct json *secret)
{
	const struct json *data = json_get(secret, STR("data"));
	struct json_member *m = json_members(data);
	struct json *out = json_new(a, JSON_OBJECT);

	for (size_t i = 0; m && i < json_len(data); i++) {
		AUTO(buf) struct buf text = {0};

		if (!base64_decode_lines(json_str(&m[i].value), &text))
			json_set(a, out,
				 /* as Argo CD calls it */
				 str_is(m[i].key, "sshPrivateKey") ? STR("identity") : m[i].key,
				 json_new_str(a, buf_view(&text)));
		buf_wipe(&text);
	}
	return out;
}

static void next(struct source_secrets *q);

static const char *field_of(size_t i)
{
	return wishes[i].inner ? "verify.secretRef" : wishes[i].field;
}

static void on_secret(void *arg, const struct api_answer *answer)
{
	struct source_secrets *q = arg;
	struct err err = answer->err;
	const struct json *secret;

	q->call = NULL;
	/* The answer's bytes are gone when this returns. */
	secret = err.code ? NULL : json_parse(&q->a, arena_str(&q->a, answer->body), NULL, &err);
	if (!secret) {
		err_wrap(&err, "spec.%s", field_of(q->at));
		finish(q, &err);
		return;
	}
	json_set(&q->a, q->found, str_c(wishes[q->at].what), decode(&q->a, secret));
	q->at++;
	next(q);
}

static struct str name_of(const struct json *spec, size_t i)
{
	const struct json *ref = json_get(spec, str_c(wishes[i].field));

	if (wishes[i].inner)
		ref = json_get(ref, str_c(wishes[i].inner));
	return json_str(json_get(ref, STR("name")));
}

static void next(struct source_secrets *q)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(obj_tree(q->s->o, &a), STR("spec"));
	struct api_call call = {
		.verb = API_GET, .resource = &res_secrets, .namespace = q->s->o->namespace};
	struct err none = {0};

	while (q->at < ARRAY_LEN(wishes) && !name_of(spec, q->at).n)
		q->at++;
	if (q->at == ARRAY_LEN(wishes)) {
		finish(q, &none);
		return;
	}
	call.name = name_of(spec, q->at);
	q->call = client_call(q->s->r->client, &call, on_secret, q);
}

void source_secrets(struct source *s, void (*done)(struct source *s, const struct json *secrets,
						   const struct err *err))
{
	struct source_secrets *q = xalloc(sizeof(*q));

	q->s = s;
	q->done = done;
	q->found = json_new(&q->a, JSON_OBJECT);
	s->secrets = q;
	next(q);
}
