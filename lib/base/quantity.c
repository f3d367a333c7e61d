/*
 * resource.Quantity in 128 bits of nano units: exact for everything Kubernetes keeps exact, and
 * saturating beyond. Pure.
 */
#include "lib/base/quantity.h"

#define NANO ((__int128)1000000000)
#define SATURATED (((__int128)INT64_MAX) * NANO)

static const struct suffix {
	const char *text;
	enum quantity_format format;
	int exp2, exp10; /* one of them */
} suffixes[] = {
	{"n", QUANTITY_DECIMAL_SI, 0, -9}, {"u", QUANTITY_DECIMAL_SI, 0, -6},
	{"m", QUANTITY_DECIMAL_SI, 0, -3}, {"", QUANTITY_DECIMAL_SI, 0, 0},
	{"k", QUANTITY_DECIMAL_SI, 0, 3},  {"M", QUANTITY_DECIMAL_SI, 0, 6},
	{"G", QUANTITY_DECIMAL_SI, 0, 9},  {"T", QUANTITY_DECIMAL_SI, 0, 12},
	{"P", QUANTITY_DECIMAL_SI, 0, 15}, {"E", QUANTITY_DECIMAL_SI, 0, 18},
	{"Ki", QUANTITY_BINARY_SI, 10, 0}, {"Mi", QUANTITY_BINARY_SI, 20, 0},
	{"Gi", QUANTITY_BINARY_SI, 30, 0}, {"Ti", QUANTITY_BINARY_SI, 40, 0},
	{"Pi", QUANTITY_BINARY_SI, 50, 0}, {"Ei", QUANTITY_BINARY_SI, 60, 0},
};

static int parse_suffix(struct str s, struct suffix *ret)
{
	int64_t e;

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (str_eq(s, str_c(suffixes[i].text))) {
			*ret = suffixes[i];
			return 0;
		}
	}
	if (s.n < 2 || (s.p[0] != 'e' && s.p[0] != 'E'))
		return -1;
	s = str_sub(s, 1, s.n);
	if (s.p[0] == '+')
		s = str_sub(s, 1, s.n);
	if (str_to_i64(s, &e) || e < -1000 || e > 1000)
		return -1;
	*ret = (struct suffix){NULL, QUANTITY_DECIMAL_EXP, 0, (int)e};
	return 0;
}

/* *v * 10^exp, rounded up (away from zero) where digits are lost, as Kubernetes does. */
static __int128 scale10(__int128 v, int exp)
{
	bool lost = false;

	for (; exp > 0; exp--) {
		if (__builtin_mul_overflow(v, 10, &v) || v > SATURATED)
			return SATURATED;
	}
	for (; exp < 0 && v; exp++) {
		lost |= v % 10 != 0;
		v /= 10;
	}
	return lost ? v + 1 : v;
}

/*
 * The digits of the number as an integer and how many stood behind the point. At most 36
 * significant ones are kept; further whole digits saturate, further fraction digits round up.
 */
static int parse_number(struct str s, __int128 *ret, int *ret_frac)
{
	__int128 v = 0;
	int frac = 0, kept = 0, digits = 0, shift = 0;
	bool point = false, lost = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '.') {
			if (point)
				return -1;
			point = true;
			continue;
		}
		digits++;
		if (kept >= 36) {
			lost |= c != '0' && point;
			shift += !point;
			continue;
		}
		v = v * 10 + (c - '0');
		kept += v != 0;
		frac += point;
	}
	if (!digits)
		return -1;
	*ret = scale10(v, MIN(shift, 40)) + (lost ? 1 : 0);
	*ret_frac = frac;
	return 0;
}

int quantity_parse(struct str s, struct quantity *ret)
{
	struct suffix suffix;
	__int128 v;
	bool negative = false;
	size_t n = 0;
	int frac;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		negative = s.p[0] == '-';
		s = str_sub(s, 1, s.n);
	}
	while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.'))
		n++;
	if (n > 4096 || parse_suffix(str_sub(s, n, s.n), &suffix) ||
	    parse_number(str_sub(s, 0, n), &v, &frac))
		return -1;
	for (int i = 0; i < suffix.exp2; i++) {
		if (__builtin_mul_overflow(v, 2, &v))
			v = SATURATED;
	}
	v = MIN(scale10(v, suffix.exp10 + 9 - frac), SATURATED);
	ret->nano = negative ? -v : v;
	ret->format = suffix.format;
	return 0;
}

static void put_u128(unsigned __int128 v, struct buf *out)
{
	char digits[40];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	buf_put(out, digits + at, sizeof(digits) - at);
}

static void put_decimal(unsigned __int128 nano, enum quantity_format format, struct buf *out)
{
	static const char *const si[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
	int group = 0; /* thousands taken out, from nano on */

	while (group < 9 && nano && nano % 1000 == 0) {
		nano /= 1000;
		group++;
	}
	put_u128(nano, out);
	if (!nano)
		return;
	if (format == QUANTITY_DECIMAL_EXP) {
		if (group != 3)
			buf_printf(out, "e%d", (group - 3) * 3);
		return;
	}
	buf_puts(out, si[group]);
}

static bool put_binary(unsigned __int128 nano, struct buf *out)
{
	static const char *const bi[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	unsigned __int128 v = nano / (unsigned __int128)NANO;
	int group = 0;

	/* Below 1024, or with a fraction, binary quantities are written as decimal ones. */
	if (nano % (unsigned __int128)NANO || v < 1024)
		return false;
	while (group < 6 && v % 1024 == 0) {
		v /= 1024;
		group++;
	}
	put_u128(v, out);
	buf_puts(out, bi[group]);
	return true;
}

void quantity_format(struct quantity q, struct buf *out)
{
	unsigned __int128 v =
		q.nano < 0 ? 0 - (unsigned __int128)q.nano : (unsigned __int128)q.nano;

	if (q.nano < 0)
		buf_putc(out, '-');
	if (q.format == QUANTITY_BINARY_SI && put_binary(v, out))
		return;
	put_decimal(v, q.format == QUANTITY_BINARY_SI ? QUANTITY_DECIMAL_SI : q.format, out);
}

int quantity_cmp(struct quantity a, struct quantity b)
{
	return a.nano < b.nano ? -1 : a.nano > b.nano;
}

static int64_t round_up(__int128 nano, __int128 unit)
{
	__int128 v =
		nano / unit + (nano > 0 && nano % unit ? 1 : 0) - (nano < 0 && nano % unit ? 1 : 0);

	return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t quantity_milli(struct quantity q)
{
	return round_up(q.nano, NANO / 1000);
}

int64_t quantity_value(struct quantity q)
{
	return round_up(q.nano, NANO);
}
