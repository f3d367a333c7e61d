/* Cron schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/cron.h"
#include "lib/base/timefmt.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static void expect_next(const char *schedule, const char *after, const char *wanted)
{
	char text[TIME_TEXT_MAX];
	struct err err = {0};
	struct cron c;
	int64_t from;

	assert_int_equal(time_parse(str_c(after), &from), 0);
	if (cron_parse(str_c(schedule), &c, &err))
		fail_msg("%s: %s", schedule, err.msg);
	assert_true(str_is(time_format(cron_next(&c, from), text), wanted));
}

void test_cron__next_times(void **state)
{
	(void)state;
	expect_next("* * * * *", "2024-02-28T23:59:30Z", "2024-02-29T00:00:00Z");
	expect_next("*/15 3 * * *", "2024-01-01T03:15:00Z", "2024-01-01T03:30:00Z");
	expect_next("0 0 29 2 *", "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z");
	expect_next("30 8 * * MON-fri", "2024-06-07T09:00:00Z", "2024-06-10T08:30:00Z");
	expect_next("0 0 1 * 0", "2024-06-03T00:00:00Z", "2024-06-09T00:00:00Z"); /* either */
	expect_next("5/20 * * * *", "2024-01-01T00:26:00Z", "2024-01-01T00:45:00Z");
	expect_next("@monthly", "2024-12-05T00:00:00Z", "2025-01-01T00:00:00Z");
	expect_next("@every 90s", "2024-01-01T00:00:10Z", "2024-01-01T00:01:40Z");
}

void test_cron__refuses_what_makes_no_sense(void **state)
{
	static const char *const bad[] = {
		"",          "* * * *",    "* * * * * *", "60 * * * *",  "* 24 * * *",
		"* * 0 * *", "* * * 13 *", "* * * * 7",   "5-1 * * * *", "*/0 * * * *",
		"a * * * *", "@never",     "@every 1ms",  ", * * * *"};
	struct cron c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		if (!cron_parse(str_c(bad[i]), &c, &err))
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

void test_cron__says_what_is_wrong_as_kubernetes_does(void **state)
{
	static const char *const bad[][2] = {
		{"* *", "expected exactly 5 fields, found 2: [* *]"},
		{"* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"},
		{"60 * * * *", "end of range (60) above maximum (59): 60"},
		{"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
		{"5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"},
		{"*/0 * * * *", "step of range should be a positive number: */0"},
		{"x * * * *",
		 "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
	};
	struct cron c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		assert_int_equal(cron_parse(str_c(bad[i][0]), &c, &err), -1);
		assert_string_equal(err.msg, bad[i][1]);
	}
}
