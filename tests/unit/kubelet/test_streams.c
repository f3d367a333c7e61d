/* A remote command's streams, by SPDY and by WebSocket, as a client sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kubelet/streams.h"
#include "kubelet/upgrade.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/http/spdy-internal.h"

/* Both ends on one loop. */
struct world {
	struct loop *l;
	struct http_server *server;
	struct http_client *client;
	struct streams *st;
	struct buf told; /* by the streams */
	/* the client's side */
	struct http_tunnel *tunnel;
	int status;
	bool closed, done;
	struct buf protocol, in;
	struct spdy_block block;
};

/* ---- the command's side ---- */

static void on_ready(void *arg)
{
	buf_puts(&((struct world *)arg)->told, "ready;");
}

static void on_input(void *arg, struct str data)
{
	buf_printf(&((struct world *)arg)->told, "in %.*s;", STR_ARG(data));
}

static void on_input_ended(void *arg)
{
	buf_puts(&((struct world *)arg)->told, "in ends;");
}

static void on_resized(void *arg, unsigned short cols, unsigned short rows)
{
	buf_printf(&((struct world *)arg)->told, "size %u %u;", cols, rows);
}

static void on_drained(void *arg)
{
	(void)arg;
}

static void on_gone(void *arg)
{
	struct world *w = arg;

	w->st = NULL;
	buf_puts(&w->told, "gone;");
}

static const struct streams_ops ops = {on_ready,   on_input,   on_input_ended,
				       on_resized, on_drained, on_gone};

static void handle(void *arg, struct http_req *r)
{
	struct world *w = arg;

	w->st = streams_accept(w->l, r, streams_wanted(r), &ops, w);
}

/* ---- the client's side ---- */

static void on_up(void *arg, struct http_tunnel *t, const struct http_answer *a)
{
	struct world *w = arg;

	w->tunnel = t;
	w->status = a->status;
	buf_str(&w->protocol, http_header(&a->headers, "X-Stream-Protocol-Version"));
	buf_str(&w->protocol, http_header(&a->headers, "Sec-WebSocket-Protocol"));
	w->done = true;
}

static void on_bytes(void *arg, struct str data)
{
	struct world *w = arg;

	buf_str(&w->in, data);
	if (!data.n) {
		w->tunnel = NULL;
		w->closed = true;
	}
}

static void on_answer(void *arg, const struct http_answer *a)
{
	struct world *w = arg;

	w->status = a->status;
	w->done = true;
}

static void turns(struct world *w)
{
	for (int i = 0; i < 20; i++)
		loop_turn(w->l, 5);
}

static void start(struct world *w, const char *path, const char *upgrade, const char *protocol)
{
	bool ws = !strcmp(upgrade, "websocket");
	struct http_header h[] = {
		{STR("Connection"), STR("Upgrade")},
		{STR("Upgrade"), str_c(upgrade)},
		{ws ? STR("Sec-WebSocket-Protocol") : STR("X-Stream-Protocol-Version"),
		 str_c(protocol)}};
	struct http_server_opts o = {.handle = handle, .arg = w};
	struct err err = {0};

	*w = (struct world){.l = loop_new()};
	w->server = http_server_new(w->l, &o, &err);
	int port = http_server_listen(w->server, "127.0.0.1:0", &err);
	assert_true(port > 0);
	w->client = http_client_new(
		w->l, &(struct http_client_opts){.host = "127.0.0.1", .port = port}, &err);
	struct http_call call = {.method = "POST",
				 .path = str_c(path),
				 .headers = h,
				 .nheaders = protocol ? 3 : 2,
				 .done = on_answer,
				 .arg = w};
	struct http_tunnel_opts t = {.up = on_up, .on_data = on_bytes, .arg = w};
	http_client_upgrade(w->client, &call, &t);
	for (int i = 0; i < 12000 && !w->done; i++)
		loop_turn(w->l, 10);
	assert_true(w->done);
}

static void stop(struct world *w)
{
	if (w->tunnel)
		http_tunnel_close(w->tunnel);
	turns(w);
	assert_null(w->st);
	http_client_free(w->client);
	http_server_free(w->server);
	loop_free(w->l);
	spdy_block_release(&w->block);
	buf_release(&w->told);
	buf_release(&w->in);
	buf_release(&w->protocol);
}

static void assert_told(struct world *w, const char *want)
{
	turns(w);
	for (int i = 0; i < 1000 && strcmp(buf_cstr(&w->told), want); i++)
		loop_turn(w->l, 10);
	assert_string_equal(buf_cstr(&w->told), want);
	buf_reset(&w->told);
}

static void send_frame(struct world *w, uint32_t first, unsigned flags, struct str body)
{
	AUTO(buf) struct buf b = {0};

	spdy_put32(&b, first);
	spdy_put32(&b, flags << 24 | (uint32_t)body.n);
	buf_str(&b, body);
	assert_int_equal(http_tunnel_write(w->tunnel, buf_view(&b)), 0);
}

static void open_stream(struct world *w, uint32_t id, const char *type)
{
	AUTO(buf) struct buf body = {0};
	struct http_header v = {STR("streamtype"), str_c(type)};

	spdy_put32(&body, id);
	spdy_put32(&body, 0);
	buf_put(&body, "\0\0", 2);
	spdy_block_write(&w->block, &(struct http_headers){&v, 1}, &body);
	send_frame(w, 0x80030001u, 0, buf_view(&body));
}

/* The data that came for a stream, and how many frames of a kind there were. */
static void collect(struct world *w, uint32_t id, struct buf *ret)
{
	turns(w);
	for (size_t at = 0; at + 8 <= w->in.n;) {
		size_t n = spdy_get32(w->in.p + at + 4) & 0xffffff;
		if (spdy_get32(w->in.p + at) == id)
			buf_put(ret, w->in.p + at + 8, n);
		if (spdy_get32(w->in.p + at) == id && (spdy_get32(w->in.p + at + 4) >> 24))
			buf_puts(ret, "<end>");
		at += 8 + n;
	}
}

/* ---- tests ---- */

void test_streams__spdy_waits_for_all_that_is_wanted(void **state)
{
	(void)state;
	struct world w;
	AUTO(buf) struct buf out = {0}, status = {0};

	start(&w, "/?stdin=true&stdout=true&stderr=true&tty=true&command=sh", "SPDY/3.1",
	      "v9.channel.k8s.io, v4.channel.k8s.io");
	assert_int_equal(w.status, 101);
	assert_string_equal(buf_cstr(&w.protocol), "v4.channel.k8s.io");
	open_stream(&w, 1, "error");
	open_stream(&w, 3, "stdin");
	send_frame(&w, 3, 0, STR("early"));
	open_stream(&w, 5, "stderr"); /* a terminal has none: refused */
	open_stream(&w, 7, "stdout");
	open_stream(&w, 9, "stdout"); /* there is one already */
	assert_told(&w, "in early;");
	open_stream(&w, 11, "resize");
	assert_told(&w, "ready;");
	send_frame(&w, 11, 0, STR("{\"Width\":100,\"Hei"));
	send_frame(&w, 11, 0, STR("ght\":30}\n{\"Width\":0,\"Height\":1}\n{\"Width\""));
	send_frame(&w, 3, 1, STR("late"));
	assert_told(&w, "size 100 30;in late;in ends;");
	streams_send(w.st, STREAM_OUT, STR("hello"));
	streams_send(w.st, STREAM_ERR, STR("nowhere to"));
	streams_exit(w.st, 7);
	w.st = NULL;
	collect(&w, 7, &out);
	assert_string_equal(buf_cstr(&out), "hello<end>");
	collect(&w, 1, &status);
	assert_non_null(strstr(buf_cstr(&status), "\"reason\":\"NonZeroExitCode\""));
	assert_non_null(strstr(buf_cstr(&status), "{\"reason\":\"ExitCode\",\"message\":\"7\"}"));
	/* The client, which may still have to handle all that, goes first. */
	assert_false(w.closed);
	stop(&w);
}

void test_streams__old_protocols_tell_the_end_in_words(void **state)
{
	(void)state;
	static const char *const names[] = {"v3.channel.k8s.io", "v2.channel.k8s.io",
					    "channel.k8s.io", NULL};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct world w;
		AUTO(buf) struct buf status = {0};
		/* Sizes came with v3: the others don't wait for their stream. */
		start(&w, i ? "/?stdout=true&tty=true" : "/?stdout=true", "SPDY/3.1", names[i]);
		assert_int_equal(w.status, 101);
		assert_string_equal(buf_cstr(&w.protocol), names[i] ? names[i] : "");
		open_stream(&w, 1, "stdout");
		open_stream(&w, 3, "error");
		assert_told(&w, "ready;");
		streams_exit(w.st, i ? 3 : 0);
		w.st = NULL;
		collect(&w, 3, &status);
		assert_string_equal(
			buf_cstr(&status),
			i ? "command terminated with non-zero exit code: exit status 3<end>"
			  : "<end>");
		stop(&w);
	}
}

void test_streams__refused(void **state)
{
	(void)state;
	struct world w;

	start(&w, "/?stdout=true", "SPDY/3.1", "v77.channel.k8s.io");
	assert_int_equal(w.status, 403);
	stop(&w);
	start(&w, "/?command=sh", "SPDY/3.1", "v4.channel.k8s.io"); /* no stream */
	assert_int_equal(w.status, 400);
	stop(&w);
	start(&w, "/?stdout=true", "h2c", "v4.channel.k8s.io");
	assert_int_equal(w.status, 400);
	stop(&w);
}

void test_streams__client_leaves_or_breaks_the_rules(void **state)
{
	(void)state;
	struct world w;

	start(&w, "/?stdin=true", "SPDY/3.1", "v4.channel.k8s.io");
	http_tunnel_close(w.tunnel);
	w.tunnel = NULL;
	assert_told(&w, "gone;");
	stop(&w);
	start(&w, "/?stdin=true", "SPDY/3.1", "v4.channel.k8s.io");
	send_frame(&w, 0x80020001u, 0, STR("another version"));
	assert_told(&w, "gone;");
	stop(&w);
	start(&w, "/?stdin=true", "websocket", "v4.channel.k8s.io");
	assert_int_equal(http_tunnel_write(w.tunnel, STR("\x82\x05naked")), 0);
	assert_told(&w, "ready;gone;");
	stop(&w);
}

/* A masked message whose mask is zero, so that it can be read. */
static void send_message(struct world *w, unsigned head, struct str body)
{
	AUTO(buf) struct buf b = {0};

	buf_putc(&b, (char)head);
	buf_putc(&b, (char)(0x80 | body.n));
	buf_put(&b, "\0\0\0\0", 4);
	buf_str(&b, body);
	assert_int_equal(http_tunnel_write(w->tunnel, buf_view(&b)), 0);
}

void test_streams__websocket_channels(void **state)
{
	(void)state;
	struct world w;

	start(&w, "/?stdin=true&stdout=true&tty=true", "websocket",
	      "v5.channel.k8s.io,v4.channel.k8s.io");
	assert_string_equal(buf_cstr(&w.protocol), "v5.channel.k8s.io");
	assert_told(&w, "ready;");
	/* An empty message says that the streams are open. */
	assert_true(w.in.n == 3 && !memcmp(w.in.p, "\x82\x01\x01", 3));
	buf_reset(&w.in);
	send_message(&w, 0x82, (struct str){"\0abc", 4});
	send_message(&w, 0x02, (struct str){"\0de", 3}); /* one message in three parts … */
	send_message(&w, 0x89, STR("ping"));             /* … and something between them */
	send_message(&w, 0x00, STR("f"));
	send_message(&w, 0x80, STR("g"));
	send_message(&w, 0x82, STR("\4{\"Width\":5,\"Height\":6}"));
	send_message(&w, 0x82, STR("\7nobody's"));
	send_message(&w, 0x82, STR(""));
	send_message(&w, 0x82, (struct str){"\xff\0", 2});
	assert_told(&w, "in abc;in defg;size 5 6;in ends;");
	assert_true(w.in.n == 6 && !memcmp(w.in.p, "\x8a\x04ping", 6));
	buf_reset(&w.in);
	streams_send(w.st, STREAM_OUT, STR("out"));
	streams_exit(w.st, 0);
	w.st = NULL;
	turns(&w);
	assert_memory_equal(w.in.p, "\x82\x04\x01out\x82", 7);
	assert_memory_equal(w.in.p + w.in.n - 4, "\x88\x02\x03\xe8", 4);
	send_message(&w, 0x88, STR("\x03\xe8"));
	turns(&w);
	assert_true(w.closed);
	stop(&w);
}

void test_streams__websocket_base64(void **state)
{
	(void)state;
	struct world w;

	start(&w, "/?stdin=true&stderr=true", "websocket", "base64.channel.k8s.io");
	send_message(&w, 0x81, STR("0aGk="));
	assert_told(&w, "ready;in hi;");
	buf_reset(&w.in);
	streams_send(w.st, STREAM_ERR, STR("oh"));
	turns(&w);
	assert_true(w.in.n == 7 && !memcmp(w.in.p,
					   "\x81\x05"
					   "2b2g=",
					   7));
	send_message(&w, 0x81, STR("0not base64!"));
	assert_told(&w, "gone;");
	stop(&w);
}
