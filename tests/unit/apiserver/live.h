/*
 * A core with its front behind TLS, and clients of it, for tests: an administrator, somebody
 * without rights, and somebody without a certificate. Included by one test program each.
 */
#ifndef PLUMB_TEST_APISERVER_LIVE_H
#define PLUMB_TEST_APISERVER_LIVE_H

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
static struct tls_ctx *server_tls, *kubelet_tls;
static struct who admin, alice, nobody;
static UNUSED struct audit_log *audit_log; /* likewise, with a policy */
static UNUSED struct audit_policy *audit_policy;
static const struct authn *more_authn; /* set before setup(): further ways to come in */
static int port;

static int64_t wall(void *arg)
{
	return loop_wall(arg);
}

static void issue(const char *cn, const char *org, struct buf *cert, struct buf *key)
{
	const char *orgs[] = {org, NULL}, *sans[] = {"IP:127.0.0.1", "DNS:n1.kubelet", NULL};
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

static UNUSED void setup(void)
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
	buf_reset(&cert);
	buf_reset(&key);
	issue("kube-apiserver-kubelet-client", "plumb:apiserver", &cert, &key);
	kubelet_tls = tls_client_new(&(struct tls_files){.ca_pem = buf_view(&ca_cert),
							 .cert_pem = buf_view(&cert),
							 .key_pem = buf_view(&key)},
				     &err);
	assert_non_null(kubelet_tls);
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
					       .authn = more_authn,
					       .audit = audit_log,
					       .audit_policy = audit_policy,
					       .tls = server_tls,
					       .kubelet_tls = kubelet_tls,
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

static UNUSED void teardown(void)
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
	tls_unref(&kubelet_tls);
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

static UNUSED void on_head(void *arg, const struct http_answer *a)
{
	struct result *r = arg;

	r->heads++;
	r->status = a->status;
}

static UNUSED void on_data(void *arg, struct str bytes)
{
	buf_str(&((struct result *)arg)->body, bytes);
}

static UNUSED void turn_until(const int *what, int n)
{
	for (int i = 0; i < 12000 && *what < n; i++)
		loop_turn(loop, 10);
	assert_true(*what >= n);
}

static UNUSED void forget(struct result *r)
{
	buf_release(&r->body);
	buf_release(&r->type);
	memset(r, 0, sizeof(*r));
}

static struct result last;

/* method and path, then headers as name, value pairs ended by NULL. */
static UNUSED int ask(struct who *w, const char *method, const char *path, const char *body, ...)
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

static UNUSED bool said(const char *text)
{
	return str_find(buf_view(&last.body), str_c(text)) >= 0;
}

#define NS "/api/v1/namespaces/default/"
#define CM NS "configmaps"

#endif
