/*
 * What kubeseal asks the controller of sealed-secrets for, through the proxy to Service
 * kube-system/sealed-secrets-controller: /v1/cert.pem, to which it encrypts; /v1/verify, whether an
 * object's values open (200 or 409); /v1/rotate, the object sealed anew. Answered here as long as
 * that Service selects no pods: then sealed-secrets itself runs and is proxied to as ever.
 *
 * SealedSecrets of plumb.dev are verified by the same path: `plumb seal --validate`.
 *
 * What is opened goes nowhere: nothing but yes, no, or another sealed value leaves, and templates
 * are not carried out, which would let callers ask about values. The core's thread gathers the
 * keys, the connection's thread does the arithmetic.
 */
#include "apiserver/kubeletproxy-internal.h"
#include "lib/base/codec.h"
#include "lib/json/yaml.h"
#include "secrets/kubeseal.h"
#include "secrets/seal.h"

#define LABEL "sealedsecrets.bitnami.com/sealed-secrets-key"
#define OUR_LABEL "plumb.dev/sealing-key"
#define SERVICE "sealed-secrets-controller"
#define SEEN_MAX 1000
#define TRIES_MAX 512 /* keys times values: about a millisecond each */

struct search {
	struct front_req *r;
	struct buf best;
	int64_t from_ns; /* when the best one's certificate begins */
	size_t seen;
	struct kubeseal_keys *keys; /* NULL = only the certificate is wanted */
	struct seal_keys *ours;     /* with them: for SealedSecrets of plumb.dev */
};

/* A question on its way to the connection's thread. */
struct asked {
	struct front_req *r;
	struct kubeseal_keys *keys;
	struct seal_keys *ours;
	struct str cert; /* STR_NONE = only whether it opens */
};

static void take_key(struct search *s, const struct json *v)
{
	struct buf pem = {0};

	/* One that somebody spoiled must not keep the others from opening. */
	if (base64_decode(json_str(json_at(v, "data", "tls.key")), &pem) != 0 ||
	    kubeseal_keys_add(s->keys, buf_view(&pem), NULL) != 0)
		s->seen++;
	buf_wipe(&pem);
}

static void take_ours(struct search *s, const struct obj *o)
{
	struct str state = obj_label(o, STR(OUR_LABEL));
	struct buf secret = {0};

	if (!str_is(o->namespace, "kube-system") || s->seen == SEEN_MAX ||
	    (!str_is(state, "active") && !str_is(state, "retired")))
		return;
	s->seen++;
	if (base64_decode(json_str(json_at(obj_tree(o, &s->r->http->arena), "data", "private")),
			  &secret) == 0 &&
	    seal_keys_add(s->ours, buf_view(&secret), NULL) != 0)
		s->seen++;
	buf_wipe(&secret);
}

static void look(void *arg, const struct obj *o)
{
	struct search *s = arg;
	struct str state = obj_label(o, STR(LABEL));
	AUTO(buf) struct buf pem = {0};
	struct cert_info info = {.not_before_ns = 0};

	if (s->ours)
		take_ours(s, o);
	if (!str_is(o->namespace, "kube-system") || !state.p || s->seen == SEEN_MAX ||
	    (state.n && !str_is(state, "active")))
		return;
	s->seen++;
	const struct json *v = obj_tree(o, &s->r->http->arena);
	if (s->keys)
		take_key(s, v);
	if (base64_decode(json_str(json_at(v, "data", "tls.crt")), &pem) != 0 ||
	    cert_info(buf_view(&pem), &info, NULL) != 0)
		return;
	if (!s->best.n || info.not_before_ns > s->from_ns) {
		buf_reset(&s->best);
		buf_str(&s->best, buf_view(&pem));
		s->from_ns = info.not_before_ns;
	}
	cert_info_release(&info);
}

/* "http:sealed-secrets-controller:http" and its shorter forms. */
static bool names_it(struct str s)
{
	struct str head, rest;

	if (str_starts(s, STR("http:")))
		s = str_sub(s, 5, s.n);
	str_cut(s, ':', &head, &rest);
	return str_is(head, SERVICE);
}

static const char *const cert_path = "/v1/cert.pem", *const verify_path = "/v1/verify",
			 *const rotate_path = "/v1/rotate";

/* Which of the paths it is; STR_NONE when it isn't for us. */
static struct str path_of(struct front_req *r)
{
	const struct core_req *c = &r->core;
	const struct kind *services =
		core_kind_find(r->f->o.core, STR(""), STR("v1"), STR("services"));
	struct str p = r->http->raw_path, rest;
	bool get = str_is(r->http->method, "GET"), post = str_is(r->http->method, "POST");
	const struct obj *o;

	if (!str_is(c->resource, "services") || !str_is(c->subresource, "proxy") ||
	    !str_is(c->namespace, "kube-system") || !names_it(c->name))
		return STR_NONE;
	rest = str_sub(p, kubelet_proxy_prefix(r).n, p.n);
	if (!(get && str_is(rest, cert_path)) && !(post && str_is(rest, verify_path)) &&
	    !(post && str_is(rest, rotate_path)))
		return STR_NONE;
	o = services ? core_get(r->f->o.core, services, c->namespace, STR(SERVICE)) : NULL;
	return o && json_len(json_at(obj_tree(o, &r->http->arena), "spec", "selector")) ? STR_NONE
											: rest;
}

/* ---- the connection's thread ---- */

static struct json *object_of(struct asked *q, struct err *err)
{
	struct yaml_docs docs;
	size_t values;

	if (yaml_parse(&q->r->http->arena, q->r->http->body, 0, NULL, NULL, &docs, err) != 0)
		return NULL;
	if (docs.n != 1 || !str_is(json_str(json_get(docs.v[0], STR("kind"))), "SealedSecret")) {
		err_set(err, ERR_BAD_REQUEST, "the body must be one SealedSecret");
		return NULL;
	}
	values = json_len(json_at(docs.v[0], "spec", "encryptedData"));
	if (values * kubeseal_keys_count(q->keys) > TRIES_MAX) {
		err_set(err, ERR_LIMIT, "more values and keys than are tried at once");
		return NULL;
	}
	return docs.v[0];
}

/* Whose it is, its apiVersion says. */
static int open_it(struct asked *q, struct json *o, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	char id[SEAL_ID_TEXT];

	if (!str_starts(json_str(json_get(o, STR("apiVersion"))), STR("plumb.dev/")))
		return kubeseal_again(&q->r->http->arena, o, q->keys, q->cert, err);
	if (q->cert.n)
		return err_set(err, ERR_UNSUPPORTED,
			       "plumb.dev's values are sealed anew in their repository");
	return unseal_object(&a, o, q->ours, id, err) ? 0 : -1;
}

static void answer(void *arg)
{
	struct asked *q = arg;
	struct http_req *h = q->r->http;
	AUTO(buf) struct buf out = {0};
	struct err err = {0};
	struct json *o = q->r->client_left ? NULL : object_of(q, &err);
	int status = 200;

	if (o && open_it(q, o, &err) != 0) {
		/* Its own controller says no more than this of what doesn't open. */
		err.code = err.code == ERR_UNSUPPORTED ? err.code : ERR_CONFLICT;
		o = NULL;
	}
	if (o && q->cert.n)
		json_write(o, &out);
	if (err.code) {
		status = err_http(err.code);
		front_status(h, &err, &q->r->core);
	} else if (o) {
		http_reply_bytes(h,
				 &(struct http_reply){.status = 200,
						      .content_type = q->cert.n ? "application/json"
										: "text/plain"},
				 buf_view(&out));
	}
	kubeseal_keys_free(q->keys);
	seal_keys_free(q->ours);
	front_audit_end(q->r, status);
	http_req_unref(h);
}

/* ---- the core's thread ---- */

static void send(struct search *s, bool anew)
{
	struct front_req *r = s->r;
	struct asked *q = arena_alloc(&r->http->arena, sizeof(*q));

	*q = (struct asked){r, s->keys, s->ours, STR_NONE};
	if (anew)
		q->cert = arena_str(&r->http->arena, buf_view(&s->best));
	front_uncount(r);
	front_flow_forget(r);
	front_measure(r, 200);
	front_audit_started(r, 200);
	r->state = FRONT_ELSEWHERE;
	/* The reference goes along. */
	loop_post(r->http->loop, answer, q);
}

bool kubesealcert_serve(struct front_req *r)
{
	const struct kind *secrets =
		core_kind_find(r->f->o.core, STR(""), STR("v1"), STR("secrets"));
	struct search s = {.r = r};
	struct str path = secrets ? path_of(r) : STR_NONE;
	struct err err = {0};

	if (!path.n)
		return false;
	if (!str_is(path, cert_path)) {
		s.keys = kubeseal_keys_new();
		s.ours = seal_keys_new();
	}
	core_each(r->f->o.core, secrets, look, &s);
	if (!s.best.n && !str_is(path, verify_path)) {
		err_set(&err, ERR_UNAVAILABLE,
			"the certificate for kubeseal isn't made yet: try again in some seconds");
		kubeseal_keys_free(s.keys);
		seal_keys_free(s.ours);
		front_fail(r, &err);
	} else if (s.keys) {
		send(&s, str_is(path, rotate_path));
	} else {
		front_text(r, 200, "application/x-pem-file", buf_view(&s.best));
	}
	buf_release(&s.best);
	return true;
}
