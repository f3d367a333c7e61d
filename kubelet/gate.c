/*
 * Who may ask this node what: see gate.h. What the API said is kept under the SHA-256 of what was
 * asked, so that no token stays in memory, and each kind of answer for its time: a token's user two
 * minutes, a yes five, a no half a minute; a token that is nobody's ten seconds. Must never let
 * anybody in because the API can't be asked. On the kubelet's loop; those who wait are bounded, and
 * so is what is remembered.
 */
#include "kubelet/gate.h"

#include <stdio.h>
#include <stdlib.h>

#include "kubelet/gate_core.h"
#include "kubelet/kubelet.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define WAITING_MAX 100
#define REMEMBERED_MAX 1000
#define USER_TTL_NS (INT64_C(120) * NS_PER_S)
#define NOBODY_TTL_NS (INT64_C(10) * NS_PER_S)
#define YES_TTL_NS (INT64_C(300) * NS_PER_S)
#define NO_TTL_NS (INT64_C(30) * NS_PER_S)

/* Those who may anything: they are how administrators come here. */
static const char *const trusted[] = {"plumb:apiserver", "system:masters"};

struct answer {
	int64_t until;
	bool yes;
	char user[]; /* of a token, as a review's spec wants it */
};

struct gate {
	struct kubelet *k;
	struct map answers; /* struct answer, by the question's SHA-256 */
	struct list waiting;
	size_t nwaiting;
};

struct asking {
	struct list node;
	struct gate *g;
	struct http_req *r;
	gate_pass *pass;
	struct client_call *call;
	char key[65];
	struct buf user;
};

static const struct resource token_reviews = {"authentication.k8s.io", "v1", "tokenreviews",
					      "TokenReview", false};
static const struct resource access_reviews = {"authorization.k8s.io", "v1", "subjectaccessreviews",
					       "SubjectAccessReview", false};

static void refuse(struct http_req *r, int status, const char *text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 str_c(text));
}

/* ---- what is remembered ---- */

static void forget(struct gate *g, bool all)
{
	struct map_iter it = {0};

	while (map_next(&g->answers, &it)) {
		struct answer *a = it.value;

		if (all || a->until <= loop_now(g->k->loop))
			free(map_del(&g->answers, it.key));
	}
}

static const struct answer *remembered(struct gate *g, const char *key)
{
	const struct answer *a = map_get(&g->answers, str_c(key));

	return a && a->until > loop_now(g->k->loop) ? a : NULL;
}

static const struct answer *remember(struct gate *g, const char *key, bool yes, struct str user,
				     int64_t ttl_ns)
{
	struct answer *a = xalloc(sizeof(*a) + user.n + 1);

	if (g->answers.n >= REMEMBERED_MAX)
		forget(g, false);
	if (g->answers.n >= REMEMBERED_MAX)
		forget(g, true);
	a->until = loop_now(g->k->loop) + ttl_ns;
	a->yes = yes;
	if (user.n)
		memcpy(a->user, user.p, user.n);
	a->user[user.n] = 0;
	free(map_set(&g->answers, str_c(key), a));
	return a;
}

/* ---- one who waits ---- */

static void asking_free(struct asking *w)
{
	if (w->call)
		client_call_cancel(w->g->k->client, w->call);
	list_remove(&w->node);
	w->g->nwaiting--;
	w->r->gone = NULL;
	w->r->user = NULL;
	http_req_unref(w->r);
	buf_release(&w->user);
	free(w);
}

static void on_gone(struct http_req *r)
{
	asking_free(r->user);
}

static void forbid(struct asking *w)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct json *user = json_parse(&a, buf_view(&w->user), NULL, &err);

	refuse(w->r, 403,
	       arena_printf(&a, "Forbidden (user=%.*s, verb=%s, resource=nodes, subresource=%s)\n",
			    STR_ARG(json_str(json_at(user, "user"))),
			    gate_verb(w->r->method, w->r->path), gate_subresource(w->r->path)));
}

static void decide(struct asking *w, bool yes)
{
	struct kubelet *k = w->g->k;
	struct http_req *r = http_req_ref(w->r);
	gate_pass *pass = w->pass;

	if (!yes)
		forbid(w);
	asking_free(w);
	if (yes)
		pass(k, r);
	http_req_unref(r);
}

static void on_access(void *arg, const struct api_answer *answer)
{
	struct asking *w = arg;
	bool yes = !answer->err.code && gate_allowed(answer->body);

	w->call = NULL;
	if (answer->err.code) {
		refuse(w->r, 500, "the API can't be asked whether this is allowed\n");
		asking_free(w);
		return;
	}
	remember(w->g, w->key, yes, STR(""), yes ? YES_TTL_NS : NO_TTL_NS);
	decide(w, yes);
}

/* w->user is known: may he? */
static void ask_access(struct asking *w)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct kubelet *k = w->g->k;
	struct err err = {0};
	const struct answer *known;

	gate_access_review(&a, json_parse(&a, buf_view(&w->user), NULL, &err), k->node_name,
			   gate_verb(w->r->method, w->r->path), gate_subresource(w->r->path),
			   &body);
	sha256_hex(buf_view(&body), w->key);
	known = remembered(w->g, w->key);
	if (known) {
		decide(w, known->yes);
		return;
	}
	struct api_call call = {
		.verb = API_CREATE, .resource = &access_reviews, .body = buf_view(&body)};
	w->call = client_call(k->client, &call, on_access, w);
}

static void take_user(struct asking *w, const struct answer *known)
{
	if (!known->yes) {
		refuse(w->r, 401, "Unauthorized\n");
		asking_free(w);
		return;
	}
	buf_puts(&w->user, known->user);
	ask_access(w);
}

static void on_token(void *arg, const struct api_answer *answer)
{
	struct asking *w = arg;
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct json *user;

	w->call = NULL;
	if (answer->err.code) {
		refuse(w->r, 401, "the API can't be asked whose token this is\n");
		asking_free(w);
		return;
	}
	user = gate_token_user(&a, answer->body);
	if (user)
		json_write(user, &text);
	take_user(w, remember(w->g, w->key, user, buf_view(&text),
			      user ? USER_TTL_NS : NOBODY_TTL_NS));
}

/* Whose token is it? */
static void ask_token(struct asking *w, struct str bearer)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct buf review = {0};
	const struct answer *known;

	gate_token_review(&a, bearer, &review);
	sha256_hex(buf_view(&review), w->key);
	known = remembered(w->g, w->key);
	if (known) {
		take_user(w, known);
	} else {
		struct api_call call = {
			.verb = API_CREATE, .resource = &token_reviews, .body = buf_view(&review)};
		w->call = client_call(w->g->k->client, &call, on_token, w);
	}
	buf_wipe(&review);
}

/* ---- the gate ---- */

static bool is_trusted(const struct http_req *r)
{
	for (const char *const *o = r->peer_orgs; r->peer_cn && o && *o; o++) {
		for (size_t i = 0; i < ARRAY_LEN(trusted); i++) {
			if (!strcmp(*o, trusted[i]))
				return true;
		}
	}
	return false;
}

static struct asking *asking_new(struct gate *g, struct http_req *r, gate_pass *pass)
{
	struct asking *w = xalloc(sizeof(*w));

	*w = (struct asking){.g = g, .r = http_req_ref(r), .pass = pass};
	list_append(&g->waiting, &w->node);
	g->nwaiting++;
	r->user = w;
	r->gone = on_gone;
	return w;
}

void gate_ask(struct gate *g, struct http_req *r, gate_pass *pass)
{
	struct str bearer = gate_bearer(http_header(&r->headers, "Authorization"));
	struct asking *w;

	if (!r->peer_cn && !bearer.n) {
		refuse(r, 401, "Unauthorized\n");
	} else if (!gate_verb(r->method, r->path)) {
		refuse(r, 405, "only GET and POST\n");
	} else if (is_trusted(r)) {
		pass(g->k, r);
	} else if (g->nwaiting >= WAITING_MAX) {
		refuse(r, 503, "too many are waiting to be let in\n");
	} else {
		w = asking_new(g, r, pass);
		if (!r->peer_cn) {
			ask_token(w, bearer);
			return;
		}
		json_write(gate_certificate_user(&r->arena, r->peer_cn, r->peer_orgs), &w->user);
		ask_access(w);
	}
}

struct gate *gate_new(struct kubelet *k)
{
	struct gate *g = xalloc(sizeof(*g));

	*g = (struct gate){.k = k};
	list_init(&g->waiting);
	return g;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	LIST_FOREACH (n, &g->waiting)
		asking_free(CONTAINER_OF(n, struct asking, node));
	forget(g, true);
	map_release(&g->answers);
	free(g);
}
