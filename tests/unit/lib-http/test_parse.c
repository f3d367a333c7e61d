/* Heads, framing, chunks, queries: what is read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/http/parse.h"
#include "lib/http/wsframes.h"

static int parse(const char *text, struct http_head *h)
{
	static struct arena a;
	struct http_scan s = {0};
	int status = 0;
	struct str in = str_c(text);

	arena_release(&a);
	ptrdiff_t n = http_scan_head(&s, in, &status);
	if (n == 0)
		return -2;
	if (n < 0)
		return status;
	if (http_parse_request(&a, str_sub(in, 0, (size_t)n), h))
		return h->status;
	return 0;
}

static void assert_str(struct str s, const char *want)
{
	assert_true(str_is(s, want));
}

void test_parse__request(void **state)
{
	(void)state;
	struct http_head h;

	assert_int_equal(parse("GET /api/v1/pods?limit=5 HTTP/1.1\r\nHost: a\r\nAccept:  x, y "
			       "\r\nX-Empty:\r\n\r\n",
			       &h),
			 0);
	assert_str(h.method, "GET");
	assert_str(h.target, "/api/v1/pods?limit=5");
	assert_int_equal(h.minor, 1);
	assert_true(h.keep_alive);
	assert_int_equal(h.length, HTTP_LENGTH_NONE);
	assert_str(http_header(&h.headers, "ACCEPT"), "x, y");
	assert_true(http_header_has(&h.headers, "accept", "Y"));
	assert_false(http_header_has(&h.headers, "accept", "z"));
	assert_int_equal(http_header(&h.headers, "x-empty").n, 0);
	assert_non_null(http_header(&h.headers, "x-empty").p);
	assert_null(http_header(&h.headers, "absent").p);
}

void test_parse__lengths(void **state)
{
	(void)state;
	struct http_head h;

	assert_int_equal(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", &h), 0);
	assert_int_equal(h.length, HTTP_LENGTH_KNOWN);
	assert_int_equal(h.content_length, 12);
	assert_int_equal(
		parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &h), 0);
	assert_int_equal(h.length, HTTP_LENGTH_CHUNKED);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &h), 0);
	assert_false(h.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &h), 0);
	assert_true(h.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, close\r\n\r\n", &h),
			 0);
	assert_false(h.keep_alive);
	assert_int_equal(parse("PUT / HTTP/1.1\r\nHost: a\r\nExpect: "
			       "100-continue\r\nContent-Length: 1\r\n\r\n",
			       &h),
			 0);
	assert_true(h.expect_continue);
}

void test_parse__what_smuggles_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int status;
	} bad[] = {
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n",
		 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n",
		 400},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
		{"GET / HTTP/1.1\n\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
		{"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
		{"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"GET / HTTP/1.1\r\nHost: a\r\nExpect: pony\r\n\r\n", 417},
	};
	struct http_head h;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int got = parse(bad[i].text, &h);
		if (got != bad[i].status)
			fail_msg("%s: got %d", bad[i].text, got);
	}
}

void test_parse__nul_is_refused(void **state)
{
	(void)state;
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
	struct arena a = {0};
	struct http_head h;

	assert_int_equal(http_parse_request(&a, (struct str){text, sizeof(text) - 1}, &h), -1);
	assert_int_equal(h.status, 400);
	arena_release(&a);
}

void test_parse__limits(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = {0};
	struct http_head h;

	buf_puts(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
		buf_printf(&b, "X%d: y\r\n", i);
	struct buf ok = {0};
	buf_printf(&ok, "%s\r\n", buf_cstr(&b));
	assert_int_equal(parse(buf_cstr(&ok), &h), 0);
	buf_release(&ok);
	buf_puts(&b, "One: more\r\n\r\n");
	assert_int_equal(parse(buf_cstr(&b), &h), 431);

	buf_reset(&b);
	buf_puts(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	for (int i = 0; i < HTTP_HEAD_MAX; i++)
		buf_putc(&b, 'a');
	assert_int_equal(parse(buf_cstr(&b), &h), 431);
}

void test_parse__head_in_pieces(void **state)
{
	(void)state;
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
	struct http_scan s = {0};
	int status;

	for (size_t n = 0; n < sizeof(text) - 5; n++)
		assert_int_equal(http_scan_head(&s, (struct str){text, n}, &status), 0);
	assert_int_equal(http_scan_head(&s, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"), &status),
			 sizeof(text) - 5);
}

void test_parse__targets(void **state)
{
	(void)state;
	struct str path, query;

	assert_int_equal(http_split_target(STR("/a/b?c=d?e"), &path, &query), 0);
	assert_str(path, "/a/b");
	assert_str(query, "c=d?e");
	assert_int_equal(http_split_target(STR("http://h:1/a?b"), &path, &query), 0);
	assert_str(path, "/a");
	assert_int_equal(http_split_target(STR("*"), &path, &query), 0);
	assert_int_equal(http_split_target(STR("host:443"), &path, &query), -1);
	assert_int_equal(http_split_target(STR("a/b"), &path, &query), -1);
	assert_int_equal(http_split_target(STR("/a#b"), &path, &query), -1);
	assert_int_equal(http_split_target(STR("http://h"), &path, &query), -1);
}

void test_parse__answer(void **state)
{
	(void)state;
	struct arena a = {0};
	struct http_head h;

	assert_int_equal(
		http_parse_answer(&a, STR("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n"),
				  STR("GET"), &h),
		0);
	assert_int_equal(h.status, 404);
	assert_int_equal(h.content_length, 3);
	assert_int_equal(http_parse_answer(&a, STR("HTTP/1.1 200\r\n\r\n"), STR("GET"), &h), 0);
	assert_int_equal(h.length, HTTP_LENGTH_EOF);
	assert_false(h.keep_alive);
	assert_int_equal(http_parse_answer(&a, STR("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
					   STR("HEAD"), &h),
			 0);
	assert_int_equal(h.length, HTTP_LENGTH_NONE);
	assert_int_equal(http_parse_answer(&a, STR("HTTP/1.1 20 OK\r\n\r\n"), STR("GET"), &h), -1);
	assert_int_equal(http_parse_answer(&a,
					   STR("HTTP/1.1 200 OK\r\nContent-Length: "
					       "1\r\nTransfer-Encoding: chunked\r\n\r\n"),
					   STR("GET"), &h),
			 -1);
	arena_release(&a);
}

/* The decoded body, or NULL when it is refused; *ret_rest is what stands behind it. */
static char *dechunk(const char *text, size_t piece, struct str *ret_rest)
{
	struct http_chunks c = {0};
	struct buf out = {0};
	struct str all = str_c(text), data;

	for (size_t at = 0; at < all.n;) {
		struct str in = str_sub(all, at, piece);
		size_t had = in.n;
		enum http_chunk k;
		while ((k = http_chunks_next(&c, &in, &data)) == HTTP_CHUNK_DATA)
			buf_put(&out, data.p, data.n);
		at += had - in.n;
		if (k == HTTP_CHUNK_END) {
			*ret_rest = str_sub(all, at, all.n);
			return buf_take(&out);
		}
		if (k == HTTP_CHUNK_BAD)
			break;
	}
	buf_release(&out);
	return NULL;
}

void test_parse__chunks(void **state)
{
	(void)state;
	static const char text[] =
		"4\r\nWiki\r\n6;a=b\r\npedia \r\nB\r\nin \r\nchunks\r\n0\r\nTrailer: x\r\n\r\nNEXT";
	struct str rest;

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		char *body = dechunk(text, piece, &rest);
		assert_non_null(body);
		assert_string_equal(body, "Wikipedia in \r\nchunks");
		assert_str(rest, "NEXT");
		free(body);
	}
}

void test_parse__bad_chunks(void **state)
{
	(void)state;
	static const char *bad[] = {
		"4\nWiki\r\n0\r\n\r\n",
		"\r\n",
		"g\r\n",
		"-1\r\n",
		"4\r\nWikiX\r\n",
		"4\r\nWiki\n0\r\n\r\n",
		"11111111111111111\r\n",
		"0\r\n\n",
		"0\r\na: b\n\r\n",
		"4 x\ny\r\nWiki\r\n",
		"0x4\r\nWiki\r\n",
	};
	struct str rest;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(dechunk(bad[i], 100, &rest));
}

void test_parse__query(void **state)
{
	(void)state;
	struct arena a = {0};
	struct str q = STR("a=1&command=ls&b&command=-l%20x+y&bad=%zz&e%3d=f&&=z");
	size_t pos = 0;

	assert_str(http_query(&a, q, "a"), "1");
	assert_str(http_query(&a, q, "b"), "");
	assert_non_null(http_query(&a, q, "b").p);
	assert_null(http_query(&a, q, "c").p);
	assert_null(http_query(&a, q, "bad").p);
	assert_str(http_query(&a, q, "e="), "f");
	assert_str(http_query_next(&a, q, "command", &pos), "ls");
	assert_str(http_query_next(&a, q, "command", &pos), "-l x y");
	assert_null(http_query_next(&a, q, "command", &pos).p);
	assert_null(http_query(&a, STR_NONE, "a").p);
	arena_release(&a);
}

static int freed;

static void count_free(struct block *b)
{
	freed++;
	free(b);
}

void test_parse__block_is_freed_with_its_last_reference(void **state)
{
	(void)state;
	struct block *b = xalloc(sizeof(*b)), *c;
	struct buf text = {0};

	b->refs = 1;
	b->free_fn = count_free;
	block_ref(b);
	block_unref(b);
	assert_int_equal(freed, 0);
	block_unref(b);
	assert_int_equal(freed, 1);
	buf_puts(&text, "hello");
	c = block_take(&text);
	assert_str(c->data, "hello");
	assert_null(text.p);
	block_unref(c);
	c = block_new(STR("x"));
	assert_str(c->data, "x");
	block_unref(c);
	block_unref(NULL);
}

/* Clients write flags in many ways: kubectl "true", Python "True", some nothing. */
void test_parse__query_flags(void **state)
{
	static const char *const on[] = {"x=true", "x=True", "x=1", "x=", "x", "x=yes"};
	static const char *const off[] = {"", "x=false", "x=False", "x=FALSE", "x=0", "y=true"};
	AUTO(arena) struct arena a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(on); i++)
		if (!http_query_flag(&a, str_c(on[i]), "x"))
			fail_msg("%s is off", on[i]);
	for (size_t i = 0; i < ARRAY_LEN(off); i++)
		if (http_query_flag(&a, str_c(off[i]), "x"))
			fail_msg("%s is on", off[i]);
}

/* Cut anywhere, the messages come out whole. */
void test_parse__websocket_messages(void **state)
{
	static const char stream[] = "\x82\x01\x01"
				     "\x82\x04\x01hi\n"
				     "\x82\x7e\x00\x05"
				     "\x03{..}"
				     "\x88\x00";
	static const size_t ends[] = {3, 9, 18, 20};

	(void)state;
	for (size_t chunk = 1; chunk < sizeof(stream); chunk++) {
		struct wsframes f = {0};
		size_t at = 0, end = 0;

		while (at < sizeof(stream) - 1) {
			size_t n = MIN(chunk, sizeof(stream) - 1 - at), k;

			k = wsframes_cut(&f, (struct str){stream + at, n});
			assert_true(k > 0 && k <= n);
			at += k;
			assert_true(at <= ends[end]);
			end += at == ends[end];
		}
		assert_int_equal(end, 4);
	}
}
