/*
 * Patterns of custom resources. RE2's syntax is rewritten as POSIX' extended one: classes such as
 * \d, groups that capture nothing, lazy repetition. The C library's matcher needs no more than
 * polynomial time without back references (which RE2 does not have and the rewriting drops), but
 * its automaton grows with what repetitions multiply to; that and lengths are bounded here.
 *
 * Pure.
 */
#include "lib/schema/pattern.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"

#include "lib/base/pure.h"

#define PATTERN_MAX 2000
#define TEXT_MAX 65536
#define REPEAT_MAX 5000 /* what all {n,m} of a pattern multiply to */

struct rewrite {
	const char *p;
	struct buf out;
	long repeats;
	bool ok, any_case;
};

static const char *class_of(char c)
{
	switch (c) {
	case 'd':
		return "0-9";
	case 'w':
		return "A-Za-z0-9_";
	case 's':
		return " \t\n\r\f\v";
	default:
		return NULL;
	}
}

static char control(char c)
{
	static const char from[] = "tnrfv", to[] = "\t\n\r\f\v";
	const char *at = strchr(from, c);

	return c && at ? to[at - from] : 0;
}

static void escape(struct rewrite *r)
{
	char c = *++r->p, low = (char)(c | 0x20);
	const char *set = class_of(low);

	if (set) {
		buf_printf(&r->out, "[%s%s]", c == low ? "" : "^", set);
	} else if (control(c)) {
		buf_putc(&r->out, control(c));
	} else if (c == 'A') {
		buf_putc(&r->out, '^');
	} else if (c == 'z') {
		buf_putc(&r->out, '$');
	} else if (c == 'b' || c == 'B') {
		buf_printf(&r->out, "\\%c", c);
	} else if (!c || (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z')) {
		r->ok = false;
		return;
	} else {
		buf_printf(&r->out, strchr("^$.[]()|*+?{}\\", c) ? "\\%c" : "%c", c);
	}
	r->p++;
}

/* One member of a bracket expression, into `set`; ] ^ and - have places of their own at its end. */
static void member(struct rewrite *r, struct buf *set, bool special[3])
{
	bool escaped = *r->p == '\\';
	char c = escaped ? *++r->p : *r->p;

	if (escaped && class_of(c)) {
		buf_puts(set, class_of(c));
	} else if (!c || (escaped && ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !control(c))) {
		r->ok = false;
		return;
	} else if (escaped && control(c)) {
		buf_putc(set, control(c));
	} else if (c == ']' || c == '^') {
		special[c == '^'] = true;
	} else if (c == '-' && (escaped || !set->n || r->p[1] == ']')) {
		special[2] = true;
	} else {
		buf_putc(set, c);
	}
	r->p++;
}

static void bracket(struct rewrite *r)
{
	AUTO(buf) struct buf set = {0};
	bool special[3] = {false}, negated = r->p[1] == '^', first = true;

	r->p += negated ? 2 : 1;
	while (r->ok && (*r->p != ']' || first)) {
		if (r->p[0] == '[' && r->p[1] == ':') {
			const char *end = strstr(r->p, ":]");

			r->ok = end != NULL;
			if (!end)
				return;
			buf_put(&set, r->p, (size_t)(end + 2 - r->p));
			r->p = end + 2;
		} else {
			member(r, &set, special);
		}
		first = false;
	}
	if (!r->ok || (!negated && !set.n && special[1] && !special[0] && !special[2])) {
		if (r->ok)
			buf_puts(&r->out, "\\^");
		r->p += r->ok;
		return;
	}
	buf_printf(&r->out, "[%s%s%.*s%s%s]", negated ? "^" : "", special[0] ? "]" : "", (int)set.n,
		   set.p ? set.p : "", special[1] ? "^" : "", special[2] ? "-" : "");
	r->p++;
}

static void group(struct rewrite *r)
{
	buf_putc(&r->out, '(');
	r->p++;
	if (*r->p != '?')
		return;
	if (r->p[1] == ':')
		r->p += 2;
	else
		r->ok = false;
}

static void repetition(struct rewrite *r)
{
	char *end = NULL;
	long least, most;

	if (*r->p != '{') {
		buf_putc(&r->out, *r->p++);
	} else {
		least = strtol(r->p + 1, &end, 10);
		most = *end == ',' && end[1] != '}' ? strtol(end + 1, &end, 10) : least;
		if (*end == ',')
			end++;
		r->ok = *end == '}' && end > r->p + 1 && least >= 0 && most >= least &&
			most <= 1000 && r->p[1] >= '0' && r->p[1] <= '9';
		if (!r->ok)
			return;
		r->repeats *= most > 1 ? most : 1;
		r->ok = r->repeats <= REPEAT_MAX;
		buf_put(&r->out, r->p, (size_t)(end + 1 - r->p));
		r->p = end + 1;
	}
	if (*r->p == '?') /* lazy or not: what matches is the same */
		r->p++;
}

static void rewrite(struct rewrite *r)
{
	if (!strncmp(r->p, "(?i)", 4)) {
		r->any_case = true;
		r->p += 4;
	}
	while (r->ok && *r->p) {
		if (*r->p == '\\')
			escape(r);
		else if (*r->p == '[')
			bracket(r);
		else if (*r->p == '(')
			group(r);
		else if (strchr("*+?{", *r->p))
			repetition(r);
		else
			buf_putc(&r->out, *r->p++);
	}
}

/* The pattern compiled; -1 when it can't be. The caller frees it. */
static int compile(const char *pattern, int flags, regex_t *re)
{
	struct rewrite r = {.p = pattern, .repeats = 1, .ok = true};
	int result = -1;

	if (strlen(pattern) > PATTERN_MAX)
		return -1;
	rewrite(&r);
	if (r.ok &&
	    !regcomp(re, buf_cstr(&r.out), REG_EXTENDED | flags | (r.any_case ? REG_ICASE : 0)))
		result = 0;
	buf_release(&r.out);
	return result;
}

int pattern_search(const char *pattern, struct str s)
{
	regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)s.n};
	AUTO(buf) struct buf text = {0}; /* ended by a NUL, which not every regexec does without */
	int found;
	regex_t re;

	if (s.n > TEXT_MAX || compile(pattern, REG_NOSUB, &re))
		return -1;
	buf_str(&text, s);
	found = regexec(&re, buf_cstr(&text), 1, &whole, REG_STARTEND) != REG_NOMATCH;
	regfree(&re);
	return found;
}

int pattern_find(const char *pattern, struct str s, size_t max,
		 void (*fn)(void *arg, struct str match), void *arg)
{
	AUTO(buf) struct buf text = {0};
	size_t at = 0, n = 0;
	regex_t re;

	if (s.n > TEXT_MAX || compile(pattern, 0, &re))
		return -1;
	buf_str(&text, s);
	buf_cstr(&text);
	while (n < max && at <= s.n) {
		regmatch_t m = {.rm_so = (regoff_t)at, .rm_eo = (regoff_t)s.n};
		size_t from, to;

		if (regexec(&re, text.p, 1, &m, REG_STARTEND | (at ? REG_NOTBOL : 0)))
			break;
		from = (size_t)m.rm_so;
		to = (size_t)m.rm_eo;
		/* Nothing right behind what was found before is no find of its own. */
		if (from < to || !n || from > at || !at) {
			fn(arg, str_sub(s, from, to - from));
			n++;
		}
		at = to > from ? to : to + 1;
	}
	regfree(&re);
	return (int)n;
}

bool pattern_matches(const char *pattern, struct str s)
{
	return pattern_search(pattern, s) != 0;
}
