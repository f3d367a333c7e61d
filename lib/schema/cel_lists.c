/*
 * Kubernetes' functions of lists in CEL, and those of lists as sets. Pure.
 */
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)

F(is_sorted)
{
	UNUSED_ARGS;
	for (size_t i = 1; i < v->n && cel_pay(c, 1); i++) {
		struct cel_value x = cel_item(c, v, i - 1), y = cel_item(c, v, i);
		int order = cel_order(&x, &y);

		if (order == 2)
			return cel_no_overload(c);
		if (order > 0)
			return cel_of_bool(false);
	}
	return cel_of_bool(true);
}

F(sum)
{
	struct cel_value all = cel_of_int(0);

	UNUSED_ARGS;
	for (size_t i = 0; i < v->n && cel_pay(c, 1); i++) {
		struct cel_value x = cel_item(c, v, i);

		if (x.type != CEL_INT && x.type != CEL_UINT && x.type != CEL_DOUBLE &&
		    x.type != CEL_DURATION)
			return cel_no_overload(c);
		all = i ? cel_binary(c, CEL_B_ADD, &all, &x) : x;
		if (all.type == CEL_ERROR)
			return all;
	}
	return all;
}

static struct cel_value extreme(struct cel *c, const struct cel_value *list, int wanted)
{
	struct cel_value best;

	if (!list->n)
		return cel_fail(c, "%s called on empty list", wanted < 0 ? "min" : "max");
	best = cel_item(c, list, 0);
	for (size_t i = 1; i < list->n && cel_pay(c, 1); i++) {
		struct cel_value x = cel_item(c, list, i);
		int order = cel_order(&x, &best);

		if (order == 2)
			return cel_no_overload(c);
		if (order == wanted)
			best = x;
	}
	return best;
}

F(min)
{
	UNUSED_ARGS;
	return extreme(c, v, -1);
}

F(max)
{
	UNUSED_ARGS;
	return extreme(c, v, 1);
}

static int64_t find(struct cel *c, const struct cel_value *list, const struct cel_value *x,
		    bool last)
{
	for (size_t i = 0; i < list->n && cel_pay(c, 1); i++) {
		size_t at = last ? list->n - 1 - i : i;
		struct cel_value item = cel_item(c, list, at);

		if (cel_equal(c, &item, x))
			return (int64_t)at;
	}
	return -1;
}

F(index_of)
{
	UNUSED_ARGS;
	return cel_of_int(find(c, &v[0], &v[1], false));
}

F(last_index_of)
{
	UNUSED_ARGS;
	return cel_of_int(find(c, &v[0], &v[1], true));
}

/* ---- as sets ---- */

static bool holds_all(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	for (size_t i = 0; i < y->n && cel_pay(c, 1); i++) {
		struct cel_value item = cel_item(c, y, i);

		if (find(c, x, &item, false) < 0)
			return false;
	}
	return !c->stop;
}

F(set_contains)
{
	UNUSED_ARGS;
	return cel_of_bool(holds_all(c, &v[0], &v[1]));
}

F(set_equivalent)
{
	UNUSED_ARGS;
	return cel_of_bool(holds_all(c, &v[0], &v[1]) && holds_all(c, &v[1], &v[0]));
}

F(set_intersects)
{
	UNUSED_ARGS;
	for (size_t i = 0; i < v[1].n && cel_pay(c, 1); i++) {
		struct cel_value item = cel_item(c, &v[1], i);

		if (find(c, &v[0], &item, false) >= 0)
			return cel_of_bool(true);
	}
	return cel_of_bool(false);
}

const struct cel_fn cel_fns_lists[] = {
	{"isSorted", "l", CEL_BOOL, true, is_sorted},
	{"sum", "l", CEL_ANY, true, sum},
	{"min", "l", CEL_ANY, true, min},
	{"max", "l", CEL_ANY, true, max},
	{"indexOf", "l.", CEL_INT, true, index_of},
	{"lastIndexOf", "l.", CEL_INT, true, last_index_of},
	{"sets.contains", "ll", CEL_BOOL, false, set_contains},
	{"sets.equivalent", "ll", CEL_BOOL, false, set_equivalent},
	{"sets.intersects", "ll", CEL_BOOL, false, set_intersects},
	{0},
};
