/* What holds for all bytes and numbers, over made-up ones: encodings give back what they were
 * given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

enum { SEEDS = 3000, BYTES_MAX = 100 };

static struct str bytes(struct rng *r, char out[BYTES_MAX])
{
	size_t n = rng_below(r, BYTES_MAX);

	for (size_t i = 0; i < n; i++)
		out[i] = (char)rng_u64(r);
	return (struct str){out, n};
}

void test_laws__encodings_give_back_what_they_got(void **state)
{
	static const struct {
		void (*encode)(struct str in, struct buf *out);
		int (*decode)(struct str in, struct buf *out);
	} pairs[] = {{base64_encode, base64_decode},
		     {base64_encode, base64_decode_lines},
		     {base64url_encode, base64url_decode},
		     {hex_encode, hex_decode}};
	char raw[BYTES_MAX];
	struct rng r;

	(void)state;
	rng_seed(&r, 1);
	for (size_t i = 0; i < SEEDS; i++) {
		struct str in = bytes(&r, raw);

		for (size_t p = 0; p < ARRAY_LEN(pairs); p++) {
			AUTO(buf) struct buf text = {0};
			AUTO(buf) struct buf out = {0};
			AUTO(buf) struct buf again = {0};

			pairs[p].encode(in, &text);
			assert_int_equal(pairs[p].decode(buf_view(&text), &out), 0);
			assert_true(str_eq(buf_view(&out), in));
			/* Text that decodes is the only one for its bytes. */
			if (!text.n || p == 1)
				continue;
			text.p[rng_below(&r, text.n)] = (char)(33 + rng_below(&r, 94));
			buf_reset(&out);
			if (pairs[p].decode(buf_view(&text), &out) != 0)
				continue;
			pairs[p].encode(buf_view(&out), &again);
			assert_true(str_ieq(buf_view(&again), buf_view(&text)));
		}
	}
}

void test_laws__urls(void **state)
{
	char raw[BYTES_MAX];
	struct rng r;

	(void)state;
	rng_seed(&r, 2);
	for (size_t i = 0; i < SEEDS; i++) {
		struct str in = bytes(&r, raw);
		AUTO(buf) struct buf text = {0};
		AUTO(buf) struct buf out = {0};

		url_escape(in, &text);
		assert_int_equal(url_unescape(buf_view(&text), i % 2, &out), 0);
		assert_true(str_eq(buf_view(&out), in));
	}
}

void test_laws__times_and_durations(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 3);
	for (size_t i = 0; i < SEEDS; i++) {
		/* Years 1900 to 2200, and durations up to some years. */
		int64_t t = (int64_t)rng_below(&r, 9000000000) - 2200000000, back;
		int64_t d = (int64_t)(rng_u64(&r) >> (8 + rng_below(&r, 56)));
		char text[TIME_TEXT_MAX];
		AUTO(buf) struct buf out = {0};

		assert_int_equal(time_parse(time_format(t * NS_PER_S, text), &back), 0);
		assert_int_equal(back, t * NS_PER_S);
		t = t * 1000000 + (int64_t)rng_below(&r, 1000000);
		assert_int_equal(time_parse(time_format_micro(t * 1000, text), &back), 0);
		assert_int_equal(back, t * 1000);
		d = i % 2 ? d : -d;
		duration_format(d, &out);
		assert_int_equal(duration_parse(buf_view(&out), &back), 0);
		assert_int_equal(back, d);
	}
}

void test_laws__cutting_loses_nothing(void **state)
{
	char raw[BYTES_MAX];
	struct rng r;

	(void)state;
	rng_seed(&r, 4);
	for (size_t i = 0; i < SEEDS; i++) {
		struct str in = bytes(&r, raw), rest, part;
		AUTO(buf) struct buf out = {0};
		size_t n = 0;

		for (size_t j = 0; j < in.n; j++)
			if (raw[j] % 5 == 0)
				raw[j] = ',';
		rest = in;
		while (str_next(&rest, ',', &part)) {
			assert_true(str_find(part, STR(",")) < 0);
			if (n++)
				buf_putc(&out, ',');
			buf_str(&out, part);
		}
		assert_true(str_eq(buf_view(&out), in));
	}
}
