/*
 * Somebody else's ID tokens: what is believed, what is not, and that a key which is new at the
 * issuer is fetched while the request that shows it waits.
 */
#include "tests/unit/apiserver/live.h"

#include <unistd.h>

#include "apiserver/authn.h"
#include "apiserver/oidc.h"
#include "lib/base/codec.h"
#include "lib/http/server.h"

#define ISSUER "https://127.0.0.1:1/dex"

struct signer {
	struct buf key;
	char x[50], y[50];
};

static void text_of(const uint8_t *p, char out[50])
{
	AUTO(buf) struct buf b = {0};

	base64url_encode((struct str){(const char *)p, 32}, &b);
	snprintf(out, 50, "%s", buf_cstr(&b));
}

static void make_signer(struct signer *s)
{
	struct buf csr = {0};
	struct err err = {0};
	uint8_t point[64];

	*s = (struct signer){0};
	assert_int_equal(csr_create("x", NULL, NULL, &s->key, &csr, &err), 0);
	assert_int_equal(es256_public(buf_view(&s->key), point, &err), 0);
	text_of(point, s->x);
	text_of(point + 32, s->y);
	buf_release(&csr);
}

static void jwk(struct buf *to, const struct signer *s, const char *kid)
{
	buf_printf(to,
		   "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"kid\":\"%s\",\"x\":\"%s\","
		   "\"y\":\"%s\"}",
		   kid, s->x, s->y);
}

static const char *token(struct arena *a, const struct signer *s, const char *head,
			 const char *body)
{
	AUTO(buf) struct buf b = {0};
	struct err err = {0};
	uint8_t sig[64];

	base64url_encode(str_c(head), &b);
	buf_putc(&b, '.');
	base64url_encode(str_c(body), &b);
	assert_int_equal(sign_es256(buf_view(&s->key), buf_view(&b), sig, &err), 0);
	buf_putc(&b, '.');
	base64url_encode((struct str){(const char *)sig, 64}, &b);
	return arena_cstr(a, buf_view(&b));
}

static const char *const es256[] = {"ES256"}, *const staff[] = {"hd=example.org"};
#define HEAD(kid) "{\"alg\":\"ES256\",\"kid\":\"" kid "\"}"
#define BODY(more) "{\"iss\":\"" ISSUER "\",\"aud\":\"plumb\",\"exp\":2000,\"sub\":\"ann\"" more "}"

static struct oidc *make_oidc(struct oidc_opts o, const struct signer *s)
{
	AUTO(buf) struct buf set = {0};
	struct err err = {0};

	o.issuer_url = ISSUER;
	o.client_id = "plumb";
	o.algs = es256;
	o.nalgs = 1;
	struct oidc *x = oidc_new(&o, &err);
	assert_non_null(x);
	buf_puts(&set, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"},{\"kty\":\"RSA\"},");
	jwk(&set, s, "k1");
	buf_puts(&set, "]}");
	assert_int_equal(oidc_keys(x, buf_view(&set), &err), 0);
	return x;
}

static struct admission_user user;
static struct arena mem;

static enum err_code verify(struct oidc *x, const char *jwt)
{
	struct err err = {0};

	return oidc_verify(x, &mem, str_c(jwt), 1500, &user, &err) ? err.code : ERR_NONE;
}

void test_oidc__whom_a_token_names(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct signer s;

	(void)state;
	make_signer(&s);
	struct oidc *x = make_oidc((struct oidc_opts){0}, &s);
	const char *t = token(&a, &s, HEAD("k1"), BODY(",\"groups\":[\"g\"]"));
	assert_true(oidc_is_from(x, str_c(t)));
	assert_int_equal(verify(x, t), ERR_NONE);
	assert_true(str_is(user.name, ISSUER "#ann"));
	assert_int_equal(user.ngroups, 1);
	oidc_free(x);
	x = make_oidc((struct oidc_opts){.username_prefix = "-",
					 .groups_claim = "groups",
					 .groups_prefix = "oidc:"},
		      &s);
	assert_int_equal(verify(x, t), ERR_NONE);
	assert_true(str_is(user.name, "ann"));
	assert_int_equal(user.ngroups, 2);
	assert_true(str_is(user.groups[0], "oidc:g"));
	assert_int_equal(user.nextra, 0);
	assert_int_equal(verify(x, token(&a, &s, HEAD("k1"), BODY(",\"jti\":\"j-1\""))), ERR_NONE);
	assert_int_equal(user.nextra, 1);
	assert_true(str_is(user.extra[0].value, "JTI=j-1"));
	t = token(&a, &s, "{\"alg\":\"ES256\"}", BODY(",\"groups\":\"solo\""));
	assert_int_equal(verify(x, t), ERR_NONE); /* no kid: any key */
	assert_true(str_is(user.groups[0], "oidc:solo"));
	assert_int_equal(verify(x, token(&a, &s, HEAD("k1"), BODY(",\"groups\":[7]"))),
			 ERR_UNAUTHORIZED);
	oidc_free(x);
	x = make_oidc((struct oidc_opts){.username_claim = "email"}, &s);
	t = token(&a, &s, HEAD("k1"), BODY(",\"email\":\"a@b.c\""));
	assert_int_equal(verify(x, t), ERR_NONE);
	assert_true(str_is(user.name, "a@b.c"));
	t = token(&a, &s, HEAD("k1"), BODY(",\"email\":\"a@b.c\",\"email_verified\":false"));
	assert_int_equal(verify(x, t), ERR_UNAUTHORIZED);
	assert_int_equal(verify(x, token(&a, &s, HEAD("k1"), BODY(""))), ERR_UNAUTHORIZED);
	oidc_free(x);
	x = make_oidc((struct oidc_opts){.required = staff, .nrequired = 1}, &s);
	assert_int_equal(verify(x, token(&a, &s, HEAD("k1"), BODY(""))), ERR_UNAUTHORIZED);
	t = token(&a, &s, HEAD("k1"), BODY(",\"hd\":\"example.org\""));
	assert_int_equal(verify(x, t), ERR_NONE);
	oidc_free(x);
	buf_release(&s.key);
	arena_release(&mem);
}

void test_oidc__what_is_not_believed(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct signer s, other;

	(void)state;
	make_signer(&s);
	make_signer(&other);
	struct oidc *x = make_oidc((struct oidc_opts){0}, &s);
	assert_int_equal(verify(x, token(&a, &other, HEAD("k1"), BODY(""))), ERR_UNAUTHORIZED);
	assert_int_equal(verify(x, token(&a, &other, HEAD("k2"), BODY(""))), ERR_UNAVAILABLE);
	assert_int_equal(verify(x, token(&a, &s, "{\"alg\":\"none\",\"kid\":\"k1\"}", BODY(""))),
			 ERR_UNAUTHORIZED);
	assert_int_equal(verify(x, token(&a, &s, "{\"alg\":\"HS256\",\"kid\":\"k1\"}", BODY(""))),
			 ERR_UNAUTHORIZED);
	assert_int_equal(verify(x, token(&a, &s, "{\"alg\":\"RS256\",\"kid\":\"k1\"}", BODY(""))),
			 ERR_UNAUTHORIZED);
	assert_int_equal(
		verify(x, token(&a, &s, "{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":[\"b64\"]}",
				BODY(""))),
		ERR_UNAUTHORIZED);
	static const char *const bodies[] = {
		"{\"iss\":\"https://other\",\"aud\":\"plumb\",\"exp\":2000,\"sub\":\"ann\"}",
		"{\"iss\":\"" ISSUER "\",\"aud\":\"other\",\"exp\":2000,\"sub\":\"ann\"}",
		"{\"iss\":\"" ISSUER "\",\"aud\":[\"other\"],\"exp\":2000,\"sub\":\"ann\"}",
		"{\"iss\":\"" ISSUER "\",\"exp\":2000,\"sub\":\"ann\"}",
		"{\"iss\":\"" ISSUER "\",\"aud\":\"plumb\",\"exp\":1500,\"sub\":\"ann\"}",
		"{\"iss\":\"" ISSUER "\",\"aud\":\"plumb\",\"sub\":\"ann\"}",
		"{\"iss\":\"" ISSUER
		"\",\"aud\":\"plumb\",\"exp\":2000,\"nbf\":1600,\"sub\":\"a\"}",
		"{\"iss\":\"" ISSUER "\",\"aud\":\"plumb\",\"exp\":2000}",
		"{\"iss\":\"" ISSUER "\",\"aud\":\"plumb\",\"exp\":2000,\"sub\":7}",
		"{\"iss\":\"" ISSUER
		"\",\"iss\":\"x\",\"aud\":\"plumb\",\"exp\":2000,\"sub\":\"a\"}",
		"[]",
		"",
	};
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		assert_int_equal(verify(x, token(&a, &s, HEAD("k1"), bodies[i])), ERR_UNAUTHORIZED);
	static const char *const texts[] = {"", ".", "..", "...", "a.b.c", "a.b", "e30.e30.e30"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(verify(x, texts[i]), ERR_UNAUTHORIZED);
	/* One bit. */
	char *t = (char *)(uintptr_t)token(&a, &s, HEAD("k1"), BODY(""));
	t[strlen(t) - 10] ^= 1;
	assert_int_not_equal(verify(x, t), ERR_NONE);
	oidc_free(x);
	buf_release(&s.key);
	buf_release(&other.key);
	arena_release(&mem);
}

/* ---- over the network ---- */

static struct issuer {
	char url[64];
	struct signer *signer;
	const char *kid;
	int discovered, asked;
} issuer;

static void on_issuer(void *arg, struct http_req *r)
{
	AUTO(buf) struct buf b = {0};
	struct http_reply reply = {.status = 200, .content_type = "application/json"};

	(void)arg;
	if (str_is(r->path, "/.well-known/openid-configuration")) {
		issuer.discovered++;
		buf_printf(&b, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\"}", issuer.url,
			   issuer.url);
	} else if (str_is(r->path, "/keys")) {
		issuer.asked++;
		buf_puts(&b, "{\"keys\":[");
		jwk(&b, issuer.signer, issuer.kid);
		buf_puts(&b, "]}");
	} else {
		reply.status = 404;
	}
	http_reply_bytes(r, &reply, buf_view(&b));
}

static int ask_as(const char *kid, const struct signer *s)
{
	AUTO(arena) struct arena a = {0};
	const char *t = token(
		&a, s, arena_printf(&a, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid),
		arena_printf(
			&a,
			"{\"iss\":\"%s\",\"aud\":\"plumb\",\"exp\":99999999999,\"sub\":\"ann\"}",
			issuer.url));

	return ASK(&nobody, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
		   "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\"}",
		   "Authorization", arena_printf(&a, "Bearer %s", t));
}

static void wait_ns(int64_t ns)
{
	int64_t until = loop_now(loop) + ns;

	while (loop_now(loop) < until)
		loop_turn(loop, 20);
}

void test_oidc__new_keys_are_fetched_while_one_waits(void **state)
{
	struct authn x = {0};
	struct signer one, two;
	struct err err = {0};
	char ca_file[] = "/tmp/plumb-test-oidc-XXXXXX";

	(void)state;
	make_signer(&one);
	make_signer(&two);
	issuer = (struct issuer){.signer = &one, .kid = "k1"};
	more_authn = &x;
	/* The issuer is known before the front is, and lives on the same authority. */
	x.oidc = NULL;
	setup();
	struct http_server *h = http_server_new(
		loop, &(struct http_server_opts){.tls = server_tls, .handle = on_issuer}, &err);
	int at = http_server_listen(h, "127.0.0.1:0", &err);
	assert_true(at > 0);
	snprintf(issuer.url, sizeof(issuer.url), "https://127.0.0.1:%d", at);
	int fd = mkstemp(ca_file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, ca_cert.p, ca_cert.n), ca_cert.n);
	close(fd);
	struct oidc_opts o = {.issuer_url = issuer.url,
			      .client_id = "plumb",
			      .username_prefix = "-",
			      .algs = es256,
			      .nalgs = 1,
			      .ca_file = ca_file,
			      .again_ns = 1000 * NS_PER_MS};
	x.oidc = oidc_new(&o, &err);
	x.oidc_fetch = oidc_fetch_new(loop, x.oidc, &o, &err);
	assert_non_null(x.oidc_fetch);
	/* Another front over the same core, which knows the issuer. */
	struct front *first = front;
	front = front_new(&(struct front_opts){.loop = loop,
					       .core = core,
					       .tokens = tokens,
					       .authn = &x,
					       .tls = server_tls,
					       .threads = 2},
			  &err);
	assert_non_null(front);
	port = front_listen(front, "127.0.0.1:0", &err);
	front_ready(front);
	leave(&nobody);
	connect_as(&nobody, NULL, NULL);
	/* Before anything was fetched. */
	int64_t began = loop_moment(loop);
	assert_int_equal(ask_as("k1", &one), 201);
	assert_true(said("\"username\":\"ann\""));
	assert_int_equal(issuer.asked, 1);
	assert_int_equal(ask_as("k1", &one), 201);
	/* Strangers' keys don't make it ask again and again. */
	assert_int_equal(ask_as("k2", &two), 401);
	assert_int_equal(ask_as("k3", &two), 401);
	int asked = issuer.asked;
	assert_true(asked == 1 || loop_moment(loop) - began >= o.again_ns);
	wait_ns(o.again_ns + 50 * NS_PER_MS);
	issuer.signer = &two;
	issuer.kid = "k2";
	assert_int_equal(ask_as("k2", &two), 201);
	assert_true(issuer.asked > asked);
	assert_int_equal(ask_as("k1", &one), 401);
	front_stop(front);
	front_free(front);
	front = first;
	oidc_fetch_free(x.oidc_fetch);
	oidc_free(x.oidc);
	http_server_free(h);
	unlink(ca_file);
	more_authn = NULL;
	teardown();
	buf_release(&one.key);
	buf_release(&two.key);
}
