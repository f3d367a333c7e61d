/* Time zones of the system, and cron by their clocks. Skipped where the system has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/cron.h"
#include "lib/base/timefmt.h"
#include "lib/os/zoneinfo.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const struct timezone *zone(const char *name)
{
	const struct timezone *tz = NULL;

	if (!zoneinfo_find(str_c(name), &tz))
		skip();
	return tz;
}

static int64_t at(const char *text)
{
	int64_t ns;

	assert_int_equal(time_parse(str_c(text), &ns), 0);
	return ns;
}

static void offset_is(const char *name, const char *when, int32_t wanted, const char *until)
{
	struct timezone_span s = timezone_at(zone(name), at(when) / NS_PER_S);

	assert_int_equal(s.offset_s, wanted);
	if (until)
		assert_int_equal(s.until_s, at(until) / NS_PER_S);
}

void test_zoneinfo__offsets(void **state)
{
	(void)state;
	offset_is("Europe/Berlin", "2024-01-15T12:00:00Z", 3600, "2024-03-31T01:00:00Z");
	offset_is("Europe/Berlin", "2024-03-31T01:00:00Z", 7200, "2024-10-27T01:00:00Z");
	offset_is("America/New_York", "2024-11-03T05:59:59Z", -4 * 3600, "2024-11-03T06:00:00Z");
	offset_is("Asia/Kolkata", "2024-06-01T00:00:00Z", 19800, NULL);
	offset_is("Asia/Tokyo", "2094-06-01T00:00:00Z", 32400, NULL);
	/* Far behind the last entry: by the rule, on both sides of the equator. */
	offset_is("Europe/Berlin", "2094-07-01T00:00:00Z", 7200, "2094-10-31T01:00:00Z");
	offset_is("Australia/Sydney", "2094-01-01T00:00:00Z", 11 * 3600, "2094-04-03T16:00:00Z");
	offset_is("Australia/Sydney", "2094-07-01T00:00:00Z", 10 * 3600, "2094-10-02T16:00:00Z");
	offset_is("America/Argentina/Ushuaia", "2024-07-01T00:00:00Z", -3 * 3600, NULL);
}

void test_zoneinfo__names_stay_in_the_folder(void **state)
{
	static const char *const bad[] = {
		"",        "/etc/passwd",    "../passwd", "Europe/../../x",
		"Europe/", "Europe//Berlin", "No/Such",   "Europe",
		"a b"};
	const struct timezone *tz;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(zoneinfo_find(str_c(bad[i]), &tz));
	assert_true(zoneinfo_find(STR("UTC"), &tz));
	assert_null(tz);
}

static void next_is(const char *name, const char *schedule, const char *after, const char *wanted)
{
	char text[TIME_TEXT_MAX];
	struct err err = {0};
	struct cron c;

	assert_int_equal(cron_parse(str_c(schedule), &c, &err), 0);
	assert_string_equal(time_format(cron_next_in(&c, zone(name), at(after)), text).p, wanted);
}

void test_zoneinfo__cron_by_the_clock_on_the_wall(void **state)
{
	(void)state;
	next_is("Europe/Berlin", "0 9 * * *", "2024-03-30T12:00:00Z", "2024-03-31T07:00:00Z");
	next_is("Europe/Berlin", "0 9 * * *", "2024-10-26T12:00:00Z", "2024-10-27T08:00:00Z");
	/* Half past two doesn't come that night; the one that comes twice runs twice. */
	next_is("Europe/Berlin", "30 2 * * *", "2024-03-30T12:00:00Z", "2024-04-01T00:30:00Z");
	next_is("Europe/Berlin", "30 2 * * *", "2024-10-26T12:00:00Z", "2024-10-27T00:30:00Z");
	next_is("Europe/Berlin", "30 2 * * *", "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z");
	/* The first moment of the new clock counts. */
	next_is("Europe/Berlin", "0 3 31 3 *", "2024-03-30T12:00:00Z", "2024-03-31T01:00:00Z");
	next_is("America/New_York", "@daily", "2024-01-01T00:00:00Z", "2024-01-01T05:00:00Z");
	next_is("Asia/Kolkata", "0 0 29 2 *", "2024-03-01T00:00:00Z", "2028-02-28T18:30:00Z");
}

void test_zoneinfo__damaged_files_are_refused(void **state)
{
	AUTO(arena) struct arena a = {0};
	static char file[200] = "TZif2";
	struct err err = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(file); n++)
		assert_null(timezone_read(&a, (struct str){file, n}, &err));
	memset(file + 20, 0xff, 24);
	assert_null(timezone_read(&a, (struct str){file, sizeof(file)}, &err));
}
