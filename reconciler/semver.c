/*
 * Semantic versions and ranges. Tags come from strangers: numbers that overflow, empty identifiers
 * and leading zeros make a tag no version, and never an error for the others. Pure; what is parsed
 * borrows from the text and lives in the caller's arena.
 */
#include "reconciler/semver.h"

#include <string.h>

#include "lib/base/pure.h"

enum op { OP_EQ, OP_NE, OP_GT, OP_LT, OP_GE, OP_LE, OP_TILDE, OP_CARET };

struct semver_term {
	enum op op;
	struct semver v;
	bool dirty;        /* parts are missing or wildcards: … */
	bool minor, patch; /* … from the minor, or just the patch number */
	bool or_before;    /* begins an alternative */
};

/* ---- versions ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool number(struct str s, uint64_t *ret)
{
	if (!s.n || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return false;
	}
	return !str_to_u64(s, ret);
}

static bool numeric(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* Identifiers between dots: letters, digits, hyphens. */
static bool identifiers(struct str s, bool zeros)
{
	struct str part;

	while (str_next(&s, '.', &part)) {
		if (!part.n || (!zeros && numeric(part) && part.n > 1 && part.p[0] == '0'))
			return false;
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];

			if (!is_digit(c) && c != '-' && (c < 'a' || c > 'z') &&
			    (c < 'A' || c > 'Z'))
				return false;
		}
	}
	return true;
}

/* Takes "-pre+meta" off the end of a version. */
static bool cut_tail(struct str *s, struct semver *v)
{
	struct str head;

	v->pre = v->meta = STR_NONE;
	if (str_cut(*s, '+', &head, &v->meta)) {
		if (!v->meta.n || !identifiers(v->meta, true))
			return false;
		*s = head;
	}
	if (str_cut(*s, '-', &head, &v->pre)) {
		if (!v->pre.n || !identifiers(v->pre, false))
			return false;
		*s = head;
	}
	return true;
}

int semver_parse(struct str text, struct semver *ret)
{
	struct semver v;
	struct str major, minor, patch;

	if (text.n && text.p[0] == 'v')
		text = str_sub(text, 1, text.n);
	if (text.n > 256 || !cut_tail(&text, &v) || !str_cut(text, '.', &major, &minor) ||
	    !str_cut(minor, '.', &minor, &patch) || !number(major, &v.major) ||
	    !number(minor, &v.minor) || !number(patch, &v.patch))
		return -1;
	*ret = v;
	return 0;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_identifier(struct str a, struct str b)
{
	bool an = numeric(a), bn = numeric(b);

	if (an && bn) /* no leading zeros: the longer is the larger */
		return a.n != b.n ? cmp_u64(a.n, b.n) : str_cmp(a, b);
	if (an != bn)
		return an ? -1 : 1;
	return str_cmp(a, b);
}

static int cmp_pre(struct str a, struct str b)
{
	struct str x, y;

	if (!a.n || !b.n)
		return (a.n ? 0 : 1) - (b.n ? 0 : 1);
	for (;;) {
		bool more_a = str_next(&a, '.', &x), more_b = str_next(&b, '.', &y);
		int c;

		if (!more_a || !more_b)
			return (more_a ? 1 : 0) - (more_b ? 1 : 0);
		c = cmp_identifier(x, y);
		if (c)
			return c;
	}
}

int semver_cmp(const struct semver *a, const struct semver *b)
{
	int c = cmp_u64(a->major, b->major);

	if (!c)
		c = cmp_u64(a->minor, b->minor);
	if (!c)
		c = cmp_u64(a->patch, b->patch);
	return c ? c : cmp_pre(a->pre, b->pre);
}

/* ---- ranges ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct str *s)
{
	while (s->n && is_blank(s->p[0]))
		*s = str_sub(*s, 1, s->n);
}

static enum op take_op(struct str *s)
{
	static const struct {
		const char *text;
		enum op op;
	} ops[] = {
		{"!=", OP_NE},    {">=", OP_GE},   {"=>", OP_GE},   {"<=", OP_LE},
		{"=<", OP_LE},    {"=", OP_EQ},    {">", OP_GT},    {"<", OP_LT},
		{"~>", OP_TILDE}, {"~", OP_TILDE}, {"^", OP_CARET},
	};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		struct str t = str_c(ops[i].text);

		if (str_starts(*s, t)) {
			*s = str_sub(*s, t.n, s->n);
			return ops[i].op;
		}
	}
	return OP_EQ;
}

static bool is_wild(struct str s)
{
	return str_is(s, "x") || str_is(s, "X") || str_is(s, "*");
}

/* "1", "1.x", "1.2", "1.2.3-rc.1", "*": what a comparison may name. */
static bool parse_partial(struct str text, struct semver_term *t)
{
	struct str part[3], rest;
	size_t n = 0;

	if (text.n && text.p[0] == 'v')
		text = str_sub(text, 1, text.n);
	if (!cut_tail(&text, &t->v) || !text.n)
		return false;
	for (rest = text; n < 3 && str_next(&rest, '.', &part[n]); n++)
		;
	if (rest.p)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint64_t *to = i == 0 ? &t->v.major : i == 1 ? &t->v.minor : &t->v.patch;

		if (is_wild(part[i])) {
			n = i;
			break;
		}
		if (!number(part[i], to))
			return false;
	}
	if (n < 2)
		t->v.minor = 0;
	if (n < 3)
		t->v.patch = 0;
	if (n < 1)
		t->v.major = 0;
	t->dirty = n < 3;
	t->minor = n == 1;
	t->patch = n == 2;
	return true;
}

static struct str take_word(struct str *s)
{
	size_t n = 0;
	struct str word;

	while (n < s->n && !is_blank(s->p[n]) && s->p[n] != ',' && s->p[n] != '|')
		n++;
	word = str_sub(*s, 0, n);
	*s = str_sub(*s, n, s->n);
	return word;
}

static int parse_term(struct str *s, struct semver_term *t, struct err *err)
{
	struct str word;

	t->op = take_op(s);
	skip_blanks(s);
	word = take_word(s);
	if (!parse_partial(word, t))
		return err_set(err, ERR_INVALID, "not a version in a range: '%.*s'",
			       (int)MIN(word.n, (size_t)40), word.p ? word.p : "");
	return 0;
}

/* "a - b": a hyphen that stands alone. */
static bool take_hyphen(struct str *s)
{
	struct str at = *s;

	if (!at.n || !is_blank(at.p[0]))
		return false;
	skip_blanks(&at);
	if (at.n < 2 || at.p[0] != '-' || !is_blank(at.p[1]))
		return false;
	*s = str_sub(at, 1, at.n);
	skip_blanks(s);
	return true;
}

static int parse_alternative(struct str s, struct semver_range *r, struct err *err)
{
	bool first = true;

	for (;;) {
		struct semver_term *t = &r->v[r->n];

		while (s.n && (is_blank(s.p[0]) || s.p[0] == ','))
			s = str_sub(s, 1, s.n);
		if (!s.n)
			break;
		if (r->n + 2 > SEMVER_RANGE_MAX)
			return err_set(err, ERR_LIMIT, "a range of more than %d comparisons",
				       SEMVER_RANGE_MAX);
		if (parse_term(&s, t, err))
			return -1;
		t->or_before = first;
		first = false;
		r->n++;
		if (t->op == OP_EQ && take_hyphen(&s)) {
			t->op = OP_GE;
			if (parse_term(&s, t + 1, err))
				return -1;
			t[1].op = OP_LE;
			r->n++;
		}
	}
	return first ? err_set(err, ERR_INVALID, "an empty alternative in a range") : 0;
}

int semver_range_parse(struct arena *a, struct str text, struct semver_range *ret, struct err *err)
{
	struct semver_range r = {.v = arena_array(a, SEMVER_RANGE_MAX + 2, sizeof(*r.v))};
	ptrdiff_t at;

	if (text.n > SEMVER_RANGE_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "a range longer than %d bytes",
			       SEMVER_RANGE_TEXT_MAX);
	while ((at = str_find(text, STR("||"))) >= 0) {
		if (parse_alternative(str_sub(text, 0, (size_t)at), &r, err))
			return -1;
		text = str_sub(text, (size_t)at + 2, text.n);
	}
	if (parse_alternative(text, &r, err))
		return -1;
	*ret = r;
	return 0;
}

/* ---- fitting ---- */

static bool fits_tilde(const struct semver_term *t, const struct semver *v)
{
	const struct semver *c = &t->v;

	if (semver_cmp(v, c) < 0)
		return false;
	if (!c->major && !c->minor && !c->patch && !t->minor && !t->patch)
		return true; /* "*" and ~0.0.0 */
	return v->major == c->major && (v->minor == c->minor || t->minor);
}

static bool fits_caret(const struct semver_term *t, const struct semver *v)
{
	const struct semver *c = &t->v;

	if (semver_cmp(v, c) < 0)
		return false;
	if (t->dirty && !t->minor && !t->patch)
		return true; /* ^* */
	if (c->major || t->minor)
		return v->major == c->major;
	if (v->major)
		return false;
	if (c->minor || t->patch)
		return v->minor == c->minor;
	return !v->minor && v->patch == c->patch;
}

static bool fits_greater(const struct semver_term *t, const struct semver *v)
{
	if (t->dirty && v->major != t->v.major)
		return v->major > t->v.major;
	if (t->minor)
		return false; /* >1 is beyond all of 1.x */
	if (t->patch)
		return v->minor > t->v.minor;
	return semver_cmp(v, &t->v) > 0;
}

static bool fits_at_most(const struct semver_term *t, const struct semver *v)
{
	if (!t->dirty)
		return semver_cmp(v, &t->v) <= 0;
	if (v->major != t->v.major)
		return v->major < t->v.major;
	return t->minor || v->minor <= t->v.minor;
}

static bool differs(const struct semver_term *t, const struct semver *v)
{
	if (!t->dirty)
		return semver_cmp(v, &t->v) != 0;
	if (v->major != t->v.major)
		return t->minor || t->patch;
	return t->patch && v->minor != t->v.minor;
}

static bool fits_term(const struct semver_term *t, const struct semver *v)
{
	if (v->pre.n && !t->v.pre.n)
		return false;
	switch (t->op) {
	case OP_EQ:
		return t->dirty ? fits_tilde(t, v) : semver_cmp(v, &t->v) == 0;
	case OP_NE:
		return differs(t, v);
	case OP_GT:
		return fits_greater(t, v);
	case OP_LT:
		return semver_cmp(v, &t->v) < 0;
	case OP_GE:
		return semver_cmp(v, &t->v) >= 0;
	case OP_LE:
		return fits_at_most(t, v);
	case OP_TILDE:
		return fits_tilde(t, v);
	case OP_CARET:
		return fits_caret(t, v);
	}
	return false;
}

bool semver_fits(const struct semver_range *r, const struct semver *v)
{
	bool all = false;

	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].or_before) {
			if (all)
				return true;
			all = true;
		}
		all = all && fits_term(&r->v[i], v);
	}
	return all;
}
