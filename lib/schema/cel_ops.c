/*
 * CEL's operators on values: arithmetic that reports what overflows, order, membership. Pure.
 */
#include <math.h>

#include "lib/base/timefmt.h"
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

static struct cel_value overflow(struct cel *c)
{
	return cel_fail(c, "integer overflow");
}

static struct cel_value ints(struct cel *c, enum cel_binary which, int64_t x, int64_t y)
{
	int64_t r;
	bool bad = false;

	if ((which == CEL_B_DIV || which == CEL_B_MOD) && !y)
		return cel_fail(c, which == CEL_B_DIV ? "division by zero" : "modulus by zero");
	if ((which == CEL_B_DIV || which == CEL_B_MOD) && x == INT64_MIN && y == -1)
		return overflow(c);
	if (which == CEL_B_ADD)
		bad = __builtin_add_overflow(x, y, &r);
	else if (which == CEL_B_SUB)
		bad = __builtin_sub_overflow(x, y, &r);
	else if (which == CEL_B_MUL)
		bad = __builtin_mul_overflow(x, y, &r);
	else
		r = which == CEL_B_DIV ? x / y : x % y;
	return bad ? overflow(c) : cel_of_int(r);
}

static struct cel_value uints(struct cel *c, enum cel_binary which, uint64_t x, uint64_t y)
{
	uint64_t r;
	bool bad = false;

	if ((which == CEL_B_DIV || which == CEL_B_MOD) && !y)
		return cel_fail(c, which == CEL_B_DIV ? "division by zero" : "modulus by zero");
	if (which == CEL_B_ADD)
		bad = __builtin_add_overflow(x, y, &r);
	else if (which == CEL_B_SUB)
		bad = __builtin_sub_overflow(x, y, &r);
	else if (which == CEL_B_MUL)
		bad = __builtin_mul_overflow(x, y, &r);
	else
		r = which == CEL_B_DIV ? x / y : x % y;
	return bad ? cel_fail(c, "unsigned integer overflow") : cel_of_uint(r);
}

static struct cel_value doubles(struct cel *c, enum cel_binary which, double x, double y)
{
	if (which == CEL_B_ADD)
		return cel_of_double(x + y);
	if (which == CEL_B_SUB)
		return cel_of_double(x - y);
	if (which == CEL_B_MUL)
		return cel_of_double(x * y);
	return which == CEL_B_DIV ? cel_of_double(x / y) : cel_no_overload(c);
}

/* Instants and durations: a difference of instants is a duration. */
static struct cel_value times(struct cel *c, enum cel_binary which, const struct cel_value *x,
			      const struct cel_value *y)
{
	bool sub = which == CEL_B_SUB, instant = x->type == CEL_TIMESTAMP;
	bool both = instant && y->type == CEL_TIMESTAMP;
	int64_t r;

	if ((which != CEL_B_ADD && !sub) || (both && !sub) ||
	    (sub && !instant && y->type == CEL_TIMESTAMP))
		return cel_no_overload(c);
	if (sub ? __builtin_sub_overflow(x->i, y->i, &r) : __builtin_add_overflow(x->i, y->i, &r))
		return cel_fail(c, "timestamp overflow");
	if (both)
		return cel_of_ns(CEL_DURATION, r);
	return cel_of_ns(instant || y->type == CEL_TIMESTAMP ? CEL_TIMESTAMP : CEL_DURATION, r);
}

static struct cel_value joined(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	size_t n = x->s.n + y->s.n;
	char *p;

	if (!cel_pay(c, n / 10 + 1) || !cel_pay_memory(c, n + 1))
		return cel_fail(c, "%s", c->stop);
	p = arena_room(c->a, n + 1);
	if (x->s.n)
		memcpy(p, x->s.p, x->s.n);
	if (y->s.n)
		memcpy(p + x->s.n, y->s.p, y->s.n);
	p[n] = '\0';
	return (struct cel_value){.type = x->type, .s = {p, n}};
}

/* Which item of a list with keys is the same element; n when none is. */
static size_t same_element(struct cel *c, const struct schema *s, const struct cel_value *items,
			   size_t n, const struct cel_value *v)
{
	for (size_t i = 0; i < n; i++) {
		bool same = true;

		if (s->list == SCHEMA_LIST_SET) {
			same = cel_equal(c, &items[i], v);
		} else {
			for (size_t k = 0; same && k < SCHEMA_KEYS_MAX && s->keys[k]; k++) {
				struct cel_value key = cel_of_str(str_c(s->keys[k])), a, b;
				bool has_a = items[i].type == CEL_MAP &&
					     cel_find(c, &items[i], &key, &a);
				bool has_b = v->type == CEL_MAP && cel_find(c, v, &key, &b);

				same = has_a == has_b && (!has_a || cel_equal(c, &a, &b));
			}
		}
		if (same)
			return i;
	}
	return n;
}

static struct cel_value lists(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	const struct schema *s =
		x->schema && x->schema->list != SCHEMA_LIST_ATOMIC ? x->schema : NULL;
	struct cel_value *items = cel_new_items(c, (size_t)x->n + y->n), r;
	size_t n = 0;

	if (!items)
		return cel_fail(c, "%s", c->stop ? c->stop : "too large");
	for (size_t i = 0; i < x->n; i++)
		items[n++] = cel_item(c, x, i);
	for (size_t i = 0; i < y->n; i++) {
		struct cel_value v = cel_item(c, y, i);
		size_t at = s ? same_element(c, s, items, n, &v) : n;

		items[at] = v;
		n += at == n;
	}
	r = cel_of_items(items, n);
	r.schema = s;
	return r;
}

static struct cel_value arithmetic(struct cel *c, enum cel_binary which, const struct cel_value *x,
				   const struct cel_value *y)
{
	bool timed = x->type == CEL_TIMESTAMP || x->type == CEL_DURATION;

	if (timed && (y->type == CEL_TIMESTAMP || y->type == CEL_DURATION))
		return times(c, which, x, y);
	if (x->type != y->type)
		return cel_no_overload(c);
	switch (x->type) {
	case CEL_INT:
		return ints(c, which, x->i, y->i);
	case CEL_UINT:
		return uints(c, which, x->u, y->u);
	case CEL_DOUBLE:
		return doubles(c, which, x->d, y->d);
	case CEL_STRING:
	case CEL_BYTES:
		return which == CEL_B_ADD ? joined(c, x, y) : cel_no_overload(c);
	case CEL_LIST:
		return which == CEL_B_ADD ? lists(c, x, y) : cel_no_overload(c);
	default:
		return cel_no_overload(c);
	}
}

static struct cel_value contained(struct cel *c, const struct cel_value *x,
				  const struct cel_value *y)
{
	struct cel_value v;

	if (y->type == CEL_MAP)
		return cel_of_bool(cel_find(c, y, x, &v));
	if (y->type != CEL_LIST)
		return cel_no_overload(c);
	for (size_t i = 0; i < y->n && !c->stop; i++) {
		v = cel_item(c, y, i);
		if (cel_equal(c, &v, x))
			return cel_of_bool(true);
	}
	return cel_of_bool(false);
}

static bool is_number(const struct cel_value *v)
{
	return v->type == CEL_INT || v->type == CEL_UINT || v->type == CEL_DOUBLE;
}

static struct cel_value ordered(struct cel *c, enum cel_binary which, const struct cel_value *x,
				const struct cel_value *y)
{
	int order = cel_order(x, y);

	if (order == 2)
		return is_number(x) && is_number(y) ? cel_of_bool(false) : cel_no_overload(c);
	if ((x->type == CEL_STRING || x->type == CEL_BYTES) &&
	    !cel_pay(c, MIN(x->s.n, y->s.n) / 10))
		return cel_fail(c, "%s", c->stop);
	if (which == CEL_B_LT || which == CEL_B_LE)
		return cel_of_bool(order < 0 || (which == CEL_B_LE && !order));
	return cel_of_bool(order > 0 || (which == CEL_B_GE && !order));
}

struct cel_value cel_binary(struct cel *c, enum cel_binary which, const struct cel_value *x,
			    const struct cel_value *y)
{
	switch (which) {
	case CEL_B_EQ:
		return cel_of_bool(cel_equal(c, x, y));
	case CEL_B_NE:
		return cel_of_bool(!cel_equal(c, x, y));
	case CEL_B_LE:
	case CEL_B_GE:
	case CEL_B_LT:
	case CEL_B_GT:
		return ordered(c, which, x, y);
	case CEL_B_IN:
		return contained(c, x, y);
	case CEL_B_ADD:
	case CEL_B_SUB:
	case CEL_B_MUL:
	case CEL_B_DIV:
	case CEL_B_MOD:
		return arithmetic(c, which, x, y);
	}
	return cel_no_overload(c);
}

struct cel_value cel_negate(struct cel *c, const struct cel_value *x)
{
	switch (x->type) {
	case CEL_INT:
		return x->i == INT64_MIN ? overflow(c) : cel_of_int(-x->i);
	case CEL_DOUBLE:
		return cel_of_double(-x->d);
	case CEL_DURATION:
		return x->i == INT64_MIN ? overflow(c) : cel_of_ns(CEL_DURATION, -x->i);
	default:
		return cel_no_overload(c);
	}
}
