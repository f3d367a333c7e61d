/*
 * ID tokens. Must never believe a claim before the signature holds, an algorithm that the
 * administrator did not name, or a key that the issuer did not publish; and never log a token.
 * Any thread: the keys are a reference-counted set behind a lock, everything else is constant.
 * Specification: OpenID Connect Core 1.0, 2 and 3.1.3.7; kube-apiserver's oidc authenticator.
 */
#include "apiserver/oidc.h"

#include <pthread.h>
#include <stdlib.h>

#include "apiserver/extra.h"
#include "apiserver/tokens.h"
#include "lib/base/codec.h"
#include "lib/http/jws.h"
#include "lib/json/json.h"

#define KEYS_MAX 64
#define GROUPS_MAX 500
#define ID_TOKEN_MAX (32 << 10)
#define LEEWAY_S 10

struct key {
	char *kid;
	struct jws_key *key;
};

struct key_set {
	int refs; /* under the lock */
	struct key v[KEYS_MAX];
	size_t n;
};

struct oidc {
	struct oidc_opts o;
	char *prefix; /* of user names */
	pthread_mutex_t lock;
	struct key_set *keys; /* NULL = none yet */
};

static bool allowed(const struct oidc *o, struct str alg)
{
	if (!o->o.nalgs)
		return str_is(alg, "RS256");
	for (size_t i = 0; i < o->o.nalgs; i++) {
		if (str_is(alg, o->o.algs[i]))
			return true;
	}
	return false;
}

struct oidc *oidc_new(const struct oidc_opts *opts, struct err *err)
{
	if (!str_starts(str_c(opts->issuer_url), STR("https://"))) {
		err_set(err, ERR_BAD_REQUEST, "--oidc-issuer-url: must be https://");
		return NULL;
	}
	if (!opts->client_id) {
		err_set(err, ERR_BAD_REQUEST, "--oidc-client-id is missing");
		return NULL;
	}
	for (size_t i = 0; i < opts->nalgs; i++) {
		if (!jws_knows(str_c(opts->algs[i]))) {
			err_set(err, ERR_BAD_REQUEST, "--oidc-signing-algs: \"%s\" is unknown",
				opts->algs[i]);
			return NULL;
		}
	}
	struct oidc *o = xalloc(sizeof(*o));
	o->o = *opts;
	if (!o->o.username_claim)
		o->o.username_claim = "sub";
	if (str_is(str_c(opts->username_prefix), "-"))
		o->prefix = xstrdup("");
	else if (opts->username_prefix)
		o->prefix = xstrdup(opts->username_prefix);
	else if (str_is(str_c(o->o.username_claim), "email"))
		o->prefix = xstrdup("");
	else
		o->prefix = xasprintf("%s#", opts->issuer_url);
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

/* ---- keys ---- */

static void set_drop(struct oidc *o, struct key_set *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&o->lock);
	bool last = --s->refs == 0;
	pthread_mutex_unlock(&o->lock);
	for (size_t i = 0; last && i < s->n; i++) {
		free(s->v[i].kid);
		jws_key_free(s->v[i].key);
	}
	if (last)
		free(s);
}

static struct key_set *set_take(struct oidc *o)
{
	pthread_mutex_lock(&o->lock);
	struct key_set *s = o->keys;
	if (s)
		s->refs++;
	pthread_mutex_unlock(&o->lock);
	return s;
}

void oidc_free(struct oidc *o)
{
	if (!o)
		return;
	set_drop(o, o->keys);
	pthread_mutex_destroy(&o->lock);
	free(o->prefix);
	free(o);
}

static struct str decoded(struct arena *a, const struct json *k, const char *name)
{
	AUTO(buf) struct buf raw = {0};
	struct str text = json_str(json_get(k, str_c(name)));

	if (!text.n || text.n > 4096 || base64url_decode(text, &raw))
		return STR_NONE;
	return arena_str(a, buf_view(&raw));
}

static struct jws_key *read_key(struct arena *a, const struct json *k, struct err *err)
{
	struct str kty = json_str(json_get(k, STR("kty"))), use = json_str(json_get(k, STR("use")));

	if (use.n && !str_is(use, "sig"))
		return NULL;
	if (str_is(kty, "RSA"))
		return jws_key_rsa(decoded(a, k, "n"), decoded(a, k, "e"), err);
	if (str_is(kty, "EC") || str_is(kty, "OKP"))
		return jws_key_curve(json_str(json_get(k, STR("crv"))), decoded(a, k, "x"),
				     decoded(a, k, "y"), err);
	return NULL;
}

int oidc_keys(struct oidc *o, struct str jwks, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct json_limits limits = {.depth = 8, .nodes = 10000};
	const struct json *v = json_parse(&a, jwks, &limits, err), *list = json_get(v, STR("keys"));

	if (!v)
		return -1;
	if (!json_is(list, JSON_ARRAY))
		return err_set(err, ERR_PARSE, "no key set");
	struct key_set *s = xalloc(sizeof(*s)), *old;
	s->refs = 1;
	/* A key of a sort that isn't known here doesn't spoil the others. */
	for (size_t i = 0; i < json_len(list) && s->n < KEYS_MAX; i++) {
		const struct json *k = json_item(list, i);
		struct str kid = json_str(json_get(k, STR("kid")));
		struct jws_key *key = read_key(&a, k, NULL);
		if (key)
			s->v[s->n++] = (struct key){xstrndup(kid.n ? kid.p : "", kid.n), key};
	}
	if (!s->n) {
		free(s);
		return err_set(err, ERR_PARSE, "the key set holds no key that can be used");
	}
	pthread_mutex_lock(&o->lock);
	old = o->keys;
	o->keys = s;
	pthread_mutex_unlock(&o->lock);
	set_drop(o, old);
	return 0;
}

/* ---- tokens ---- */

static const struct json *part(struct arena *a, struct str text)
{
	AUTO(buf) struct buf raw = {0};
	struct json_limits limits = {.depth = 16, .nodes = 5000};

	if (base64url_decode(text, &raw) || !str_is_utf8(buf_view(&raw)))
		return NULL;
	const struct json *v = json_parse(a, arena_str(a, buf_view(&raw)), &limits, NULL);
	return json_is(v, JSON_OBJECT) ? v : NULL;
}

struct jwt {
	struct str head, body, sig; /* as they stand in the text */
	struct str signed_part;
};

static bool split(struct str text, struct jwt *ret)
{
	struct str rest;

	if (text.n > ID_TOKEN_MAX || !str_cut(text, '.', &ret->head, &rest) ||
	    !str_cut(rest, '.', &ret->body, &ret->sig))
		return false;
	ret->signed_part = str_sub(text, 0, ret->head.n + 1 + ret->body.n);
	return ret->head.n && ret->body.n && ret->sig.n;
}

bool oidc_is_from(const struct oidc *o, struct str text)
{
	AUTO(arena) struct arena a = {0};
	struct jwt t;

	return split(text, &t) &&
	       str_is(json_str(json_get(part(&a, t.body), STR("iss"))), o->o.issuer_url);
}

static int check_signature(struct oidc *o, struct arena *a, const struct jwt *t, struct err *err)
{
	AUTO(buf) struct buf sig = {0};
	const struct json *head = part(a, t->head);
	struct str alg = json_str(json_get(head, STR("alg"))),
		   kid = json_str(json_get(head, STR("kid")));
	bool known = false, good = false;

	if (!head || !allowed(o, alg))
		return err_set(err, ERR_UNAUTHORIZED, "the token's algorithm is not allowed");
	/* RFC 7515 4.1.11: what must be understood and isn't. */
	if (json_get(head, STR("crit")))
		return err_set(err, ERR_UNAUTHORIZED, "the token has critical headers");
	if (base64url_decode(t->sig, &sig))
		return err_set(err, ERR_UNAUTHORIZED, "malformed token");
	struct key_set *s = set_take(o);
	for (size_t i = 0; s && i < s->n && !good; i++) {
		if (kid.n && !str_is(kid, s->v[i].kid))
			continue;
		known = true;
		good = jws_verify(s->v[i].key, alg, t->signed_part, buf_view(&sig));
	}
	set_drop(o, s);
	if (good)
		return 0;
	if (!known)
		return err_set(err, ERR_UNAVAILABLE, "the token's key is not known");
	return err_set(err, ERR_UNAUTHORIZED, "the token's signature does not hold");
}

static bool is_for(const struct json *claims, const char *client)
{
	const struct json *aud = json_get(claims, STR("aud"));

	if (str_is(json_str(aud), client))
		return true;
	for (size_t i = 0; json_is(aud, JSON_ARRAY) && i < json_len(aud); i++) {
		if (str_is(json_str(json_item(aud, i)), client))
			return true;
	}
	return false;
}

static int check_claims(const struct oidc *o, const struct json *c, int64_t now_s, struct err *err)
{
	if (!str_is(json_str(json_get(c, STR("iss"))), o->o.issuer_url))
		return err_set(err, ERR_UNAUTHORIZED, "token is from another issuer");
	if (!is_for(c, o->o.client_id))
		return err_set(err, ERR_UNAUTHORIZED, "token is for another audience");
	if (json_int(json_get(c, STR("exp")), 0) <= now_s)
		return err_set(err, ERR_UNAUTHORIZED, "token has expired");
	if (json_int(json_get(c, STR("nbf")), 0) > now_s + LEEWAY_S)
		return err_set(err, ERR_UNAUTHORIZED, "token is not valid yet");
	for (size_t i = 0; i < o->o.nrequired; i++) {
		struct str key, value;
		str_cut(str_c(o->o.required[i]), '=', &key, &value);
		const struct json *v = json_get(c, key);
		if (!json_is(v, JSON_STRING) || !str_eq(json_str(v), value))
			return err_set(err, ERR_UNAUTHORIZED, "required claim %.*s is not there",
				       STR_ARG(key));
	}
	return 0;
}

static int read_name(const struct oidc *o, struct arena *a, const struct json *c,
		     struct admission_user *ret, struct err *err)
{
	struct str name = json_str(json_get(c, str_c(o->o.username_claim)));
	const struct json *verified = json_get(c, STR("email_verified"));

	if (!name.n)
		return err_set(err, ERR_UNAUTHORIZED, "token has no claim %s", o->o.username_claim);
	/* Anybody can claim a mail address; a missing word about it is taken as yes. */
	if (str_is(str_c(o->o.username_claim), "email") && verified && !json_bool(verified, false))
		return err_set(err, ERR_UNAUTHORIZED, "the mail address is not verified");
	ret->name = arena_strf(a, "%s%.*s", o->prefix, STR_ARG(name));
	return 0;
}

static int read_groups(const struct oidc *o, struct arena *a, const struct json *c,
		       struct admission_user *ret, struct err *err)
{
	const struct json *g = o->o.groups_claim ? json_get(c, str_c(o->o.groups_claim)) : NULL;
	bool list = json_is(g, JSON_ARRAY);
	size_t n = list ? json_len(g) : g && !json_is(g, JSON_NULL);
	const char *prefix = o->o.groups_prefix ? o->o.groups_prefix : "";

	if (n > GROUPS_MAX)
		return err_set(err, ERR_UNAUTHORIZED, "token names too many groups");
	struct str *v = arena_array(a, n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		const struct json *one = list ? json_item(g, i) : g;
		if (!json_is(one, JSON_STRING))
			return err_set(err, ERR_UNAUTHORIZED, "the groups claim is not text");
		v[ret->ngroups++] = arena_strf(a, "%s%.*s", prefix, STR_ARG(json_str(one)));
	}
	v[ret->ngroups++] = STR("system:authenticated");
	ret->groups = v;
	return 0;
}

int oidc_verify(struct oidc *o, struct arena *a, struct str text, int64_t now_s,
		struct admission_user *ret, struct err *err)
{
	struct jwt t;

	*ret = (struct admission_user){0};
	if (!split(text, &t))
		return err_set(err, ERR_UNAUTHORIZED, "malformed token");
	if (check_signature(o, a, &t, err))
		return -1;
	const struct json *c = part(a, t.body);
	if (!c)
		return err_set(err, ERR_UNAUTHORIZED, "malformed token");
	if (check_claims(o, c, now_s, err) || read_name(o, a, c, ret, err))
		return -1;
	struct str id = json_str(json_get(c, STR("jti")));
	if (id.n)
		user_extra_credential(a, arena_strf(a, "JTI=%.*s", STR_ARG(id)), ret);
	return read_groups(o, a, c, ret, err);
}
