/*
 * CEL's instants and durations: made of text or seconds, and their parts in a time zone. Zones are
 * UTC and fixed offsets; names of regions would need files, which pure code doesn't read. Pure.
 */
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)
#define SECONDS_PER_DAY 86400

F(timestamp_of_text)
{
	int64_t ns;

	UNUSED_ARGS;
	return time_parse(v->s, &ns) ? cel_fail(c, "type conversion error from 'string' to "
						   "'google.protobuf.Timestamp'")
				     : cel_of_ns(CEL_TIMESTAMP, ns);
}

F(timestamp_of_seconds)
{
	int64_t ns;

	UNUSED_ARGS;
	return __builtin_mul_overflow(v->i, NS_PER_S, &ns) ? cel_fail(c, "timestamp overflow")
							   : cel_of_ns(CEL_TIMESTAMP, ns);
}

F(same)
{
	UNUSED_ARGS;
	return v[0];
}

F(duration_of_text)
{
	int64_t ns;

	UNUSED_ARGS;
	return duration_parse(v->s, &ns) ? cel_fail(c, "type conversion error from 'string' to "
						       "'google.protobuf.Duration'")
					 : cel_of_ns(CEL_DURATION, ns);
}

F(duration_of_int)
{
	UNUSED_ARGS;
	return cel_of_ns(CEL_DURATION, v->i);
}

/* ---- parts of an instant ---- */

struct civil {
	int64_t year, month, day; /* month and day from 1 */
	int64_t seconds, ns;      /* within the day, within the second */
	int64_t weekday, yearday; /* Sunday is 0; January 1st is 0 */
};

static int64_t floor_div(int64_t x, int64_t y)
{
	return x / y - (x % y < 0);
}

/* Days since 1970 as year, month, day, by eras of 400 years that begin in March. */
static void set_date(struct civil *t, int64_t days)
{
	int64_t z = days + 719468, era = floor_div(z, 146097), in_era = z - era * 146097,
		year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365,
		in_year = in_era - (365 * year + year / 4 - year / 100),
		march = (5 * in_year + 2) / 153;
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	bool leap;

	t->day = in_year - (153 * march + 2) / 5 + 1;
	t->month = march < 10 ? march + 3 : march - 9;
	t->year = year + era * 400 + (t->month <= 2);
	t->weekday = ((days + 4) % 7 + 7) % 7;
	leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;
	t->yearday = before[t->month - 1] + t->day - 1 + (leap && t->month > 2);
}

static bool two_digits(struct str s, size_t at, int64_t most, int64_t *ret)
{
	return !str_to_i64(str_sub(s, at, 2), ret) && str_sub(s, at, 2).n == 2 && *ret >= 0 &&
	       *ret <= most;
}

/* "UTC", "+02:00", "-03:30", "02:00". */
static bool zone_offset(struct str zone, int64_t *ret_seconds)
{
	bool minus = str_starts(zone, STR("-"));
	int64_t hours, minutes;

	*ret_seconds = 0;
	if (str_is(zone, "UTC") || str_is(zone, "Z") || str_is(zone, "GMT") || !zone.n)
		return true;
	if (minus || zone.p[0] == '+')
		zone = str_sub(zone, 1, zone.n);
	if (zone.n != 5 || zone.p[2] != ':' || !two_digits(zone, 0, 23, &hours) ||
	    !two_digits(zone, 3, 59, &minutes))
		return false;
	*ret_seconds = (minus ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

static bool civil_of(const struct cel_value *v, size_t n, struct civil *t)
{
	int64_t offset = 0, seconds = floor_div(v[0].i, NS_PER_S), days;

	if (n > 1 && !zone_offset(v[1].s, &offset))
		return false;
	t->ns = v[0].i - seconds * NS_PER_S;
	seconds += offset;
	days = floor_div(seconds, SECONDS_PER_DAY);
	t->seconds = seconds - days * SECONDS_PER_DAY;
	set_date(t, days);
	return true;
}

#define PART(fn, expression)                                                                       \
	F(fn)                                                                                      \
	{                                                                                          \
		struct civil t;                                                                    \
                                                                                                   \
		if (!civil_of(v, n, &t))                                                           \
			return cel_fail(c, "unknown time zone %.*s", (int)MIN(v[1].s.n, 60),       \
					v[1].s.p);                                                 \
		return cel_of_int(expression);                                                     \
	}

PART(full_year, t.year)
PART(month, t.month - 1)
PART(day_of_year, t.yearday)
PART(day_of_month, t.day - 1)
PART(date, t.day)
PART(day_of_week, t.weekday)
PART(hours, t.seconds / 3600)
PART(minutes, t.seconds / 60 % 60)
PART(seconds, t.seconds % 60)
PART(milliseconds, t.ns / NS_PER_MS)

F(duration_hours)
{
	UNUSED_ARGS;
	return cel_of_int(v->i / NS_PER_S / 3600);
}

F(duration_minutes)
{
	UNUSED_ARGS;
	return cel_of_int(v->i / NS_PER_S / 60);
}

F(duration_seconds)
{
	UNUSED_ARGS;
	return cel_of_int(v->i / NS_PER_S);
}

F(duration_milliseconds)
{
	UNUSED_ARGS;
	return cel_of_int(v->i / NS_PER_MS % 1000);
}

#define BOTH(name, fn)                                                                             \
	{name, "T", CEL_INT, true, fn},                                                            \
	{                                                                                          \
		name, "Ts", CEL_INT, true, fn                                                      \
	}

const struct cel_fn cel_fns_time[] = {
	{"timestamp", "s", CEL_TIMESTAMP, false, timestamp_of_text},
	{"timestamp", "i", CEL_TIMESTAMP, false, timestamp_of_seconds},
	{"timestamp", "T", CEL_TIMESTAMP, false, same},
	{"duration", "s", CEL_DURATION, false, duration_of_text},
	{"duration", "i", CEL_DURATION, false, duration_of_int},
	{"duration", "D", CEL_DURATION, false, same},
	BOTH("getFullYear", full_year),
	BOTH("getMonth", month),
	BOTH("getDayOfYear", day_of_year),
	BOTH("getDayOfMonth", day_of_month),
	BOTH("getDate", date),
	BOTH("getDayOfWeek", day_of_week),
	BOTH("getHours", hours),
	BOTH("getMinutes", minutes),
	BOTH("getSeconds", seconds),
	BOTH("getMilliseconds", milliseconds),
	{"getHours", "D", CEL_INT, true, duration_hours},
	{"getMinutes", "D", CEL_INT, true, duration_minutes},
	{"getSeconds", "D", CEL_INT, true, duration_seconds},
	{"getMilliseconds", "D", CEL_INT, true, duration_milliseconds},
	{0},
};
