/*
 * Whether a pattern is one at all: Go's regular expressions (RE2's syntax) know no look-around and
 * no back references, and bound their repetitions. Says why not in the words of Go's
 * regexp/syntax. A single pass; what it doesn't know it lets pass.
 *
 * Pure; patterns are hostile.
 */
#include "lib/schema/pattern.h"

#include <string.h>

#include "lib/base/pure.h"

#define REPEAT_MAX 1000

struct scan {
	struct arena *a;
	struct str all;
	size_t at, depth;
	bool operand, repeated; /* what stands before can be repeated; and is already */
	struct str why;
};

static bool fail(struct scan *s, const char *what, size_t from, size_t to)
{
	if (!s->why.n)
		s->why = arena_strf(s->a, "%s: `%.*s`", what, (int)MIN(to - from, (size_t)200),
				    s->all.p + from);
	return false;
}

static char peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->all.n ? s->all.p[s->at + ahead] : 0;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* After the backslash: letters and digits mean something or are a mistake. */
static bool scan_escape(struct scan *s)
{
	static const char known[] = "aAbBCdDfnpPQrsStvwWxz01234567";
	size_t from = s->at;
	char c;

	s->at++;
	if (s->at >= s->all.n) {
		s->why = STR("trailing backslash at end of expression: ``");
		return false;
	}
	c = s->all.p[s->at++];
	if (is_alnum(c) && (!strchr(known, c) || (c >= '1' && c <= '7' && peek(s, 0) != '0' &&
						  !(peek(s, 0) >= '1' && peek(s, 0) <= '7'))))
		return fail(s, "invalid escape sequence", from, s->at);
	return true;
}

/* \Q…\E: text as it stands. */
static void scan_quoted(struct scan *s)
{
	for (s->at += 2; s->at < s->all.n; s->at++)
		if (s->all.p[s->at] == '\\' && peek(s, 1) == 'E') {
			s->at += 2;
			return;
		}
}

/* After "[:alpha:]". */
static size_t name_end(const struct scan *s)
{
	size_t at = s->at + 2;

	while (at + 1 < s->all.n && !(s->all.p[at] == ':' && s->all.p[at + 1] == ']'))
		at++;
	return at + 1 < s->all.n ? at + 2 : s->at + 2;
}

static bool scan_class(struct scan *s)
{
	size_t from = s->at;
	bool first = true;

	s->at += peek(s, 1) == '^' ? 2 : 1;
	while (s->at < s->all.n && (first || s->all.p[s->at] != ']')) {
		size_t item = s->at;
		bool named = peek(s, 0) == '[' && peek(s, 1) == ':';

		first = false;
		if (named)
			s->at = name_end(s);
		else if (s->all.p[s->at] != '\\')
			s->at++;
		else if (!scan_escape(s))
			return false;
		if (!named && s->at == item + 1 && peek(s, 0) == '-' && peek(s, 1) &&
		    peek(s, 1) != ']' && peek(s, 1) != '\\' &&
		    (unsigned char)peek(s, 1) < (unsigned char)s->all.p[item])
			return fail(s, "invalid character class range", item, s->at + 2);
	}
	if (s->at >= s->all.n)
		return fail(s, "missing closing ]", from, s->all.n);
	s->at++;
	return true;
}

static bool scan_open(struct scan *s)
{
	size_t from = s->at++;

	s->depth++;
	if (peek(s, 0) != '?')
		return true;
	s->at++;
	if (peek(s, 0) == 'P' || peek(s, 0) == '<') {
		const char *end = memchr(s->all.p + s->at, '>', s->all.n - s->at);

		if (peek(s, 0) == 'P' && peek(s, 1) != '<')
			return fail(s, "invalid or unsupported Perl syntax", from, s->at + 1);
		if (peek(s, 0) == '<' && (peek(s, 1) == '=' || peek(s, 1) == '!'))
			return fail(s, "invalid or unsupported Perl syntax", from, s->at + 1);
		if (!end)
			return fail(s, "invalid named capture", from, s->all.n);
		s->operand = s->repeated = false;
		s->at = (size_t)(end - s->all.p) + 1;
		return true;
	}
	while (s->at < s->all.n && strchr("imsU-", s->all.p[s->at]))
		s->at++;
	if (peek(s, 0) == ')')
		s->depth--;
	else if (peek(s, 0) == ':')
		s->operand = s->repeated = false;
	else
		return fail(s, "invalid or unsupported Perl syntax", from,
			    MIN(s->at + 1, s->all.n));
	s->at++;
	return true;
}

static bool number(struct scan *s, size_t *at, long *ret_n)
{
	size_t from = *at;

	for (*ret_n = 0; *at < s->all.n && s->all.p[*at] >= '0' && s->all.p[*at] <= '9'; (*at)++)
		*ret_n = MIN(*ret_n * 10 + (s->all.p[*at] - '0'), 1000000L);
	return *at > from;
}

/* The length of "{2,3}" where s stands, 0 when that is no repetition but text. */
static size_t braces(struct scan *s, bool *ret_bad)
{
	size_t at = s->at + 1;
	long min, max;

	if (!number(s, &at, &min))
		return 0;
	max = min;
	if (at < s->all.n && s->all.p[at] == ',' && (at++, !number(s, &at, &max)))
		max = -1;
	if (at >= s->all.n || s->all.p[at] != '}')
		return 0;
	*ret_bad = min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && max < min);
	return at + 1 - s->at;
}

static bool scan_repeat(struct scan *s, size_t len)
{
	size_t from = s->at;

	if (!s->operand)
		return fail(s, "missing argument to repetition operator", from, from + len);
	if (s->repeated)
		return fail(s, "invalid nested repetition operator", from - 1, from + len);
	s->at += len;
	if (peek(s, 0) == '?')
		s->at++;
	s->repeated = true;
	return true;
}

static bool scan_one(struct scan *s)
{
	char c = s->all.p[s->at];
	bool bad = false, ok = true;
	size_t len = c == '{' ? braces(s, &bad) : 0;

	if (len && bad)
		return fail(s, "invalid repeat count", s->at, s->at + len);
	if (len || c == '*' || c == '+' || c == '?')
		return scan_repeat(s, len ? len : 1);
	if (c != '(' || peek(s, 1) != '?') { /* (?i) alone stands for nothing */
		s->operand = c != '(' && c != '|';
		s->repeated = false;
	}
	if (c == '\\' && peek(s, 1) == 'Q')
		scan_quoted(s);
	else if (c == '\\')
		ok = scan_escape(s);
	else if (c == '[')
		ok = scan_class(s);
	else if (c == '(')
		ok = scan_open(s);
	else if (c == ')' && !s->depth)
		ok = fail(s, "unexpected )", 0, s->all.n);
	else {
		s->depth -= c == ')';
		s->at++;
	}
	return ok;
}

struct str pattern_problem(struct arena *a, struct str pattern)
{
	struct scan s = {.a = a, .all = pattern};

	while (s.at < pattern.n)
		if (!scan_one(&s))
			return s.why;
	if (s.depth)
		fail(&s, "missing closing )", 0, pattern.n);
	return s.why;
}
