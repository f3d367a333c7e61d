/*
 * RFC 3339 times and Go durations, by civil-date arithmetic of our own: no time zone, no locale,
 * no static buffers. Pure.
 */
#include "lib/base/timefmt.h"

#include <stdio.h>

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + (int64_t)doe - 719468;
}

static void date_of(int64_t days, int64_t *ret_y, unsigned *ret_m, unsigned *ret_d)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned doe = (unsigned)(days - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	*ret_d = doy - (153 * mp + 2) / 5 + 1;
	*ret_m = mp < 10 ? mp + 3 : mp - 9;
	*ret_y = (int64_t)yoe + era * 400 + (*ret_m <= 2);
}

static unsigned month_days(int64_t y, unsigned m)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return m == 2 && leap ? 29 : days[m - 1];
}

/* n digits off the front. */
static int digits(struct str *s, size_t n, unsigned *ret)
{
	uint64_t v;

	if (s->n < n || str_to_u64(str_sub(*s, 0, n), &v))
		return -1;
	*s = str_sub(*s, n, s->n);
	*ret = (unsigned)v;
	return 0;
}

static int literal(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return -1;
	*s = str_sub(*s, 1, s->n);
	return 0;
}

static int fraction(struct str *s, int64_t *ret_ns)
{
	int64_t scale = NS_PER_S / 10;
	size_t n = 0;

	*ret_ns = 0;
	if (literal(s, '.'))
		return 0;
	for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++, scale /= 10)
		*ret_ns += (s->p[n] - '0') * scale;
	*s = str_sub(*s, n, s->n);
	return n ? 0 : -1;
}

static int offset(struct str *s, int64_t *ret_s)
{
	unsigned h, m;

	*ret_s = 0;
	if (s->n == 1 && (s->p[0] == 'Z' || s->p[0] == 'z'))
		return 0;
	if (s->n != 6 || (s->p[0] != '+' && s->p[0] != '-'))
		return -1;
	int64_t sign = s->p[0] == '-' ? -1 : 1;
	*s = str_sub(*s, 1, s->n);
	if (digits(s, 2, &h) || literal(s, ':') || digits(s, 2, &m) || h > 23 || m > 59)
		return -1;
	*ret_s = sign * (int64_t)(h * 3600 + m * 60);
	return 0;
}

int instant_parse(struct str s, struct instant *ret)
{
	unsigned y, mo, d, h, mi, sec;
	int64_t frac, off;

	if (digits(&s, 4, &y) || literal(&s, '-') || digits(&s, 2, &mo) || literal(&s, '-') ||
	    digits(&s, 2, &d) || (literal(&s, 'T') && literal(&s, 't')) || digits(&s, 2, &h) ||
	    literal(&s, ':') || digits(&s, 2, &mi) || literal(&s, ':') || digits(&s, 2, &sec) ||
	    fraction(&s, &frac) || offset(&s, &off))
		return -1;
	if (mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo) || h > 23 || mi > 59 || sec > 59)
		return -1;
	ret->s = days_of(y, mo, d) * 86400 + (int64_t)(h * 3600 + mi * 60 + sec) - off;
	ret->ns = (int32_t)frac;
	return 0;
}

int time_parse(struct str s, int64_t *ret_ns)
{
	struct instant at;
	int64_t t;

	if (instant_parse(s, &at) || __builtin_mul_overflow(at.s, NS_PER_S, &t) ||
	    __builtin_add_overflow(t, at.ns, &t))
		return -1;
	*ret_ns = t;
	return 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static char *put_digits(char *out, unsigned v, int n)
{
	for (int i = n; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
	return out + n;
}

/* "2026-01-02T03:04:05", one for every object and condition that is written: no printf. */
static int print(int64_t s, char *out)
{
	int64_t days = floor_div(s, 86400), y;
	int64_t of_day = s - days * 86400;
	unsigned m, d;

	date_of(days, &y, &m, &d);
	if (y < 0 || y > 9999) /* beyond what the format can say */
		y = 0;
	const struct {
		unsigned v;
		int n;
		char after;
	} parts[] = {{(unsigned)y, 4, '-'},
		     {m, 2, '-'},
		     {d, 2, 'T'},
		     {(unsigned)(of_day / 3600), 2, ':'},
		     {(unsigned)(of_day / 60 % 60), 2, ':'},
		     {(unsigned)(of_day % 60), 2, 0}};
	char *at = out;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		at = put_digits(at, parts[i].v, parts[i].n);
		*at = parts[i].after;
		at += parts[i].after != 0;
	}
	return (int)(at - out);
}

struct str instant_format(struct instant t, bool micro, char out[TIME_TEXT_MAX])
{
	int n = print(t.s, out);

	if (micro)
		n += snprintf(out + n, TIME_TEXT_MAX - (size_t)n, ".%06dZ", (int)(t.ns / 1000));
	else
		n += snprintf(out + n, TIME_TEXT_MAX - (size_t)n, "Z");
	return (struct str){out, (size_t)n};
}

static struct instant instant_of(int64_t ns)
{
	int64_t s = floor_div(ns, NS_PER_S);

	return (struct instant){s, (int32_t)(ns - s * NS_PER_S)};
}

struct str time_format(int64_t ns, char out[TIME_TEXT_MAX])
{
	int n = print(floor_div(ns, NS_PER_S), out);

	out[n++] = 'Z';
	out[n] = 0;
	return (struct str){out, (size_t)n};
}

struct str time_format_micro(int64_t ns, char out[TIME_TEXT_MAX])
{
	return instant_format(instant_of(ns), true, out);
}

/* ---- durations ---- */

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{"ns", 1},         {"us", 1000},    {"\xc2\xb5s", 1000},  {"\xce\xbcs", 1000},
	{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
};

static int unit(struct str name, int64_t *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (str_is(name, units[i].name)) {
			*ret = units[i].ns;
			return 0;
		}
	}
	return -1;
}

/* One "1.5h": number and unit off the front, added to *sum. */
static int duration_part(struct str *s, int64_t *sum)
{
	size_t i = 0, whole, end;
	uint64_t v = 0;
	int64_t u, part, rest = 0;

	while (i < s->n && s->p[i] >= '0' && s->p[i] <= '9')
		i++;
	whole = i;
	if (i < s->n && s->p[i] == '.') {
		for (i++; i < s->n && s->p[i] >= '0' && s->p[i] <= '9';)
			i++;
	}
	for (end = i; end < s->n && s->p[end] != '.' && (s->p[end] < '0' || s->p[end] > '9');)
		end++;
	if ((whole == 0 && i <= 1) || unit(str_sub(*s, i, end - i), &u) ||
	    (whole && str_to_u64(str_sub(*s, 0, whole), &v)) || v > INT64_MAX)
		return -1;
	int64_t scale = u;
	for (size_t k = whole + 1; k < i; k++) {
		scale /= 10;
		rest += (s->p[k] - '0') * scale;
	}
	if (__builtin_mul_overflow((int64_t)v, u, &part) ||
	    __builtin_add_overflow(part, rest, &part) || __builtin_add_overflow(*sum, part, sum))
		return -1;
	*s = str_sub(*s, end, s->n);
	return 0;
}

int duration_parse(struct str s, int64_t *ret_ns)
{
	int64_t sum = 0;
	bool negative = false;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		negative = s.p[0] == '-';
		s = str_sub(s, 1, s.n);
	}
	if (str_eq(s, STR("0"))) {
		*ret_ns = 0;
		return 0;
	}
	if (s.n == 0)
		return -1;
	while (s.n) {
		if (duration_part(&s, &sum))
			return -1;
	}
	*ret_ns = negative ? -sum : sum;
	return 0;
}

/* v / scale with the fraction that is not zero. */
static void decimal(uint64_t v, uint64_t scale, const char *name, struct buf *out)
{
	uint64_t frac = v % scale;
	int width = 0;

	buf_i64(out, (int64_t)(v / scale));
	for (uint64_t s = scale; s > 1; s /= 10)
		width++;
	if (frac) {
		buf_printf(out, ".%0*llu", width, (unsigned long long)frac);
		while (out->p[out->n - 1] == '0')
			out->n--;
	}
	buf_puts(out, name);
}

void duration_format(int64_t ns, struct buf *out)
{
	uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

	if (ns < 0)
		buf_putc(out, '-');
	if (v == 0) {
		buf_puts(out, "0s");
	} else if (v < 1000) {
		decimal(v, 1, "ns", out);
	} else if (v < 1000000) {
		decimal(v, 1000, "\xc2\xb5s", out);
	} else if (v < (uint64_t)NS_PER_S) {
		decimal(v, 1000000, "ms", out);
	} else {
		uint64_t s = (uint64_t)NS_PER_S, h = v / (3600 * s), m = v / (60 * s) % 60;
		if (h)
			buf_printf(out, "%lluh", (unsigned long long)h);
		if (h || m)
			buf_printf(out, "%llum", (unsigned long long)m);
		decimal(v % (60 * s), s, "s", out);
	}
}

struct str duration_human(int64_t ns, char out[TIME_TEXT_MAX])
{
	int64_t s = ns / NS_PER_S, m = s / 60, h = m / 60, d = h / 24, y = d / 365;
	int n;

	if (s < 0)
		n = snprintf(out, TIME_TEXT_MAX, s < -1 ? "<invalid>" : "0s");
	else if (s < 120)
		n = snprintf(out, TIME_TEXT_MAX, "%llds", (long long)s);
	else if (m < 10)
		n = s % 60 ? snprintf(out, TIME_TEXT_MAX, "%lldm%llds", (long long)m,
				      (long long)(s % 60))
			   : snprintf(out, TIME_TEXT_MAX, "%lldm", (long long)m);
	else if (m < 180)
		n = snprintf(out, TIME_TEXT_MAX, "%lldm", (long long)m);
	else if (h < 8)
		n = m % 60 ? snprintf(out, TIME_TEXT_MAX, "%lldh%lldm", (long long)h,
				      (long long)(m % 60))
			   : snprintf(out, TIME_TEXT_MAX, "%lldh", (long long)h);
	else if (h < 48)
		n = snprintf(out, TIME_TEXT_MAX, "%lldh", (long long)h);
	else if (d < 8)
		n = h % 24 ? snprintf(out, TIME_TEXT_MAX, "%lldd%lldh", (long long)d,
				      (long long)(h % 24))
			   : snprintf(out, TIME_TEXT_MAX, "%lldd", (long long)d);
	else if (d < 730)
		n = snprintf(out, TIME_TEXT_MAX, "%lldd", (long long)d);
	else if (y < 8)
		n = d % 365 ? snprintf(out, TIME_TEXT_MAX, "%lldy%lldd", (long long)y,
				       (long long)(d % 365))
			    : snprintf(out, TIME_TEXT_MAX, "%lldy", (long long)y);
	else
		n = snprintf(out, TIME_TEXT_MAX, "%lldy", (long long)y);
	return (struct str){out, (size_t)n};
}
