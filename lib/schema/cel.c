/*
 * CEL's doors: compiling a text, evaluating what came of it, and both at once for texts that are
 * judged now and then. Pure; memory is the caller's arenas.
 */
#include <stdio.h>
#include <string.h>

#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

/* ---- refusing ---- */

static struct str line_at(struct str text, size_t at, size_t *ret_line, size_t *ret_column)
{
	size_t from = 0, to;

	*ret_line = 1;
	at = MIN(at, text.n);
	for (size_t i = 0; i < at; i++)
		if (text.p[i] == '\n') {
			from = i + 1;
			++*ret_line;
		}
	for (to = from; to < text.n && text.p[to] != '\n';)
		to++;
	*ret_column = at - from;
	return str_sub(text, from, to - from);
}

struct cel_node *cel_refuse(struct cel_parse *p, size_t at, const char *fmt, ...)
{
	char why[250], dots[81];
	size_t line_no, column;
	struct str line;
	va_list ap;

	if (p->bad)
		return NULL;
	p->bad = true;
	/* Nothing is read after it. */
	p->lex.at = p->lex.text.n;
	p->lex.token = CEL_T_END;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	line = line_at(p->lex.text, at, &line_no, &column);
	if (line.n > 120 || column > sizeof(dots) - 1) {
		err_set(p->err, ERR_INVALID, "ERROR: <input>:%zu:%zu: %s", line_no, column + 1,
			why);
		return NULL;
	}
	memset(dots, '.', sizeof(dots) - 1);
	dots[column] = '\0';
	err_set(p->err, ERR_INVALID, "ERROR: <input>:%zu:%zu: %s\n | %.*s\n | %s^", line_no,
		column + 1, why, STR_ARG(line), dots);
	return NULL;
}

/* ---- functions by name ---- */

static const struct cel_fn *const libraries[] = {cel_fns_standard,  cel_fns_text, cel_fns_lists,
						 cel_fns_time,      cel_fns_net,  cel_fns_numbers,
						 cel_fns_authorizer};

const struct cel_fn *const *cel_functions(struct arena *a, struct str name, bool method)
{
	const struct cel_fn *found[24];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(libraries); i++)
		for (const struct cel_fn *f = libraries[i]; f->name; f++)
			if (f->method == method && str_is(name, f->name) &&
			    n + 1 < ARRAY_LEN(found))
				found[n++] = f;
	found[n] = NULL;
	return n ? arena_dup(a, found, (n + 1) * sizeof(struct cel_fn *)) : NULL;
}

/* ---- compiling ---- */

static bool gives(const struct cel_node *e, enum cel_want want)
{
	if (e->type == CEL_ANY || want == CEL_WANT_ANY)
		return true;
	if (want == CEL_WANT_BOOL)
		return e->type == CEL_BOOL;
	return e->type == CEL_STRING || (want == CEL_WANT_STRING_OR_NULL && e->type == CEL_NULL);
}

struct cel_program *cel_compile(struct arena *a, struct str text, const struct cel_env *env,
				enum cel_want want, struct err *err)
{
	static const char *const wants[] = {"", "a bool", "a string", "a string or null"};
	struct cel_parse p = {.a = a, .env = env, .err = err};
	struct cel_program *r;

	if (text.n > CEL_TEXT_MAX) {
		err_set(err, ERR_INVALID, "ERROR: the expression is longer than %d bytes",
			CEL_TEXT_MAX);
		return NULL;
	}
	r = arena_alloc(a, sizeof(*r));
	r->text = arena_str(a, text);
	p.lex = (struct cel_lex){.a = a, .text = r->text};
	r->root = cel_parse(&p);
	if (p.bad || !r->root)
		return NULL;
	r->names = p.names;
	r->nnames = p.nnames;
	if (gives(r->root, want))
		return r;
	err_set(err, ERR_INVALID, "must evaluate to %s", wants[want]);
	return NULL;
}

bool cel_uses(const struct cel_program *p, const char *name)
{
	for (size_t i = 0; i < p->nnames; i++)
		if (str_is(p->names[i], name))
			return true;
	return false;
}

/* ---- evaluating ---- */

static int evaluate(const struct cel_program *p, struct cel *c, struct cel_value *ret,
		    struct err *err)
{
	c->budget = c->env->budget ? MIN(*c->env->budget, CEL_COST_CALL) : CEL_COST_CALL;
	int64_t before = c->budget;

	*ret = cel_run(c, p->root);
	if (c->env->budget)
		*c->env->budget -= before - c->budget;
	if (c->stop)
		return err_set(err, ERR_INVALID, "%s", c->stop);
	if (ret->type == CEL_ERROR)
		return err_set(err, ERR_INVALID, "%.*s", STR_ARG(ret->s));
	return 0;
}

struct cel_lazy_state *cel_lazy_new(struct arena *a)
{
	return arena_alloc(a, sizeof(struct cel_lazy_state));
}

int cel_eval_bool(const struct cel_program *p, struct arena *a, const struct cel_env *env,
		  bool *ret, struct err *err)
{
	struct cel c = {.a = a, .env = env};
	struct cel_value v;

	if (evaluate(p, &c, &v, err))
		return -1;
	if (v.type != CEL_BOOL)
		return err_set(err, ERR_INVALID, "the result is no boolean but of type %s",
			       cel_type_name((enum cel_type)v.type));
	*ret = v.b;
	return 0;
}

int cel_eval_string(const struct cel_program *p, struct arena *a, const struct cel_env *env,
		    struct str *ret, struct err *err)
{
	struct cel c = {.a = a, .env = env};
	struct cel_value v;

	if (evaluate(p, &c, &v, err))
		return -1;
	*ret = STR_NONE;
	if (v.type == CEL_NULL)
		return 0;
	if (v.type != CEL_STRING)
		return err_set(err, ERR_INVALID, "the result is no string but of type %s",
			       cel_type_name((enum cel_type)v.type));
	*ret = v.s.p ? v.s : STR("");
	return 0;
}

struct json *cel_eval_json(const struct cel_program *p, struct arena *a, const struct cel_env *env,
			   struct err *err)
{
	struct cel c = {.a = a, .env = env};
	struct cel_value v;

	return evaluate(p, &c, &v, err) ? NULL : cel_to_json(&c, &v);
}

/* ---- both at once ---- */

int cel_check(struct str text, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct cel_env env = {0};

	return cel_compile(&a, text, &env, CEL_WANT_BOOL, err) ? 0 : -1;
}

int cel_test(struct arena *a, struct str text, const struct json *vars, bool *ret, struct err *err)
{
	struct cel_env env = {.root = vars};
	const struct cel_program *p = cel_compile(a, text, &env, CEL_WANT_BOOL, err);

	return p ? cel_eval_bool(p, a, &env, ret, err) : -1;
}
