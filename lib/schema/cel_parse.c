/*
 * CEL's grammar, by descent: each rule gives a node of the tree, names are resolved and macros
 * expanded on the way. Never recurses deeper than CEL_DEPTH_MAX, and never makes a tree deeper than
 * that. Pure; the tree is in the arena.
 */
#include <string.h>

#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define NESTING_MAX 120

static struct cel_node *expression(struct cel_parse *p);

/* ---- nodes ---- */

static bool is_punct(const struct cel_parse *p, const char *what)
{
	return p->lex.token == CEL_T_PUNCT && str_is(p->lex.word, what);
}

static bool take(struct cel_parse *p, const char *what)
{
	if (p->bad || !is_punct(p, what))
		return false;
	cel_next(&p->lex);
	return true;
}

static struct cel_node *unexpected(struct cel_parse *p)
{
	const struct cel_lex *l = &p->lex;
	struct str word = str_sub(l->text, l->start, l->at - l->start);

	if (l->token == CEL_T_BAD)
		return cel_refuse(p, l->start, "%s", l->why);
	if (l->token == CEL_T_END)
		return cel_refuse(p, l->start, "Syntax error: mismatched input '<EOF>'");
	return cel_refuse(p, l->start, "Syntax error: mismatched input '%.*s'",
			  (int)MIN(word.n, 60), word.p);
}

static bool need(struct cel_parse *p, const char *what)
{
	if (take(p, what))
		return true;
	unexpected(p);
	return false;
}

static struct cel_node *node(struct cel_parse *p, enum cel_op op, size_t at, size_t n)
{
	struct cel_node *e = arena_alloc(p->a, sizeof(*e));

	e->op = (uint8_t)op;
	e->at = (uint32_t)at;
	e->type = CEL_ANY;
	e->n = n;
	e->args = n ? arena_array(p->a, n, sizeof(struct cel_node *)) : NULL;
	return e;
}

/* The node is whole: how deep it is, and of which type. */
static struct cel_node *finish(struct cel_parse *p, struct cel_node *e)
{
	unsigned depth = 0;

	if (p->bad)
		return NULL;
	for (size_t i = 0; i < e->n; i++)
		if (e->args[i] && e->args[i]->depth > depth)
			depth = e->args[i]->depth;
	e->depth = (uint16_t)(depth + 1);
	if (e->depth > CEL_DEPTH_MAX)
		return cel_refuse(p, e->at, "expression recursion limit exceeded: %d",
				  CEL_DEPTH_MAX);
	cel_type_node(p, e);
	return p->bad ? NULL : e;
}

static struct cel_node *constant(struct cel_parse *p, size_t at, struct cel_value v)
{
	struct cel_node *e = node(p, CEL_OP_CONST, at, 0);

	e->value = v;
	return finish(p, e);
}

/* A list of expressions that grows, then the arena's. */
struct parts {
	struct cel_node **v;
	bool *optional;
	size_t n, cap;
	bool any_optional;
};

static void add(struct cel_parse *p, struct parts *all, struct cel_node *e, bool optional)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 4;
		struct cel_node **v = arena_array(p->a, cap, sizeof(struct cel_node *));
		bool *o = arena_array(p->a, cap, sizeof(*o));

		for (size_t i = 0; i < all->n; i++) {
			v[i] = all->v[i];
			o[i] = all->optional[i];
		}
		all->v = v;
		all->optional = o;
		all->cap = cap;
	}
	all->v[all->n] = e;
	all->optional[all->n++] = optional;
	all->any_optional |= optional;
}

static struct cel_node *gathered(struct cel_parse *p, enum cel_op op, size_t at,
				 const struct parts *all)
{
	struct cel_node *e = node(p, op, at, 0);

	e->args = all->v;
	e->n = all->n;
	e->optional = all->any_optional ? all->optional : NULL;
	return e;
}

/* ---- names ---- */

static void note_name(struct cel_parse *p, struct str name)
{
	for (size_t i = 0; i < p->nnames; i++)
		if (str_eq(p->names[i], name))
			return;
	if (p->nnames == p->names_cap) {
		size_t cap = p->names_cap ? 2 * p->names_cap : 8;
		struct str *v = arena_array(p->a, cap, sizeof(*v));

		for (size_t i = 0; i < p->nnames; i++)
			v[i] = p->names[i];
		p->names = v;
		p->names_cap = cap;
	}
	p->names[p->nnames++] = name;
}

static struct cel_node *type_constant(struct cel_parse *p, size_t at, struct str name)
{
	enum cel_type type = cel_type_named(name);

	return type == CEL_ANY
		       ? NULL
		       : constant(p, at, (struct cel_value){.type = CEL_TYPE, .n = (uint32_t)type});
}

/* Names that hold points, tried as a whole: types and functions of libraries. */
static struct str dotted(struct cel_parse *p, struct str first, size_t parts)
{
	struct str name = first;

	for (size_t i = 1; i < parts; i++) {
		if (!take(p, ".") || p->lex.token != CEL_T_IDENT)
			return STR_NONE;
		name = arena_strf(p->a, "%.*s.%.*s", (int)MIN(name.n, 200), name.p,
				  (int)MIN(p->lex.word.n, 200), p->lex.word.p);
		cel_next(&p->lex);
	}
	return name;
}

static void arguments(struct cel_parse *p, struct parts *all, const char *end)
{
	while (!p->bad && !is_punct(p, end)) {
		add(p, all, expression(p), false);
		if (!take(p, ","))
			break;
		if (is_punct(p, end) && !strcmp(end, ")"))
			unexpected(p);
	}
	need(p, end);
}

static struct cel_node *call(struct cel_parse *p, size_t at, struct str name, struct cel_node *on)
{
	struct parts all = {0};
	struct cel_node *e;

	if (on)
		add(p, &all, on, false);
	arguments(p, &all, ")");
	if (p->bad)
		return NULL;
	e = gathered(p, CEL_OP_CALL, at, &all);
	e->name = name;
	e->fns = cel_functions(p->a, name, on != NULL);
	if (!e->fns)
		return cel_refuse(p, at, "undeclared reference to '%.*s' (in container '')",
				  (int)MIN(name.n, 100), name.p);
	return finish(p, e);
}

static struct cel_node *library(struct cel_parse *p, size_t at, struct str first)
{
	struct cel_lex saved = p->lex;
	struct cel_node *e;
	struct str name = dotted(p, first, 2);

	if (name.n && is_punct(p, "(") && cel_functions(p->a, name, false)) {
		take(p, "(");
		return call(p, at, name, NULL);
	}
	for (size_t parts = 2; parts <= 3 && !p->bad; parts++) {
		p->lex = saved;
		name = dotted(p, first, parts);
		e = name.n ? type_constant(p, at, name) : NULL;
		if (e)
			return e;
	}
	p->lex = saved;
	return NULL;
}

static struct cel_node *has(struct cel_parse *p, size_t at)
{
	struct cel_node *e = expression(p);

	need(p, ")");
	if (p->bad)
		return NULL;
	if (e->op != CEL_OP_SELECT)
		return cel_refuse(p, at, "invalid argument to has() macro");
	e->op = CEL_OP_HAS;
	return finish(p, e);
}

static struct cel_node *identifier(struct cel_parse *p)
{
	struct str name = p->lex.word;
	size_t at = p->lex.start;
	struct cel_node *e;
	bool quoted = p->lex.quoted;

	cel_next(&p->lex);
	if (quoted)
		return cel_refuse(p, at, "Syntax error: unsupported identifier");
	if (str_is(name, "true") || str_is(name, "false"))
		return constant(p, at, cel_of_bool(name.p[0] == 't'));
	if (str_is(name, "null"))
		return constant(p, at, (struct cel_value){.type = CEL_NULL});
	if (cel_is_reserved(name))
		return cel_refuse(p, at, "reserved identifier: %.*s", STR_ARG(name));
	if (take(p, "("))
		return str_is(name, "has") ? has(p, at) : call(p, at, name, NULL);
	for (size_t i = p->nlocals; i-- > 0;)
		if (str_eq(p->locals[i].name, name)) {
			e = node(p, CEL_OP_LOCAL, at, 0);
			e->slot = (uint16_t)i;
			return finish(p, e);
		}
	e = cel_variable(p, name) || !is_punct(p, ".") ? NULL : library(p, at, name);
	if (!e && !p->bad && !cel_variable(p, name))
		e = type_constant(p, at, name);
	if (e || p->bad)
		return e;
	if (p->env->vars && !cel_variable(p, name) &&
	    !(p->env->lazy && str_is(name, "variables")) &&
	    !(p->env->may && str_is(name, "authorizer")))
		return cel_refuse(p, at, "undeclared reference to '%.*s' (in container '')",
				  (int)MIN(name.n, 100), name.p);
	note_name(p, name);
	e = node(p, CEL_OP_IDENT, at, 0);
	e->name = name;
	return finish(p, e);
}

/* ---- macros ---- */

/* A variable and the comma behind it; the lexer stays where it was when there is none. */
static bool take_variable(struct cel_parse *p, struct str *ret)
{
	struct cel_lex saved = p->lex;

	*ret = p->lex.word;
	if (p->lex.token == CEL_T_IDENT && !p->lex.quoted && !cel_is_reserved(*ret)) {
		cel_next(&p->lex);
		if (take(p, ","))
			return true;
	}
	p->lex = saved;
	return false;
}

static void declare(struct cel_parse *p, size_t at, struct str name)
{
	if (p->nlocals >= CEL_SLOTS_MAX) {
		cel_refuse(p, at, "too many nested comprehensions");
		return;
	}
	p->locals[p->nlocals].name = name;
	p->locals[p->nlocals].type = CEL_ANY;
	p->locals[p->nlocals++].schema = NULL;
}

/* What stands behind the variables: the body, or a filter and the body. */
static void macro_body(struct cel_parse *p, const struct cel_macro_form *m, struct cel_node *e)
{
	struct cel_node *first = expression(p);

	if ((m->which == CEL_M_MAP || m->which == CEL_M_TRANSFORM_MAP) && take(p, ",")) {
		e->args[1] = first;
		first = expression(p);
	}
	e->args[2] = first;
	need(p, ")");
}

static struct cel_node *macro(struct cel_parse *p, const struct cel_macro_form *m, size_t at,
			      struct cel_node *over)
{
	struct cel_node *e = node(p, CEL_OP_MACRO, at, 3);
	struct str x, y;
	size_t before = p->nlocals;
	bool optional = m->which == CEL_M_OPT_MAP || m->which == CEL_M_OPT_FLAT_MAP;

	e->which = (uint8_t)m->which;
	e->args[0] = over;
	e->slot = (uint16_t)p->nlocals;
	if (!take_variable(p, &x))
		return cel_refuse(p, p->lex.start, "argument must be a simple name");
	declare(p, at, x);
	if (m->may_two && take_variable(p, &y)) {
		declare(p, at, y);
		e->two = true;
	} else if (m->must_two) {
		return cel_refuse(p, p->lex.start, "argument must be a simple name");
	}
	if (p->bad)
		return NULL;
	cel_type_locals(p, over, e->two, optional);
	macro_body(p, m, e);
	p->nlocals = before;
	return finish(p, e);
}

/* ---- operands ---- */

static struct cel_node *list(struct cel_parse *p, size_t at)
{
	struct parts all = {0};

	while (!p->bad && !is_punct(p, "]")) {
		bool optional = take(p, "?");

		add(p, &all, expression(p), optional);
		if (!take(p, ","))
			break;
	}
	need(p, "]");
	return p->bad ? NULL : finish(p, gathered(p, CEL_OP_LIST, at, &all));
}

static struct cel_node *map(struct cel_parse *p, size_t at)
{
	struct parts all = {0};

	while (!p->bad && !is_punct(p, "}")) {
		bool optional = take(p, "?");

		add(p, &all, expression(p), optional);
		need(p, ":");
		add(p, &all, p->bad ? NULL : expression(p), optional);
		if (!take(p, ","))
			break;
	}
	need(p, "}");
	return p->bad ? NULL : finish(p, gathered(p, CEL_OP_MAP, at, &all));
}

static struct cel_node *whole(struct cel_parse *p, bool minus)
{
	uint64_t u = p->lex.value.u;
	size_t at = p->lex.start;

	if (!minus && u > (uint64_t)INT64_MAX)
		return cel_refuse(p, at, "invalid int literal");
	cel_next(&p->lex);
	return constant(p, at, cel_of_int(minus ? (int64_t)(0 - u) : (int64_t)u));
}

static struct cel_node *primary(struct cel_parse *p)
{
	size_t at = p->lex.start;
	struct cel_node *e;
	struct cel_value v = p->lex.value;

	switch (p->lex.token) {
	case CEL_T_INT:
		return whole(p, false);
	case CEL_T_UINT:
	case CEL_T_DOUBLE:
	case CEL_T_STRING:
	case CEL_T_BYTES:
		cel_next(&p->lex);
		return constant(p, at, v);
	case CEL_T_IDENT:
		return identifier(p);
	case CEL_T_PUNCT:
		break;
	case CEL_T_END:
	case CEL_T_BAD:
		return unexpected(p);
	}
	if (take(p, "(")) {
		e = expression(p);
		return need(p, ")") ? e : NULL;
	}
	if (take(p, "["))
		return list(p, at);
	if (take(p, "{"))
		return map(p, at);
	if (take(p, ".") && p->lex.token == CEL_T_IDENT)
		return identifier(p);
	return unexpected(p);
}

/* Behind a point. */
static struct cel_node *selected(struct cel_parse *p, struct cel_node *on, size_t at)
{
	bool optional = take(p, "?");
	struct str name = p->lex.word;
	const struct cel_macro_form *m;
	struct cel_node *e;

	if (p->lex.token != CEL_T_IDENT ||
	    (!p->lex.quoted && (str_is(name, "in") || str_is(name, "true") ||
				str_is(name, "false") || str_is(name, "null"))))
		return unexpected(p);
	bool quoted = p->lex.quoted;

	cel_next(&p->lex);
	if (!optional && !quoted && take(p, "(")) {
		m = cel_macro_named(name);
		return m ? macro(p, m, at, on) : call(p, at, name, on);
	}
	e = node(p, optional ? CEL_OP_OPT_SELECT : CEL_OP_SELECT, at, 1);
	e->name = quoted ? name : cel_unescape(p->a, name);
	e->args[0] = on;
	return finish(p, e);
}

static struct cel_node *member(struct cel_parse *p)
{
	struct cel_node *e = primary(p), *next;

	while (!p->bad) {
		size_t at = p->lex.start;

		if (take(p, ".")) {
			e = selected(p, e, at);
		} else if (take(p, "[")) {
			next = node(p, take(p, "?") ? CEL_OP_OPT_INDEX : CEL_OP_INDEX, at, 2);
			next->args[0] = e;
			next->args[1] = expression(p);
			need(p, "]");
			e = finish(p, next);
		} else if (is_punct(p, "{")) {
			return cel_refuse(p, at, "messages are not supported");
		} else {
			break;
		}
	}
	return e;
}

static struct cel_node *unary(struct cel_parse *p)
{
	size_t at = p->lex.start;
	struct cel_node *e;
	bool no;

	if (!is_punct(p, "!") && !is_punct(p, "-"))
		return member(p);
	if (++p->depth > NESTING_MAX)
		return cel_refuse(p, at, "expression recursion limit exceeded: %d", NESTING_MAX);
	no = take(p, "!");
	if (!no)
		take(p, "-");
	if (!no && p->lex.token == CEL_T_INT && p->lex.value.u > (uint64_t)INT64_MAX) {
		p->depth--;
		return whole(p, true);
	}
	e = node(p, no ? CEL_OP_NOT : CEL_OP_NEG, at, 1);
	e->args[0] = unary(p);
	p->depth--;
	return finish(p, e);
}

/* ---- operators ---- */

static const struct {
	const char *text;
	enum cel_binary which;
	int level;
} binaries[] = {{"==", CEL_B_EQ, 0}, {"!=", CEL_B_NE, 0}, {"<=", CEL_B_LE, 0}, {">=", CEL_B_GE, 0},
		{"<", CEL_B_LT, 0},  {">", CEL_B_GT, 0},  {"+", CEL_B_ADD, 1}, {"-", CEL_B_SUB, 1},
		{"*", CEL_B_MUL, 2}, {"/", CEL_B_DIV, 2}, {"%", CEL_B_MOD, 2}};

static bool take_binary(struct cel_parse *p, int level, uint8_t *ret, struct str *ret_name)
{
	*ret_name = p->lex.word;
	if (!level && p->lex.token == CEL_T_IDENT && !p->lex.quoted && str_is(*ret_name, "in")) {
		cel_next(&p->lex);
		*ret = CEL_B_IN;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(binaries); i++)
		if (binaries[i].level == level && take(p, binaries[i].text)) {
			*ret = (uint8_t)binaries[i].which;
			return true;
		}
	return false;
}

static struct cel_node *binary(struct cel_parse *p, int level)
{
	struct cel_node *e = level == 2 ? unary(p) : binary(p, level + 1), *next;

	while (!p->bad) {
		struct str name;
		size_t at = p->lex.start;
		uint8_t which;

		if (!take_binary(p, level, &which, &name))
			break;
		next = node(p, CEL_OP_BINARY, at, 2);
		next->which = which;
		next->name = name;
		next->args[0] = e;
		next->args[1] = level == 2 ? unary(p) : binary(p, level + 1);
		e = finish(p, next);
	}
	return e;
}

/* a && b && c is one node: what it is long it isn't deep. */
static struct cel_node *junction(struct cel_parse *p, bool or)
{
	struct cel_node *first = or ? junction(p, false) : binary(p, 0);
	struct parts all = {0};
	size_t at = p->lex.start;

	if (p->bad || !is_punct(p, or ? "||" : "&&"))
		return first;
	add(p, &all, first, false);
	while (!p->bad && take(p, or ? "||" : "&&"))
		add(p, &all, or ? junction(p, false) : binary(p, 0), false);
	return p->bad ? NULL : finish(p, gathered(p, or ? CEL_OP_OR : CEL_OP_AND, at, &all));
}

static struct cel_node *expression(struct cel_parse *p)
{
	struct cel_node *e, *cond;
	size_t at = p->lex.start;

	if (p->bad)
		return NULL;
	if (++p->depth > NESTING_MAX)
		return cel_refuse(p, at, "expression recursion limit exceeded: %d", NESTING_MAX);
	e = junction(p, true);
	at = p->lex.start;
	if (take(p, "?")) {
		cond = node(p, CEL_OP_COND, at, 3);
		cond->args[0] = e;
		cond->args[1] = junction(p, true);
		need(p, ":");
		cond->args[2] = expression(p);
		e = finish(p, cond);
	}
	p->depth--;
	return p->bad ? NULL : e;
}

struct cel_node *cel_parse(struct cel_parse *p)
{
	struct cel_node *e;

	cel_next(&p->lex);
	e = expression(p);
	if (!p->bad && p->lex.token != CEL_T_END)
		return unexpected(p);
	return p->bad ? NULL : e;
}
