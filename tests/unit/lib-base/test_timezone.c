/* Time zones: files as zic writes them, made here by hand, and the system's where it has some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/timezone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static int tz_offset(struct str file, int64_t when, int32_t *ret, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	const struct timezone *tz = timezone_read(&a, file, err);

	if (tz)
		*ret = timezone_at(tz, when).offset_s;
	return tz ? 0 : -1;
}

static void be(struct buf *b, uint64_t v, int bytes)
{
	while (bytes--)
		buf_putc(b, (char)(v >> (8 * bytes)));
}

static void header(struct buf *b, uint32_t times, uint32_t types, uint32_t chars)
{
	buf_puts(b, "TZif2");
	for (int i = 0; i < 15; i++)
		buf_putc(b, 0);
	be(b, 0, 4);
	be(b, 0, 4);
	be(b, 0, 4);
	be(b, times, 4);
	be(b, types, 4);
	be(b, chars, 4);
}

static void type(struct buf *b, int32_t offset)
{
	be(b, (uint32_t)offset, 4);
	be(b, 0, 2);
}

/* One change, at `at`, from one offset to the other; then a rule. */
static void make(struct buf *b, int64_t at, int32_t before, int32_t after, const char *rule)
{
	header(b, 0, 1, 4);
	type(b, 0);
	buf_str(b, (struct str){"UTC", 4});
	header(b, 1, 2, 4);
	be(b, (uint64_t)at, 8);
	be(b, 1, 1);
	type(b, before);
	type(b, after);
	buf_str(b, (struct str){"LMT", 4});
	buf_printf(b, "\n%s\n", rule);
}

static int32_t at(struct str file, int64_t when)
{
	struct err err = {0};
	int32_t v = -1;

	assert_int_equal(tz_offset(file, when, &v, &err), 0);
	return v;
}

void test_timezone__changes_of_the_past_and_a_rule(void **state)
{
	AUTO(buf) struct buf b = {0};

	(void)state;
	make(&b, 1000000000, 3208, 3600, "CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(at(buf_view(&b), 999999999), 3208);
	/* 29 March 2026 at 01:00 UTC, 25 October at 01:00 UTC */
	assert_int_equal(at(buf_view(&b), 1774745999), 3600);
	assert_int_equal(at(buf_view(&b), 1774746000), 7200);
	assert_int_equal(at(buf_view(&b), 1792889999), 7200);
	assert_int_equal(at(buf_view(&b), 1792890000), 3600);
}

void test_timezone__south_of_the_equator(void **state)
{
	AUTO(buf) struct buf b = {0};

	(void)state;
	make(&b, 0, 36000, 36000, "AEST-10AEDT,M10.1.0,M4.1.0/3");
	assert_int_equal(at(buf_view(&b), 1768435200), 39600); /* January 2026 */
	assert_int_equal(at(buf_view(&b), 1782864000), 36000); /* July */
}

void test_timezone__rules_of_every_kind(void **state)
{
	static const struct {
		const char *rule;
		int32_t january, july;
	} all[] = {
		{"UTC0", 0, 0},
		{"<-03>3", -10800, -10800},
		{"<+0530>-5:30", 19800, 19800},
		{"EST5EDT,M3.2.0,M11.1.0", -18000, -14400},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600}, /* winter is what is saved */
		{"XXX3YYY2,J60,J300", -10800, -7200},
		{"XXX3YYY,59/0,299/-1", -10800, -7200},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO(buf) struct buf b = {0};

		make(&b, 0, 0, 0, all[i].rule);
		if (at(buf_view(&b), 1768435200) != all[i].january ||
		    at(buf_view(&b), 1782864000) != all[i].july)
			fail_msg("%s: %d, %d", all[i].rule, at(buf_view(&b), 1768435200),
				 at(buf_view(&b), 1782864000));
	}
}

void test_timezone__what_is_no_such_file(void **state)
{
	static const char *const rules[] = {"CET",
					    "-1",
					    "CET-1CEST,",
					    "CET-1CEST,M13.1.0,M1.1.0",
					    "CET-1CEST,M3.5.0",
					    "<CET-1",
					    "CET-1CEST,M3.5.0,M1.1.0x"};
	AUTO(buf) struct buf b = {0};
	struct err err = {0};
	int32_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		buf_release(&b);
		make(&b, 0, 0, 0, rules[i]);
		if (!tz_offset(buf_view(&b), 1768435200, &v, &err))
			fail_msg("%s is %d", rules[i], v);
	}
	buf_release(&b);
	make(&b, 0, 0, 0, "UTC0");
	/* Cut anywhere it is refused or the zone that it was, and never read beyond. */
	for (size_t n = 0; n < b.n; n++)
		(void)!tz_offset(str_sub(buf_view(&b), 0, n), 1, &v, &err);
	memset(b.p + 32, 0xff, 12);
	assert_int_equal(tz_offset(buf_view(&b), 1, &v, &err), -1);
}
