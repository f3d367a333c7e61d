/*
 * Reading TZif: a table of past changes and, for all that comes after its last, a rule as POSIX
 * writes them in TZ ("CET-1CEST,M3.5.0,M10.5.0/3"). Files are taken as hostile: counts are checked
 * against what is there before anything is read. Never opens anything; no memory.
 */
#include "lib/base/tz.h"

#include <string.h>

#include "lib/base/pure.h"

#define DAY 86400
#define HEADER 44

/* ---- the table ---- */

struct table {
	struct str data; /* behind the header */
	size_t times, types, chars, leaps, stds, uts;
	size_t width; /* of a time */
};

static uint32_t be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t time_at(const struct table *t, size_t i)
{
	const char *p = t->data.p + i * t->width;

	if (t->width == 4)
		return (int32_t)be32(p);
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static size_t table_size(const struct table *t)
{
	return t->times * (t->width + 1) + t->types * 6 + t->chars + t->leaps * (t->width + 4) +
	       t->stds + t->uts;
}

static bool header_read(struct str file, size_t width, struct table *ret)
{
	const char *p = file.p;

	if (file.n < HEADER || memcmp(p, "TZif", 4) != 0)
		return false;
	*ret = (struct table){.width = width,
			      .data = str_sub(file, HEADER, file.n),
			      .uts = be32(p + 20),
			      .stds = be32(p + 24),
			      .leaps = be32(p + 28),
			      .times = be32(p + 32),
			      .types = be32(p + 36),
			      .chars = be32(p + 40)};
	/* So that sums cannot wrap. */
	return ret->uts <= file.n && ret->stds <= file.n && ret->leaps <= file.n &&
	       ret->times <= file.n && ret->types <= file.n && ret->types > 0 &&
	       ret->chars <= file.n && table_size(ret) <= ret->data.n;
}

static bool type_offset(const struct table *t, size_t type, int32_t *ret)
{
	const char *p = t->data.p + t->times * (t->width + 1) + type * 6;

	if (type >= t->types)
		return false;
	*ret = (int32_t)be32(p);
	return *ret > -2 * DAY && *ret < 2 * DAY;
}

/* ---- the rule ---- */

struct rule {
	struct str rest;
	bool bad;
};

static bool take(struct rule *r, char c)
{
	if (!r->rest.n || r->rest.p[0] != c)
		return false;
	r->rest = str_sub(r->rest, 1, r->rest.n);
	return true;
}

static int number(struct rule *r)
{
	int v = 0;
	bool any = false;

	while (r->rest.n && r->rest.p[0] >= '0' && r->rest.p[0] <= '9' && v < 10000) {
		v = v * 10 + (r->rest.p[0] - '0');
		r->rest = str_sub(r->rest, 1, r->rest.n);
		any = true;
	}
	r->bad |= !any;
	return v;
}

/* CET or <+03> */
static void name(struct rule *r)
{
	bool quoted = take(r, '<');
	size_t n = 0;

	while (n < r->rest.n && (quoted ? r->rest.p[n] != '>'
					: (r->rest.p[n] | 32) >= 'a' && (r->rest.p[n] | 32) <= 'z'))
		n++;
	r->bad |= !n;
	r->rest = str_sub(r->rest, n, r->rest.n);
	if (quoted)
		r->bad |= !take(r, '>');
}

/* [+-]hh[:mm[:ss]], in seconds */
static int32_t clock_time(struct rule *r)
{
	bool negative = take(r, '-');
	int32_t s;

	if (!negative)
		take(r, '+');
	s = number(r) * 3600;
	if (take(r, ':'))
		s += number(r) * 60;
	if (take(r, ':'))
		s += number(r);
	return negative ? -s : s;
}

/* Days since the epoch of 1 January. */
static int64_t year_begin(int64_t y)
{
	y--;
	return 365 * y + y / 4 - y / 100 + y / 400 - 719162;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t month_day(int64_t y, int m, int week, int weekday)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t first = year_begin(y), d;
	int len = days[m - 1] + (m == 2 && is_leap(y));

	for (int i = 1; i < m; i++)
		first += days[i - 1] + (i == 2 && is_leap(y));
	/* 1 January 1970 was a Thursday. */
	d = (weekday - (first + 4) % 7 + 7) % 7 + (week - 1) * 7;
	return first + (d >= len ? d - 7 : d);
}

/* When the rule's next part comes into force in year y, in seconds of local time. */
static int64_t change_at(struct rule *r, int64_t y)
{
	int64_t day = 0;
	int32_t at = 2 * 3600;

	r->bad |= !take(r, ',');
	if (take(r, 'M')) {
		int m = number(r), week, weekday;

		r->bad |= !take(r, '.');
		week = number(r);
		r->bad |= !take(r, '.');
		weekday = number(r);
		r->bad |= m < 1 || m > 12 || week < 1 || week > 5 || weekday > 6;
		if (!r->bad)
			day = month_day(y, m, week, weekday);
	} else if (take(r, 'J')) {
		int n = number(r); /* 29 February is never counted */

		day = year_begin(y) + n - 1 + (is_leap(y) && n >= 60);
	} else {
		day = year_begin(y) + number(r);
	}
	if (take(r, '/'))
		at = clock_time(r);
	return day * DAY + at;
}

static int64_t year_of(int64_t s)
{
	int64_t y = 1970 + s / (366 * DAY);

	while (year_begin(y + 1) * DAY <= s)
		y++;
	return y;
}

static bool rule_offset(struct str text, int64_t at, int32_t *ret)
{
	struct rule r = {.rest = text};
	int64_t begin, end;
	int32_t standard, summer;

	name(&r);
	standard = -clock_time(&r);
	*ret = standard;
	if (r.bad || !r.rest.n)
		return !r.bad;
	name(&r);
	summer = standard + 3600;
	if (r.rest.n && r.rest.p[0] != ',')
		summer = -clock_time(&r);
	begin = change_at(&r, year_of(at + standard)) - standard;
	end = change_at(&r, year_of(at + standard)) - summer;
	if (r.bad || r.rest.n)
		return false;
	/* South of the equator summer lies over the turn of the year. */
	if (begin < end ? at >= begin && at < end : at >= begin || at < end)
		*ret = summer;
	return *ret > -2 * DAY && *ret < 2 * DAY;
}

/* ---- what others call ---- */

static bool table_offset(const struct table *t, int64_t at, int32_t *ret)
{
	size_t low = 0, high = t->times;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (time_at(t, mid) <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return type_offset(t, 0, ret);
	return type_offset(t, (unsigned char)t->data.p[t->times * t->width + low - 1], ret);
}

int tz_offset(struct str file, int64_t at_s, int32_t *ret, struct err *err)
{
	struct table t;
	struct str footer = STR_NONE;
	bool fine;

	if (!header_read(file, 4, &t))
		return err_set(err, ERR_INVALID, "not a time zone");
	if (file.p[4] >= '2') {
		file = str_sub(t.data, table_size(&t), t.data.n);
		if (!header_read(file, 8, &t))
			return err_set(err, ERR_INVALID, "not a time zone");
		footer = str_trim(str_sub(t.data, table_size(&t), t.data.n));
	}
	/* Years of four digits; beyond, nothing is scheduled. */
	if (at_s < 0 || at_s > INT64_C(253402300799))
		return err_set(err, ERR_INVALID, "not a time that has zones");
	if (footer.n && (!t.times || at_s >= time_at(&t, t.times - 1)))
		fine = rule_offset(footer, at_s, ret);
	else
		fine = table_offset(&t, at_s, ret);
	return fine ? 0 : err_set(err, ERR_INVALID, "not a time zone");
}

bool tz_name_valid(struct str name)
{
	if (!name.n || name.n > 64 || name.p[0] == '/' || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool word = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-' || c == '+';

		if (!word && !(c == '/' && i + 1 < name.n && name.p[i - 1] != '/'))
			return false;
	}
	return true;
}
