/*
 * TZif files: a sorted list of moments, each with the offset that holds from then on, and a line in
 * the manner of POSIX' TZ for all that comes after. Input is not trusted: every count is held
 * against the file's size. Pure; all memory is the caller's arena.
 */
#include "lib/base/timezone.h"

#include "lib/base/pure.h"

enum { HEADER = 44, DAY = 86400, OFFSET_MAX = 26 * 3600 };

/* When one of the two yearly changes is: "M3.2.0/2", "J60", "59". */
struct change {
	char form; /* 'M', 'J', or 'n': days from 0, leap days counted */
	int32_t month, week, day, at_s;
};
struct timezone {
	size_t n;
	const int64_t *from; /* n moments */
	const int32_t *offset;
	int32_t first;             /* before the first moment */
	bool has_rule, has_summer; /* after the last one */
	int32_t standard, summer;
	struct change begin, end; /* of summer time */
};

/* ---- the line at the end ---- */

static bool skip_name(struct str *s)
{
	size_t i = 0;

	if (s->n && s->p[0] == '<') {
		while (i < s->n && s->p[i] != '>')
			i++;
		if (i++ == s->n)
			return false;
	} else {
		while (i < s->n && ((s->p[i] | 0x20) >= 'a' && (s->p[i] | 0x20) <= 'z'))
			i++;
		if (i < 3)
			return false;
	}
	*s = str_sub(*s, i, s->n);
	return true;
}

static bool take_number(struct str *s, int32_t *ret)
{
	size_t i = 0;
	int32_t v = 0;

	for (; i < s->n && i < 5 && s->p[i] >= '0' && s->p[i] <= '9'; i++)
		v = v * 10 + (s->p[i] - '0');
	*s = str_sub(*s, i, s->n);
	*ret = v;
	return i > 0;
}

static bool take_char(struct str *s, char c)
{
	if (!s->n || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

/* "[+-]hh[:mm[:ss]]" */
static bool take_time(struct str *s, int32_t *ret)
{
	bool minus = take_char(s, '-');
	int32_t part, unit = 3600;

	if (!minus)
		take_char(s, '+');
	*ret = 0;
	for (int i = 0; i < 3; i++, unit /= 60) {
		if (!take_number(s, &part) || part > 167)
			return false;
		*ret += part * unit;
		if (!take_char(s, ':'))
			break;
	}
	if (minus)
		*ret = -*ret;
	return true;
}

static bool take_change(struct str *s, struct change *ret)
{
	*ret = (struct change){.form = 'n', .at_s = 2 * 3600};
	if (take_char(s, 'M')) {
		ret->form = 'M';
		if (!take_number(s, &ret->month) || !take_char(s, '.') ||
		    !take_number(s, &ret->week) || !take_char(s, '.') ||
		    !take_number(s, &ret->day) || ret->month < 1 || ret->month > 12 ||
		    ret->week < 1 || ret->week > 5 || ret->day > 6)
			return false;
	} else {
		if (take_char(s, 'J'))
			ret->form = 'J';
		if (!take_number(s, &ret->day) || ret->day > 365)
			return false;
	}
	return !take_char(s, '/') || take_time(s, &ret->at_s);
}

static bool read_rule(struct timezone *tz, struct str line)
{
	if (!line.n)
		return true;
	if (!skip_name(&line) || !take_time(&line, &tz->standard))
		return false;
	tz->standard = -tz->standard; /* POSIX counts to the west */
	tz->has_rule = true;
	if (!line.n)
		return true;
	if (!skip_name(&line))
		return false;
	tz->summer = tz->standard + 3600;
	if (line.n && line.p[0] != ',') {
		if (!take_time(&line, &tz->summer))
			return false;
		tz->summer = -tz->summer;
	}
	tz->has_summer = true;
	return take_char(&line, ',') && take_change(&line, &tz->begin) && take_char(&line, ',') &&
	       take_change(&line, &tz->end) && !line.n;
}

/* ---- the file ---- */

struct counts {
	size_t isut, isstd, leap, moments, types, text;
};

static uint32_t be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t be64(const char *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static bool read_header(struct str s, struct counts *ret)
{
	if (s.n < HEADER || memcmp(s.p, "TZif", 4) != 0)
		return false;
	*ret = (struct counts){be32(s.p + 20), be32(s.p + 24), be32(s.p + 28),
			       be32(s.p + 32), be32(s.p + 36), be32(s.p + 40)};
	return ret->isut <= 256 && ret->isstd <= 256 && ret->leap <= 1000 &&
	       ret->moments <= 20000 && ret->types >= 1 && ret->types <= 256 && ret->text <= 65536;
}

static size_t body_size(const struct counts *c, size_t width)
{
	return c->moments * (width + 1) + c->types * 6 + c->text + c->leap * (width + 4) +
	       c->isstd + c->isut;
}

static bool read_body(struct arena *a, struct timezone *tz, const char *p, const struct counts *c,
		      size_t width)
{
	const char *kind = p + c->moments * width, *types = kind + c->moments;
	int64_t *from = arena_array(a, c->moments + 1, sizeof(*from));
	int32_t *offset = arena_array(a, c->moments + 1, sizeof(*offset));

	for (size_t i = 0; i < c->types; i++)
		if ((int32_t)be32(types + 6 * i) > OFFSET_MAX ||
		    (int32_t)be32(types + 6 * i) < -OFFSET_MAX)
			return false;
	for (size_t i = 0; i < c->moments; i++) {
		size_t type = (unsigned char)kind[i];

		from[i] = width == 8 ? be64(p + 8 * i) : (int32_t)be32(p + 4 * i);
		if (type >= c->types || (i && from[i] <= from[i - 1]))
			return false;
		offset[i] = (int32_t)be32(types + 6 * type);
	}
	tz->n = c->moments;
	tz->from = from;
	tz->offset = offset;
	tz->first = (int32_t)be32(types);
	return true;
}

const struct timezone *timezone_read(struct arena *a, struct str file, struct err *err)
{
	struct timezone *tz = arena_alloc(a, sizeof(*tz));
	struct counts c;
	size_t width = 4;
	struct str rest = file;

	if (file.n > TIMEZONE_FILE_MAX || !read_header(rest, &c))
		goto bad;
	if (file.p[4] >= '2') { /* the same again, in 64 bits */
		if (rest.n - HEADER < body_size(&c, 4))
			goto bad;
		rest = str_sub(rest, HEADER + body_size(&c, 4), rest.n);
		width = 8;
		if (!read_header(rest, &c))
			goto bad;
	}
	if (rest.n - HEADER < body_size(&c, width) || !read_body(a, tz, rest.p + HEADER, &c, width))
		goto bad;
	rest = str_sub(rest, HEADER + body_size(&c, width), rest.n);
	if (width == 8 && !read_rule(tz, str_trim(rest)))
		goto bad;
	return tz;
bad:
	err_set(err, ERR_INVALID, "not a time zone file");
	return NULL;
}

/* ---- asking ---- */

static int64_t days_before_year(int64_t year)
{
	int64_t y = year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static bool leap_year(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t year_of(int64_t unix_s)
{
	int64_t year = 1970 + unix_s / (DAY * INT64_C(365));

	while (days_before_year(year) * DAY > unix_s)
		year--;
	while (days_before_year(year + 1) * DAY <= unix_s)
		year++;
	return year;
}

static int32_t days_in(int64_t year, int32_t month)
{
	static const int32_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && leap_year(year));
}

/* The local second of that year's change, as if local time were UTC. */
static int64_t change_local(const struct change *c, int64_t year)
{
	int64_t day = days_before_year(year), weekday;
	int32_t ahead;

	if (c->form == 'n')
		return (day + c->day) * DAY + c->at_s;
	if (c->form == 'J') /* 29 February is never counted */
		return (day + c->day - 1 + (c->day > 59 && leap_year(year))) * DAY + c->at_s;
	for (int32_t m = 1; m < c->month; m++)
		day += days_in(year, m);
	weekday = ((day + 4) % 7 + 7) % 7;
	ahead = (c->day - (int32_t)weekday + 7) % 7 + 7 * (c->week - 1);
	if (ahead >= days_in(year, c->month))
		ahead -= 7;
	return (day + ahead) * DAY + c->at_s;
}

static struct timezone_span by_rule(const struct timezone *tz, int64_t unix_s)
{
	int64_t year = year_of(unix_s), last = INT64_MIN;
	struct timezone_span s = {tz->standard, INT64_MAX};

	if (!tz->has_summer)
		return s;
	for (int64_t y = year - 1; y <= year + 1; y++) {
		const int64_t at[2] = {change_local(&tz->begin, y) - tz->standard,
				       change_local(&tz->end, y) - tz->summer};

		for (int i = 0; i < 2; i++) {
			if (at[i] > unix_s) {
				s.until_s = MIN(s.until_s, at[i]);
			} else if (at[i] > last) {
				last = at[i];
				s.offset_s = i ? tz->standard : tz->summer;
			}
		}
	}
	return s;
}

struct timezone_span timezone_at(const struct timezone *tz, int64_t unix_s)
{
	size_t low = 0, high;

	/* No calendar reaches as far as these numbers do. */
	unix_s = MIN(MAX(unix_s, INT64_C(-62135596800)), INT64_C(253402300799));
	if (!tz)
		return (struct timezone_span){0, INT64_MAX};
	for (high = tz->n; low < high;) {
		size_t mid = low + (high - low) / 2;

		if (tz->from[mid] <= unix_s)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == tz->n && tz->has_rule)
		return by_rule(tz, unix_s);
	return (struct timezone_span){low ? tz->offset[low - 1] : tz->first,
				      low < tz->n ? tz->from[low] : INT64_MAX};
}
