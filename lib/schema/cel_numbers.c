/*
 * Kubernetes' quantities and semantic versions in CEL. Pure; values are in the evaluation's arena.
 */
#include <string.h>

#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)

/* ---- quantities ---- */

static struct cel_value of_quantity(struct cel *c, struct quantity q)
{
	if (!cel_pay_memory(c, sizeof(q)))
		return cel_fail(c, "%s", c->stop);
	return (struct cel_value){.type = CEL_QUANTITY, .quantity = arena_dup(c->a, &q, sizeof(q))};
}

F(quantity)
{
	struct quantity q;

	UNUSED_ARGS;
	return quantity_parse(v->s, &q)
		       ? cel_fail(c, "quantities must match the regular expression "
				     "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
		       : of_quantity(c, q);
}

F(is_quantity)
{
	struct quantity q;

	UNUSED_ARGS;
	return cel_of_bool(!quantity_parse(v->s, &q));
}

#define NANO 1000000000

static bool whole(const struct quantity *q)
{
	__int128 i = q->nano / NANO;

	return q->nano % NANO == 0 && i >= INT64_MIN && i <= INT64_MAX;
}

F(is_integer)
{
	UNUSED_ARGS;
	return cel_of_bool(whole(v->quantity));
}

F(as_integer)
{
	UNUSED_ARGS;
	return whole(v->quantity) ? cel_of_int((int64_t)(v->quantity->nano / NANO))
				  : cel_fail(c, "cannot convert value to integer");
}

F(as_approximate_float)
{
	UNUSED_ARGS;
	return cel_of_double((double)v->quantity->nano / 1e9);
}

F(quantity_sign)
{
	UNUSED_ARGS;
	return cel_of_int((v->quantity->nano > 0) - (v->quantity->nano < 0));
}

static struct cel_value add(struct cel *c, const struct quantity *x, __int128 nano, bool minus)
{
	struct quantity q = *x;

	if (minus ? __builtin_sub_overflow(q.nano, nano, &q.nano)
		  : __builtin_add_overflow(q.nano, nano, &q.nano))
		return cel_fail(c, "integer overflow");
	return of_quantity(c, q);
}

F(quantity_add)
{
	UNUSED_ARGS;
	return add(c, v[0].quantity, v[1].quantity->nano, false);
}

F(quantity_sub)
{
	UNUSED_ARGS;
	return add(c, v[0].quantity, v[1].quantity->nano, true);
}

F(quantity_add_int)
{
	UNUSED_ARGS;
	return add(c, v[0].quantity, (__int128)v[1].i * NANO, false);
}

F(quantity_sub_int)
{
	UNUSED_ARGS;
	return add(c, v[0].quantity, (__int128)v[1].i * NANO, true);
}

F(quantity_compare)
{
	UNUSED_ARGS;
	return cel_of_int(quantity_cmp(*v[0].quantity, *v[1].quantity));
}

F(quantity_less)
{
	UNUSED_ARGS;
	return cel_of_bool(quantity_cmp(*v[0].quantity, *v[1].quantity) < 0);
}

F(quantity_greater)
{
	UNUSED_ARGS;
	return cel_of_bool(quantity_cmp(*v[0].quantity, *v[1].quantity) > 0);
}

/* ---- semantic versions ---- */

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static bool number(struct str s, uint64_t *ret)
{
	return all_digits(s) && !(s.n > 1 && s.p[0] == '0') && !str_to_u64(s, ret);
}

static bool identifiers(struct str s, bool zeros)
{
	struct str rest = s, part;

	while (str_next(&rest, '.', &part)) {
		for (size_t i = 0; i < part.n; i++) {
			char ch = part.p[i], low = (char)(ch | 0x20);

			if (!(ch >= '0' && ch <= '9') && !(low >= 'a' && low <= 'z') && ch != '-')
				return false;
		}
		if (!part.n || (!zeros && part.n > 1 && part.p[0] == '0' && all_digits(part)))
			return false;
	}
	return true;
}

static bool parse_semver(struct str s, struct cel_semver *ret)
{
	struct str core, rest, parts[3];
	bool has_build = str_cut(s, '+', &core, &ret->build), has_pre;

	has_pre = str_cut(core, '-', &core, &ret->pre);
	rest = core;
	for (size_t i = 0; i < 3; i++)
		if (!str_next(&rest, '.', &parts[i]))
			return false;
	if (rest.p || (has_pre && !identifiers(ret->pre, false)) ||
	    (has_build && !identifiers(ret->build, true)))
		return false;
	if (!has_pre)
		ret->pre = STR_NONE;
	return (!has_pre || ret->pre.n) && number(parts[0], &ret->major) &&
	       number(parts[1], &ret->minor) && number(parts[2], &ret->patch);
}

static int order_parts(struct str x, struct str y)
{
	uint64_t a, b;
	int r;

	if (all_digits(x) && all_digits(y) && !str_to_u64(x, &a) && !str_to_u64(y, &b))
		return (a > b) - (a < b);
	if (all_digits(x) != all_digits(y))
		return all_digits(x) ? -1 : 1;
	r = str_cmp(x, y);
	return (r > 0) - (r < 0);
}

static int order_pre(struct str x, struct str y)
{
	struct str a, b;
	bool more_x, more_y;

	if (!x.n || !y.n)
		return !x.n - !y.n; /* a release stands above what came before it */
	for (;;) {
		int r;

		more_x = str_next(&x, '.', &a);
		more_y = str_next(&y, '.', &b);
		if (!more_x || !more_y)
			return more_x - more_y;
		r = order_parts(a, b);
		if (r)
			return r;
	}
}

static int order_semver(const struct cel_semver *x, const struct cel_semver *y)
{
	if (x->major != y->major)
		return x->major > y->major ? 1 : -1;
	if (x->minor != y->minor)
		return x->minor > y->minor ? 1 : -1;
	if (x->patch != y->patch)
		return x->patch > y->patch ? 1 : -1;
	return order_pre(x->pre, y->pre);
}

F(semver)
{
	struct cel_semver s = {0};

	UNUSED_ARGS;
	if (v->s.n > 256 || !parse_semver(v->s, &s))
		return cel_fail(c, "invalid semantic version");
	if (!cel_pay_memory(c, sizeof(s)))
		return cel_fail(c, "%s", c->stop);
	return (struct cel_value){.type = CEL_SEMVER, .semver = arena_dup(c->a, &s, sizeof(s))};
}

F(is_semver)
{
	struct cel_semver s = {0};

	UNUSED_ARGS;
	return cel_of_bool(v->s.n <= 256 && parse_semver(v->s, &s));
}

F(semver_compare)
{
	UNUSED_ARGS;
	return cel_of_int(order_semver(v[0].semver, v[1].semver));
}

F(semver_less)
{
	UNUSED_ARGS;
	return cel_of_bool(order_semver(v[0].semver, v[1].semver) < 0);
}

F(semver_greater)
{
	UNUSED_ARGS;
	return cel_of_bool(order_semver(v[0].semver, v[1].semver) > 0);
}

F(semver_major)
{
	UNUSED_ARGS;
	return cel_of_int((int64_t)v->semver->major);
}

F(semver_minor)
{
	UNUSED_ARGS;
	return cel_of_int((int64_t)v->semver->minor);
}

F(semver_patch)
{
	UNUSED_ARGS;
	return cel_of_int((int64_t)v->semver->patch);
}

const struct cel_fn cel_fns_numbers[] = {
	{"quantity", "s", CEL_QUANTITY, false, quantity},
	{"isQuantity", "s", CEL_BOOL, false, is_quantity},
	{"isInteger", "q", CEL_BOOL, true, is_integer},
	{"asInteger", "q", CEL_INT, true, as_integer},
	{"asApproximateFloat", "q", CEL_DOUBLE, true, as_approximate_float},
	{"sign", "q", CEL_INT, true, quantity_sign},
	{"add", "qq", CEL_QUANTITY, true, quantity_add},
	{"add", "qi", CEL_QUANTITY, true, quantity_add_int},
	{"sub", "qq", CEL_QUANTITY, true, quantity_sub},
	{"sub", "qi", CEL_QUANTITY, true, quantity_sub_int},
	{"compareTo", "qq", CEL_INT, true, quantity_compare},
	{"isLessThan", "qq", CEL_BOOL, true, quantity_less},
	{"isGreaterThan", "qq", CEL_BOOL, true, quantity_greater},
	{"semver", "s", CEL_SEMVER, false, semver},
	{"isSemver", "s", CEL_BOOL, false, is_semver},
	{"compareTo", "VV", CEL_INT, true, semver_compare},
	{"isLessThan", "VV", CEL_BOOL, true, semver_less},
	{"isGreaterThan", "VV", CEL_BOOL, true, semver_greater},
	{"major", "V", CEL_INT, true, semver_major},
	{"minor", "V", CEL_INT, true, semver_minor},
	{"patch", "V", CEL_INT, true, semver_patch},
	{0},
};
