/* Borrowed text, growing buffers, encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"

#define assert_str(s, wanted)                                                                      \
	do {                                                                                       \
		struct str got_ = (s);                                                             \
		if (!str_is(got_, wanted))                                                         \
			fail_msg("'%.*s' instead of '%s'", STR_ARG(got_), wanted);                 \
	} while (0)

void test_str__absent_is_not_empty(void **state)
{
	(void)state;
	assert_null(str_c(NULL).p);
	assert_true(str_is(STR_NONE, NULL));
	assert_false(str_is(STR("x"), NULL));
	assert_true(str_eq(STR_NONE, STR("")));
	assert_true(str_eq(STR_NONE, STR_NONE));
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
	assert_true(str_starts(STR_NONE, STR("")));
	assert_int_equal(str_find(STR_NONE, STR("a")), -1);
	assert_int_equal(str_sub(STR_NONE, 3, 5).n, 0);
	assert_int_equal(str_trim(STR_NONE).n, 0);
}

void test_str__orders_bytes_as_go(void **state)
{
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_true(str_cmp(STR("Z"), STR("a")) < 0);
	assert_true(str_cmp(STR("a\0a"), STR("a\0b")) < 0);
	assert_true(str_ieq(STR("Content-TYPE"), STR("content-type")));
	assert_false(str_ieq(STR("a"), STR("ab")));
	assert_false(str_ieq(STR("["), STR("{"))); /* a bit apart, no letters */
}

void test_str__parts_are_clamped(void **state)
{
	(void)state;
	assert_str(str_sub(STR("abc"), 1, SIZE_MAX), "bc");
	assert_str(str_sub(STR("abc"), 9, 1), "");
	assert_str(str_trim(STR(" \t\r\n a b \v\f")), "a b");
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("bc"), STR("abc")));
	assert_int_equal(str_find(STR("ababc"), STR("abc")), 2);
}

void test_str__cutting(void **state)
{
	struct str head, tail;

	(void)state;
	assert_true(str_cut(STR("a=b=c"), '=', &head, &tail));
	assert_str(head, "a");
	assert_str(tail, "b=c");
	assert_true(str_rcut(STR("a=b=c"), '=', &head, &tail));
	assert_str(head, "a=b");
	assert_str(tail, "c");
	assert_false(str_cut(STR("abc"), '=', &head, &tail));
	assert_str(head, "abc");
	assert_str(tail, "");
	assert_true(str_cut(STR("="), '=', &head, &tail));
	assert_str(head, "");
	assert_str(tail, "");
}

void test_str__parts_between_separators(void **state)
{
	struct str rest = STR("a,,b,"), part;
	const char *wanted[] = {"a", "", "b", ""};
	size_t n = 0;

	(void)state;
	while (str_next(&rest, ',', &part)) {
		assert_true(n < ARRAY_LEN(wanted));
		assert_str(part, wanted[n++]);
	}
	assert_int_equal(n, 4);
	assert_false(str_next(&rest, ',', &part));
	rest = STR_NONE;
	assert_false(str_next(&rest, ',', &part));
}

void test_str__whole_numbers(void **state)
{
	static const char *const bad[] = {"",
					  "-",
					  "+1",
					  " 1",
					  "1 ",
					  "1.0",
					  "0x1",
					  "1e3",
					  "--1",
					  "9223372036854775808",
					  "-9223372036854775809",
					  "99999999999999999999999"};
	int64_t i = 7;
	uint64_t u = 7;

	(void)state;
	assert_int_equal(str_to_i64(STR("-9223372036854775808"), &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_to_i64(STR("9223372036854775807"), &i), 0);
	assert_true(i == INT64_MAX);
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		if (!str_to_i64(str_c(bad[k]), &i))
			fail_msg("took '%s'", bad[k]);
	assert_true(i == INT64_MAX); /* untouched */
	assert_int_equal(str_to_u64(STR("18446744073709551615"), &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(str_to_u64(STR("18446744073709551616"), &u), -1);
	assert_int_equal(str_to_u64(STR("-1"), &u), -1);
}

void test_str__utf8_as_unicode_says(void **state)
{
	static const char *const good[] = {"",
					   "a",
					   "\xc3\xa9",
					   "\xe2\x82\xac",
					   "\xf0\x9f\x98\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xf4\x8f\xbf\xbf",
					   "12345678\xc3\xa9"};
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xc3",
					  "\xe0\x80\x80",
					  "\xed\xa0\x80",
					  "\xf0\x80\x80\x80",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xff",
					  "1234567\xc3",
					  "\xe2\x82"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(str_is_utf8(str_c(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (str_is_utf8(str_c(bad[i])))
			fail_msg("row %zu", i);
}

void test_str__secrets_compare_by_value(void **state)
{
	(void)state;
	assert_true(str_eq_secret(STR("token"), STR("token")));
	assert_false(str_eq_secret(STR("token"), STR("tokex")));
	assert_false(str_eq_secret(STR("token"), STR("toke")));
	assert_false(str_eq_secret(STR(""), STR("t")));
	assert_true(str_eq_secret(STR(""), STR_NONE));
	assert_int_equal(str_fnv32(STR("foobar")), 0xbf9cf968); /* the same for ever */
}

void test_buf__grows_and_gives_away(void **state)
{
	struct buf b = {0};
	char *taken;

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	assert_true(str_starts(buf_view(&b), STR("0,1,2,")));
	assert_true(str_ends(buf_view(&b), STR("998,999,")));
	buf_consume(&b, 4);
	assert_true(str_starts(buf_view(&b), STR("2,3,")));
	buf_consume(&b, b.n);
	assert_int_equal(b.n, 0);
	buf_i64(&b, INT64_MIN);
	assert_str(buf_view(&b), "-9223372036854775808");
	taken = buf_take(&b);
	assert_string_equal(taken, "-9223372036854775808");
	assert_int_equal(b.n, 0);
	assert_null(b.p);
	free(taken);
	taken = buf_take(&b); /* an empty one, too */
	assert_string_equal(taken, "");
	free(taken);
	buf_release(&b);
}

void test_buf__reserved_room_is_there(void **state)
{
	AUTO(buf) struct buf b = {0};
	char *at = buf_reserve(&b, 100000);

	(void)state;
	memset(at, 'x', 100000);
	assert_int_equal(b.n, 0);
	b.n = 100000;
	buf_putc(&b, 'y');
	assert_int_equal(b.p[99999], 'x');
	assert_int_equal(b.p[100000], 'y');
	buf_put(&b, NULL, 0);
	buf_wipe(&b);
	assert_int_equal(b.n, 0);
}

struct code {
	const char *bytes, *text;
};

void test_codec__base64_vectors(void **state)
{
	static const struct code rows[] = {
		{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9v=", "Zm9\nv", "Zm 9v", "Zm9-", "=", "===="};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf text = {0};
		AUTO(buf) struct buf bytes = {0};

		base64_encode(str_c(rows[i].bytes), &text);
		assert_str(buf_view(&text), rows[i].text);
		assert_int_equal(base64_decode(buf_view(&text), &bytes), 0);
		assert_str(buf_view(&bytes), rows[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(buf) struct buf bytes = {0};

		if (!base64_decode(str_c(bad[i]), &bytes))
			fail_msg("took '%s'", bad[i]);
	}
}

void test_codec__other_alphabets(void **state)
{
	AUTO(buf) struct buf out = {0};

	(void)state;
	base64url_encode(STR("\xff\xfe"), &out);
	assert_str(buf_view(&out), "__4");
	buf_reset(&out);
	assert_int_equal(base64url_decode(STR("__4"), &out), 0);
	assert_str(buf_view(&out), "\xff\xfe");
	assert_int_equal(base64url_decode(STR("__4="), &out), -1);
	assert_int_equal(base64url_decode(STR("//4"), &out), -1);
	buf_reset(&out);
	assert_int_equal(base64_decode_lines(STR("Zm9\r\nv\n"), &out), 0);
	assert_str(buf_view(&out), "foo");
	assert_int_equal(hex_decode(STR("0g"), &out), -1);
	assert_int_equal(hex_decode(STR("0"), &out), -1);
	buf_reset(&out);
	assert_int_equal(hex_decode(STR("c0FFee"), &out), 0);
	assert_str(buf_view(&out), "\xc0\xff\xee");
}

void test_codec__urls(void **state)
{
	AUTO(buf) struct buf out = {0};

	(void)state;
	url_escape(STR("a-Z0._~ /+%\xc3\xa9"), &out);
	assert_str(buf_view(&out), "a-Z0._~%20%2F%2B%25%C3%A9");
	buf_reset(&out);
	assert_int_equal(url_unescape(STR("a%2fb+c"), false, &out), 0);
	assert_str(buf_view(&out), "a/b+c");
	buf_reset(&out);
	assert_int_equal(url_unescape(STR("a+c"), true, &out), 0);
	assert_str(buf_view(&out), "a c");
	assert_int_equal(url_unescape(STR("%"), true, &out), -1);
	assert_int_equal(url_unescape(STR("%2"), true, &out), -1);
	assert_int_equal(url_unescape(STR("%zz"), true, &out), -1);
}

void test_codec__sha256_of_known_text(void **state)
{
	char hex[65];

	(void)state;
	sha256_hex(STR("abc"), hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex(STR(""), hex);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

void test_codec__generators_repeat_from_their_seed(void **state)
{
	char a[UUID_TEXT_MAX], b[UUID_TEXT_MAX], name[6];
	struct rng x, y, z;

	(void)state;
	rng_seed(&x, 42), rng_seed(&y, 42), rng_seed(&z, 43);
	uuid_from(&x, a), uuid_from(&y, b);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_true(rng_u64(&x) != rng_u64(&z));
	for (int i = 0; i < 1000; i++)
		assert_true(rng_below(&x, 7) < 7);
	assert_int_equal(rng_below(&x, 1), 0);
	rng_suffix(&x, 5, name);
	assert_int_equal(strspn(name, "bcdfghjklmnpqrstvwxz2456789"), 5);
	uuid_v4(a), uuid_v4(b);
	assert_string_not_equal(a, b);
}
