/*
 * The front over a real core: TLS connections of an administrator, of somebody without rights and
 * of a ServiceAccount, as kubectl and client libraries make them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "apiserver/bootstrap.h"
#include "apiserver/front.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"

struct who {
	struct tls_ctx *tls;
	struct http_client *client;
};

static struct loop *loop;
static struct store *store;
static struct core *core;
static struct tokens *tokens;
static struct front *front;
static struct buf ca_cert, ca_key;
static struct tls_ctx *server_tls;
static struct who admin, alice, nobody;
static int port;

static int64_t wall(void *arg)
{
	return loop_wall(arg);
}

static void issue(const char *cn, const char *org, struct buf *cert, struct buf *key)
{
	const char *orgs[] = {org, NULL}, *sans[] = {"IP:127.0.0.1", NULL};
	struct err err = {0};
	struct cert_request r = {.common_name = cn,
				 .organizations = org ? orgs : NULL,
				 .sans = sans,
				 .server = true,
				 .client = true,
				 .lifetime_s = 3600,
				 .now_ns = loop_wall(loop)};

	assert_int_equal(ca_issue(buf_view(&ca_cert), buf_view(&ca_key), &r, cert, key, &err), 0);
}

static void connect_as(struct who *w, const char *cn, const char *org)
{
	struct buf cert = {0}, key = {0};
	struct err err = {0};
	struct tls_files f = {.ca_pem = buf_view(&ca_cert)};

	if (cn) {
		issue(cn, org, &cert, &key);
		f.cert_pem = buf_view(&cert);
		f.key_pem = buf_view(&key);
	}
	w->tls = tls_client_new(&f, &err);
	assert_non_null(w->tls);
	w->client = http_client_new(
		loop, &(struct http_client_opts){.host = "127.0.0.1", .port = port, .tls = w->tls},
		&err);
	assert_non_null(w->client);
	buf_release(&cert);
	buf_release(&key);
}

static void leave(struct who *w)
{
	http_client_free(w->client);
	tls_unref(&w->tls);
}

static void setup(void)
{
	struct buf cert = {0}, key = {0}, sa = {0}, csr = {0};
	struct err err = {0};

	loop = loop_new();
	assert_int_equal(ca_create("ca", loop_wall(loop), 3600, &ca_cert, &ca_key, &err), 0);
	issue("kube-apiserver", NULL, &cert, &key);
	server_tls = tls_server_new(&(struct tls_files){.ca_pem = buf_view(&ca_cert),
							.cert_pem = buf_view(&cert),
							.key_pem = buf_view(&key)},
				    &err);
	assert_non_null(server_tls);
	assert_int_equal(csr_create("sa", NULL, NULL, &sa, &csr, &err), 0);
	tokens = tokens_new(buf_view(&sa), &err);
	store = store_memory_new();
	core = core_new(&(struct core_opts){.store = store,
					    .seed = 1,
					    .now = wall,
					    .now_arg = loop,
					    .service_cidr = "10.96.0.0/16"},
			&err);
	assert_non_null(core);
	front = front_new(&(struct front_opts){.loop = loop,
					       .core = core,
					       .tokens = tokens,
					       .tls = server_tls,
					       .threads = 2},
			  &err);
	assert_non_null(front);
	port = front_listen(front, "127.0.0.1:0", &err);
	assert_true(port > 0);
	struct bootstrap_opts b = {.service_ip = STR("10.96.0.1"), .port = port};
	if (bootstrap(core, &b, &err))
		fail_msg("%s", err.msg);
	front_ready(front);
	connect_as(&admin, "root", "system:masters");
	connect_as(&alice, "alice", NULL);
	connect_as(&nobody, NULL, NULL);
	buf_release(&cert);
	buf_release(&key);
	buf_release(&sa);
	buf_release(&csr);
}

static void teardown(void)
{
	leave(&admin);
	leave(&alice);
	leave(&nobody);
	front_stop(front);
	front_free(front);
	core_free(core);
	store_free(store);
	tokens_free(tokens);
	tls_unref(&server_tls);
	buf_release(&ca_cert);
	buf_release(&ca_key);
	loop_free(loop);
}

/* ---- asking ---- */

struct result {
	int done, status, heads;
	struct buf body, type, warning;
};

static void on_done(void *arg, const struct http_answer *a)
{
	struct result *r = arg;

	r->done++;
	if (!r->heads)
		r->status = a->status;
	buf_str(&r->body, a->body);
	buf_str(&r->type, http_header(&a->headers, "Content-Type"));
}

static void on_head(void *arg, const struct http_answer *a)
{
	struct result *r = arg;

	r->heads++;
	r->status = a->status;
}

static void on_data(void *arg, struct str bytes)
{
	buf_str(&((struct result *)arg)->body, bytes);
}

static void turn_until(const int *what, int n)
{
	for (int i = 0; i < 1000 && *what < n; i++)
		loop_turn(loop, 10);
	assert_true(*what >= n);
}

static void forget(struct result *r)
{
	buf_release(&r->body);
	buf_release(&r->type);
	memset(r, 0, sizeof(*r));
}

static struct result last;

/* method and path, then headers as name, value pairs ended by NULL. */
static int ask(struct who *w, const char *method, const char *path, const char *body, ...)
{
	struct http_header h[8];
	size_t n = 0;
	const char *name;
	va_list ap;

	va_start(ap, body);
	while ((name = va_arg(ap, const char *)))
		h[n++] = (struct http_header){str_c(name), str_c(va_arg(ap, const char *))};
	va_end(ap);
	forget(&last);
	http_client_call(w->client,
			 &(struct http_call){.method = method,
					     .path = str_c(path),
					     .headers = h,
					     .nheaders = n,
					     .content_type = body ? "application/json" : NULL,
					     .body = str_c(body),
					     .done = on_done,
					     .arg = &last});
	turn_until(&last.done, 1);
	return last.status;
}
#define ASK(...) ask(__VA_ARGS__, (char *)NULL)

static bool said(const char *text)
{
	return str_find(buf_view(&last.body), str_c(text)) >= 0;
}

#define NS "/api/v1/namespaces/default/"
#define CM NS "configmaps"

void test_front_live__who_may_what(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&nobody, "GET", "/healthz", NULL), 401);
	assert_true(said("\"reason\":\"Unauthorized\""));
	assert_int_equal(ASK(&alice, "GET", CM, NULL), 403);
	assert_true(said("User \\\"alice\\\" cannot list resource \\\"configmaps\\\" in API group "
			 "\\\"\\\" in the namespace \\\"default\\\""));
	assert_int_equal(ASK(&admin, "GET", CM, NULL), 200);
	assert_int_equal(ASK(&admin, "GET", CM, NULL, "Impersonate-User", "alice"), 403);
	assert_int_equal(ASK(&alice, "GET", CM, NULL, "Impersonate-User", "root",
			     "Impersonate-Group", "system:masters"),
			 403);
	assert_int_equal(ASK(&admin, "GET", CM, NULL, "Impersonate-Group", "x"), 400);
	assert_int_equal(ASK(&nobody, "GET", CM, NULL, "Authorization", "Bearer rubbish"), 401);
	assert_int_equal(ASK(&admin, "GET", "/metrics", NULL), 200);
	assert_int_equal(ASK(&alice, "GET", "/metrics", NULL), 403);
	assert_int_equal(ASK(&admin, "GET", "/readyz?verbose", NULL), 200);
	assert_true(said("readyz check passed"));
	assert_int_equal(ASK(&admin, "GET", "/version", NULL), 200);
	assert_true(said("\"minor\":\"32\""));
	teardown();
}

void test_front_live__objects(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "POST", CM,
			     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"a\"},\"data\":{\"x\":\"y\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "GET", CM "/a", NULL), 200);
	assert_true(said("\"x\":\"y\""));
	assert_int_equal(ASK(&admin, "GET", CM "/a", NULL, "Accept", "application/yaml"), 200);
	assert_true(said("  x: \"y\"\n"));
	assert_int_equal(
		ASK(&admin, "GET", CM "/a", NULL, "Accept", "application/vnd.kubernetes.protobuf"),
		406);
	assert_int_equal(ASK(&admin, "GET", CM "/none", NULL), 404);
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nothings", NULL), 404);
	assert_int_equal(ASK(&admin, "PUT", CM, "{}"), 405);
	assert_int_equal(ASK(&admin, "GET", "/nothing/at/all", NULL), 404);
	assert_int_equal(ASK(&admin, "DELETE", CM "/a", NULL), 200);
	teardown();
}

void test_front_live__watch_until_the_client_leaves(void **state)
{
	struct result w = {0};
	struct http_call call = {.method = "GET",
				 .path = STR(CM "?watch=true"),
				 .done = on_done,
				 .head = on_head,
				 .data = on_data,
				 .arg = &w};

	(void)state;
	setup();
	struct http_running *run = http_client_call(admin.client, &call);
	turn_until(&w.heads, 1);
	assert_int_equal(w.status, 200);
	assert_int_equal(ASK(&admin, "POST", CM,
			     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"seen\"}}"),
			 201);
	for (int i = 0; i < 500 && !w.body.n; i++)
		loop_turn(loop, 10);
	assert_true(str_find(buf_view(&w.body), STR("\"type\":\"ADDED\"")) >= 0);
	assert_true(str_find(buf_view(&w.body), STR("seen")) >= 0);
	http_call_cancel(run);
	/* The server goes on without it. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(ASK(&admin, "GET", CM "/seen", NULL), 200);
	forget(&w);
	/* One that is still there when the server stops is ended. */
	http_client_call(admin.client, &call);
	turn_until(&w.heads, 1);
	forget(&w);
	teardown();
	forget(&w);
}

void test_front_live__discovery(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "GET", "/api", NULL, "Accept",
			     "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
			     "application/json"),
			 200);
	assert_true(said("\"resource\":\"configmaps\""));
	assert_true(str_starts(buf_view(&last.type), STR("application/json;g=apidiscovery")));
	assert_int_equal(ASK(&admin, "GET", "/api/v1", NULL), 200);
	assert_true(said("APIResourceList"));
	assert_int_equal(ASK(&admin, "GET", "/apis/nothing.example.com", NULL), 404);
	teardown();
}

static struct str token_of_answer(struct arena *a)
{
	struct json *v = json_parse(a, arena_str(a, buf_view(&last.body)), NULL, NULL);

	return json_str(json_at(v, "status", "token"));
}

void test_front_live__tokens_die_with_their_account(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts",
			     "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{"
			     "\"name\":\"bot\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts/none/token", "{}"), 404);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts/bot/token",
			     "{\"spec\":{\"expirationSeconds\":5}}"),
			 422);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts/bot/token",
			     "{\"kind\":\"TokenRequest\",\"spec\":{}}"),
			 201);
	struct str token = token_of_answer(&a);
	assert_true(token.n > 100);
	char *bearer = arena_printf(&a, "Bearer %.*s", STR_ARG(token));

	/* Known, but without rights to that. */
	assert_int_equal(ASK(&nobody, "GET", CM, NULL, "Authorization", bearer), 403);
	assert_true(said("system:serviceaccount:default:bot"));
	char *review = arena_printf(&a, "{\"spec\":{\"token\":\"%.*s\"}}", STR_ARG(token));
	assert_int_equal(ASK(&admin, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review),
			 201);
	assert_true(said("\"authenticated\":true"));
	assert_int_equal(ASK(&admin, "DELETE", NS "serviceaccounts/bot", NULL), 200);
	assert_int_equal(ASK(&nobody, "GET", CM, NULL, "Authorization", bearer), 401);
	assert_int_equal(ASK(&admin, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review),
			 201);
	assert_false(said("\"authenticated\":true"));
	teardown();
}

void test_front_live__access_reviews(void **state)
{
	static const char path[] = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", path,
		    "{\"spec\":{\"user\":\"alice\",\"resourceAttributes\":{\"verb\":\"get\","
		    "\"resource\":\"pods\",\"namespace\":\"default\"}}}"),
		201);
	assert_true(said("\"allowed\":false"));
	assert_int_equal(ASK(&admin, "POST", path,
			     "{\"spec\":{\"user\":\"x\",\"groups\":[\"system:masters\"],"
			     "\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/x\"}}}"),
			 201);
	assert_true(said("\"allowed\":true"));
	assert_int_equal(ASK(&admin, "POST", path, "{\"spec\":{}}"), 422);
	assert_int_equal(ASK(&admin, "POST", path, "[]"), 400);
	assert_int_equal(ASK(&admin, "POST", path, "{\"kind\":\"Pod\"}"), 400);
	teardown();
}
