/* The server as a peer on a socket sees it, and as handlers on any thread see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/http/server.h"

static _Atomic int gone, handled, drained, closed;
static _Atomic int stream_writes;
static const struct http_reply ok = {.status = 200, .content_type = "text/plain"};

static void on_gone(struct http_req *r)
{
	(void)r;
	gone++;
}

/* ---- answers from another thread ---- */

static void *answer_later(void *arg)
{
	struct http_req *r = arg;

	usleep(20000);
	http_reply_bytes(r, &ok, STR("later"));
	http_req_unref(r);
	return NULL;
}

static void *stream_from_thread(void *arg)
{
	struct http_req *r = arg;

	http_stream_begin(r, &ok);
	for (int i = 0; i < 1000; i++) {
		struct block *b = block_new(STR("0123456789"));
		http_stream_write(r, &b, 1);
		block_unref(b);
	}
	http_stream_end(r);
	http_req_unref(r);
	return NULL;
}

/* Writes until the server says that the reader is gone or too slow. */
static void *flood(void *arg)
{
	struct http_req *r = arg;
	static const char zeros[65536];
	struct block *b = block_new((struct str){zeros, sizeof(zeros)});

	http_stream_begin(r, &ok);
	while (http_stream_write(r, &b, 1) == 0 && stream_writes < 10000)
		stream_writes++;
	block_unref(b);
	http_req_unref(r);
	return NULL;
}

static void spawn(void *(*fn)(void *), struct http_req *r)
{
	pthread_t t;

	http_req_ref(r);
	assert_int_equal(pthread_create(&t, NULL, fn, r), 0);
	pthread_detach(t);
}

static void echo_data(struct http_upgraded *u, struct str data)
{
	if (data.n == 0) {
		closed++;
		free(u);
		return;
	}
	if (str_is(data, "bye")) {
		http_upgraded_write(u, STR("good bye"));
		http_upgraded_close(u);
		closed++;
		free(u);
		return;
	}
	if (str_is(data, "hold still"))
		http_upgraded_pause(u, true);
	http_upgraded_write(u, data);
}

static void begin_upgrade(struct http_req *r)
{
	struct http_upgraded *u = xalloc(sizeof(*u));
	struct http_header h[] = {{STR("Connection"), STR("Upgrade")},
				  {STR("Upgrade"), STR("echo")}};

	u->on_data = echo_data;
	http_upgrade(r, &(struct http_reply){.status = 101, .headers = h, .nheaders = 2}, u);
}

static void on_drained(struct http_req *r)
{
	drained++;
	http_stream_end(r);
}

static void begin_big_stream(struct http_req *r)
{
	struct buf b = {0};

	memset(buf_reserve(&b, 2 << 20), 'x', 2 << 20);
	b.n = 2 << 20;
	struct block *blk = block_take(&b);
	r->drained = on_drained;
	http_stream_begin(r, &ok);
	assert_int_equal(http_stream_write(r, &blk, 1), 0);
	assert_true(http_stream_backlog(r) > HTTP_BACKLOG_HIGH);
	block_unref(blk);
}

static void reply_headers(struct http_req *r)
{
	struct http_header h[] = {{STR("X-A"), STR("evil\r\nX-B: injected")}};

	http_reply_bytes(r, &(struct http_reply){.status = 200, .headers = h, .nheaders = 1},
			 STR(""));
}

static void handle(void *arg, struct http_req *r)
{
	(void)arg;
	handled++;
	r->gone = on_gone;
	if (str_is(r->path, "/echo"))
		http_reply_bytes(r, &ok, r->body);
	else if (str_is(r->path, "/later"))
		spawn(answer_later, r);
	else if (str_is(r->path, "/stream"))
		spawn(stream_from_thread, r);
	else if (str_is(r->path, "/flood"))
		spawn(flood, r);
	else if (str_is(r->path, "/drain"))
		begin_big_stream(r);
	else if (str_is(r->path, "/upgrade"))
		begin_upgrade(r);
	else if (str_is(r->path, "/headers"))
		reply_headers(r);
	else if (str_is(r->path, "/204"))
		http_reply_bytes(r, &(struct http_reply){.status = 204}, STR_NONE);
	else if (!str_is(r->path, "/hold"))
		http_reply_bytes(r, &ok, r->path);
}

/* ---- a peer ---- */

struct fixture {
	struct http_server *s;
	int port;
};

static void start(struct fixture *f, const struct http_server_opts *o)
{
	struct err err = {0};
	struct http_server_opts opts = *o;

	gone = handled = drained = closed = stream_writes = 0;
	opts.threads = opts.threads ? opts.threads : 1;
	opts.handle = handle;
	f->s = http_server_new(NULL, &opts, &err);
	assert_non_null(f->s);
	f->port = http_server_listen(f->s, "127.0.0.1:0", &err);
	assert_true(f->port > 0);
}

static int dial(const struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)f->port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = 120};

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Everything until the peer closes, or until `until` was seen. */
static char *hear(int fd, const char *until)
{
	struct buf b = {0};
	char piece[4096];
	ssize_t n;

	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0) {
		buf_put(&b, piece, (size_t)n);
		if (until && strstr(buf_cstr(&b), until))
			break;
	}
	if (n < 0)
		fail_msg("nothing came in time; so far: %s", buf_cstr(&b));
	return buf_take(&b);
}

/* Sends a request with Connection: close behind it; the answer whole. */
static char *ask(const struct fixture *f, const char *text)
{
	int fd = dial(f);

	say(fd, text);
	char *answer = hear(fd, NULL);
	close(fd);
	return answer;
}

static void assert_answer(const struct fixture *f, const char *request, const char *head,
			  const char *tail)
{
	char *a = ask(f, request);

	if (strncmp(a, head, strlen(head)) || !str_ends(str_c(a), str_c(tail)))
		fail_msg("%s\nwas answered with\n%s", request, a);
	free(a);
}

static void wait_for(_Atomic int *what, int value)
{
	for (int i = 0; i < 12000 && *what < value; i++)
		usleep(10000);
	assert_true(*what >= value);
}

void test_server__answers(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	assert_answer(&f, "GET /x%20y?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: ",
		      "Connection: close\r\nContent-Length: 4\r\n\r\n/x y");
	assert_answer(&f, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/");
	assert_answer(&f, "HEAD /abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		      "HTTP/1.1 200 OK\r\n", "Content-Length: 4\r\n\r\n");
	assert_answer(&f,
		      "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
		      "5\r\n\r\nhello",
		      "HTTP/1.1 200", "\r\n\r\nhello");
	assert_answer(&f,
		      "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n5\r\nhello\r\n3\r\n me\r\n0\r\n\r\n",
		      "HTTP/1.1 200", "\r\n\r\nhello me");
	assert_answer(&f, "GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		      "HTTP/1.1 200", "\r\n\r\nlater");
	assert_answer(&f, "GET http://a/abs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		      "HTTP/1.1 200", "\r\n\r\n/abs");
	char *a = ask(&f, "GET /204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_null(strstr(a, "Content-Length"));
	free(a);
	a = ask(&f, "GET /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_null(strstr(a, "\r\nX-B"));
	free(a);
	http_server_free(f.s);
}

void test_server__refusals_close(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){.max_body = 10});
	assert_answer(&f, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
		      "400 Bad Request\n");
	assert_answer(&f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 ", "\n");
	assert_answer(&f, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ", "\n");
	assert_answer(&f, "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ", "\n");
	assert_answer(&f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
		      "HTTP/1.1 413 ", "\n");
	assert_answer(&f,
		      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello "
		      "\r\n5\r\nworld\r\n0\r\n\r\n",
		      "HTTP/1.1 413 ", "\n");
	assert_answer(&f, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		      "HTTP/1.1 400 ", "\n");
	assert_int_equal(handled, 0);
	http_server_free(f.s);
}

void test_server__keep_alive_and_pipelining(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f);
	say(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET "
		"/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	char *all = hear(fd, NULL);
	char *a = strstr(all, "\r\n\r\n/a"), *b = strstr(all, "\r\n\r\nlater"),
	     *c = strstr(all, "\r\n\r\n/c");
	assert_true(a && b && c && a < b && b < c);
	free(all);
	close(fd);
	fd = dial(&f);
	for (int i = 0; i < 3; i++) {
		say(fd, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
		free(hear(fd, "\r\n\r\n/again"));
	}
	close(fd);
	http_server_free(f.s);
}

void test_server__expect_continue(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f);
	say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: "
		"close\r\nContent-Length: 2\r\n\r\n");
	char *a = hear(fd, "\r\n\r\n");
	assert_string_equal(a, "HTTP/1.1 100 Continue\r\n\r\n");
	free(a);
	say(fd, "ok");
	a = hear(fd, NULL);
	assert_true(str_ends(str_c(a), STR("\r\n\r\nok")));
	free(a);
	close(fd);
	http_server_free(f.s);
}

void test_server__request_in_single_bytes(void **state)
{
	(void)state;
	struct fixture f;
	const char *text = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
			   "3\r\n\r\nabc";

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f);
	for (const char *p = text; *p; p++)
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
	char *a = hear(fd, NULL);
	assert_true(str_ends(str_c(a), STR("\r\n\r\nabc")));
	free(a);
	close(fd);
	http_server_free(f.s);
}

void test_server__stream_from_another_thread_is_in_order_and_whole(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){.threads = 2});
	char *a = ask(&f, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_non_null(strstr(a, "Transfer-Encoding: chunked\r\n"));
	assert_true(str_ends(str_c(a), STR("a\r\n0123456789\r\n0\r\n\r\n")));
	size_t n = 0;
	for (char *p = a; (p = strstr(p, "a\r\n0123456789\r\n")); p++)
		n++;
	assert_int_equal(n, 1000);
	free(a);
	a = ask(&f, "GET /stream HTTP/1.0\r\n\r\n");
	assert_null(strstr(a, "chunked"));
	assert_int_equal(strlen(strstr(a, "\r\n\r\n") + 4), 10000);
	free(a);
	assert_int_equal(gone, 0);
	http_server_free(f.s);
}

void test_server__slow_reader_is_cut(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){.max_backlog = 1 << 20});
	int fd = dial(&f);
	say(fd, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(&gone, 1);
	assert_true(stream_writes < 10000);
	close(fd);
	http_server_free(f.s);
}

void test_server__waiting_producer_is_told_of_room(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	char *a = ask(&f, "GET /drain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_true(str_ends(str_c(a), STR("x\r\n0\r\n\r\n")));
	assert_int_equal(drained, 1);
	free(a);
	http_server_free(f.s);
}

void test_server__gone_is_told_once(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f);
	say(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(&handled, 1);
	close(fd);
	wait_for(&gone, 1);
	http_server_free(f.s);
	assert_int_equal(gone, 1);
}

void test_server__time_limits(void **state)
{
	(void)state;
	struct fixture f;

	start(&f,
	      &(struct http_server_opts){.head_ns = 500 * NS_PER_MS, .idle_ns = 500 * NS_PER_MS});
	/* Says nothing, half a head, half a body, nothing more after an answer. */
	int fd = dial(&f);
	char *a = hear(fd, NULL);
	assert_string_equal(a, "");
	free(a);
	close(fd);
	assert_answer(&f, "GET / HT", "HTTP/1.1 408 ", "\n");
	assert_answer(&f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
		      "HTTP/1.1 408 ", "\n");
	assert_answer(&f, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ", "/x");
	http_server_free(f.s);
}

void test_server__upgrade(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f);
	say(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "
		"echo\r\n\r\nearly");
	char *a = hear(fd, "early");
	assert_true(strncmp(a, "HTTP/1.1 101 Switching Protocols\r\n", 34) == 0);
	assert_null(strstr(a, "Content-Length"));
	free(a);
	say(fd, "late");
	free(hear(fd, "late"));
	say(fd, "bye");
	a = hear(fd, NULL);
	assert_string_equal(a, "good bye");
	free(a);
	close(fd);
	fd = dial(&f);
	say(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\n\r\n");
	free(hear(fd, "\r\n\r\n"));
	close(fd);
	wait_for(&closed, 2);
	assert_int_equal(gone, 0);
	http_server_free(f.s);
}

/* Whoever is held back and leaves has left all the same. */
void test_server__a_paused_peer_that_leaves(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f), before = closed;
	say(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\n\r\n");
	free(hear(fd, "\r\n\r\n"));
	say(fd, "hold still");
	free(hear(fd, "hold still"));
	say(fd, "nobody reads this");
	close(fd);
	wait_for(&closed, before + 1);
	http_server_free(f.s);
}

void test_server__too_many_connections_are_turned_away(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){.max_conns = 1});
	int first = dial(&f);
	say(first, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	free(hear(first, "/a"));
	int second = dial(&f);
	char c;
	assert_true(recv(second, &c, 1, 0) <= 0);
	close(second);
	close(first);
	http_server_free(f.s);
}

static void *ask_slowly(void *arg)
{
	return ask(arg, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
}

void test_server__stop_lets_running_answers_end(void **state)
{
	(void)state;
	struct fixture f;
	pthread_t t;
	void *answer;

	start(&f, &(struct http_server_opts){0});
	assert_int_equal(pthread_create(&t, NULL, ask_slowly, &f), 0);
	wait_for(&handled, 1);
	http_server_stop(f.s, 120 * NS_PER_S);
	pthread_join(t, &answer);
	assert_true(str_ends(str_c(answer), STR("later")));
	free(answer);
	http_server_free(f.s);
}

void test_server__stop_does_not_wait_longer_than_told(void **state)
{
	(void)state;
	struct fixture f;

	start(&f, &(struct http_server_opts){0});
	int fd = dial(&f);
	say(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(&handled, 1);
	http_server_stop(f.s, 30 * NS_PER_MS);
	assert_int_equal(gone, 1);
	http_server_free(f.s);
	close(fd);
}

void test_server__bad_addresses(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = {0};

	start(&f, &(struct http_server_opts){0});
	assert_int_equal(http_server_listen(f.s, "localhost", &err), -1);
	assert_int_equal(http_server_listen(f.s, "1.2.3.4.5:1", &err), -1);
	assert_int_equal(http_server_listen(f.s, "127.0.0.1:notaport", &err), -1);
	char busy[32];
	snprintf(busy, sizeof(busy), "127.0.0.1:%d", f.port);
	assert_int_equal(http_server_listen(f.s, busy, &err), -1);
	http_server_free(f.s);
	http_server_free(NULL);
}
