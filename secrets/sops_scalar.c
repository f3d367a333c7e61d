/*
 * One scalar as sops' YAML and JSON stores print it, to the byte: a Secret's name in the cluster
 * may be a hash of them. What a plain scalar is, and so which strings need quotes, is yaml.v3's
 * idea of YAML 1.2; how they are quoted is its emitter's. Pure; what is appended may be secret.
 */
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "secrets/sops_emit.h"

/* ---- numbers ---- */

enum { DIGITS_MAX = 17 };

struct digits {
	char text[DIGITS_MAX + 1];
	size_t n;
	int exponent; /* of the first digit */
	bool negative;
};

/* The fewest that read back as f, which is finite. */
static void digits_of(double f, struct digits *ret)
{
	char text[40];
	const char *e;

	*ret = (struct digits){.negative = signbit(f)};
	for (int precision = 0; precision < DIGITS_MAX; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, fabs(f));
		if (strtod(text, NULL) == fabs(f))
			break;
	}
	e = strchr(text, 'e');
	for (const char *c = text; c < e; c++)
		if (*c != '.')
			ret->text[ret->n++] = *c;
	ret->exponent = (int)strtol(e + 1, NULL, 10);
}

static void put_exponent(const struct digits *d, bool two_digits, struct buf *out)
{
	buf_printf(out, "%s%c", d->negative ? "-" : "", d->text[0]);
	if (d->n > 1)
		buf_printf(out, ".%.*s", (int)d->n - 1, d->text + 1);
	buf_printf(out, two_digits ? "e%c%02d" : "e%c%d", d->exponent < 0 ? '-' : '+',
		   abs(d->exponent));
}

void sops_yaml_float(double f, struct buf *out)
{
	struct digits d;

	if (isnan(f) || isinf(f)) {
		buf_puts(out, isnan(f) ? ".nan" : f < 0 ? "-.inf" : ".inf");
		return;
	}
	digits_of(f, &d);
	if (f != 0 && (d.exponent < -4 || d.exponent >= 6))
		put_exponent(&d, true, out);
	else
		sops_float(f, out);
}

void sops_json_float(double f, struct buf *out)
{
	struct digits d;

	if (isnan(f) || isinf(f)) {
		buf_puts(out, "null");
		return;
	}
	digits_of(f, &d);
	if (f != 0 && (fabs(f) < 1e-6 || fabs(f) >= 1e21))
		put_exponent(&d, d.exponent >= 0, out);
	else
		sops_float(f, out);
}

/* ---- what a plain scalar is ---- */

static bool is_word(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_is(s, *words))
			return true;
	return false;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_float(const char *s)
{
	size_t before, after = 0;

	s += *s == '-' || *s == '+';
	before = strspn(s, "0123456789");
	s += before;
	if (*s == '.') {
		after = strspn(s + 1, "0123456789");
		s += 1 + after;
	}
	if (!before && !after)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!strspn(s, "0123456789"))
			return false;
		s += strspn(s, "0123456789");
	}
	return !*s;
}

static bool read_float(const char *s, struct buf *out)
{
	double f;

	if (!looks_float(s))
		return false;
	f = strtod(s, NULL);
	if (isinf(f))
		return false;
	sops_yaml_float(f, out);
	return true;
}

/* With a base before it, or octal by a leading 0; up to the largest uint64. */
static bool read_int(const char *s, struct buf *out)
{
	bool negative = *s == '-', sign = negative || *s == '+';
	int base = 10;
	char *end;
	uint64_t v;

	s += sign;
	if (*s == '0' && s[1]) {
		char b = (char)(s[1] | 32);

		base = b == 'x' ? 16 : b == 'b' ? 2 : 8;
		s += b == 'x' || b == 'b' || b == 'o' ? 2 : 1;
	}
	if (!strspn(s, "0123456789abcdefABCDEF"))
		return false;
	errno = 0;
	v = strtoull(s, &end, base);
	if (errno || *end || (sign && v > (uint64_t)INT64_MAX + negative))
		return false;
	buf_printf(out, "%s%llu", negative && v ? "-" : "", (unsigned long long)v);
	return true;
}

struct clock {
	struct str rest;
	bool ok;
};

static unsigned take(struct clock *c, size_t least, size_t most)
{
	unsigned v = 0;
	size_t n = 0;

	while (n < most && n < c->rest.n && c->rest.p[n] >= '0' && c->rest.p[n] <= '9')
		v = v * 10 + (unsigned)(c->rest.p[n++] - '0');
	c->ok &= n >= least;
	c->rest = str_sub(c->rest, n, c->rest.n);
	return v;
}

static bool take_char(struct clock *c, const char *any)
{
	bool yes = c->rest.n && strchr(any, *c->rest.p);

	if (yes)
		c->rest = str_sub(c->rest, 1, c->rest.n);
	return yes;
}

static void take_zone(struct clock *c, bool may, struct buf *out)
{
	bool minus = c->rest.n && *c->rest.p == '-';
	unsigned h, m;

	if (!may || take_char(c, "Z")) {
		buf_putc(out, 'Z');
		return;
	}
	c->ok &= take_char(c, "+-");
	h = take(c, 2, 2);
	c->ok &= take_char(c, ":");
	m = take(c, 2, 2);
	c->ok &= h < 24 && m < 60;
	if (h || m)
		buf_printf(out, "%c%02u:%02u", minus ? '-' : '+', h, m);
	else
		buf_putc(out, 'Z');
}

static void take_fraction(struct clock *c, struct buf *out)
{
	size_t n = 1, keep;

	if (!c->rest.n || *c->rest.p != '.')
		return;
	while (n < c->rest.n && c->rest.p[n] >= '0' && c->rest.p[n] <= '9')
		n++;
	c->ok &= n > 1;
	for (keep = MIN(n, (size_t)10); keep > 1 && c->rest.p[keep - 1] == '0';)
		keep--;
	if (keep > 1)
		buf_str(out, str_sub(c->rest, 0, keep));
	c->rest = str_sub(c->rest, n, c->rest.n);
}

static bool is_day(unsigned y, unsigned m, unsigned d)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap ? 1u : 0u);
}

/* A day, or a time; appends it as RFC 3339. */
static bool take_time(struct str s, struct buf *text)
{
	struct clock c = {s, true};
	unsigned y = take(&c, 4, 4), m, d, h, min, sec;
	bool zone;

	c.ok &= take_char(&c, "-");
	m = take(&c, 1, 2);
	c.ok &= take_char(&c, "-");
	d = take(&c, 1, 2);
	if (!c.ok || !is_day(y, m, d))
		return false;
	buf_printf(text, "%04u-%02u-%02uT", y, m, d);
	if (!c.rest.n) {
		buf_puts(text, "00:00:00Z");
		return true;
	}
	zone = *c.rest.p != ' ';
	c.ok &= take_char(&c, "Tt ");
	h = take(&c, 1, 2);
	c.ok &= take_char(&c, ":");
	min = take(&c, 1, 2);
	c.ok &= take_char(&c, ":");
	sec = take(&c, 1, 2);
	c.ok &= h < 24 && min < 60 && sec < 60;
	buf_printf(text, "%02u:%02u:%02u", h, min, sec);
	take_fraction(&c, text);
	take_zone(&c, zone, text);
	return c.ok && !c.rest.n;
}

static bool read_time(struct str s, struct buf *out)
{
	struct buf words = {0};
	bool yes = take_time(s, &words);

	if (yes)
		buf_str(out, buf_view(&words));
	buf_wipe(&words);
	return yes;
}

static bool read_number(struct str s, struct buf *out)
{
	char secret[400];
	size_t n = 0;
	bool yes;

	if (s.n >= sizeof(secret) || memchr(s.p, 0, s.n))
		return false;
	if (*s.p != '.' && read_time(s, out))
		return true;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '_' || *s.p == '.')
			secret[n++] = s.p[i];
	secret[n] = '\0';
	yes = (*s.p != '.' && read_int(secret, out)) || read_float(secret, out);
	sodium_memzero(secret, sizeof(secret));
	return yes;
}

bool sops_yaml_plain(struct str s, struct buf *out)
{
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
	static const char *const inf[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
	static const char *const minus[] = {"-.inf", "-.Inf", "-.INF", NULL};

	if (is_word(s, yes) || is_word(s, no))
		buf_puts(out, is_word(s, yes) ? "true" : "false");
	else if (is_word(s, null))
		buf_puts(out, "null");
	else if (is_word(s, nan) || is_word(s, inf) || is_word(s, minus))
		buf_puts(out, is_word(s, nan) ? ".nan" : is_word(s, inf) ? ".inf" : "-.inf");
	else
		return strchr("0123456789+-.", *s.p) && read_number(s, out);
	return true;
}

/* ---- strings ---- */

/* Sexagesimal numbers of YAML 1.1: [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)? */
static bool is_base60(struct str s)
{
	size_t i = s.n && (*s.p == '-' || *s.p == '+'), parts = 0;

	if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
		return false;
	while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
		i++;
	for (; i + 1 < s.n && s.p[i] == ':'; parts++) {
		size_t n = 0;

		while (i + 1 + n < s.n && s.p[i + 1 + n] >= '0' && s.p[i + 1 + n] <= '9')
			n++;
		if (!n || n > 2 || (n == 2 && s.p[i + 1] > '5'))
			return false;
		i += 1 + n;
	}
	if (i < s.n && s.p[i] == '.')
		for (i++; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_');)
			i++;
	return parts && i == s.n;
}

/* Of another type when it stands without quotes, to this or an older YAML. */
static bool is_ambiguous(struct str s)
{
	static const char *const old[] = {"y", "Y",  "yes", "Yes", "YES", "on",  "On",  "ON", "n",
					  "N", "no", "No",  "NO",  "off", "Off", "OFF", NULL};
	struct buf ignored = {0};
	bool yes = sops_yaml_plain(s, &ignored) || is_word(s, old) || is_base60(s);

	buf_wipe(&ignored);
	return yes;
}

/* One character: its length, and its code point. ERR: 0. */
static size_t rune_of(struct str s, size_t i, uint32_t *ret)
{
	uint8_t c = (uint8_t)s.p[i];
	size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
	static const uint8_t mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (!n || c > 0xF4 || i + n > s.n)
		return 0;
	*ret = c & mask[n];
	for (size_t k = 1; k < n; k++) {
		if (((uint8_t)s.p[i + k] & 0xC0) != 0x80)
			return 0;
		*ret = *ret << 6 | ((uint8_t)s.p[i + k] & 0x3F);
	}
	return *ret < least[n] || *ret > 0x10FFFF || (*ret >= 0xD800 && *ret < 0xE000) ? 0 : n;
}

static bool is_printable(uint32_t c)
{
	return c == '\n' || (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0xD800) ||
	       (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF);
}

static bool is_break(uint32_t c)
{
	return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* What of a text stands against each way of writing it. */
struct looks {
	bool indicators, breaks, special, tabs;
	bool unusual; /* a line break that readers differ about */
	bool space_first, space_last, break_first, break_last, break_space, space_break;
};

static bool is_indicator(struct str s, size_t i, bool space_before)
{
	bool space_after = i + 1 >= s.n || s.p[i + 1] == ' ' || s.p[i + 1] == '\t';

	if (s.p[i] == ':')
		return space_after;
	if (!i && (s.p[i] == '?' || s.p[i] == '-'))
		return space_after;
	return i ? s.p[i] == '#' && space_before : strchr("#,[]{}&*!|>'\"%@`", s.p[i]) != NULL;
}

static void look(struct str s, struct looks *l)
{
	bool space = false, broke = false, blank = true;
	uint32_t c;

	*l = (struct looks){.indicators = str_starts(s, STR("---")) || str_starts(s, STR("..."))};
	for (size_t i = 0, n; i < s.n; i += n) {
		n = rune_of(s, i, &c);
		l->indicators |= s.p[i] && is_indicator(s, i, blank);
		l->tabs |= c == '\t';
		l->special |= c != '\t' && !is_printable(c);
		l->break_space |= c == ' ' && broke;
		l->space_break |= is_break(c) && space;
		l->space_first |= c == ' ' && !i;
		l->space_last |= c == ' ' && i + n == s.n;
		l->breaks |= is_break(c);
		l->unusual |= c == 0x2028 || c == 0x2029;
		l->break_first |= is_break(c) && !i;
		l->break_last |= is_break(c) && i + n == s.n;
		space = c == ' ';
		broke = is_break(c);
		blank = space || broke || c == '\t';
	}
}

static void put_escape(uint32_t c, struct buf *out)
{
	static const struct {
		uint32_t c;
		char as;
	} known[] = {{0, '0'},     {7, 'a'},    {8, 'b'},    {9, 't'},      {10, 'n'},
		     {11, 'v'},    {12, 'f'},   {13, 'r'},   {27, 'e'},     {'"', '"'},
		     {'\\', '\\'}, {0x85, 'N'}, {0xA0, '_'}, {0x2028, 'L'}, {0x2029, 'P'}};

	buf_putc(out, '\\');
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].c == c) {
			buf_putc(out, known[i].as);
			return;
		}
	buf_printf(out, c <= 0xFF ? "x%02X" : c <= 0xFFFF ? "u%04X" : "U%08X", c);
}

static void put_double(struct str s, struct buf *out)
{
	/* yaml.v3 looks for a byte order mark at the beginning, whatever it is about to write. */
	bool all = str_starts(s, STR("\xEF\xBB\xBF"));
	uint32_t c;

	buf_putc(out, '"');
	for (size_t i = 0, n; i < s.n; i += n) {
		n = rune_of(s, i, &c);
		if (all || !is_printable(c) || is_break(c) || c == '"' || c == '\\')
			put_escape(c, out);
		else
			buf_str(out, str_sub(s, i, n));
	}
	buf_putc(out, '"');
}

static void put_single(struct str s, struct buf *out)
{
	buf_putc(out, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_putc(out, '\'');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '\'');
}

static void put_literal(struct str s, size_t indent, struct buf *out)
{
	bool last = s.p[s.n - 1] == '\n', two = last && s.p[s.n - 2] == '\n';
	struct str line;

	buf_putc(out, '|');
	if (*s.p == ' ')
		buf_putc(out, '4');
	if (!last || two)
		buf_putc(out, last ? '+' : '-');
	while (s.n) {
		str_next(&s, '\n', &line);
		buf_putc(out, '\n');
		if (line.n)
			buf_printf(out, "%*s", (int)indent, "");
		buf_str(out, line);
	}
	if (last)
		buf_putc(out, '\n');
}

void sops_yaml_string(struct str s, const struct sops_lines *lines, struct buf *out)
{
	struct looks l;

	if (!str_is_utf8(s)) {
		buf_puts(out, "!!binary ");
		base64_encode(s, out);
		return;
	}
	look(s, &l);
	/* yaml.v3 loses blank lines at a block's beginning, and all of one that begins with a tab,
	 * and says four spaces where there are two: those are quoted. */
	if (lines && str_find(s, STR("\n")) >= 0 && *s.p != '\n' && *s.p != '\t' &&
	    (*s.p != ' ' || lines->deeper == 4) && !l.space_last && !l.space_break && !l.special &&
	    !l.unusual)
		put_literal(s, lines->indent, out);
	else if (l.breaks || l.special || l.tabs || is_ambiguous(s))
		put_double(s, out);
	else if (l.indicators || l.space_first || l.space_last)
		put_single(s, out);
	else
		buf_str(out, s);
}

/* ---- JSON ---- */

void sops_json_string(struct str s, struct buf *out)
{
	buf_putc(out, '"');
	for (size_t i = 0, n; i < s.n; i += n) {
		uint32_t c;

		n = rune_of(s, i, &c);
		if (!n) {
			buf_puts(out, "\\ufffd");
			n = 1;
		} else if (c == '"' || c == '\\') {
			buf_printf(out, "\\%c", (char)c);
		} else if (c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f') {
			buf_printf(out, "\\%c", "btn?fr"[c - 8]);
		} else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x2028 ||
			   c == 0x2029) {
			buf_printf(out, "\\u%04x", c);
		} else {
			buf_str(out, str_sub(s, i, n));
		}
	}
	buf_putc(out, '"');
}
