/* What needs no core: Accept headers, ServiceAccount tokens, impersonation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/accept.h"
#include "apiserver/authn.h"
#include "apiserver/extra.h"
#include "apiserver/tokens.h"
#include "lib/base/codec.h"
#include "lib/http/tls.h"
#include "lib/json/json.h"

static struct accepts parse(const char *header)
{
	struct accepts a;

	accept_parse(str_c(header), &a);
	return a;
}

void test_accept__what_clients_send(void **state)
{
	struct accepts a;

	(void)state;
	a = parse(NULL);
	assert_true(a.resource);
	assert_int_equal(a.form, CORE_FORM_OBJECT);
	assert_int_equal(a.discovery, DISCOVERY_PLAIN);
	a = parse(
		"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;"
		"g=meta.k8s.io,application/json");
	assert_int_equal(a.form, CORE_FORM_TABLE);
	assert_true(str_is(a.form_version, "v1"));
	assert_int_equal(a.discovery, DISCOVERY_PLAIN);
	a = parse("application/vnd.kubernetes.protobuf,application/json");
	assert_true(a.resource);
	assert_int_equal(a.form, CORE_FORM_OBJECT);
	assert_false(a.proto);
	a = parse("application/vnd.kubernetes.protobuf");
	assert_true(a.resource && a.proto);
	assert_int_equal(a.form, CORE_FORM_OBJECT);
	assert_false(parse("application/vnd.kubernetes.protobuf, */*").proto);
	a = parse(
		"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
	assert_true(a.resource && a.proto);
	assert_int_equal(a.form, CORE_FORM_PARTIAL);
	a = parse("application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1");
	assert_false(a.resource);
	a = parse("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
		  "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
		  "application/json");
	assert_int_equal(a.discovery, DISCOVERY_V2);
	a = parse("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
	assert_int_equal(a.discovery, DISCOVERY_V2BETA1);
	assert_false(a.resource);
	a = parse("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
	assert_int_equal(a.form, CORE_FORM_PARTIAL);
	a = parse("application/yaml, */*");
	assert_true(a.yaml);
	a = parse("text/html, application/xml;q=0.9, */*; q=0.8");
	assert_true(a.resource);
	a = parse("text/html");
	assert_false(a.resource);
	a = parse(";;==,,;as=Table");
	assert_false(a.resource);
	/* Unknown groups and versions are passed over. */
	a = parse("application/json;as=Table;v=v9;g=meta.k8s.io,application/json");
	assert_int_equal(a.form, CORE_FORM_OBJECT);
}

/* ---- tokens ---- */

static struct tokens *make_tokens(void)
{
	AUTO(buf) struct buf key = {0};
	AUTO(buf) struct buf csr = {0};
	struct err err = {0};

	assert_int_equal(csr_create("sa", NULL, NULL, &key, &csr, &err), 0);
	struct tokens *t = tokens_new(buf_view(&key), &err);
	assert_non_null(t);
	return t;
}

static const struct str audience[] = {{TOKEN_ISSUER, sizeof(TOKEN_ISSUER) - 1}};
static const struct token_claims claims = {
	.namespace = {"ns", 2},
	.account = {"robot", 5},
	.account_uid = {"uid-1", 5},
	.bound_kind = {"pod", 3},
	.bound_name = {"p-0", 3},
	.bound_uid = {"uid-2", 5},
	.node_name = {"node-1", 6},
	.audiences = audience,
	.naudiences = 1,
	.id = {"id", 2},
	.issued_s = 1000,
	.expires_s = 2000,
};

void test_tokens__say_who_and_for_how_long(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf jwt = {0};
	struct tokens *t = make_tokens();
	struct err err = {0};
	struct identity who = {0};

	(void)state;
	assert_int_equal(token_sign(t, &claims, &jwt, &err), 0);
	for (int i = 0; i < 2; i++) { /* the second time from memory */
		assert_int_equal(authn_token(&(struct authn){.tokens = t}, &a, buf_view(&jwt), 1500,
					     &who, &err),
				 0);
		assert_true(str_is(who.user.name, "system:serviceaccount:ns:robot"));
		assert_true(str_is(who.user.uid, "uid-1"));
		assert_int_equal(who.user.ngroups, 3);
		assert_true(str_is(who.claims.bound_name, "p-0"));
		assert_true(str_is(who.claims.node_name, "node-1"));
		assert_true(token_for(&who.claims, STR(TOKEN_ISSUER)));
		assert_false(token_for(&who.claims, STR("vault")));
	}
	assert_int_equal(
		authn_token(&(struct authn){.tokens = t}, &a, buf_view(&jwt), 2000, &who, &err),
		-1);
	assert_int_equal(err.code, ERR_UNAUTHORIZED);
	assert_int_equal(
		authn_token(&(struct authn){.tokens = t}, &a, buf_view(&jwt), 900, &who, &err), -1);
	tokens_free(t);
}

static struct str forge(struct arena *a, struct str jwt, const char *head, const char *from,
			const char *to)
{
	AUTO(buf) struct buf out = {0};
	AUTO(buf) struct buf body = {0};
	struct str h, rest, b, sig;

	str_cut(jwt, '.', &h, &rest);
	str_cut(rest, '.', &b, &sig);
	if (head)
		base64url_encode(str_c(head), &out);
	else
		buf_str(&out, h);
	buf_putc(&out, '.');
	assert_int_equal(base64url_decode(b, &body), 0);
	ptrdiff_t at = str_find(buf_view(&body), str_c(from));
	assert_true(at >= 0);
	memcpy(body.p + at, to, strlen(to));
	base64url_encode(buf_view(&body), &out);
	buf_putc(&out, '.');
	buf_str(&out, sig);
	return arena_str(a, buf_view(&out));
}

void test_tokens__forged_ones_are_refused(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf jwt = {0};
	struct tokens *t = make_tokens(), *other = make_tokens();
	struct token_claims c;
	struct err err = {0};

	(void)state;
	assert_int_equal(token_sign(t, &claims, &jwt, &err), 0);
	struct str good = buf_view(&jwt);
	const struct str bad[] = {
		forge(&a, good, NULL, "robot", "admin"),
		forge(&a, good, "{\"alg\":\"none\"}", "robot", "robot"),
		forge(&a, good, "{\"alg\":\"HS256\"}", "robot", "robot"),
		str_sub(good, 0, good.n - 1),
		str_sub(good, 0, good.n / 2),
		STR("a.b.c"),
		STR(".."),
		STR(""),
		STR("eyJhbGciOiJub25lIn0.e30."),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(token_verify(t, &a, bad[i], 1500, &c, &err), -1);
		assert_int_equal(err.code, ERR_UNAUTHORIZED);
	}
	assert_int_equal(token_verify(other, &a, good, 1500, &c, &err), -1);
	assert_int_equal(token_verify(t, &a, good, 1500, &c, &err), 0);
	tokens_free(t);
	tokens_free(other);
}

void test_tokens__key_set_is_json(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct tokens *t = make_tokens();

	(void)state;
	tokens_jwks(t, &text);
	struct json *v = json_parse(&a, buf_view(&text), NULL, NULL);
	struct json *k = json_item(json_at(v, "keys"), 0);
	assert_true(str_is(json_str(json_at(k, "crv")), "P-256"));
	assert_int_equal(json_str(json_at(k, "x")).n, 43);
	assert_int_equal(json_str(json_at(k, "y")).n, 43);
	buf_reset(&text);
	tokens_openid_configuration(&text);
	assert_non_null(json_parse(&a, buf_view(&text), NULL, NULL));
	tokens_free(t);
}

/* ---- who ---- */

static struct http_req request(struct http_header *h, size_t n)
{
	return (struct http_req){.headers = {.v = h, .n = n}};
}

static const char *extra_of(struct arena *a, const struct admission_user *u)
{
	AUTO(buf) struct buf text = {0};

	buf_putc(&text, '0');
	user_extra_write(u, &text);
	return arena_cstr(a, str_sub(buf_view(&text), 1, text.n));
}

void test_authn__certificate_names_user_and_groups(void **state)
{
	static const char *const orgs[] = {"system:nodes", "x", NULL};
	struct http_req r = request(NULL, 0);
	struct identity who;
	struct err err = {0};

	(void)state;
	r.peer_cn = "system:node:n1";
	r.peer_orgs = orgs;
	r.peer_sha256 = "00ff";
	assert_int_equal(authn_request(&(struct authn){0}, &r, 0, &who, &err), 0);
	assert_true(str_is(who.user.name, "system:node:n1"));
	assert_int_equal(who.user.ngroups, 3);
	assert_true(str_is(who.user.groups[2], "system:authenticated"));
	assert_string_equal(extra_of(&r.arena, &who.user),
			    ",\"extra\":{\"authentication.kubernetes.io/credential-id\":"
			    "[\"X509SHA256=00ff\"]}");
	arena_release(&r.arena);
}

void test_authn__nobody_is_nobody(void **state)
{
	struct http_header basic[] = {{STR("Authorization"), STR("Basic YTpi")}};
	struct http_header empty[] = {{STR("Authorization"), STR("Bearer ")}};
	struct http_header bad[] = {{STR("Authorization"), STR("Bearer abc")}};
	struct tokens *t = make_tokens();
	struct identity who;
	struct err err = {0};

	(void)state;
	struct http_req r = request(NULL, 0);
	assert_int_equal(authn_request(&(struct authn){.tokens = t}, &r, 0, &who, &err), -1);
	r = request(basic, 1);
	assert_int_equal(authn_request(&(struct authn){.tokens = t}, &r, 0, &who, &err), -1);
	r = request(empty, 1);
	assert_int_equal(authn_request(&(struct authn){.tokens = t}, &r, 0, &who, &err), -1);
	r = request(bad, 1);
	assert_int_equal(authn_request(&(struct authn){.tokens = t}, &r, 0, &who, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORIZED);
	tokens_free(t);
}

void test_authn__token_for_another_audience_is_refused(void **state)
{
	static const struct str vault[] = {{"vault", 5}};
	AUTO(buf) struct buf jwt = {0};
	struct tokens *t = make_tokens();
	struct token_claims c = claims;
	struct identity who;
	struct err err = {0};

	(void)state;
	c.audiences = vault;
	buf_puts(&jwt, "bearer ");
	assert_int_equal(token_sign(t, &c, &jwt, &err), 0);
	struct http_header h[] = {{STR("authorization"), buf_view(&jwt)}};
	struct http_req r = request(h, 1);
	assert_int_equal(authn_request(&(struct authn){.tokens = t}, &r, 1500, &who, &err), -1);
	arena_release(&r.arena);
	tokens_free(t);
}

void test_authn__impersonation(void **state)
{
	struct http_header h[] = {{STR("Impersonate-User"), STR("system:serviceaccount:a:b")},
				  {STR("impersonate-group"), STR("g1")},
				  {STR("Impersonate-Group"), STR("g2")}};
	struct http_req r = request(h, 3);
	struct impersonation i;
	struct admission_user u;
	struct err err = {0};

	(void)state;
	assert_int_equal(authn_impersonation(&r, &i, &err), 1);
	assert_int_equal(i.ngroups, 2);
	authn_impersonated(&r.arena, &i, &u);
	assert_int_equal(u.ngroups, 3);
	i.ngroups = 0;
	authn_impersonated(&r.arena, &i, &u);
	assert_int_equal(u.ngroups, 3); /* a service account's own */
	i.user = STR("system:anonymous");
	authn_impersonated(&r.arena, &i, &u);
	assert_int_equal(u.ngroups, 1);
	assert_true(str_is(u.groups[0], "system:unauthenticated"));
	i.user = STR("jane");
	i.groups[0] = STR("system:authenticated");
	i.ngroups = 1;
	authn_impersonated(&r.arena, &i, &u);
	assert_int_equal(u.ngroups, 1);
	arena_release(&r.arena);
	r = request(h + 1, 2);
	assert_int_equal(authn_impersonation(&r, &i, &err), -1);
	assert_int_equal(err.code, ERR_BAD_REQUEST);
	arena_release(&r.arena);
	r = request(NULL, 0);
	assert_int_equal(authn_impersonation(&r, &i, &err), 0);
	arena_release(&r.arena);
}

void test_authn__a_token_tells_its_pod_and_node(void **state)
{
	AUTO(buf) struct buf jwt = {0};
	AUTO(arena) struct arena a = {0};
	struct tokens *t = make_tokens();
	struct token_claims c = claims;
	struct authn x = {.tokens = t};
	struct identity who = {0};
	struct err err = {0};

	(void)state;
	c.node_uid = STR("uid-3");
	assert_int_equal(token_sign(t, &c, &jwt, &err), 0);
	assert_int_equal(authn_token(&x, &a, buf_view(&jwt), 1500, &who, &err), 0);
	assert_string_equal(
		extra_of(&a, &who.user),
		",\"extra\":{\"authentication.kubernetes.io/credential-id\":[\"JTI=id\"],"
		"\"authentication.kubernetes.io/node-name\":[\"node-1\"],"
		"\"authentication.kubernetes.io/node-uid\":[\"uid-3\"],"
		"\"authentication.kubernetes.io/pod-name\":[\"p-0\"],"
		"\"authentication.kubernetes.io/pod-uid\":[\"uid-2\"]}");
	c.bound_kind = c.bound_name = c.bound_uid = c.node_name = c.node_uid = STR_NONE;
	buf_reset(&jwt);
	assert_int_equal(token_sign(t, &c, &jwt, &err), 0);
	assert_int_equal(authn_token(&x, &a, buf_view(&jwt), 1500, &who, &err), 0);
	assert_string_equal(
		extra_of(&a, &who.user),
		",\"extra\":{\"authentication.kubernetes.io/credential-id\":[\"JTI=id\"]}");
	tokens_free(t);
}

void test_extra__keys_of_headers(void **state)
{
	struct http_header h[] = {{STR("Impersonate-Extra-Scopes"), STR("view")},
				  {STR("impersonate-extra-Example.com%2FTeam%20one"), STR("a\"b")},
				  {STR("Impersonate-Extra-scopes"), STR("")},
				  {STR("Impersonate-Extra-Z%zz"), STR("odd")},
				  {STR("Impersonate-Extra-y%FF"), STR("not text")},
				  {STR("Impersonate-Extr"), STR("none")},
				  {STR("X-Impersonate-Extra-A"), STR("none")}};
	AUTO(arena) struct arena a = {0};
	struct http_headers all = {.v = h, .n = ARRAY_LEN(h)};
	struct admission_user u = {.name = STR("bob")};
	struct err err = {0};

	(void)state;
	assert_int_equal(user_extra_read(&a, &all, STR("Impersonate-Extra-"), &u, &err), 0);
	assert_string_equal(extra_of(&a, &u), ",\"extra\":{\"example.com/team one\":[\"a\\\"b\"],"
					      "\"scopes\":[\"view\",\"\"],\"y%ff\":[\"not text\"],"
					      "\"z%zz\":[\"odd\"]}");
	struct json *o = json_new(&a, JSON_OBJECT);
	user_extra_put(&a, &u, o);
	assert_int_equal(json_len(json_at(o, "extra")), 4);
	assert_int_equal(json_len(json_at(o, "extra", "scopes")), 2);
	assert_true(str_is(json_str(json_item(json_at(o, "extra", "scopes"), 0)), "view"));
	/* Another prefix adds to it. */
	assert_int_equal(user_extra_read(&a, &all, STR("X-Impersonate-Extra-"), &u, &err), 0);
	assert_int_equal(u.nextra, 6);
	assert_true(str_is(u.extra[0].key, "a"));
	assert_true(str_is(user_extra_escape(&a, STR("example.com/team one")),
			   "example.com%2Fteam%20one"));
}

void test_extra__has_an_end(void **state)
{
	struct http_header h[EXTRA_VALUES_MAX + 1];
	AUTO(arena) struct arena a = {0};
	struct http_headers all = {.v = h, .n = EXTRA_VALUES_MAX + 1};
	struct admission_user u = {0};
	struct err err = {0};
	char *big = xalloc(EXTRA_BYTES_MAX + 1);

	(void)state;
	for (size_t i = 0; i < all.n; i++)
		h[i] = (struct http_header){arena_strf(&a, "X-%zu", all.n - i), STR("v")};
	assert_int_equal(user_extra_read(&a, &all, STR("X-"), &u, &err), -1);
	assert_int_equal(err.code, ERR_BAD_REQUEST);
	assert_null(u.extra);
	all.n--;
	assert_int_equal(user_extra_read(&a, &all, STR("X-"), &u, &err), 0);
	assert_int_equal(u.nextra, EXTRA_VALUES_MAX);
	for (size_t i = 1; i < u.nextra; i++)
		assert_true(str_cmp(u.extra[i - 1].key, u.extra[i].key) < 0);
	u = (struct admission_user){0};
	memset(big, 'x', EXTRA_BYTES_MAX);
	h[0].value = str_c(big);
	assert_int_equal(user_extra_read(&a, &all, STR("X-"), &u, &err), -1);
	assert_int_equal(user_extra_read(&a, &all, STR_NONE, &u, &err), 0);
	assert_int_equal(u.nextra, 0);
	free(big);
}
