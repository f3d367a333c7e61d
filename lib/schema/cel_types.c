/*
 * What is known of an expression's types before it is evaluated: from schemas, literals and
 * functions' signatures. Refuses fields that don't exist and operands that can never fit, in
 * cel-go's words; what isn't known goes through and is judged while evaluating. Pure.
 */
#include <string.h>

#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

uint8_t cel_type_of_schema(const struct schema *s)
{
	if (!s)
		return CEL_ANY;
	switch (s->type) {
	case SCHEMA_STRING:
		if (s->format && !strcmp(s->format, "duration"))
			return CEL_DURATION;
		return s->format && !strcmp(s->format, "date") ? CEL_TIMESTAMP : CEL_STRING;
	case SCHEMA_INT:
		return CEL_INT;
	case SCHEMA_NUMBER:
		return CEL_DOUBLE;
	case SCHEMA_BOOL:
		return CEL_BOOL;
	case SCHEMA_OBJECT:
	case SCHEMA_MAP:
		return CEL_MAP;
	case SCHEMA_ARRAY:
		return CEL_LIST;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return CEL_TIMESTAMP;
	case SCHEMA_DURATION:
		return CEL_DURATION;
	case SCHEMA_BYTES:
		return CEL_BYTES;
	case SCHEMA_ANY:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_QUANTITY:
		break;
	}
	return CEL_ANY;
}

static const char *type_text(const struct cel_node *e)
{
	if (e->schema && e->schema->type == SCHEMA_OBJECT)
		return "object";
	if (e->type == CEL_LIST)
		return "list(dyn)";
	return e->type == CEL_MAP ? "map(string, dyn)" : cel_type_name((enum cel_type)e->type);
}

/* "(int, string)", or "string.(int)" for what is called on a value. */
static void no_overload(struct cel_parse *p, const struct cel_node *e, const char *name)
{
	AUTO(buf) struct buf b = {0};
	size_t method = e->op == CEL_OP_CALL && e->fns[0]->method;

	if (method)
		buf_printf(&b, "%s.", type_text(e->args[0]));
	buf_putc(&b, '(');
	for (size_t i = method; i < e->n && i < 4; i++)
		buf_printf(&b, "%s%s", i > method ? ", " : "", type_text(e->args[i]));
	buf_putc(&b, ')');
	cel_refuse(p, e->at, "found no matching overload for '%.60s' applied to '%s'", name,
		   buf_cstr(&b));
}

static bool is(const struct cel_node *e, enum cel_type type)
{
	return e->type == (uint8_t)type || e->type == CEL_ANY;
}

static bool known(const struct cel_node *e)
{
	return e->type != CEL_ANY;
}

static void give(struct cel_node *e, const struct schema *s)
{
	e->schema = s;
	e->type = cel_type_of_schema(s);
}

/* ---- names ---- */

static void type_ident(struct cel_parse *p, struct cel_node *e)
{
	for (size_t i = 0; p->env->vars && i < p->env->nvars; i++) {
		const struct cel_var *v = &p->env->vars[i];

		if (!str_is(e->name, v->name))
			continue;
		if (v->optional)
			e->type = CEL_OPTIONAL;
		else
			give(e, v->type);
		return;
	}
	if (p->env->may && str_is(e->name, "authorizer"))
		e->type = CEL_AUTHORIZER;
}

static bool is_lazy(const struct cel_parse *p, const struct cel_node *e)
{
	return p->env->lazy && e->op == CEL_OP_IDENT && str_is(e->name, "variables");
}

static bool knows_variable(const struct cel_parse *p, struct str name)
{
	for (size_t i = 0; i < p->env->nlazy; i++)
		if (str_eq(p->env->lazy[i].name, name))
			return true;
	return false;
}

/* Of an object's metadata expressions see the names alone. */
static bool hidden(const struct schema *s, struct str name)
{
	return s->name && !strcmp(s->name, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta") &&
	       !str_is(name, "name") && !str_is(name, "generateName");
}

static void undefined(struct cel_parse *p, const struct cel_node *e)
{
	cel_refuse(p, e->at, "undefined field '%.*s'", (int)MIN(e->name.n, 100), e->name.p);
}

static void type_select(struct cel_parse *p, struct cel_node *e)
{
	const struct cel_node *on = e->args[0];
	const struct schema *s = on->schema;
	const struct schema_field *f = s ? schema_field(s, e->name) : NULL;

	e->type = CEL_ANY;
	if (is_lazy(p, on)) {
		if (!knows_variable(p, e->name))
			undefined(p, e);
	} else if (s && s->type == SCHEMA_OBJECT) {
		if ((!f && !s->item && !(s->flags & SCHEMA_F_PRESERVE_UNKNOWN)) ||
		    hidden(s, e->name)) {
			undefined(p, e);
			return;
		}
		give(e, f ? f->type : s->item);
	} else if (s && s->type == SCHEMA_MAP) {
		give(e, s->item);
	} else if (known(on) && on->type != CEL_MAP && on->type != CEL_OPTIONAL) {
		cel_refuse(p, e->at, "type '%s' does not support field selection", type_text(on));
	}
	if (e->op == CEL_OP_HAS)
		e->type = CEL_BOOL;
	else if (e->op == CEL_OP_OPT_SELECT || on->type == CEL_OPTIONAL)
		e->type = CEL_OPTIONAL;
	if (e->type == CEL_OPTIONAL || e->op == CEL_OP_HAS)
		e->schema = NULL;
}

static void type_index(struct cel_parse *p, struct cel_node *e)
{
	const struct cel_node *on = e->args[0], *key = e->args[1];
	bool optional = e->op == CEL_OP_OPT_INDEX || on->type == CEL_OPTIONAL;

	if ((on->type == CEL_LIST && known(key) && key->type != CEL_INT && key->type != CEL_UINT &&
	     key->type != CEL_DOUBLE) ||
	    (known(on) && on->type != CEL_LIST && on->type != CEL_MAP &&
	     on->type != CEL_OPTIONAL)) {
		no_overload(p, e, "_[_]");
		return;
	}
	if (optional)
		e->type = CEL_OPTIONAL;
	else if (on->schema && on->schema->item && on->schema->type != SCHEMA_OBJECT)
		give(e, on->schema->item);
}

/* ---- functions and operators ---- */

static bool may_fit(const struct cel_fn *f, const struct cel_node *e)
{
	if (strlen(f->args) != e->n)
		return false;
	for (size_t i = 0; i < e->n; i++)
		if (f->args[i] != CEL_ANY && known(e->args[i]) &&
		    f->args[i] != (char)e->args[i]->type)
			return false;
	return true;
}

static void type_call(struct cel_parse *p, struct cel_node *e)
{
	char ret = 0;

	for (const struct cel_fn *const *f = e->fns; *f; f++)
		if (may_fit(*f, e))
			ret = !ret || ret == (*f)->ret ? (*f)->ret : CEL_ANY;
	if (!ret)
		no_overload(p, e, arena_cstr(p->a, e->name));
	e->type = (uint8_t)ret;
}

static bool numeric(const struct cel_node *e)
{
	return e->type == CEL_INT || e->type == CEL_UINT || e->type == CEL_DOUBLE;
}

static bool timed(const struct cel_node *e)
{
	return e->type == CEL_TIMESTAMP || e->type == CEL_DURATION;
}

static bool comparable(const struct cel_node *x, const struct cel_node *y)
{
	return !known(x) || !known(y) || x->type == y->type || (numeric(x) && numeric(y)) ||
	       x->type == CEL_NULL || y->type == CEL_NULL;
}

static bool orderable(const struct cel_node *e)
{
	return !known(e) || numeric(e) || timed(e) || e->type == CEL_STRING ||
	       e->type == CEL_BYTES || e->type == CEL_BOOL;
}

static bool type_arithmetic(struct cel_node *e)
{
	const struct cel_node *x = e->args[0], *y = e->args[1];

	if (!known(x) || !known(y))
		return true;
	e->type = x->type;
	if (timed(x) && timed(y)) {
		e->type = x->type == y->type ? CEL_DURATION : CEL_TIMESTAMP;
		return e->which == CEL_B_SUB
			       ? x->type == CEL_TIMESTAMP || x->type == y->type
			       : e->which == CEL_B_ADD &&
					 !(x->type == CEL_TIMESTAMP && y->type == CEL_TIMESTAMP);
	}
	if (x->type != y->type)
		return false;
	if (e->which == CEL_B_ADD && x->type == CEL_LIST)
		e->schema = x->schema == y->schema ? x->schema : NULL;
	if (e->which == CEL_B_ADD &&
	    (x->type == CEL_LIST || x->type == CEL_STRING || x->type == CEL_BYTES))
		return true;
	return numeric(x) && !(e->which == CEL_B_MOD && x->type == CEL_DOUBLE);
}

static void type_binary(struct cel_parse *p, struct cel_node *e)
{
	const struct cel_node *x = e->args[0], *y = e->args[1];
	bool ok = true;

	e->type = CEL_BOOL;
	switch ((enum cel_binary)e->which) {
	case CEL_B_EQ:
	case CEL_B_NE:
		ok = comparable(x, y);
		break;
	case CEL_B_LE:
	case CEL_B_GE:
	case CEL_B_LT:
	case CEL_B_GT:
		ok = comparable(x, y) && orderable(x) && orderable(y);
		break;
	case CEL_B_IN:
		ok = is(y, CEL_LIST) || is(y, CEL_MAP);
		break;
	case CEL_B_ADD:
	case CEL_B_SUB:
	case CEL_B_MUL:
	case CEL_B_DIV:
	case CEL_B_MOD:
		e->type = CEL_ANY;
		ok = type_arithmetic(e);
		break;
	}
	if (!ok)
		no_overload(p, e,
			    e->which == CEL_B_IN ? "@in"
						 : arena_printf(p->a, "_%.*s_", STR_ARG(e->name)));
}

static void type_condition(struct cel_parse *p, struct cel_node *e)
{
	const struct cel_node *x = e->args[1], *y = e->args[2];

	if (!is(e->args[0], CEL_BOOL) || (known(x) && known(y) && x->type != y->type &&
					  x->type != CEL_NULL && y->type != CEL_NULL)) {
		no_overload(p, e, "_?_:_");
		return;
	}
	e->type = x->type == y->type ? x->type : (uint8_t)CEL_ANY;
	e->schema = x->schema == y->schema ? x->schema : NULL;
}

/* ---- macros ---- */

void cel_type_locals(struct cel_parse *p, const struct cel_node *over, bool two, bool optional)
{
	const struct schema *item = over->schema ? over->schema->item : NULL;
	size_t last = p->nlocals - 1;
	bool list = over->type == CEL_LIST;

	if (over->schema && over->schema->type == SCHEMA_OBJECT)
		item = NULL;
	if (optional || !known(over))
		return;
	if (two)
		p->locals[last - 1].type = list ? CEL_INT : CEL_ANY;
	if (list || two) {
		p->locals[last].schema = item;
		p->locals[last].type = cel_type_of_schema(item);
	}
}

static void type_macro(struct cel_parse *p, struct cel_node *e)
{
	const struct cel_node *over = e->args[0], *body = e->args[2];
	enum cel_macro which = (enum cel_macro)e->which;
	bool optional = which == CEL_M_OPT_MAP || which == CEL_M_OPT_FLAT_MAP,
	     test = which == CEL_M_ALL || which == CEL_M_EXISTS || which == CEL_M_EXISTS_ONE;

	if (optional ? !is(over, CEL_OPTIONAL) : !is(over, CEL_LIST) && !is(over, CEL_MAP)) {
		cel_refuse(p, e->at,
			   "expression of type '%s' cannot be range of a comprehension (must be "
			   "list, map, or dynamic)",
			   type_text(over));
		return;
	}
	if (((test || which == CEL_M_FILTER) && !is(body, CEL_BOOL)) ||
	    (e->args[1] && !is(e->args[1], CEL_BOOL))) {
		cel_refuse(p, e->at, "expected type 'bool' but found '%s'",
			   type_text(is(body, CEL_BOOL) ? e->args[1] : body));
		return;
	}
	e->type = test || optional ? test ? CEL_BOOL : CEL_OPTIONAL : CEL_LIST;
	if (which == CEL_M_TRANSFORM_MAP)
		e->type = CEL_MAP;
	if (which == CEL_M_FILTER && over->type == CEL_LIST)
		e->schema = over->schema;
}

void cel_type_node(struct cel_parse *p, struct cel_node *e)
{
	switch ((enum cel_op)e->op) {
	case CEL_OP_CONST:
		e->type = e->value.type;
		return;
	case CEL_OP_IDENT:
		type_ident(p, e);
		return;
	case CEL_OP_LOCAL:
		e->type = p->locals[e->slot].type;
		e->schema = p->locals[e->slot].schema;
		return;
	case CEL_OP_SELECT:
	case CEL_OP_OPT_SELECT:
	case CEL_OP_HAS:
		type_select(p, e);
		return;
	case CEL_OP_INDEX:
	case CEL_OP_OPT_INDEX:
		type_index(p, e);
		return;
	case CEL_OP_CALL:
		type_call(p, e);
		return;
	case CEL_OP_AND:
	case CEL_OP_OR:
		e->type = CEL_BOOL;
		for (size_t i = 0; i < e->n; i++)
			if (!is(e->args[i], CEL_BOOL)) {
				no_overload(p, e, e->op == CEL_OP_AND ? "_&&_" : "_||_");
				return;
			}
		return;
	case CEL_OP_COND:
		type_condition(p, e);
		return;
	case CEL_OP_NOT:
		e->type = CEL_BOOL;
		if (!is(e->args[0], CEL_BOOL))
			no_overload(p, e, "!_");
		return;
	case CEL_OP_NEG:
		e->type = e->args[0]->type;
		if (known(e) && e->type != CEL_INT && e->type != CEL_DOUBLE &&
		    e->type != CEL_DURATION)
			no_overload(p, e, "-_");
		return;
	case CEL_OP_BINARY:
		type_binary(p, e);
		return;
	case CEL_OP_LIST:
		e->type = CEL_LIST;
		return;
	case CEL_OP_MAP:
		e->type = CEL_MAP;
		return;
	case CEL_OP_MACRO:
		type_macro(p, e);
		return;
	}
}
