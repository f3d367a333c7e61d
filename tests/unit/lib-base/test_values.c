/* Quantities, times, durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"

static struct quantity quantity(const char *text)
{
	struct quantity q;

	if (quantity_parse(str_c(text), &q))
		fail_msg("refused '%s'", text);
	return q;
}

static void expect_canonical(const char *text, const char *wanted)
{
	AUTO(buf) struct buf out = {0};

	quantity_format(quantity(text), &out);
	if (!str_is(buf_view(&out), wanted))
		fail_msg("%s: '%s' instead of '%s'", text, buf_cstr(&out), wanted);
}

void test_quantity__canonical_form(void **state)
{
	(void)state;
	expect_canonical("0", "0");
	expect_canonical("-0", "0");
	expect_canonical("0Ki", "0");
	expect_canonical("1000m", "1");
	expect_canonical("1.5", "1500m");
	expect_canonical("+.5", "500m");
	expect_canonical("5.", "5");
	expect_canonical("1500", "1500");
	expect_canonical("2000", "2k");
	expect_canonical("1024Ki", "1Mi");
	expect_canonical("1.5Gi", "1536Mi");
	expect_canonical("512Ki", "512Ki");
	expect_canonical("1Ki", "1Ki");
	expect_canonical("0.5Ki", "512");
	expect_canonical("-2Mi", "-2Mi");
	expect_canonical("1e3", "1e3");
	expect_canonical("1E3", "1e3");
	expect_canonical("1E", "1E");
	expect_canonical("1e-3", "1e-3");
	expect_canonical("12e2", "1200");
	expect_canonical("1n", "1n");
	expect_canonical("0.1n", "1n"); /* nothing is smaller; rounded away from zero */
	expect_canonical("-0.1n", "-1n");
}

void test_quantity__refuses_what_is_none(void **state)
{
	static const char *const bad[] = {"",     " 1",  "1 ",   "m",   "-",   ".",    "1.2.3",
					  "--1",  "1ki", "1KI",  "1mm", "1e",  "1e+",  "1e1m",
					  "0x10", "1,5", "1Kim", "NaN", "+-1", "1e1.5"};
	struct quantity q;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!quantity_parse(str_c(bad[i]), &q))
			fail_msg("took '%s'", bad[i]);
}

void test_quantity__compares_across_forms(void **state)
{
	(void)state;
	assert_int_equal(quantity_cmp(quantity("1"), quantity("1000m")), 0);
	assert_int_equal(quantity_cmp(quantity("1Ki"), quantity("1024")), 0);
	assert_int_equal(quantity_cmp(quantity("1Mi"), quantity("1M")), 1);
	assert_int_equal(quantity_cmp(quantity("-1"), quantity("0")), -1);
	assert_int_equal(quantity_cmp(quantity("999999999999999999999999"), quantity("9E")), 1);
}

void test_quantity__rounds_up_and_saturates(void **state)
{
	(void)state;
	assert_int_equal(quantity_milli(quantity("0.0001")), 1);
	assert_int_equal(quantity_milli(quantity("250m")), 250);
	assert_int_equal(quantity_value(quantity("250m")), 1);
	assert_int_equal(quantity_value(quantity("-250m")), -1);
	assert_true(quantity_value(quantity("1e30")) == INT64_MAX);
	assert_true(quantity_milli(quantity("9E")) == INT64_MAX);
	assert_true(quantity_value(quantity("7Ei")) == INT64_C(7) << 60);
}

/* Any number with any suffix: what is written reads as the same number, and writes the same. */
void test_quantity__round_trips(void **state)
{
	static const char *const suffixes[] = {"",   "n",  "u",  "m",  "k",  "M",
					       "G",  "T",  "P",  "E",  "Ki", "Mi",
					       "Gi", "Ti", "Pi", "Ei", "e3", "E-2"};
	struct rng r;

	(void)state;
	rng_seed(&r, 1);
	for (int i = 0; i < 20000; i++) {
		AUTO(buf) struct buf text = {0};
		AUTO(buf) struct buf once = {0};
		AUTO(buf) struct buf twice = {0};

		buf_printf(&text, "%s%llu", rng_below(&r, 4) ? "" : "-",
			   (unsigned long long)(rng_u64(&r) >> rng_below(&r, 64)));
		if (rng_below(&r, 2))
			buf_printf(&text, ".%llu", (unsigned long long)rng_below(&r, 100000));
		buf_puts(&text, suffixes[rng_below(&r, ARRAY_LEN(suffixes))]);
		struct quantity q = quantity(buf_cstr(&text));
		quantity_format(q, &once);
		struct quantity back = quantity(buf_cstr(&once));
		quantity_format(back, &twice);
		if (quantity_cmp(q, back) || !str_eq(buf_view(&once), buf_view(&twice)))
			fail_msg("%s → %s → %s", buf_cstr(&text), buf_cstr(&once),
				 buf_cstr(&twice));
	}
}

static void expect_time(const char *text, const char *wanted)
{
	char out[TIME_TEXT_MAX];
	int64_t t;

	if (time_parse(str_c(text), &t))
		fail_msg("refused '%s'", text);
	if (!str_is(time_format_micro(t, out), wanted))
		fail_msg("%s: '%s'", text, out);
}

void test_time__any_offset_and_fraction(void **state)
{
	(void)state;
	expect_time("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z");
	expect_time("2024-02-29T23:59:59.9999999Z", "2024-02-29T23:59:59.999999Z");
	expect_time("2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00.000000Z");
	expect_time("2023-12-31T23:00:00-01:30", "2024-01-01T00:30:00.000000Z");
	expect_time("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z");
	expect_time("1700-01-01t00:00:00z", "1700-01-01T00:00:00.000000Z");
	expect_time("2262-04-11T23:47:16.854775Z", "2262-04-11T23:47:16.854775Z");
}

void test_time__refuses_what_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"2024-02-30T00:00:00Z",
		"2023-02-29T00:00:00Z",
		"2024-13-01T00:00:00Z",
		"2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z",
		"2024-01-01T00:00:60Z",
		"2024-01-01T00:00:00",
		"2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00+1:00",
		"2024-01-01T00:00:00+24:00",
		"2024-01-01 00:00:00Z",
		"2024-1-01T00:00:00Z",
		"-024-01-01T00:00:00Z",
		"2024-01-01T00:00:00Zx",
		"9999-01-01T00:00:00Z", /* beyond 64 bits of nanoseconds */
		"0001-01-01T00:00:00Z"};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!time_parse(str_c(bad[i]), &t))
			fail_msg("took '%s'", bad[i]);
}

/* Every day of four centuries is one after the day before. */
void test_time__days_follow_each_other(void **state)
{
	char text[TIME_TEXT_MAX];
	int64_t day = 86400 * NS_PER_S, t;

	(void)state;
	for (int64_t d = -80000; d < 80000; d += 7) {
		assert_int_equal(time_parse(time_format(d * day, text), &t), 0);
		assert_true(t == d * day);
	}
}

static void expect_duration(const char *text, const char *wanted)
{
	AUTO(buf) struct buf out = {0};
	int64_t d;

	if (duration_parse(str_c(text), &d))
		fail_msg("refused '%s'", text);
	duration_format(d, &out);
	if (!str_is(buf_view(&out), wanted))
		fail_msg("%s: '%s'", text, buf_cstr(&out));
}

void test_duration__as_go_prints_it(void **state)
{
	static const char *const bad[] = {"",         "1",      "s",
					  "-",        "1x",     "1h 2m",
					  ".s",       "1.2.3s", "9223372036854775808ns",
					  "2562048h", "--1s",   "1hs"};
	int64_t d;

	(void)state;
	expect_duration("0", "0s");
	expect_duration("0h", "0s");
	expect_duration("1h", "1h0m0s");
	expect_duration("90m", "1h30m0s");
	expect_duration("1.5s", "1.5s");
	expect_duration("-1.5h", "-1h30m0s");
	expect_duration(".5s", "500ms");
	expect_duration("1us", "1\xc2\xb5s");
	expect_duration("1500ns", "1.5\xc2\xb5s");
	expect_duration("1h2m3s4ms", "1h2m3.004s");
	expect_duration("+5m", "5m0s");
	expect_duration("9223372036854775807ns", "2562047h47m16.854775807s");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!duration_parse(str_c(bad[i]), &d))
			fail_msg("took '%s'", bad[i]);
}

void test_duration__as_kubectl_shows_ages(void **state)
{
	static const struct {
		int64_t s;
		const char *wanted;
	} rows[] = {{0, "0s"},         {119, "119s"},      {120, "2m"},      {190, "3m10s"},
		    {600, "10m"},      {10799, "179m"},    {10800, "3h"},    {12000, "3h20m"},
		    {28800, "8h"},     {172799, "47h"},    {172800, "2d"},   {176400, "2d1h"},
		    {691200, "8d"},    {63071999, "729d"}, {63072000, "2y"}, {-1, "0s"},
		    {-2, "<invalid>"}, {252288000, "8y"}};
	char out[TIME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!str_is(duration_human(rows[i].s * NS_PER_S, out), rows[i].wanted))
			fail_msg("%lld: '%s'", (long long)rows[i].s, out);
}
