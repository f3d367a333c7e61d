/* SPDY/3.1 seen from a client: streams, their ends, packed headers, and what a hostile one tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/http/spdy-internal.h"

/* A client, its bytes on the way to us, and what our side told of them. */
struct world {
	struct spdy *s;
	struct spdy_block block;
	struct buf wire, told;
	bool refuse;
	struct str answer; /* sent by `opened`, then the end */
};

static bool opened(void *arg, uint32_t id, const struct http_headers *h)
{
	struct world *w = arg;

	buf_printf(&w->told, "open %u", id);
	for (size_t i = 0; i < h->n; i++)
		buf_printf(&w->told, " %.*s=%.*s", STR_ARG(h->v[i].name), STR_ARG(h->v[i].value));
	buf_putc(&w->told, ';');
	if (w->answer.n) {
		spdy_send(w->s, id, w->answer);
		spdy_end(w->s, id);
	}
	return !w->refuse;
}

static void data(void *arg, uint32_t id, struct str text)
{
	struct world *w = arg;

	buf_printf(&w->told, "%u:%.*s;", id, STR_ARG(text));
}

static void ended(void *arg, uint32_t id)
{
	buf_printf(&((struct world *)arg)->told, "end %u;", id);
}

static void was_reset(void *arg, uint32_t id)
{
	buf_printf(&((struct world *)arg)->told, "reset %u;", id);
}

static const struct spdy_ops ops = {opened, data, ended, was_reset};

static int setup(struct world *w)
{
	*w = (struct world){0};
	w->s = spdy_new(&ops, w);
	return 0;
}

static void teardown(struct world *w)
{
	spdy_free(w->s);
	spdy_block_release(&w->block);
	buf_release(&w->wire);
	buf_release(&w->told);
}

static void put_frame(struct world *w, unsigned type, unsigned flags, struct str body)
{
	spdy_put32(&w->wire, 0x80030000u | type);
	spdy_put32(&w->wire, flags << 24 | (uint32_t)body.n);
	buf_str(&w->wire, body);
}

static void put_syn(struct world *w, uint32_t id, unsigned flags, const char *name,
		    const char *value)
{
	AUTO(buf) struct buf body = {0};
	struct http_header v = {str_c(name), str_c(value)};

	spdy_put32(&body, id);
	spdy_put32(&body, 0);
	buf_put(&body, "\0\0", 2);
	spdy_block_write(&w->block, &(struct http_headers){&v, 1}, &body);
	put_frame(w, 1, flags, buf_view(&body));
}

static void put_data(struct world *w, uint32_t id, unsigned flags, const char *text)
{
	spdy_put32(&w->wire, id);
	spdy_put32(&w->wire, flags << 24 | (uint32_t)strlen(text));
	buf_puts(&w->wire, text);
}

static void put_words(struct world *w, unsigned type, uint32_t a, uint32_t b)
{
	AUTO(buf) struct buf body = {0};

	spdy_put32(&body, a);
	spdy_put32(&body, b);
	put_frame(w, type, 0, buf_view(&body));
}

static int feed(struct world *w)
{
	struct err err = {0};
	int rc = spdy_feed(w->s, buf_view(&w->wire), &err);

	buf_reset(&w->wire);
	return rc;
}

static void assert_told(struct world *w, const char *want)
{
	assert_string_equal(buf_cstr(&w->told), want);
	buf_reset(&w->told);
}

/* What we sent, one word a frame. */
static void assert_sent(struct world *w, const char *want)
{
	AUTO(buf) struct buf got = {0};
	struct buf *out = spdy_out(w->s);

	for (size_t at = 0; at + 8 <= out->n;) {
		uint32_t first = spdy_get32(out->p + at), second = spdy_get32(out->p + at + 4);
		size_t n = second & 0xffffff;
		const char *body = out->p + at + 8;
		assert_true(at + 8 + n <= out->n);
		if (!(first >> 31))
			buf_printf(&got, "data %u %.*s%s;", first, (int)MIN(n, 20U), body,
				   second >> 24 ? " fin" : "");
		else if ((first & 0xffff) == 2)
			buf_printf(&got, "reply %u;", spdy_get32(body));
		else if ((first & 0xffff) == 3)
			buf_printf(&got, "rst %u %u;", spdy_get32(body), spdy_get32(body + 4));
		else if ((first & 0xffff) == 6)
			buf_printf(&got, "ping %u;", spdy_get32(body));
		else if ((first & 0xffff) == 7)
			buf_printf(&got, "goaway %u %u;", spdy_get32(body), spdy_get32(body + 4));
		else
			fail();
		at += 8 + n;
	}
	assert_string_equal(buf_cstr(&got), want);
	buf_reset(out);
}

void test_spdy__a_stream_from_open_to_end(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	put_syn(&w, 1, 0, "streamtype", "stdin");
	put_data(&w, 1, 0, "hello");
	put_data(&w, 1, 1, "!");
	assert_int_equal(feed(&w), 0);
	assert_told(&w, "open 1 streamtype=stdin;1:hello;1:!;end 1;");
	assert_sent(&w, "reply 1;");
	spdy_send(w.s, 1, STR("bye"));
	spdy_end(w.s, 1);
	spdy_send(w.s, 1, STR("too late"));
	assert_sent(&w, "data 1 bye;data 1  fin;");
	teardown(&w);
}

/* The reply comes before what `opened` sends: clients drop data before it. */
void test_spdy__reply_first(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	w.answer = STR("at once");
	put_syn(&w, 1, 1, "a", "b");
	assert_int_equal(feed(&w), 0);
	assert_sent(&w, "reply 1;data 1 at once;data 1  fin;");
	assert_told(&w, "open 1 a=b;end 1;");
	teardown(&w);
}

/* However the bytes are cut, the story is the same. */
void test_spdy__any_cut(void **state)
{
	(void)state;
	struct world w;
	struct err err = {0};

	for (size_t cut = 1; cut < 40; cut++) {
		setup(&w);
		put_syn(&w, 1, 0, "port", "80");
		put_syn(&w, 3, 0, "port", "81");
		put_data(&w, 3, 0, "x");
		put_words(&w, 9, 3, 1000);
		put_data(&w, 1, 1, "");
		put_words(&w, 3, 3, 5);
		for (size_t at = 0; at < w.wire.n; at += cut)
			assert_int_equal(spdy_feed(w.s, str_sub(buf_view(&w.wire), at, cut), &err),
					 0);
		assert_told(&w, "open 1 port=80;open 3 port=81;3:x;end 1;reset 3;");
		teardown(&w);
	}
}

/* moby/spdystream's first frame: a zlib head that names the dictionary by its checksum. */
void test_spdy__dictionary_is_the_one_all_use(void **state)
{
	(void)state;
	struct world w;
	AUTO(buf) struct buf b = {0};

	setup(&w);
	spdy_block_write(&w.block, &(struct http_headers){0}, &b);
	assert_memory_equal(b.p + 2, "\xe3\xc6\xa7\xc2", 4);
	teardown(&w);
}

void test_spdy__ping_is_answered_our_own_is_not(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	put_frame(&w, 6, 0, (struct str){"\0\0\0\7", 4});
	put_frame(&w, 6, 0, (struct str){"\0\0\0\2", 4});
	put_frame(&w, 4, 0, (struct str){"\0\0\0\0", 4});
	put_frame(&w, 99, 0, STR("who knows"));
	assert_int_equal(feed(&w), 0);
	assert_sent(&w, "ping 7;");
	teardown(&w);
}

void test_spdy__refused_and_unknown_streams(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	w.refuse = true;
	put_syn(&w, 1, 0, "a", "b");
	put_data(&w, 1, 1, "nobody reads this");
	put_data(&w, 77, 0, "nor this");
	put_words(&w, 3, 77, 5);
	assert_int_equal(feed(&w), 0);
	assert_told(&w, "open 1 a=b;");
	assert_sent(&w, "reply 1;rst 1 3;");
	teardown(&w);
}

/* Streams that nobody takes must not unsettle the packed headers of later ones. */
void test_spdy__no_streams_after_goaway(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	put_syn(&w, 1, 0, "a", "b");
	assert_int_equal(feed(&w), 0);
	put_words(&w, 7, 0, 0);
	put_syn(&w, 3, 0, "c", "d");
	put_data(&w, 1, 0, "still here");
	assert_int_equal(feed(&w), 0);
	assert_told(&w, "open 1 a=b;1:still here;");
	assert_sent(&w, "reply 1;");
	teardown(&w);
}

void test_spdy__streams_are_bounded(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	for (unsigned i = 0; i < SPDY_STREAMS_MAX + 3; i++)
		put_syn(&w, 2 * i + 1, 0, "a", "b");
	assert_int_equal(feed(&w), 0);
	size_t refused = 0;
	struct buf *out = spdy_out(w.s);
	for (size_t at = 0; at < out->n; at += 8 + (spdy_get32(out->p + at + 4) & 0xffffff))
		refused += (spdy_get32(out->p + at) & 0xffff) == 3;
	assert_int_equal(refused, 3);
	buf_reset(out);
	/* One goes, one may come. */
	put_words(&w, 3, 1, 5);
	put_syn(&w, 2 * SPDY_STREAMS_MAX + 101, 0, "a", "b");
	assert_int_equal(feed(&w), 0);
	assert_sent(&w, "reply 2149;");
	teardown(&w);
}

void test_spdy__long_data_in_turns(void **state)
{
	(void)state;
	struct world w;
	char *big = xalloc(100000);

	setup(&w);
	put_syn(&w, 1, 0, "a", "b");
	assert_int_equal(feed(&w), 0);
	buf_reset(spdy_out(w.s));
	spdy_send(w.s, 1, (struct str){big, 100000});
	assert_int_equal(spdy_out(w.s)->n, 100000 + 4 * 8);
	free(big);
	teardown(&w);
}

static void assert_broken(struct world *w)
{
	struct err err = {0};

	assert_int_equal(feed(w), -1);
	put_data(w, 1, 0, "x");
	assert_int_equal(spdy_feed(w->s, buf_view(&w->wire), &err), -1);
	teardown(w);
}

void test_spdy__broken_rules_end_it(void **state)
{
	(void)state;
	struct world w;

	setup(&w);
	put_syn(&w, 2, 0, "even", "number");
	assert_broken(&w);
	setup(&w);
	put_syn(&w, 3, 0, "a", "b");
	put_syn(&w, 3, 0, "a", "b");
	assert_broken(&w);
	setup(&w);
	put_data(&w, 0, 0, "no stream");
	assert_broken(&w);
	setup(&w);
	put_frame(&w, 1, 0, STR("short"));
	assert_broken(&w);
	setup(&w);
	put_frame(&w, 1, 0, STR("this is no packed header block"));
	assert_broken(&w);
	setup(&w);
	put_frame(&w, 3, 0, STR("1234567"));
	assert_broken(&w);
	setup(&w);
	spdy_put32(&w.wire, 0x80020001u); /* version 2 */
	spdy_put32(&w.wire, 0);
	assert_broken(&w);
	setup(&w);
	spdy_put32(&w.wire, 0x80030001u);
	spdy_put32(&w.wire, 0xffffff); /* a control frame of 16 MB */
	assert_broken(&w);
}

/* A few bytes that unpack to megabytes. */
void test_spdy__packed_bomb(void **state)
{
	(void)state;
	struct world w;
	char *big = xalloc(4 << 20);

	setup(&w);
	memset(big, 'a', (4 << 20) - 1);
	put_syn(&w, 1, 0, "x", big);
	assert_true(w.wire.n < 32768);
	assert_broken(&w);
	free(big);
}

/* A count or a length that the block doesn't hold. */
void test_spdy__lying_block(void **state)
{
	(void)state;
	static const char *const blocks[] = {"\0\0\0\1\0\0\0\377x\0\0\0\0", "\377\377\377\377",
					     "\0\0"};
	static const size_t sizes[] = {13, 4, 2};
	struct http_headers h;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		struct spdy_block *b = xalloc(sizeof(*b));
		AUTO(buf) struct buf packed = {0};
		z_stream z = {0};
		assert_int_equal(deflateInit(&z, 9), Z_OK);
		z.next_in = (const unsigned char *)blocks[i];
		z.avail_in = (unsigned)sizes[i];
		z.next_out = (unsigned char *)buf_reserve(&packed, 200);
		z.avail_out = 200;
		assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
		packed.n = 200 - z.avail_out;
		deflateEnd(&z);
		assert_int_equal(spdy_block_read(b, buf_view(&packed), &h, &err), -1);
		spdy_block_release(b);
		free(b);
	}
}
