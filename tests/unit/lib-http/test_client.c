/* Client and server together on one loop, plain and over TLS; and a peer that misbehaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/http/server.h"

static struct loop *loop;
static struct http_server *server;
static int port, requests;
static char last_remote[64], last_cn[64], last_orgs[128];
static struct buf ca_cert, ca_key, other_cert, other_key;
static struct http_req *held[8];
static unsigned nheld;

static void let_go(void)
{
	while (nheld)
		http_req_unref(held[--nheld]);
}

/* ---- server ---- */

static void echo_data(struct http_upgraded *u, struct str data)
{
	if (data.n)
		http_upgraded_write(u, data);
	else
		free(u);
}

static void reply_upgrade(struct http_req *r)
{
	struct http_upgraded *u = xalloc(sizeof(*u));

	u->on_data = echo_data;
	http_upgrade(r, &(struct http_reply){.status = 101}, u);
}

static void reply_stream(struct http_req *r, bool end)
{
	struct block *b[3] = {block_new(STR("one ")), block_new(STR("two ")),
			      block_new(STR("three"))};

	http_stream_begin(r, &(struct http_reply){.status = 200});
	for (int i = 0; i < 3; i++) {
		http_stream_write(r, &b[i], 1);
		block_unref(b[i]);
	}
	if (end)
		http_stream_end(r);
}

static void handle(void *arg, struct http_req *r)
{
	const struct http_reply ok = {.status = 200};

	(void)arg;
	requests++;
	snprintf(last_remote, sizeof(last_remote), "%s", r->remote);
	snprintf(last_cn, sizeof(last_cn), "%s", r->peer_cn ? r->peer_cn : "-");
	snprintf(last_orgs, sizeof(last_orgs), "%s",
		 r->peer_orgs && r->peer_orgs[0] ? r->peer_orgs[0] : "-");
	if (str_is(r->path, "/stream"))
		reply_stream(r, true);
	else if (str_is(r->path, "/endless"))
		reply_stream(r, false);
	else if (str_is(r->path, "/upgrade"))
		reply_upgrade(r);
	else if (str_is(r->path, "/hold"))
		held[nheld++ % 8] = http_req_ref(r);
	else if (str_is(r->path, "/404"))
		http_reply_bytes(r, &(struct http_reply){.status = 404}, STR("no such thing"));
	else
		http_reply_bytes(r, &ok, r->body.n ? r->body : r->path);
}

static void issue(const char *cn, const char *org, struct buf *cert, struct buf *key, bool other_ca)
{
	const char *orgs[] = {org, NULL}, *sans[] = {"IP:127.0.0.1", "DNS:localhost", NULL};
	struct cert_request r = {.common_name = cn,
				 .organizations = orgs,
				 .sans = sans,
				 .server = true,
				 .client = true,
				 .lifetime_s = 3600,
				 .now_ns = loop_wall(loop)};
	struct err err = {0};

	assert_int_equal(ca_issue(buf_view(other_ca ? &other_cert : &ca_cert),
				  buf_view(other_ca ? &other_key : &ca_key), &r, cert, key, &err),
			 0);
}

static struct tls_ctx *make_ctx(bool is_server, const char *cn, bool other_ca)
{
	AUTO(buf) struct buf cert = {0};
	AUTO(buf) struct buf key = {0};
	struct tls_files f = {.ca_pem = buf_view(&ca_cert)};
	struct err err = {0};

	if (cn) {
		issue(cn, "testers", &cert, &key, other_ca);
		f.cert_pem = buf_view(&cert);
		f.key_pem = buf_view(&key);
	}
	struct tls_ctx *c = is_server ? tls_server_new(&f, &err) : tls_client_new(&f, &err);
	if (!c)
		fail_msg("%s", err.msg);
	return c;
}

int group_setup(void **state)
{
	struct err err = {0};

	(void)state;
	loop = loop_new();
	assert_int_equal(ca_create("ca", loop_wall(loop), 3600, &ca_cert, &ca_key, &err), 0);
	assert_int_equal(ca_create("other", loop_wall(loop), 3600, &other_cert, &other_key, &err),
			 0);
	return 0;
}

int group_teardown(void **state)
{
	(void)state;
	loop_free(loop);
	buf_release(&ca_cert);
	buf_release(&ca_key);
	buf_release(&other_cert);
	buf_release(&other_key);
	return 0;
}

static struct http_client *start_with(struct http_server_opts o, bool tls, const char *client_cn,
				      bool other_ca)
{
	struct err err = {0};
	struct tls_ctx *s = tls ? make_ctx(true, "server", false) : NULL,
		       *c = tls ? make_ctx(false, client_cn, other_ca) : NULL;

	requests = 0;
	o.tls = s;
	o.handle = handle;
	server = http_server_new(loop, &o, &err);
	port = http_server_listen(server, "127.0.0.1:0", &err);
	assert_true(port > 0);
	struct http_client *client = http_client_new(
		loop,
		&(struct http_client_opts){
			.host = "127.0.0.1", .port = port, .tls = c, .max_conns = 2},
		&err);
	assert_non_null(client);
	tls_unref(&s);
	tls_unref(&c);
	return client;
}

static struct http_client *start(bool tls, const char *client_cn)
{
	return start_with((struct http_server_opts){0}, tls, client_cn, false);
}

static void stop(struct http_client *c)
{
	http_client_free(c);
	http_server_free(server);
}

/* ---- calls ---- */

struct result {
	int done, heads, status;
	int nth; /* of all that were done */
	enum err_code code;
	char msg[512];
	struct buf body;
	struct http_tunnel *tunnel;
	bool closed;
};

static int all_done;

static void on_done(void *arg, const struct http_answer *a)
{
	struct result *r = arg;

	r->done++;
	r->nth = ++all_done;
	r->status = a->status;
	r->code = a->err->code;
	snprintf(r->msg, sizeof(r->msg), "%s", a->err->msg);
	buf_str(&r->body, a->body);
}

static void on_head(void *arg, const struct http_answer *a)
{
	((struct result *)arg)->heads++;
	((struct result *)arg)->status = a->status;
}

static void on_data(void *arg, struct str data)
{
	buf_str(&((struct result *)arg)->body, data);
}

static void turn_until(const int *what, int value)
{
	int64_t until = loop_now(loop) + 120 * NS_PER_S;

	while (*what < value && loop_now(loop) < until)
		loop_turn(loop, 100);
	assert_true(*what >= value);
}

static struct http_running *ask(struct http_client *c, const char *method, const char *path,
				const char *body, struct result *r)
{
	struct http_call call = {.method = method,
				 .path = str_c(path),
				 .body = str_c(body),
				 .done = on_done,
				 .arg = r};

	return http_client_call(c, &call);
}

static void assert_body(struct result *r, int status, const char *body)
{
	turn_until(&r->done, 1);
	if (r->code)
		fail_msg("%s", r->msg);
	assert_int_equal(r->status, status);
	assert_string_equal(buf_cstr(&r->body), body);
	buf_release(&r->body);
	*r = (struct result){0};
}

static void check_basics(bool tls)
{
	struct http_client *c = start(tls, "tester");
	struct result r = {0};
	char remote[64];

	ask(c, "GET", "/x", NULL, &r);
	assert_int_equal(r.done, 0); /* never from within */
	assert_body(&r, 200, "/x");
	memcpy(remote, last_remote, sizeof(remote));
	ask(c, "POST", "/x", "hello", &r);
	assert_body(&r, 200, "hello");
	assert_string_equal(remote, last_remote); /* kept alive */
	ask(c, "GET", "/404", NULL, &r);
	assert_body(&r, 404, "no such thing");
	ask(c, "GET", "/stream", NULL, &r);
	assert_body(&r, 200, "one two three");
	ask(c, "HEAD", "/x", NULL, &r);
	assert_body(&r, 200, "");
	assert_string_equal(last_cn, tls ? "tester" : "-");
	assert_string_equal(last_orgs, tls ? "testers" : "-");
	stop(c);
}

void test_client__plain(void **state)
{
	(void)state;
	check_basics(false);
}

void test_client__tls(void **state)
{
	(void)state;
	check_basics(true);
}

void test_client__big_bodies_both_ways(void **state)
{
	(void)state;
	struct http_client *c =
		start_with((struct http_server_opts){.max_body = 8 << 20}, true, NULL, false);
	AUTO(buf) struct buf b = {0};
	struct result r = {0};

	for (int i = 0; i < 700000; i++)
		buf_printf(&b, "%09d,", i);
	struct http_call call = {.method = "PUT",
				 .path = STR("/"),
				 .body = buf_view(&b),
				 .done = on_done,
				 .arg = &r};
	http_client_call(c, &call);
	turn_until(&r.done, 1);
	assert_int_equal(r.status, 200);
	assert_true(str_eq(buf_view(&r.body), buf_view(&b)));
	buf_release(&r.body);
	r = (struct result){0};
	call.max_body = 1000;
	http_client_call(c, &call);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_LIMIT);
	stop(c);
}

void test_client__more_calls_than_connections(void **state)
{
	(void)state;
	struct http_client *c = start(true, NULL);
	struct result r[20] = {0};

	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		ask(c, "GET", "/many", NULL, &r[i]);
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		assert_body(&r[i], 200, "/many");
	stop(c);
}

static void ask_ranked(struct http_client *c, enum http_call_rank rank, struct result *r)
{
	struct http_call call = {
		.method = "GET", .path = STR("/x"), .rank = rank, .done = on_done, .arg = r};

	http_client_call(c, &call);
}

/* While all connections are busy: a lease's renewal doesn't wait behind a thousand events. */
void test_client__urgent_calls_go_first_and_others_last(void **state)
{
	(void)state;
	struct http_client *c = start(false, NULL);
	struct result hold[2] = {0}, last = {0}, plain[2] = {0}, urgent = {0};
	const struct http_reply ok = {.status = 200};

	ask(c, "GET", "/hold", NULL, &hold[0]);
	ask(c, "GET", "/hold", NULL, &hold[1]);
	for (int i = 0; i < 100 && nheld < 2; i++)
		loop_turn(loop, 100);
	assert_int_equal(nheld, 2);
	ask_ranked(c, HTTP_CALL_LAST, &last);
	ask_ranked(c, HTTP_CALL_IN_TURN, &plain[0]);
	ask_ranked(c, HTTP_CALL_IN_TURN, &plain[1]);
	ask_ranked(c, HTTP_CALL_URGENT, &urgent);
	http_reply_bytes(held[0], &ok, STR("a"));
	turn_until(&last.done, 1);
	assert_true(urgent.nth < plain[0].nth && plain[0].nth < plain[1].nth &&
		    plain[1].nth < last.nth);
	http_reply_bytes(held[1], &ok, STR("b"));
	turn_until(&hold[1].done, 1);
	let_go();
	for (size_t i = 0; i < 2; i++) {
		buf_release(&hold[i].body);
		buf_release(&plain[i].body);
	}
	buf_release(&last.body);
	buf_release(&urgent.body);
	stop(c);
}

void test_client__stream(void **state)
{
	(void)state;
	struct http_client *c = start(true, NULL);
	struct result r = {0}, e = {0};
	struct http_call call = {.method = "GET",
				 .path = STR("/stream"),
				 .done = on_done,
				 .head = on_head,
				 .data = on_data,
				 .arg = &r};

	http_client_call(c, &call);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_NONE);
	assert_int_equal(r.heads, 1);
	assert_string_equal(buf_cstr(&r.body), "one two three");
	buf_release(&r.body);

	/* Not 2xx: an answer like any other. */
	call.path = STR("/404");
	call.arg = &e;
	http_client_call(c, &call);
	turn_until(&e.done, 1);
	assert_int_equal(e.heads, 0);
	assert_int_equal(e.status, 404);
	assert_string_equal(buf_cstr(&e.body), "no such thing");
	buf_release(&e.body);
	stop(c);
}

void test_client__broken_stream_says_so(void **state)
{
	(void)state;
	struct http_client *c = start(true, NULL);
	struct result r = {0};
	struct http_call call = {.method = "GET",
				 .path = STR("/endless"),
				 .timeout_ns = 60 * NS_PER_S,
				 .done = on_done,
				 .head = on_head,
				 .data = on_data,
				 .arg = &r};

	http_client_call(c, &call);
	turn_until(&r.heads, 1);
	http_server_stop(server, 0);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	buf_release(&r.body);
	stop(c);
}

void test_client__timeout_and_cancel(void **state)
{
	(void)state;
	struct http_client *c = start(false, NULL);
	struct result r = {0}, never = {0};
	struct http_call call = {.method = "GET",
				 .path = STR("/hold"),
				 .timeout_ns = 30 * NS_PER_MS,
				 .done = on_done,
				 .arg = &r};

	http_client_call(c, &call);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_TIMEOUT);
	let_go();
	call.arg = &never;
	call.timeout_ns = 0;
	struct http_running *run = http_client_call(c, &call);
	requests = 0;
	turn_until(&requests, 1);
	http_call_cancel(run);
	/* An answer that comes too late does nothing. */
	http_reply_bytes(held[0], &(struct http_reply){.status = 200}, STR("late"));
	let_go();
	r = (struct result){0};
	ask(c, "GET", "/x", NULL, &r);
	assert_body(&r, 200, "/x");
	assert_int_equal(never.done, 0);
	stop(c);
}

void test_client__free_cancels(void **state)
{
	(void)state;
	struct http_client *c = start(false, NULL);
	struct result r[4] = {0};

	for (int i = 0; i < 4; i++)
		ask(c, "GET", "/hold", NULL, &r[i]);
	loop_turn(loop, 10);
	http_client_free(c);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(r[i].done, 1);
		assert_int_equal(r[i].code, ERR_CANCELED);
	}
	while (requests < 1)
		loop_turn(loop, 10);
	let_go();
	http_server_free(server);
}

void test_client__bad_requests_are_reported_later(void **state)
{
	(void)state;
	struct http_client *c = start(false, NULL);
	struct result r = {0};
	const char *bad[] = {"", "x", "/a b", "/a\r\nX: y"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		r = (struct result){0};
		ask(c, "GET", bad[i], NULL, &r);
		assert_int_equal(r.done, 0);
		turn_until(&r.done, 1);
		assert_int_equal(r.code, ERR_BAD_REQUEST);
	}
	assert_int_equal(requests, 0);
	stop(c);
}

void test_client__nobody_listens(void **state)
{
	(void)state;
	struct http_client *c = start(false, NULL);
	struct result r = {0};

	http_server_free(server);
	ask(c, "GET", "/x", NULL, &r);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	http_client_free(c);
}

void test_client__certificate_of_another_authority(void **state)
{
	(void)state;
	struct err err = {0};
	struct http_client *c = start(true, NULL);
	struct result r = {0};

	/* We don't trust the server. */
	struct tls_ctx *t =
		tls_client_new(&(struct tls_files){.ca_pem = buf_view(&other_cert)}, &err);
	struct http_client *d = http_client_new(
		loop, &(struct http_client_opts){.host = "127.0.0.1", .port = port, .tls = t},
		&err);
	ask(d, "GET", "/x", NULL, &r);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(r.msg, "certificate"));
	http_client_free(d);
	/* The name isn't the server's. */
	struct tls_ctx *u = tls_client_new(&(struct tls_files){.ca_pem = buf_view(&ca_cert)}, &err);
	d = http_client_new(
		loop,
		&(struct http_client_opts){
			.host = "example.org", .connect_to = "127.0.0.1", .port = port, .tls = u},
		&err);
	r = (struct result){0};
	ask(d, "GET", "/x", NULL, &r);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	http_client_free(d);
	tls_unref(&t);
	tls_unref(&u);
	stop(c);
	/* The server doesn't trust us: let in, but nobody. */
	c = start_with((struct http_server_opts){0}, true, "intruder", true);
	r = (struct result){0};
	ask(c, "GET", "/x", NULL, &r);
	assert_body(&r, 200, "/x");
	assert_string_equal(last_cn, "-");
	stop(c);
}

void test_client__resumed_session_keeps_the_identity(void **state)
{
	(void)state;
	struct http_client *c = start_with((struct http_server_opts){.idle_ns = 20 * NS_PER_MS},
					   true, "tester", false);
	struct result r = {0};

	for (int i = 0; i < 3; i++) {
		ask(c, "GET", "/x", NULL, &r);
		assert_body(&r, 200, "/x");
		assert_string_equal(last_cn, "tester");
		int64_t until = loop_now(loop) + 60 * NS_PER_MS;
		while (loop_now(loop) < until)
			loop_turn(loop, 5);
	}
	stop(c);
}

/* ---- tunnels ---- */

static void on_up(void *arg, struct http_tunnel *t, const struct http_answer *a)
{
	struct result *r = arg;

	r->tunnel = t;
	r->status = a->status;
	r->heads++;
}

static void on_tunnel(void *arg, struct str data)
{
	struct result *r = arg;

	if (data.n)
		buf_str(&r->body, data);
	else
		r->closed = true;
	r->done = (int)r->body.n + r->closed;
}

void test_client__upgrade(void **state)
{
	(void)state;
	struct http_client *c = start(true, NULL);
	struct result r = {0};
	struct http_header h[] = {{STR("Connection"), STR("Upgrade")}, {STR("Upgrade"), STR("x")}};
	struct http_call call = {.method = "POST",
				 .path = STR("/upgrade"),
				 .headers = h,
				 .nheaders = 2,
				 .done = on_done,
				 .arg = &r};
	struct http_tunnel_opts o = {.up = on_up, .on_data = on_tunnel, .arg = &r};

	http_client_upgrade(c, &call, &o);
	turn_until(&r.heads, 1);
	assert_int_equal(r.status, 101);
	assert_int_equal(http_tunnel_write(r.tunnel, STR("over and back")), 0);
	turn_until(&r.done, 13);
	assert_string_equal(buf_cstr(&r.body), "over and back");
	http_server_stop(server, 0);
	turn_until(&r.done, 14);
	assert_true(r.closed);
	buf_release(&r.body);

	http_server_free(server);
	http_client_free(c);
	/* An answer that isn't 101 is an answer. */
	c = start(false, NULL);
	r = (struct result){0};
	call.path = STR("/404");
	http_client_upgrade(c, &call, &o);
	assert_body(&r, 404, "no such thing");
	stop(c);
}

static void on_tunnel_drained(void *arg)
{
	((struct result *)arg)->heads++;
}

/* A writer that stops when http_tunnel_backlog() says so is always told to go on. */
void test_client__tunnel_tells_when_there_is_room(void **state)
{
	(void)state;
	static char chunk[50000];
	struct http_client *c = start(true, NULL);
	struct result r = {0};
	struct http_call call = {
		.method = "POST", .path = STR("/upgrade"), .done = on_done, .arg = &r};
	struct http_tunnel_opts o = {
		.up = on_up, .on_data = on_tunnel, .on_drain = on_tunnel_drained, .arg = &r};
	int total = 0;

	http_client_upgrade(c, &call, &o);
	turn_until(&r.heads, 1);
	while (http_tunnel_backlog(r.tunnel) <= HTTP_TUNNEL_HIGH) {
		assert_int_equal(http_tunnel_write(r.tunnel, (struct str){chunk, sizeof(chunk)}),
				 0);
		total += (int)sizeof(chunk);
	}
	turn_until(&r.heads, 2);
	turn_until(&r.done, total);
	buf_release(&r.body);
	stop(c);
}

/* ---- a peer that misbehaves ---- */

struct peer {
	int listener, port;
	const char *const *answers; /* one a connection; NULL ends; closes behind each */
};

static void *peer_main(void *arg)
{
	struct peer *p = arg;
	char request[4096];

	for (size_t i = 0; p->answers[i]; i++) {
		int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
		for (const char *a = p->answers[i]; *a;) {
			const char *end = strchr(a, '|');
			size_t n = end ? (size_t)(end - a) : strlen(a);
			if (recv(fd, request, sizeof(request), 0) <= 0)
				break;
			send(fd, a, n, MSG_NOSIGNAL);
			a += n + (end ? 1 : 0);
		}
		close(fd);
	}
	return NULL;
}

/* What the client says about a peer that answers so. */
static struct result against(const char *const *answers, int calls)
{
	struct peer p = {.answers = answers,
			 .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	struct result r = {0};
	struct err err = {0};
	pthread_t t;

	assert_int_equal(bind(p.listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(p.listener, 10), 0);
	getsockname(p.listener, (struct sockaddr *)&a, &n);
	assert_int_equal(pthread_create(&t, NULL, peer_main, &p), 0);
	struct http_client *c = http_client_new(
		loop, &(struct http_client_opts){.host = "127.0.0.1", .port = ntohs(a.sin_port)},
		&err);
	for (int i = 0; i < calls; i++) {
		buf_release(&r.body);
		r = (struct result){0};
		ask(c, "GET", "/", NULL, &r);
		turn_until(&r.done, 1);
	}
	http_client_free(c);
	pthread_join(t, NULL);
	close(p.listener);
	return r;
}

void test_client__malformed_answers(void **state)
{
	(void)state;
	static const char *bad[] = {
		"nonsense\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *answers[] = {bad[i], NULL};
		struct result r = against(answers, 1);
		assert_int_equal(r.code, ERR_PARSE);
		assert_int_equal(r.status, 0);
	}
	const char *cut[] = {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", NULL};
	struct result r = against(cut, 1);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
}

void test_client__interim_answers_and_bodies_to_the_end(void **state)
{
	(void)state;
	const char *answers[] = {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall of it",
				 NULL};
	struct result r = against(answers, 1);

	assert_int_equal(r.code, ERR_NONE);
	assert_string_equal(buf_cstr(&r.body), "all of it");
	buf_release(&r.body);
}

void test_client__kept_connection_that_closed_is_replaced(void **state)
{
	(void)state;
	/* The first connection answers once, takes a second request and closes without a byte. */
	const char *answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na|",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb", NULL};
	struct result r = against(answers, 2);

	assert_int_equal(r.code, ERR_NONE);
	assert_string_equal(buf_cstr(&r.body), "b");
	buf_release(&r.body);
}

/* A name is looked up beside the loop; whoever doesn't wait for it is not told. */
void test_client__names_are_looked_up_apart(void **state)
{
	(void)state;
	struct http_client *c = start(false, NULL), *named;
	struct http_client_opts o = {.host = "localhost", .port = port, .lookup_apart = true};
	struct result r = {0};

	named = http_client_new(loop, &o, NULL);
	ask(named, "GET", "/x", NULL, &r);
	assert_int_equal(r.done, 0);
	assert_body(&r, 200, "/x");
	http_client_free(named);
	for (int i = 0; i < 40; i++) {
		named = http_client_new(loop, &o, NULL);
		ask(named, "GET", "/x", NULL, &r);
		if (i % 2)
			loop_turn(loop, 1);
		http_client_free(named);
		assert_int_equal(r.done, 1);
		assert_true(r.code == ERR_CANCELED || r.code == ERR_NONE ||
			    r.code == ERR_UNAVAILABLE);
		buf_release(&r.body);
		r = (struct result){0};
	}
	o.host = "no such name";
	named = http_client_new(loop, &o, NULL);
	ask(named, "GET", "/x", NULL, &r);
	turn_until(&r.done, 1);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	http_client_free(named);
	stop(c);
}
