/*
 * Evaluating CEL: a walk over the compiled tree. Errors are values that && and ||, all and exists
 * absorb when the other side decides; running out of budget is no value and ends everything. Pure;
 * memory is the caller's arena, and bounded.
 */
#include <stdio.h>
#include <string.h>

#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define MEMORY_MAX (32U << 20)

struct cel_value cel_fail(struct cel *c, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!cel_pay_memory(c, strlen(text) + 1))
		return (struct cel_value){.type = CEL_ERROR, .s = str_c(c->stop)};
	return (struct cel_value){.type = CEL_ERROR, .s = arena_str(c->a, str_c(text))};
}

struct cel_value cel_no_overload(struct cel *c)
{
	(void)c;
	return (struct cel_value){.type = CEL_ERROR, .s = STR("no such overload")};
}

bool cel_pay(struct cel *c, size_t cost)
{
	if (c->stop)
		return false;
	if (cost > INT32_MAX)
		cost = INT32_MAX;
	c->budget -= (int64_t)cost;
	if (c->budget < 0)
		c->stop = "operation cancelled: actual cost limit exceeded";
	return !c->stop;
}

bool cel_pay_memory(struct cel *c, size_t bytes)
{
	if (bytes > MEMORY_MAX || (c->memory += bytes) > MEMORY_MAX)
		c->stop = "operation cancelled: memory limit exceeded";
	return cel_pay(c, bytes / 8); /* or many evaluations would have it many times */
}

static struct cel_value missing_key(struct cel *c, struct str name)
{
	return cel_fail(c, "no such key: %.*s", (int)MIN(name.n, 200), name.p);
}

/* ---- names ---- */

static struct cel_value of_var(struct cel *c, const struct cel_var *v)
{
	struct cel_value r;

	if (!v->value)
		return v->optional ? cel_none() : cel_fail(c, "no such attribute(s): %s", v->name);
	r = cel_of_json(c, v->value, v->type);
	return v->optional ? cel_some(c, r) : r;
}

static struct cel_value identifier(struct cel *c, struct str name)
{
	const struct cel_env *env = c->env;
	const struct json *member;

	for (size_t i = 0; env->vars && i < env->nvars; i++)
		if (str_is(name, env->vars[i].name))
			return of_var(c, &env->vars[i]);
	if (env->lazy && str_is(name, "variables"))
		return (struct cel_value){.type = CEL_MAP, .lazy = true, .n = (uint32_t)env->nlazy};
	if (env->may && str_is(name, "authorizer"))
		return (struct cel_value){
			.type = CEL_AUTHORIZER, .json = true, .j = json_new(c->a, JSON_OBJECT)};
	member = env->vars ? NULL : json_get(env->root, name);
	if (member)
		return cel_of_json(c, member, NULL);
	return cel_fail(c, "no such attribute(s): %.*s", (int)MIN(name.n, 200), name.p);
}

/* ---- fields and indexes ---- */

/* found = false where nothing is; an error is an error. */
static struct cel_value lookup(struct cel *c, const struct cel_value *on,
			       const struct cel_value *key, bool *found)
{
	struct cel_value v = {.type = CEL_NULL};

	*found = false;
	if (on->type == CEL_ERROR)
		return *on;
	if (key->type == CEL_ERROR)
		return *key;
	if (on->type == CEL_MAP) {
		*found = cel_find(c, on, key, &v);
		return v;
	}
	if (on->type != CEL_LIST)
		return cel_no_overload(c);
	if (key->type != CEL_INT && key->type != CEL_UINT && key->type != CEL_DOUBLE)
		return cel_fail(c, "unsupported index type '%s' in list",
				cel_type_name((enum cel_type)key->type));
	for (uint32_t at = 0; key->type == CEL_DOUBLE && at < on->n; at++)
		if ((double)at == key->d) {
			*found = true;
			return cel_item(c, on, at);
		}
	*found = key->type != CEL_DOUBLE &&
		 (key->type == CEL_UINT ? key->u < on->n : key->i >= 0 && (uint64_t)key->i < on->n);
	return *found ? cel_item(c, on, (size_t)key->u) : v;
}

static struct cel_value looked_up(struct cel *c, const struct cel_value *on,
				  const struct cel_value *key, bool optional)
{
	struct cel_value v;
	bool found, inside = on->type == CEL_OPTIONAL;

	if (inside && !on->held)
		return cel_none();
	v = lookup(c, inside ? on->held : on, key, &found);
	if (v.type == CEL_ERROR)
		return v;
	if (optional || inside)
		return found ? cel_some(c, v) : cel_none();
	if (found)
		return v;
	if (on->type == CEL_MAP)
		return key->type == CEL_STRING ? missing_key(c, key->s)
					       : cel_fail(c, "no such key");
	return key->type == CEL_INT ? cel_fail(c, "index out of bounds: %lld", (long long)key->i)
				    : cel_fail(c, "index out of bounds");
}

static struct cel_value has(struct cel *c, const struct cel_node *e)
{
	struct cel_value on = cel_run(c, e->args[0]), key = cel_of_str(e->name), v;
	bool found;

	if (on.type == CEL_ERROR)
		return on;
	if (on.type == CEL_OPTIONAL) {
		if (!on.held)
			return cel_of_bool(false);
		on = *on.held;
	}
	if (on.type != CEL_MAP)
		return cel_no_overload(c);
	v = lookup(c, &on, &key, &found);
	if (v.type == CEL_ERROR && !found)
		return v;
	return cel_of_bool(found);
}

/* ---- lists and maps that are written out ---- */

static struct cel_value make_list(struct cel *c, const struct cel_node *e)
{
	struct cel_value *items = cel_new_items(c, e->n);
	size_t n = 0;

	if (!items)
		return cel_fail(c, "%s", c->stop ? c->stop : "too large");
	for (size_t i = 0; i < e->n; i++) {
		struct cel_value v = cel_run(c, e->args[i]);

		if (v.type == CEL_ERROR)
			return v;
		if (e->optional && e->optional[i]) {
			if (v.type != CEL_OPTIONAL)
				return cel_no_overload(c);
			if (!v.held)
				continue;
			v = *v.held;
		}
		items[n++] = v;
	}
	return cel_of_items(items, n);
}

struct growing {
	struct cel_entry *v;
	size_t n, cap;
};

static struct cel_value as_map(const struct growing *g)
{
	return (struct cel_value){.type = CEL_MAP, .entries = g->v, .n = (uint32_t)g->n};
}

/* An error, or null when all is well. */
static struct cel_value put(struct cel *c, struct growing *g, struct cel_value key,
			    struct cel_value value)
{
	struct cel_value so_far = as_map(g), v;

	if (key.type != CEL_STRING && key.type != CEL_INT && key.type != CEL_UINT &&
	    key.type != CEL_BOOL)
		return cel_fail(c, "unsupported key type");
	if (cel_find(c, &so_far, &key, &v))
		return key.type == CEL_STRING ? cel_fail(c, "Failed with repeated key %.*s",
							 (int)MIN(key.s.n, 100), key.s.p)
					      : cel_fail(c, "Failed with repeated key");
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 4;
		struct cel_entry *more;

		if (!cel_pay_memory(c, cap * sizeof(*more)))
			return cel_fail(c, "%s", c->stop);
		more = arena_array(c->a, cap, sizeof(*more));
		if (g->n)
			memcpy(more, g->v, g->n * sizeof(*more));
		g->v = more;
		g->cap = cap;
	}
	g->v[g->n++] = (struct cel_entry){key, value};
	return (struct cel_value){.type = CEL_NULL};
}

static struct cel_value make_map(struct cel *c, const struct cel_node *e)
{
	struct growing g = {0};

	for (size_t i = 0; i + 1 < e->n; i += 2) {
		struct cel_value key = cel_run(c, e->args[i]), v = cel_run(c, e->args[i + 1]), r;

		if (key.type == CEL_ERROR)
			return key;
		if (v.type == CEL_ERROR)
			return v;
		if (e->optional && e->optional[i]) {
			if (v.type != CEL_OPTIONAL)
				return cel_no_overload(c);
			if (!v.held)
				continue;
			v = *v.held;
		}
		r = put(c, &g, key, v);
		if (r.type == CEL_ERROR)
			return r;
	}
	return as_map(&g);
}

/* ---- macros ---- */

struct each {
	const struct cel_node *e;
	struct cel_value over;
	struct cel_value *kept;
	size_t n, hits;
	struct growing map;
	struct cel_value error; /* that a later item may absorb */
	struct cel_value result;
	bool done;
};

static void set_slots(struct cel *c, struct each *x, size_t i)
{
	struct cel_value *slot = &c->slots[x->e->slot];
	struct cel_value key, value;

	if (x->over.type == CEL_LIST) {
		key = cel_of_int((int64_t)i);
		value = cel_item(c, &x->over, i);
	} else {
		cel_entry(c, &x->over, i, &key, &value);
		if (!x->e->two)
			value = key;
	}
	if (x->e->two) {
		slot[0] = key;
		slot[1] = value;
	} else {
		slot[0] = value;
	}
}

static void finish(struct each *x, struct cel_value v)
{
	x->result = v;
	x->done = true;
}

/* all, exists: one item may decide, whatever errors came before. */
static void quantify(struct cel *c, struct each *x, bool decides)
{
	struct cel_value v = cel_run(c, x->e->args[2]);

	if (v.type != CEL_BOOL)
		x->error = v.type == CEL_ERROR ? v : cel_no_overload(c);
	else if (v.b == decides)
		finish(x, v);
}

static bool passes(struct cel *c, struct each *x, const struct cel_node *e)
{
	struct cel_value v = e ? cel_run(c, e) : cel_of_bool(true);

	if (v.type == CEL_BOOL)
		return v.b;
	finish(x, v.type == CEL_ERROR ? v : cel_no_overload(c));
	return false;
}

static void transform(struct cel *c, struct each *x, size_t i)
{
	struct cel_value v, key, unused;

	if (!passes(c, x, x->e->args[1]))
		return;
	v = cel_run(c, x->e->args[2]);
	if (v.type == CEL_ERROR) {
		finish(x, v);
		return;
	}
	if (x->e->which == CEL_M_MAP) {
		x->kept[x->n++] = v;
		return;
	}
	if (x->over.type == CEL_LIST)
		key = cel_of_int((int64_t)i);
	else
		cel_entry(c, &x->over, i, &key, &unused);
	v = put(c, &x->map, key, v);
	if (v.type == CEL_ERROR)
		finish(x, v);
}

static void one(struct cel *c, struct each *x, size_t i)
{
	set_slots(c, x, i);
	switch ((enum cel_macro)x->e->which) {
	case CEL_M_ALL:
		quantify(c, x, false);
		break;
	case CEL_M_EXISTS:
		quantify(c, x, true);
		break;
	case CEL_M_EXISTS_ONE:
		x->hits += passes(c, x, x->e->args[2]);
		break;
	case CEL_M_FILTER:
		if (passes(c, x, x->e->args[2]))
			x->kept[x->n++] = c->slots[x->e->slot];
		break;
	case CEL_M_MAP:
	case CEL_M_TRANSFORM_MAP:
		transform(c, x, i);
		break;
	case CEL_M_OPT_MAP:
	case CEL_M_OPT_FLAT_MAP:
		break;
	}
}

static struct cel_value result(struct each *x)
{
	if (x->done)
		return x->result;
	switch ((enum cel_macro)x->e->which) {
	case CEL_M_ALL:
		return x->error.type == CEL_ERROR ? x->error : cel_of_bool(true);
	case CEL_M_EXISTS:
		return x->error.type == CEL_ERROR ? x->error : cel_of_bool(false);
	case CEL_M_EXISTS_ONE:
		return cel_of_bool(x->hits == 1);
	case CEL_M_TRANSFORM_MAP:
		return as_map(&x->map);
	case CEL_M_FILTER:
	case CEL_M_MAP:
	case CEL_M_OPT_MAP:
	case CEL_M_OPT_FLAT_MAP:
		break;
	}
	return cel_of_items(x->kept, x->n);
}

static struct cel_value opt_map(struct cel *c, const struct cel_node *e, struct cel_value on)
{
	struct cel_value v;

	if (on.type != CEL_OPTIONAL)
		return cel_no_overload(c);
	if (!on.held)
		return on;
	c->slots[e->slot] = *on.held;
	v = cel_run(c, e->args[2]);
	if (v.type == CEL_ERROR || e->which == CEL_M_OPT_MAP)
		return cel_some(c, v);
	return v.type == CEL_OPTIONAL ? v : cel_no_overload(c);
}

static struct cel_value macro(struct cel *c, const struct cel_node *e)
{
	struct each x = {.e = e, .over = cel_run(c, e->args[0])};
	bool keeps = e->which == CEL_M_FILTER || e->which == CEL_M_MAP;

	if (x.over.type == CEL_ERROR)
		return x.over;
	if (e->which == CEL_M_OPT_MAP || e->which == CEL_M_OPT_FLAT_MAP)
		return opt_map(c, e, x.over);
	if (x.over.type != CEL_LIST && x.over.type != CEL_MAP)
		return cel_no_overload(c);
	x.kept = keeps ? cel_new_items(c, x.over.n) : NULL;
	for (size_t i = 0; i < x.over.n && !x.done && cel_pay(c, 1); i++)
		one(c, &x, i);
	return c->stop ? cel_fail(c, "%s", c->stop) : result(&x);
}

/* ---- the rest ---- */

static struct cel_value junction(struct cel *c, const struct cel_node *e, bool decides)
{
	struct cel_value error = {.type = CEL_NULL};

	for (size_t i = 0; i < e->n; i++) {
		struct cel_value v = cel_run(c, e->args[i]);

		if (v.type == CEL_BOOL && v.b == decides)
			return v;
		if (v.type != CEL_BOOL && error.type != CEL_ERROR)
			error = v.type == CEL_ERROR ? v : cel_no_overload(c);
	}
	return error.type == CEL_ERROR ? error : cel_of_bool(!decides);
}

static bool fits(const struct cel_fn *f, const struct cel_value *v, size_t n)
{
	if (strlen(f->args) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (f->args[i] != CEL_ANY && f->args[i] != (char)v[i].type)
			return false;
	return true;
}

#define ARGS_MAX 8

static struct cel_value call(struct cel *c, const struct cel_node *e)
{
	struct cel_value v[ARGS_MAX];

	if (e->n > ARGS_MAX)
		return cel_no_overload(c);
	for (size_t i = 0; i < e->n; i++) {
		v[i] = cel_run(c, e->args[i]);
		if (v[i].type == CEL_ERROR)
			return v[i];
	}
	for (const struct cel_fn *const *f = e->fns; *f; f++)
		if (fits(*f, v, e->n))
			return (*f)->call(c, v, e->n);
	return cel_fail(c, "no such overload: %.*s", (int)MIN(e->name.n, 100), e->name.p);
}

static struct cel_value condition(struct cel *c, const struct cel_node *e)
{
	struct cel_value v = cel_run(c, e->args[0]);

	if (v.type != CEL_BOOL)
		return v.type == CEL_ERROR ? v : cel_no_overload(c);
	return cel_run(c, e->args[v.b ? 1 : 2]);
}

static struct cel_value operate(struct cel *c, const struct cel_node *e)
{
	struct cel_value x = cel_run(c, e->args[0]), y;

	if (x.type == CEL_ERROR)
		return x;
	if (e->op == CEL_OP_NOT)
		return x.type == CEL_BOOL ? cel_of_bool(!x.b) : cel_no_overload(c);
	if (e->op == CEL_OP_NEG)
		return cel_negate(c, &x);
	if (e->op == CEL_OP_SELECT || e->op == CEL_OP_OPT_SELECT) {
		y = cel_of_str(e->name);
		if (x.type != CEL_MAP && x.type != CEL_OPTIONAL)
			return cel_no_overload(c);
		return looked_up(c, &x, &y, e->op == CEL_OP_OPT_SELECT);
	}
	y = cel_run(c, e->args[1]);
	if (y.type == CEL_ERROR)
		return y;
	if (e->op == CEL_OP_BINARY)
		return cel_binary(c, (enum cel_binary)e->which, &x, &y);
	return looked_up(c, &x, &y, e->op == CEL_OP_OPT_INDEX);
}

struct cel_value cel_run(struct cel *c, const struct cel_node *e)
{
	if (!cel_pay(c, 1))
		return (struct cel_value){.type = CEL_ERROR, .s = str_c(c->stop)};
	switch ((enum cel_op)e->op) {
	case CEL_OP_CONST:
		return e->value;
	case CEL_OP_IDENT:
		return identifier(c, e->name);
	case CEL_OP_LOCAL:
		return c->slots[e->slot];
	case CEL_OP_HAS:
		return has(c, e);
	case CEL_OP_CALL:
		return call(c, e);
	case CEL_OP_AND:
		return junction(c, e, false);
	case CEL_OP_OR:
		return junction(c, e, true);
	case CEL_OP_COND:
		return condition(c, e);
	case CEL_OP_LIST:
		return make_list(c, e);
	case CEL_OP_MAP:
		return make_map(c, e);
	case CEL_OP_MACRO:
		return macro(c, e);
	case CEL_OP_SELECT:
	case CEL_OP_OPT_SELECT:
	case CEL_OP_INDEX:
	case CEL_OP_OPT_INDEX:
	case CEL_OP_NOT:
	case CEL_OP_NEG:
	case CEL_OP_BINARY:
		break;
	}
	return operate(c, e);
}
