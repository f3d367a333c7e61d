/*
 * The way to a kubelet, with one of the test's own: logs as they come, refusals, tunnels, and
 * clients that leave in the middle.
 */
#include "lib/http/server.h"

#include "tests/unit/apiserver/live.h"

static struct http_server *kubelet;
static struct http_req *held;
static int kubelet_port, gone, closed;
static char last_path[512];

static void on_gone(struct http_req *r)
{
	(void)r;
	gone++;
}

static void echo(struct http_upgraded *u, struct str data)
{
	if (!data.n) {
		closed++;
		free(u);
		return;
	}
	http_upgraded_write(u, data);
}

static void upgrade(struct http_req *r)
{
	struct http_upgraded *u = xalloc(sizeof(*u));
	struct http_header h[] = {{STR("Connection"), STR("Upgrade")},
				  {STR("Upgrade"), STR("SPDY/3.1")},
				  {STR("X-Stream-Protocol-Version"), STR("v4.channel.k8s.io")}};

	u->on_data = echo;
	http_upgrade(r, &(struct http_reply){.status = 101, .headers = h, .nheaders = 3}, u);
	http_upgraded_write(u, STR("hello"));
}

static void write_text(struct http_req *r, struct str s)
{
	struct block *b = block_new(s);

	http_stream_write(r, &b, 1);
	block_unref(b);
}

static void serve(void *arg, struct http_req *r)
{
	struct http_reply text = {.status = 200, .content_type = "text/plain"};

	(void)arg;
	snprintf(last_path, sizeof(last_path), "%.*s?%.*s", STR_ARG(r->raw_path),
		 STR_ARG(r->query));
	assert_non_null(r->peer_orgs);
	assert_string_equal(r->peer_orgs[0], "plumb:apiserver");
	assert_null(http_header(&r->headers, "Authorization").p);
	if (http_header(&r->headers, "Upgrade").n) {
		upgrade(r);
	} else if (str_find(r->query, STR("previous")) >= 0) {
		text.status = 400;
		http_reply_bytes(r, &text, STR("no previous container\n"));
	} else if (str_find(r->query, STR("follow")) >= 0) {
		http_stream_begin(r, &text);
		write_text(r, STR("one\n"));
		held = http_req_ref(r);
		r->gone = on_gone;
	} else if (str_find(r->query, STR("page")) >= 0) {
		text.content_type = "text/html; charset=utf-8";
		http_reply_bytes(r, &text, STR("<a href=\"/next\">on</a>"));
	} else if (str_find(r->query, STR("away")) >= 0) {
		struct http_header to = {STR("Location"), STR("/next")};

		http_reply_bytes(r,
				 &(struct http_reply){.status = 302, .headers = &to, .nheaders = 1},
				 STR_NONE);
	} else {
		http_reply_bytes(r, &text, STR("all\n"));
	}
}

static void make_object(const char *path, const char *body)
{
	assert_int_equal(ASK(&admin, "POST", path, body), 201);
}

static void start_kubelet(void)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	gone = closed = 0;
	setup();
	kubelet = http_server_new(
		loop, &(struct http_server_opts){.tls = server_tls, .handle = serve}, &err);
	kubelet_port = http_server_listen(kubelet, "127.0.0.1:0", &err);
	assert_true(kubelet_port > 0);
	make_object("/api/v1/nodes",
		    "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
		    "\"n1\"}}");
	char *status =
		arena_printf(&a,
			     "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"n1\"},\"status\":{"
			     "\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"}],"
			     "\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":%d}}}}",
			     kubelet_port);
	assert_int_equal(ASK(&admin, "PUT", "/api/v1/nodes/n1/status", status), 200);
	make_object(NS "serviceaccounts", "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\","
					  "\"metadata\":{\"name\":\"default\"}}");
	make_object(NS "pods",
		    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},"
		    "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\","
		    "\"image\":\"i\"}]}}");
	make_object(NS "pods",
		    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"two\"},"
		    "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"a\","
		    "\"image\":\"i\"},{\"name\":\"b\",\"image\":\"i\"}]}}");
	make_object(NS "pods",
		    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
		    "\"waits\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}"
		    "]}}");
}

static void stop_kubelet(void)
{
	if (held)
		http_req_unref(held);
	held = NULL;
	http_server_free(kubelet);
	teardown();
}

void test_kubeletproxy__logs(void **state)
{
	(void)state;
	start_kubelet();
	assert_int_equal(ASK(&admin, "GET", NS "pods/p/log?tailLines=3", NULL), 200);
	assert_true(said("all\n"));
	assert_string_equal(last_path, "/containerLogs/default/p/c?tailLines=3");
	assert_int_equal(ASK(&admin, "GET", NS "pods/two/log", NULL), 400);
	assert_true(said("a container name must be specified"));
	assert_int_equal(ASK(&admin, "GET", NS "pods/two/log?container=b", NULL), 200);
	assert_int_equal(ASK(&admin, "GET", NS "pods/two/log?container=..%2F..%2Fx", NULL), 400);
	assert_int_equal(ASK(&admin, "GET", NS "pods/p/log?previous=true", NULL), 400);
	assert_true(said("\"message\":\"no previous container\""));
	assert_int_equal(ASK(&admin, "GET", NS "pods/none/log", NULL), 404);
	assert_int_equal(ASK(&admin, "GET", NS "pods/waits/log", NULL), 400);
	assert_int_equal(ASK(&alice, "GET", NS "pods/p/log", NULL), 403);
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nodes/n1/proxy/stats/summary?x=y", NULL), 200);
	assert_string_equal(last_path, "/stats/summary?x=y");
	assert_int_equal(ASK(&alice, "GET", "/api/v1/nodes/n1/proxy/pods", NULL), 403);
	stop_kubelet();
}

void test_kubeletproxy__pages_and_methods_of_the_proxy(void **state)
{
	(void)state;
	start_kubelet();
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nodes/n1/proxy/a?page", NULL), 200);
	assert_true(said("<a href=\"/api/v1/nodes/n1/proxy/next\">on</a>"));
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nodes/n1/proxy/a?away", NULL), 302);
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nodes/n1/proxy?x=y", NULL), 301);
	assert_int_equal(ASK(&admin, "OPTIONS", "/api/v1/nodes/n1/proxy/a", NULL), 200);
	assert_string_equal(last_path, "/a?");
	assert_int_equal(ASK(&admin, "HEAD", "/api/v1/nodes/n1/proxy/a", NULL), 200);
	assert_int_equal(ASK(&admin, "OPTIONS", "/api/v1/nodes/n1", NULL), 405);
	assert_int_equal(ASK(&alice, "OPTIONS", "/api/v1/nodes/n1/proxy/a", NULL), 403);
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nodes/n1:99999/proxy/a", NULL), 400);
	stop_kubelet();
}

static void serve_plain(void *arg, struct http_req *r)
{
	(void)arg;
	/* What it needs to write links, and who asks. */
	assert_true(str_ends(http_header(&r->headers, "X-Forwarded-Uri"), STR("/proxy/who")));
	assert_true(str_is(http_header(&r->headers, "X-Forwarded-Proto"), "https"));
	assert_true(str_is(http_header(&r->headers, "X-Forwarded-For"), "127.0.0.1"));
	http_reply_bytes(r, &(struct http_reply){.status = 200, .content_type = "text/plain"},
			 STR("plain\n"));
}

/* Pods and Services are mostly called without TLS. */
void test_kubeletproxy__a_pod_in_plain_text(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct http_server *pod;
	struct err err = {0};
	int at;

	(void)state;
	start_kubelet();
	pod = http_server_new(loop, &(struct http_server_opts){.handle = serve_plain}, &err);
	at = http_server_listen(pod, "127.0.0.1:0", &err);
	assert_true(at > 0);
	assert_int_equal(
		ASK(&admin, "PUT", NS "pods/p/status",
		    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},"
		    "\"status\":{\"podIP\":\"127.0.0.1\"}}"),
		200);
	assert_int_equal(ASK(&admin, "GET", arena_printf(&a, NS "pods/p:%d/proxy/who", at), NULL),
			 200);
	assert_true(said("plain\n"));
	http_server_free(pod);
	stop_kubelet();
}

void test_kubeletproxy__followed_logs_come_as_they_are_written(void **state)
{
	struct result f = {0};
	struct http_call call = {.method = "GET",
				 .path = STR(NS "pods/p/log?follow=true"),
				 .done = on_done,
				 .head = on_head,
				 .data = on_data,
				 .arg = &f};

	(void)state;
	start_kubelet();
	struct http_running *run = http_client_call(admin.client, &call);
	for (int i = 0; i < 12000 && f.body.n < 4; i++)
		loop_turn(loop, 10);
	assert_true(str_is(buf_view(&f.body), "one\n"));
	assert_non_null(held);
	write_text(held, STR("two\n"));
	for (int i = 0; i < 12000 && f.body.n < 8; i++)
		loop_turn(loop, 10);
	assert_true(str_is(buf_view(&f.body), "one\ntwo\n"));
	/* The client leaves: the kubelet is told. */
	http_call_cancel(run);
	turn_until(&gone, 1);
	assert_int_equal(ASK(&admin, "GET", "/healthz", NULL), 200);
	forget(&f);
	stop_kubelet();
}

/* ---- tunnels ---- */

static struct http_tunnel *tunnel;
static struct buf got;
static int ended;

static void on_up(void *arg, struct http_tunnel *t, const struct http_answer *a)
{
	(void)arg;
	assert_int_equal(a->status, 101);
	assert_true(
		str_is(http_header(&a->headers, "X-Stream-Protocol-Version"), "v4.channel.k8s.io"));
	tunnel = t;
}

static void on_bytes(void *arg, struct str data)
{
	(void)arg;
	if (!data.n) {
		ended++;
		tunnel = NULL;
	}
	buf_str(&got, data);
}

static void open_tunnel(struct result *r)
{
	struct http_header h[] = {{STR("Connection"), STR("Upgrade")},
				  {STR("Upgrade"), STR("SPDY/3.1")},
				  {STR("X-Stream-Protocol-Version"), STR("v4.channel.k8s.io")}};
	struct http_call call = {.method = "POST",
				 .path = STR(NS "pods/p/exec?command=sh&stdin=true"),
				 .headers = h,
				 .nheaders = 3,
				 .done = on_done,
				 .arg = r};

	ended = 0;
	buf_reset(&got);
	http_client_upgrade(admin.client, &call,
			    &(struct http_tunnel_opts){.up = on_up, .on_data = on_bytes});
	for (int i = 0; i < 12000 && got.n < 5 && !r->done; i++)
		loop_turn(loop, 10);
	assert_non_null(tunnel);
	assert_true(str_is(buf_view(&got), "hello"));
}

void test_kubeletproxy__tunnel(void **state)
{
	struct result r = {0};
	static char piece[10000];
	size_t sent = 5;

	(void)state;
	start_kubelet();
	open_tunnel(&r);
	assert_string_equal(last_path, "/exec/default/p/c?command=sh&stdin=true");
	for (int i = 0; i < 200; i++) {
		memset(piece, 'a' + i % 26, sizeof(piece));
		assert_int_equal(http_tunnel_write(tunnel, (struct str){piece, sizeof(piece)}), 0);
		sent += sizeof(piece);
		loop_turn(loop, 0);
	}
	for (int i = 0; i < 12000 && got.n < sent; i++)
		loop_turn(loop, 10);
	assert_int_equal(got.n, sent);
	assert_int_equal(got.p[sent - 1], 'a' + 199 % 26);
	http_tunnel_close(tunnel);
	turn_until(&closed, 1);
	buf_release(&got);
	forget(&r);
	stop_kubelet();
}

void test_kubeletproxy__kubelet_ends_the_tunnel(void **state)
{
	struct result r = {0};

	(void)state;
	start_kubelet();
	open_tunnel(&r);
	http_server_stop(kubelet, 0);
	turn_until(&ended, 1);
	assert_int_equal(ASK(&admin, "GET", "/healthz", NULL), 200);
	assert_int_equal(ASK(&admin, "GET", NS "pods/p/log", NULL), 503);
	assert_true(said("error dialing backend"));
	buf_release(&got);
	forget(&r);
	stop_kubelet();
}

void test_kubeletproxy__server_stops_with_a_tunnel_open(void **state)
{
	struct result r = {0};

	(void)state;
	start_kubelet();
	open_tunnel(&r);
	tunnel = NULL;
	stop_kubelet();
	buf_release(&got);
	forget(&r);
}
