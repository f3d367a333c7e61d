/* Who may come in besides: tokens of a file, bootstrap tokens, and nobody in particular. */
#include "tests/unit/apiserver/live.h"

#include <unistd.h>

#include "apiserver/authn.h"
#include "apiserver/authn_setup.h"
#include "lib/base/codec.h"

static const char csv[] = "# who runs the backups\n"
			  "t0ken-of-ann,ann,17\n"
			  "\n"
			  "t0ken-of-bob, bob , 18 ,\"ops, devs,\"\r\n"
			  "\"odd,\"\"token\",eve,19,solo,ignored\n";

void test_authn__static_tokens(void **state)
{
	struct err err = {0};
	struct static_tokens *t = static_tokens_new(str_c(csv), &err);
	struct admission_user u;

	(void)state;
	assert_non_null(t);
	assert_true(static_tokens_find(t, STR("t0ken-of-ann"), &u));
	assert_true(str_is(u.name, "ann"));
	assert_true(str_is(u.uid, "17"));
	assert_int_equal(u.ngroups, 1);
	assert_true(static_tokens_find(t, STR("t0ken-of-bob"), &u));
	assert_true(str_is(u.name, "bob"));
	assert_int_equal(u.ngroups, 3);
	assert_true(str_is(u.groups[0], "ops"));
	assert_true(str_is(u.groups[1], "devs"));
	assert_true(str_is(u.groups[2], "system:authenticated"));
	assert_true(static_tokens_find(t, STR("odd,\"token"), &u));
	assert_true(str_is(u.groups[0], "solo"));
	assert_false(static_tokens_find(t, STR("t0ken-of-an"), &u));
	assert_false(static_tokens_find(t, STR_NONE, &u));
	static_tokens_free(t);
	assert_null(static_tokens_new(STR("token,user\n"), &err));
	assert_non_null(strstr(err.msg, "line 1"));
	assert_null(static_tokens_new(STR("\na,b,c,\"x\n"), &err));
	assert_null(static_tokens_new(STR(",b,c\n"), &err));
}

static int as(const char *bearer, const char *method, const char *path, const char *body)
{
	AUTO(arena) struct arena a = {0};

	if (!bearer)
		return ASK(&nobody, method, path, body);
	return ASK(&nobody, method, path, body, "Authorization",
		   arena_printf(&a, "Bearer %s", bearer));
}

#define SELF "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define SELF_BODY "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\"}"

void test_authn__a_file_of_tokens_lets_in(void **state)
{
	struct err err = {0};
	struct authn x = {.file = static_tokens_new(str_c(csv), &err)};

	(void)state;
	more_authn = &x;
	setup();
	assert_int_equal(as("t0ken-of-bob", "POST", SELF, SELF_BODY), 201);
	assert_true(said("\"username\":\"bob\""));
	assert_true(said("\"ops\""));
	assert_int_equal(as("t0ken-of-nobody", "POST", SELF, SELF_BODY), 401);
	assert_int_equal(as("t0ken-of-bob", "GET", CM, NULL), 403);
	assert_int_equal(
		ASK(&admin, "POST", "/apis/authentication.k8s.io/v1/tokenreviews",
		    "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\","
		    "\"spec\":{\"token\":\"t0ken-of-bob\"}}"),
		201);
	assert_true(said("\"authenticated\":true"));
	assert_true(said("\"username\":\"bob\""));
	teardown();
	static_tokens_free(x.file);
	more_authn = NULL;
}

void test_authn__nobody_in_particular(void **state)
{
	struct authn x = {.anonymous = true};

	(void)state;
	setup();
	assert_int_equal(as(NULL, "GET", "/readyz", NULL), 401);
	teardown();
	more_authn = &x;
	setup();
	assert_int_equal(as(NULL, "GET", "/readyz", NULL), 200);
	assert_int_equal(as(NULL, "GET", CM, NULL), 403);
	assert_true(said("system:anonymous"));
	/* What is shown and is no good is not the same as nothing. */
	assert_int_equal(as("nonsense", "GET", "/readyz", NULL), 401);
	teardown();
	more_authn = NULL;
}

/* ---- bootstrap tokens ---- */

static void put64(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "%s\"%s\":\"", b->p[b->n - 1] == '{' ? "" : ",", key);
	base64_encode(str_c(value), b);
	buf_puts(b, "\"");
}

static int make(const char *id, const char *expires, const char *usage, const char *groups)
{
	AUTO(buf) struct buf b = {0};

	buf_printf(&b,
		   "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
		   "\"bootstrap-token-%s\"},\"type\":\"bootstrap.kubernetes.io/token\",\"data\":{",
		   id);
	put64(&b, "token-id", id);
	put64(&b, "token-secret", "0123456789abcdef");
	put64(&b, "usage-bootstrap-authentication", usage);
	if (expires)
		put64(&b, "expiration", expires);
	if (groups)
		put64(&b, "auth-extra-groups", groups);
	buf_puts(&b, "}}");
	return ASK(&admin, "POST", "/api/v1/namespaces/kube-system/secrets", buf_cstr(&b));
}

void test_authn__bootstrap_tokens(void **state)
{
	(void)state;
	setup();
	assert_int_equal(as("abcdef.0123456789abcdef", "POST", SELF, SELF_BODY), 401);
	assert_int_equal(make("abcdef", "2099-01-01T00:00:00Z", "true",
			      "system:bootstrappers:plumb:default-node-token"),
			 201);
	assert_int_equal(make("past11", "2019-01-01T00:00:00Z", "true", NULL), 201);
	assert_int_equal(make("unused", NULL, "false", NULL), 201);
	assert_int_equal(make("groups", NULL, "true", "system:masters"), 201);
	assert_int_equal(as("abcdef.0123456789abcdef", "POST", SELF, SELF_BODY), 201);
	assert_true(said("\"username\":\"system:bootstrap:abcdef\""));
	assert_true(said("\"system:bootstrappers\""));
	assert_true(said("\"system:bootstrappers:plumb:default-node-token\""));
	assert_true(said("\"system:authenticated\""));
	assert_int_equal(as("abcdef.0123456789abcdee", "POST", SELF, SELF_BODY), 401);
	assert_int_equal(as("past11.0123456789abcdef", "POST", SELF, SELF_BODY), 401);
	assert_int_equal(as("unused.0123456789abcdef", "POST", SELF, SELF_BODY), 401);
	assert_int_equal(as("groups.0123456789abcdef", "POST", SELF, SELF_BODY), 401);
	assert_int_equal(ASK(&admin, "DELETE",
			     "/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef", NULL),
			 200);
	assert_int_equal(as("abcdef.0123456789abcdef", "POST", SELF, SELF_BODY), 401);
	teardown();
}

/* ---- certificates that are replaced ---- */

static void write_file(const char *path, struct str text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	assert_int_equal(fclose(f), 0);
}

static void take_tls(void *arg, struct tls_ctx *tls)
{
	(void)arg;
	front_set_tls(front, tls);
}

void test_authn__new_connections_see_the_new_certificate(void **state)
{
	char dir[] = "/tmp/plumb-test-tls-XXXXXX", ca[64], cert[64], key[64];
	struct buf old_ca = {0}, new_ca = {0}, new_key = {0}, c = {0}, k = {0};
	struct err err = {0};

	(void)state;
	setup();
	assert_non_null(mkdtemp(dir));
	snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
	snprintf(cert, sizeof(cert), "%s/s.crt", dir);
	snprintf(key, sizeof(key), "%s/s.key", dir);
	issue("kube-apiserver", NULL, &c, &k);
	write_file(ca, buf_view(&ca_cert));
	write_file(cert, buf_view(&c));
	write_file(key, buf_view(&k));
	struct tls_reload *r = tls_reload_new(
		&(struct tls_reload_opts){.loop = loop,
					  .files = {.ca = ca, .cert = cert, .key = key},
					  .what = "serving certificate",
					  .take = take_tls,
					  .every_ns = 100 * NS_PER_MS});
	assert_int_equal(ca_create("ca2", loop_wall(loop), 3600, &new_ca, &new_key, &err), 0);
	old_ca = ca_cert;
	struct buf old_key = ca_key;
	ca_cert = new_ca;
	ca_key = new_key;
	buf_reset(&c);
	buf_reset(&k);
	issue("kube-apiserver", NULL, &c, &k);
	/* The certificate alone fits no key: nothing happens. */
	write_file(cert, buf_view(&c));
	int64_t until = loop_now(loop) + 250 * NS_PER_MS;
	while (loop_now(loop) < until)
		loop_turn(loop, 50);
	assert_int_equal(ASK(&alice, "GET", "/readyz", NULL), 200);
	write_file(key, buf_view(&k));
	write_file(ca, buf_view(&ca_cert));
	until = loop_now(loop) + 250 * NS_PER_MS;
	while (loop_now(loop) < until)
		loop_turn(loop, 50);
	struct who carol;
	connect_as(&carol, "carol", "system:masters"); /* by the new authority, who trusts it */
	assert_int_equal(ASK(&carol, "GET", CM, NULL), 200);
	/* Whoever was connected stays so. */
	assert_int_equal(ASK(&alice, "GET", "/readyz", NULL), 200);
	leave(&carol);
	tls_reload_free(r);
	unlink(ca);
	unlink(cert);
	unlink(key);
	rmdir(dir);
	buf_release(&old_ca);
	buf_release(&old_key);
	buf_release(&c);
	buf_release(&k);
	teardown();
}

/* ---- proxies that name people ---- */

static struct buf proxy_cert, proxy_key;

/* With a certificate of the proxies' authority, to the server as it is. */
static void connect_proxy(struct who *w, const char *cn, const char *org)
{
	struct buf own_cert = ca_cert, own_key = ca_key, cert = {0}, key = {0};
	struct err err = {0};

	ca_cert = proxy_cert;
	ca_key = proxy_key;
	issue(cn, org, &cert, &key);
	ca_cert = own_cert;
	ca_key = own_key;
	w->tls = tls_client_new(&(struct tls_files){.ca_pem = buf_view(&ca_cert),
						    .cert_pem = buf_view(&cert),
						    .key_pem = buf_view(&key)},
				&err);
	w->client = http_client_new(
		loop, &(struct http_client_opts){.host = "127.0.0.1", .port = port, .tls = w->tls},
		&err);
	assert_non_null(w->client);
	buf_release(&cert);
	buf_release(&key);
}

static int whoami(struct who *w)
{
	return ask(w, "POST", SELF, SELF_BODY, "X-Remote-User", "ann", "X-Remote-Group", "ops",
		   "x-remote-group", "devs", "x-remote-extra-Scopes", "view", (char *)NULL);
}

static void show_proxies(const char *path, struct str ca, bool good)
{
	struct buf c = {0}, k = {0};
	struct err err = {0};

	write_file(path, ca);
	issue("kube-apiserver", NULL, &c, &k);
	struct tls_ctx *tls = tls_server_new(&(struct tls_files){.ca_pem = buf_view(&ca_cert),
								 .cert_pem = buf_view(&c),
								 .key_pem = buf_view(&k),
								 .proxy_ca = path},
					     &err);
	assert_int_equal(tls != NULL, good);
	if (tls)
		front_set_tls(front, tls);
	else
		assert_non_null(strstr(err.msg, "an authority of their own"));
	tls_unref(&tls);
	buf_release(&c);
	buf_release(&k);
}

void test_authn__proxies_tell_who_somebody_is(void **state)
{
	static const char *const names[] = {"front"}, *const user[] = {"X-Remote-User"},
				 *const group[] = {"X-Remote-Group"},
				 *const extra[] = {"X-Remote-Extra-"};
	struct authn x = {.proxy_names = names,
			  .nproxy_names = 1,
			  .proxy_user = user,
			  .nproxy_user = 1,
			  .proxy_group = group,
			  .nproxy_group = 1,
			  .proxy_extra = extra,
			  .nproxy_extra = 1};
	struct err err = {0};
	struct who front_proxy, other, boss;
	char path[] = "/tmp/plumb-test-proxy-XXXXXX";

	(void)state;
	more_authn = &x;
	setup();
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(ca_create("proxies", loop_wall(loop), 3600, &proxy_cert, &proxy_key, &err),
			 0);
	show_proxies(path, buf_view(&ca_cert), false); /* the cluster's own */
	show_proxies(path, buf_view(&proxy_cert), true);
	connect_proxy(&front_proxy, "front", NULL);
	connect_proxy(&other, "other", NULL);
	connect_proxy(&boss, "front", "system:masters");
	for (int i = 0; i < 2; i++) { /* a resumed session is no other person's */
		assert_int_equal(whoami(&front_proxy), 201);
		assert_true(said("\"username\":\"ann\""));
		assert_true(said("\"groups\":[\"ops\",\"devs\",\"system:authenticated\"]"));
		assert_true(said("\"extra\":{\"scopes\":[\"view\"]}"));
		leave(&front_proxy);
		connect_proxy(&front_proxy, "front", NULL);
	}
	assert_int_equal(ASK(&front_proxy, "POST", SELF, SELF_BODY), 401);
	assert_int_equal(whoami(&other), 401);
	/* What its certificate says of itself counts for nothing. */
	assert_int_equal(ASK(&boss, "GET", CM, NULL), 401);
	assert_int_equal(ASK(&boss, "GET", CM, NULL, "X-Remote-User", "ann"), 403);
	/* Nobody else's headers are believed. */
	assert_int_equal(whoami(&alice), 201);
	assert_true(said("\"username\":\"alice\""));
	assert_false(said("scopes"));
	assert_int_equal(whoami(&nobody), 401);
	leave(&front_proxy);
	leave(&other);
	leave(&boss);
	teardown();
	more_authn = NULL;
	unlink(path);
	buf_release(&proxy_cert);
	buf_release(&proxy_key);
}
