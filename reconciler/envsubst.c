/*
 * ${…}: reading and evaluating in one pass, by recursive descent. What comes out of a variable is
 * never read again, so a value cannot smuggle an expression in.
 * Pure. Memory: the caller's buffer, and scratch that is freed (and wiped: values may be secret)
 * before the return.
 */
#include "reconciler/envsubst.h"

#include <string.h>

#include "lib/base/pure.h"

#define DEPTH_MAX 16
#define QUOTE_MAX 60

struct run {
	const struct envsubst *e;
	struct str in;
	size_t at;
	unsigned depth;
	bool sensitive;
};

static bool is_name_char(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

bool envsubst_name_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_name_char(s.p[i]))
			return false;
	}
	return s.n > 0 && !(s.p[0] >= '0' && s.p[0] <= '9');
}

bool envsubst_wanted(struct str text)
{
	return str_find(text, STR("${")) >= 0 || str_find(text, STR("$$")) >= 0;
}

static struct str rest(const struct run *r)
{
	return str_sub(r->in, r->at, r->in.n);
}

static char peek(const struct run *r)
{
	return r->at < r->in.n ? r->in.p[r->at] : 0;
}

static bool skip(struct run *r, const char *text)
{
	if (!str_starts(rest(r), str_c(text)))
		return false;
	r->at += strlen(text);
	return true;
}

/* As much of the expression that began at `from` as a message can show. */
static int bad(const struct run *r, size_t from, const char *why, struct err *err)
{
	struct str text = str_sub(r->in, from, MIN(r->in.n - from, (size_t)QUOTE_MAX));
	ptrdiff_t end = str_find(text, STR("}"));

	if (end >= 0)
		text.n = (size_t)end + 1;
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < ' ')
			text.n = i;
	}
	while (text.n && !str_is_utf8(text))
		text.n--;
	return err_set(err, ERR_INVALID, "%.*s: %s", STR_ARG(text), why);
}

static int too_long(const struct buf *out, struct err *err)
{
	return out->n > ENVSUBST_MAX ? err_set(err, ERR_LIMIT, "too long after substitution") : 0;
}

static int expression(struct run *r, struct buf *out, struct err *err);

/* What follows an operator, up to a byte of `stops`; expressions in it are evaluated. */
static int word(struct run *r, const char *stops, bool escapes, struct buf *out, struct err *err)
{
	while (r->at < r->in.n && !strchr(stops, peek(r))) {
		if (str_starts(rest(r), STR("${"))) {
			if (expression(r, out, err))
				return -1;
			continue;
		}
		if (escapes && (str_starts(rest(r), STR("\\/")) ||
				str_starts(rest(r), STR("\\\\")) || str_starts(rest(r), STR("$$"))))
			r->at++;
		buf_putc(out, r->in.p[r->at++]);
	}
	return too_long(out, err);
}

struct parts {
	struct str name, op;
	struct buf first, second;
	bool two;
	size_t from; /* where the expression began */
};

static void parts_cleanup(struct parts *p)
{
	buf_wipe(&p->first);
	buf_wipe(&p->second);
}

static int read_words(struct run *r, struct parts *p, struct err *err)
{
	if (p->op.p[0] == '/') {
		if (word(r, "/", true, &p->first, err))
			return -1;
		if (!skip(r, "/"))
			return bad(r, p->from, "${name/text/new} is expected", err);
		return word(r, "}", true, &p->second, err);
	}
	if (!str_is(p->op, ":"))
		return word(r, "}", false, &p->first, err);
	if (word(r, ":}", false, &p->first, err))
		return -1;
	p->two = skip(r, ":");
	if (!p->first.n)
		return bad(r, p->from, "an offset is expected", err);
	return p->two ? word(r, "}", false, &p->second, err) : 0;
}

static struct str read_op(struct run *r)
{
	static const char *const ops[] = {":-", ":=", ":",  "-", "=",  "^^", "^",  ",,", ",",
					  "##", "#",  "%%", "%", "//", "/#", "/%", "/"};
	size_t from = r->at;

	if (str_starts(rest(r), STR(":?")) || str_starts(rest(r), STR(":+")))
		return STR_NONE;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (skip(r, ops[i]))
			break;
	}
	return str_sub(r->in, from, r->at - from);
}

static int apply(const struct run *r, const struct parts *p, struct str value, struct buf *out,
		 struct err *err)
{
	struct str first = buf_view(&p->first), second = buf_view(&p->second);

	switch (p->op.p[0]) {
	case '^':
	case ',':
		if (first.n)
			return bad(r, p->from, "nothing is expected after ^ and ,", err);
		envsubst_case(value, p->op, out);
		return 0;
	case ':':
		envsubst_slice(value, first, p->two ? &second : NULL, out);
		return 0;
	case '/':
		return envsubst_replace(value, p->op, first, second, out, err);
	default:
		return envsubst_trim(value, p->op, first, out, err);
	}
}

static bool is_default(struct str op)
{
	return op.n && (op.p[op.n - 1] == '-' || op.p[op.n - 1] == '=');
}

static int evaluate(struct run *r, const struct parts *p, bool length, struct buf *out,
		    struct err *err)
{
	struct str value = STR("");
	bool found = r->e->find(r->e->ctx, p->name, &value, &r->sensitive);

	if (is_default(p->op)) {
		/* Only - alone tells an empty value from none. */
		bool use = !found || (!value.n && !str_is(p->op, "-"));

		buf_str(out, use ? buf_view(&p->first) : value);
		return 0;
	}
	if (!found)
		return err_set(err, ERR_INVALID, "variable %.*s is not set", STR_ARG(p->name));
	if (length)
		buf_printf(out, "%zu", value.n);
	else if (!p->op.n)
		buf_str(out, value);
	else
		return apply(r, p, value, out, err);
	return 0;
}

static int read_expression(struct run *r, struct buf *out, struct err *err)
{
	AUTO(parts) struct parts p = {.from = r->at};
	bool length;
	size_t from;

	r->at += 2;
	length = skip(r, "#");
	from = r->at;
	while (is_name_char(peek(r)))
		r->at++;
	p.name = str_sub(r->in, from, r->at - from);
	if (!envsubst_name_ok(p.name))
		return bad(r, p.from, "not a variable", err);
	if (!length && peek(r) != '}') {
		p.op = read_op(r);
		if (!p.op.n)
			return bad(r, p.from,
				   r->at < r->in.n ? "this form is not supported"
						   : "the brace is not closed",
				   err);
		if (read_words(r, &p, err))
			return -1;
	}
	if (!skip(r, "}"))
		return bad(r, p.from, "the brace is not closed", err);
	if (evaluate(r, &p, length, out, err))
		return -1;
	return too_long(out, err);
}

static int expression(struct run *r, struct buf *out, struct err *err)
{
	int failed;

	if (r->depth >= DEPTH_MAX)
		return bad(r, r->at, "too many expressions within one another", err);
	r->depth++;
	failed = read_expression(r, out, err);
	r->depth--;
	return failed;
}

int envsubst(const struct envsubst *e, struct str text, struct buf *out, bool *sensitive,
	     struct err *err)
{
	struct run r = {.e = e, .in = text};

	while (r.at < text.n) {
		if (str_starts(rest(&r), STR("${"))) {
			if (expression(&r, out, err))
				return -1;
			continue;
		}
		if (str_starts(rest(&r), STR("$$")))
			r.at++;
		buf_putc(out, text.p[r.at++]);
	}
	*sensitive |= r.sensitive;
	return too_long(out, err);
}
