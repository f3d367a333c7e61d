/*
 * Reading and judging in one pass: each rule of the grammar takes its text and gives its value;
 * with `dry` set it only takes the text. A macro goes over its body's text once per item. A missing
 * field is an error value, which && and || may absorb as CEL has it. Bounded by depth and by steps.
 * Pure; memory: the caller's arena.
 */
#include "lib/json/cel.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/pure.h"

#define DEPTH_MAX 40
#define STEPS_MAX 200000

struct scope {
	const struct scope *outer;
	struct str name;
	const struct json *value;
};

struct cel {
	struct arena *a;
	struct str text;
	size_t at;
	const struct json *vars;
	const struct scope *scope;
	bool dry;
	unsigned depth, steps;
	struct err *err; /* of the text: ends everything */
	bool bad;
	struct str missing; /* the last error value's reason */
};

/* NULL is CEL's error value. */
static const struct json *expression(struct cel *c);

/* ---- text ---- */

static const struct json *refuse(struct cel *c, const char *why)
{
	if (!c->bad)
		err_set(c->err, ERR_INVALID, "at character %zu: %s", c->at + 1, why);
	c->bad = true;
	c->at = c->text.n;
	return NULL;
}

static void skip_space(struct cel *c)
{
	while (c->at < c->text.n && isspace((unsigned char)c->text.p[c->at]))
		c->at++;
}

static bool take(struct cel *c, const char *token)
{
	size_t n = strlen(token);

	skip_space(c);
	if (!str_is(str_sub(c->text, c->at, n), token))
		return false;
	c->at += n;
	return true;
}

static bool is_word(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_';
}

static struct str take_word(struct cel *c)
{
	size_t from;

	skip_space(c);
	from = c->at;
	if (c->at < c->text.n && isdigit((unsigned char)c->text.p[c->at]))
		return STR_NONE;
	while (c->at < c->text.n && is_word(c->text.p[c->at]))
		c->at++;
	return str_sub(c->text, from, c->at - from);
}

static void need(struct cel *c, const char *token)
{
	if (!take(c, token))
		refuse(c, token[0] == ')' ? "a ) is missing" : "this form is not supported");
}

static const struct json *boolean(struct cel *c, bool b)
{
	return json_new_bool(c->a, b);
}

static const struct json *missing(struct cel *c, struct str what)
{
	if (!c->dry)
		c->missing = what;
	return NULL;
}

/* ---- literals ---- */

static const struct json *text_literal(struct cel *c, char quote)
{
	AUTO(buf) struct buf out = {0};

	for (c->at++; c->at < c->text.n && c->text.p[c->at] != quote; c->at++) {
		char ch = c->text.p[c->at];

		if (ch == '\\' && c->at + 1 < c->text.n) {
			ch = c->text.p[++c->at];
			if (!strchr("\\'\"", ch))
				return refuse(c, "this escape is not supported");
		}
		buf_putc(&out, ch);
	}
	if (c->at >= c->text.n)
		return refuse(c, "a quote is missing");
	c->at++;
	return json_new_str(c->a, buf_view(&out));
}

static const struct json *number_literal(struct cel *c)
{
	size_t from = c->at;
	int64_t i;

	while (c->at < c->text.n && isdigit((unsigned char)c->text.p[c->at]))
		c->at++;
	if (str_to_i64(str_sub(c->text, from, c->at - from), &i) ||
	    (c->at < c->text.n && (c->text.p[c->at] == '.' || is_word(c->text.p[c->at]))))
		return refuse(c, "only whole numbers are supported");
	return json_new_int(c->a, i);
}

static const struct json *list_literal(struct cel *c)
{
	struct json *list = json_new(c->a, JSON_ARRAY);

	while (!c->bad && !take(c, "]")) {
		const struct json *v = expression(c);

		if (v)
			json_append(c->a, list, v);
		if (!take(c, ",")) {
			need(c, "]");
			break;
		}
	}
	return list;
}

/* ---- macros and functions of a value ---- */

enum macro { FILTER, EXISTS, ALL, EXISTS_ONE };

static bool truth(const struct json *v, bool *ret)
{
	if (!json_is(v, JSON_BOOL))
		return false;
	*ret = v->b;
	return true;
}

struct tally {
	size_t hits, misses, errors;
	struct json *kept;
};

static void each(struct cel *c, const struct json *list, struct str name, struct tally *t)
{
	size_t body = c->at, end;
	struct scope inner = {.outer = c->scope, .name = name};
	bool dry = c->dry, hit;

	c->scope = &inner;
	c->dry = true;
	expression(c);
	end = c->at;
	c->dry = dry;
	for (size_t i = 0; !c->bad && !dry && i < json_len(list); i++) {
		inner.value = json_item(list, i);
		c->at = body;
		if (!truth(expression(c), &hit))
			t->errors++;
		else if (hit && ++t->hits)
			json_append(c->a, t->kept, inner.value);
		else
			t->misses++;
	}
	c->scope = inner.outer;
	if (!c->bad)
		c->at = end;
}

static const struct json *macro(struct cel *c, const struct json *list, enum macro which)
{
	struct tally t = {.kept = json_new(c->a, JSON_ARRAY)};
	struct str name = take_word(c);

	if (!name.n)
		return refuse(c, "a variable is missing");
	need(c, ",");
	each(c, list, name, &t);
	need(c, ")");
	if (!list || c->bad)
		return NULL;
	switch (which) {
	case FILTER:
		return t.errors ? NULL : t.kept;
	case EXISTS:
		return t.hits || !t.errors ? boolean(c, t.hits > 0) : NULL;
	case ALL:
		return t.misses || !t.errors ? boolean(c, !t.misses) : NULL;
	case EXISTS_ONE:
		return t.errors ? NULL : boolean(c, t.hits == 1);
	}
	return NULL;
}

static const struct json *size_of(struct cel *c, const struct json *v)
{
	if (json_is(v, JSON_STRING))
		return json_new_int(c->a, (int64_t)json_str(v).n);
	if (json_is(v, JSON_ARRAY) || json_is(v, JSON_OBJECT))
		return json_new_int(c->a, (int64_t)json_len(v));
	return NULL;
}

static const struct json *text_function(struct cel *c, const struct json *v, struct str name)
{
	const struct json *arg = expression(c);
	struct str s = json_str(v), what = json_str(arg);

	need(c, ")");
	if (!s.p || !what.p)
		return NULL;
	if (str_is(name, "startsWith"))
		return boolean(c, str_starts(s, what));
	if (str_is(name, "endsWith"))
		return boolean(c, str_ends(s, what));
	return boolean(c, str_find(s, what) >= 0);
}

static const struct json *method(struct cel *c, const struct json *v, struct str name)
{
	static const char *const macros[] = {"filter", "exists", "all", "exists_one"};

	for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
		if (str_is(name, macros[i]))
			return macro(c, v, (enum macro)i);
	}
	if (str_is(name, "size")) {
		need(c, ")");
		return size_of(c, v);
	}
	if (str_is(name, "startsWith") || str_is(name, "endsWith") || str_is(name, "contains"))
		return text_function(c, v, name);
	return refuse(c, "this function is not supported");
}

/* ---- operands ---- */

static const struct json *variable(struct cel *c, struct str name)
{
	for (const struct scope *s = c->scope; s; s = s->outer) {
		if (str_eq(s->name, name))
			return s->value;
	}
	return json_get(c->vars, name) ?: missing(c, name);
}

/* has(a.b.c): whether it is there; what stands before the last field must be. */
static const struct json *has(struct cel *c)
{
	struct str before = c->missing;
	const struct json *v = expression(c);

	need(c, ")");
	c->missing = before;
	return boolean(c, v != NULL);
}

static const struct json *primary(struct cel *c)
{
	struct str word;
	const struct json *v;

	skip_space(c);
	if (c->at >= c->text.n)
		return refuse(c, "something is missing");
	if (strchr("'\"", c->text.p[c->at]))
		return text_literal(c, c->text.p[c->at]);
	if (isdigit((unsigned char)c->text.p[c->at]))
		return number_literal(c);
	if (take(c, "(")) {
		v = expression(c);
		need(c, ")");
		return v;
	}
	if (take(c, "["))
		return list_literal(c);
	word = take_word(c);
	if (!word.n)
		return refuse(c, "this form is not supported");
	if (str_is(word, "true") || str_is(word, "false"))
		return boolean(c, word.p[0] == 't');
	if (str_is(word, "null"))
		return json_new(c->a, JSON_NULL);
	if (!take(c, "("))
		return variable(c, word);
	if (str_is(word, "has"))
		return has(c);
	if (!str_is(word, "size"))
		return refuse(c, "this function is not supported");
	v = expression(c);
	need(c, ")");
	return size_of(c, v);
}

static const struct json *index_of(struct cel *c, const struct json *v)
{
	const struct json *key = expression(c);

	need(c, "]");
	if (json_is(key, JSON_STRING))
		return json_get(v, json_str(key));
	return json_is(key, JSON_INT) && key->i >= 0 ? json_item(v, (size_t)key->i) : NULL;
}

static const struct json *member(struct cel *c)
{
	const struct json *v = primary(c);

	while (!c->bad) {
		if (take(c, "[")) {
			v = index_of(c, v);
		} else if (take(c, ".")) {
			struct str name = take_word(c);

			if (!name.n)
				return refuse(c, "a field's name is missing");
			if (take(c, "("))
				v = method(c, v, name);
			else
				v = json_get(v, name) ?: missing(c, name);
		} else {
			break;
		}
	}
	return v;
}

static const struct json *unary(struct cel *c)
{
	bool b;

	skip_space(c);
	if (c->at + 1 < c->text.n && c->text.p[c->at] == '!' && c->text.p[c->at + 1] != '=') {
		c->at++;
		return truth(unary(c), &b) ? boolean(c, !b) : NULL;
	}
	if (take(c, "-")) {
		const struct json *v = unary(c);

		return json_is(v, JSON_INT) ? json_new_int(c->a, -v->i) : NULL;
	}
	return member(c);
}

/* ---- operators, from the tightest ---- */

static const struct json *sum(struct cel *c)
{
	const struct json *v = unary(c);

	for (;;) {
		bool plus = take(c, "+");
		const struct json *w;
		int64_t n;

		if (!plus && !take(c, "-"))
			return v;
		w = unary(c);
		if (!json_is(v, JSON_INT) || !json_is(w, JSON_INT) ||
		    (plus ? __builtin_add_overflow(v->i, w->i, &n)
			  : __builtin_sub_overflow(v->i, w->i, &n)))
			v = NULL;
		else
			v = json_new_int(c->a, n);
	}
}

static const struct json *ordered(struct cel *c, const char *op, const struct json *v,
				  const struct json *w)
{
	int order;

	if (json_is(v, JSON_STRING) && json_is(w, JSON_STRING))
		order = str_cmp(json_str(v), json_str(w));
	else if (json_is(v, JSON_INT) && json_is(w, JSON_INT))
		order = (v->i > w->i) - (v->i < w->i);
	else
		return NULL;
	if (op[0] == '<')
		return boolean(c, op[1] ? order <= 0 : order < 0);
	return boolean(c, op[1] ? order >= 0 : order > 0);
}

static const struct json *contained(struct cel *c, const struct json *v, const struct json *w)
{
	if (json_is(w, JSON_OBJECT))
		return boolean(c, json_get(w, json_str(v)) != NULL);
	for (size_t i = 0; v && i < json_len(w); i++) {
		if (json_equal(json_item(w, i), v))
			return boolean(c, true);
	}
	return v && json_is(w, JSON_ARRAY) ? boolean(c, false) : NULL;
}

static bool take_in(struct cel *c)
{
	size_t mark = c->at;

	if (str_is(take_word(c), "in"))
		return true;
	c->at = mark;
	return false;
}

static const struct json *comparison(struct cel *c)
{
	static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};
	const struct json *v = sum(c), *w;

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (!take(c, ops[i]))
			continue;
		w = sum(c);
		if (!v || !w)
			return NULL;
		return i < 2 ? boolean(c, json_equal(v, w) == (i == 0)) : ordered(c, ops[i], v, w);
	}
	if (!take_in(c))
		return v;
	w = sum(c);
	return contained(c, v, w);
}

/* One side that decides makes the other's error harmless. */
static const struct json *junction(struct cel *c, const struct json *(*side)(struct cel *),
				   const char *op, bool decides)
{
	const struct json *v = side(c);

	while (!c->bad && take(c, op)) {
		const struct json *w = side(c);
		bool x, y, know_x = truth(v, &x), know_y = truth(w, &y);

		if ((know_x && x == decides) || (know_y && y == decides))
			v = boolean(c, decides);
		else
			v = know_x && know_y ? boolean(c, !decides) : NULL;
	}
	return v;
}

static const struct json *conjunction(struct cel *c)
{
	return junction(c, comparison, "&&", false);
}

static const struct json *disjunction(struct cel *c)
{
	return junction(c, conjunction, "||", true);
}

static const struct json *expression(struct cel *c)
{
	const struct json *v, *yes, *no;
	bool b;

	if (c->bad || ++c->steps > STEPS_MAX || c->depth >= DEPTH_MAX)
		return refuse(c, "too long");
	c->depth++;
	v = disjunction(c);
	if (!c->bad && take(c, "?")) {
		yes = expression(c);
		need(c, ":");
		no = expression(c);
		v = truth(v, &b) ? b ? yes : no : NULL;
	}
	c->depth--;
	return v;
}

static const struct json *whole(struct cel *c)
{
	const struct json *v;

	if (c->text.n > CEL_TEXT_MAX)
		return refuse(c, "too long");
	v = expression(c);
	skip_space(c);
	if (!c->bad && c->at < c->text.n)
		return refuse(c, "this form is not supported");
	return v;
}

int cel_check(struct str text, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct cel c = {.a = &a, .text = text, .dry = true, .err = err};

	whole(&c);
	return c.bad ? -1 : 0;
}

int cel_test(struct arena *a, struct str text, const struct json *vars, bool *ret, struct err *err)
{
	struct cel c = {.a = a, .text = text, .vars = vars, .err = err};
	const struct json *v = whole(&c);

	if (c.bad)
		return -1;
	if (!v && c.missing.n)
		return err_set(err, ERR_INVALID, "there is no %.*s", STR_ARG(c.missing));
	if (!truth(v, ret))
		return err_set(err, ERR_INVALID, "the result is no boolean");
	return 0;
}
