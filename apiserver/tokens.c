/*
 * ServiceAccount tokens. Must never accept an algorithm but ES256, log a token or keep one: only
 * hashes of those whose signature was found good are remembered, to save the arithmetic. Thread
 * safe: the key is constant, the memory of hashes is behind a mutex.
 */
#include "apiserver/tokens.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/http/tls.h"
#include "lib/json/json.h"

#define REMEMBERED 1024
#define LEEWAY_S 10 /* clocks differ */

struct tokens {
	struct buf pem;
	char kid[65];
	uint8_t point[64];
	pthread_mutex_t lock;
	struct sha256 good[REMEMBERED];
};

struct tokens *tokens_new(struct str key_pem, struct err *err)
{
	struct tokens *t = xalloc(sizeof(*t));

	pthread_mutex_init(&t->lock, NULL);
	buf_str(&t->pem, key_pem);
	if (es256_public(key_pem, t->point, err)) {
		tokens_free(t);
		return NULL;
	}
	sha256_hex((struct str){(const char *)t->point, sizeof(t->point)}, t->kid);
	t->kid[32] = 0;
	return t;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	buf_wipe(&t->pem);
	free(t);
}

/* ---- making ---- */

static struct json *claims_tree(struct arena *a, const struct token_claims *c)
{
	struct json *o = json_new(a, JSON_OBJECT);
	struct json *aud = json_set_array(a, o, "aud");

	for (size_t i = 0; i < c->naudiences; i++)
		json_append_str(a, aud, c->audiences[i]);
	json_set_int(a, o, "exp", c->expires_s);
	json_set_int(a, o, "iat", c->issued_s);
	json_set_str(a, o, "iss", STR(TOKEN_ISSUER));
	json_set_str(a, o, "jti", c->id);
	struct json *k = json_set_object(a, o, "kubernetes.io");
	json_set_str(a, k, "namespace", c->namespace);
	if (c->bound_kind.n) {
		struct json *b = json_set_object(a, k, arena_cstr(a, c->bound_kind));
		json_set_str(a, b, "name", c->bound_name);
		json_set_str(a, b, "uid", c->bound_uid);
	}
	if (c->node_name.n) {
		struct json *n = json_set_object(a, k, "node");
		json_set_str(a, n, "name", c->node_name);
		if (c->node_uid.n)
			json_set_str(a, n, "uid", c->node_uid);
	}
	struct json *s = json_set_object(a, k, "serviceaccount");
	json_set_str(a, s, "name", c->account);
	json_set_str(a, s, "uid", c->account_uid);
	json_set_int(a, o, "nbf", c->issued_s);
	json_set_str(a, o, "sub",
		     arena_strf(a, "system:serviceaccount:%.*s:%.*s", STR_ARG(c->namespace),
				STR_ARG(c->account)));
	return o;
}

int token_sign(struct tokens *t, const struct token_claims *c, struct buf *ret, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	uint8_t sig[64];
	size_t from = ret->n;

	buf_printf(&text, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", t->kid);
	base64url_encode(buf_view(&text), ret);
	buf_putc(ret, '.');
	buf_reset(&text);
	json_write(claims_tree(&a, c), &text);
	base64url_encode(buf_view(&text), ret);
	if (sign_es256(buf_view(&t->pem), str_sub(buf_view(ret), from, ret->n - from), sig, err))
		return -1;
	buf_putc(ret, '.');
	base64url_encode((struct str){(const char *)sig, sizeof(sig)}, ret);
	return 0;
}

/* ---- proving ---- */

static size_t slot_of(const struct sha256 *h)
{
	return (h->bytes[0] | (size_t)h->bytes[1] << 8) % REMEMBERED;
}

static bool known_good(struct tokens *t, const struct sha256 *h)
{
	pthread_mutex_lock(&t->lock);
	bool good = !memcmp(&t->good[slot_of(h)], h, sizeof(*h));
	pthread_mutex_unlock(&t->lock);
	return good;
}

static void remember(struct tokens *t, const struct sha256 *h)
{
	pthread_mutex_lock(&t->lock);
	t->good[slot_of(h)] = *h;
	pthread_mutex_unlock(&t->lock);
}

static int check_signature(struct tokens *t, struct str jwt, struct str head, struct str sig,
			   struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf raw = {0};
	AUTO(buf) struct buf text = {0};
	struct sha256 hash;
	struct json_limits limits = {.depth = 4, .nodes = 64};

	sha256_of(jwt, &hash);
	if (known_good(t, &hash))
		return 0;
	if (base64url_decode(head, &text) || base64url_decode(sig, &raw) || raw.n != 64)
		return err_set(err, ERR_UNAUTHORIZED, "malformed token");
	struct json *h = json_parse(&a, buf_view(&text), &limits, NULL);
	if (!str_is(json_str(json_at(h, "alg")), "ES256"))
		return err_set(err, ERR_UNAUTHORIZED, "token algorithm is not accepted");
	struct str signed_part = {jwt.p, jwt.n - sig.n - 1};
	if (verify_es256(buf_view(&t->pem), signed_part, (const uint8_t *)raw.p, err))
		return -1;
	remember(t, &hash);
	return 0;
}

static void read_bound(const struct json *k, struct token_claims *c)
{
	static const char *const kinds[] = {"pod", "secret", "node"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct json *b = json_at(k, kinds[i]);
		if (!b || c->bound_kind.n)
			continue;
		c->bound_kind = str_c(kinds[i]);
		c->bound_name = json_str(json_at(b, "name"));
		c->bound_uid = json_str(json_at(b, "uid"));
	}
	c->node_name = json_str(json_at(k, "node", "name"));
	c->node_uid = json_str(json_at(k, "node", "uid"));
}

static void read_claims(struct arena *a, const struct json *o, struct token_claims *c)
{
	const struct json *k = json_get(o, STR("kubernetes.io")), *aud = json_at(o, "aud");
	size_t n = json_is(aud, JSON_ARRAY) ? json_len(aud) : 0;
	struct str *v = arena_array(a, n, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = json_str(json_item(aud, i));
	*c = (struct token_claims){
		.namespace = json_str(json_at(k, "namespace")),
		.account = json_str(json_at(k, "serviceaccount", "name")),
		.account_uid = json_str(json_at(k, "serviceaccount", "uid")),
		.audiences = v,
		.naudiences = n,
		.id = json_str(json_at(o, "jti")),
		.issued_s = json_int(json_at(o, "iat"), 0),
		.expires_s = json_int(json_at(o, "exp"), 0),
	};
	read_bound(k, c);
}

int token_verify(struct tokens *t, struct arena *a, struct str jwt, int64_t now_s,
		 struct token_claims *ret, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	struct str head, rest, body, sig;

	if (jwt.n > TOKEN_MAX || !str_cut(jwt, '.', &head, &rest) ||
	    !str_cut(rest, '.', &body, &sig))
		return err_set(err, ERR_UNAUTHORIZED, "malformed token");
	if (check_signature(t, jwt, head, sig, err))
		return -1;
	if (base64url_decode(body, &text))
		return err_set(err, ERR_UNAUTHORIZED, "malformed token");
	struct json *o = json_parse(a, arena_str(a, buf_view(&text)), NULL, NULL);
	if (!str_is(json_str(json_at(o, "iss")), TOKEN_ISSUER))
		return err_set(err, ERR_UNAUTHORIZED, "token is from another issuer");
	read_claims(a, o, ret);
	if (!ret->namespace.n || !ret->account.n)
		return err_set(err, ERR_UNAUTHORIZED, "token names no service account");
	if (ret->expires_s <= now_s)
		return err_set(err, ERR_UNAUTHORIZED, "token has expired");
	if (json_int(json_at(o, "nbf"), 0) > now_s + LEEWAY_S)
		return err_set(err, ERR_UNAUTHORIZED, "token is not valid yet");
	return 0;
}

bool token_for(const struct token_claims *c, struct str audience)
{
	for (size_t i = 0; i < c->naudiences; i++) {
		if (str_eq(c->audiences[i], audience))
			return true;
	}
	return false;
}

/* ---- what others verify with ---- */

void tokens_openid_configuration(struct buf *out)
{
	buf_puts(out, "{\"issuer\":\"" TOKEN_ISSUER "\",\"jwks_uri\":\"" TOKEN_ISSUER
		      "/openid/v1/jwks\",\"response_types_supported\":[\"id_token\"],"
		      "\"subject_types_supported\":[\"public\"],"
		      "\"id_token_signing_alg_values_supported\":[\"ES256\"]}");
}

void tokens_jwks(const struct tokens *t, struct buf *out)
{
	const char *p = (const char *)t->point;

	buf_printf(out,
		   "{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"%s\",\"crv\":\"P-256\","
		   "\"alg\":\"ES256\",\"x\":\"",
		   t->kid);
	base64url_encode((struct str){p, 32}, out);
	buf_puts(out, "\",\"y\":\"");
	base64url_encode((struct str){p + 32, 32}, out);
	buf_puts(out, "\"}]}");
}
