/*
 * Objects of one kind in order of namespace and name: a sorted array. Lookups are binary, an
 * insertion moves pointers (40 µs among 100,000 objects), lists are a walk over memory.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/core-internal.h"

int table_order(const struct obj *o, struct str namespace, struct str name)
{
	int by_ns = str_cmp(o->namespace, namespace);

	return by_ns ? by_ns : str_cmp(o->name, name);
}

size_t table_lower(const struct table *t, struct str namespace, struct str name)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (table_order(t->rows[mid], namespace, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct obj *table_get(const struct table *t, struct str namespace, struct str name)
{
	size_t at = table_lower(t, namespace, name);

	return at < t->n && !table_order(t->rows[at], namespace, name) ? t->rows[at] : NULL;
}

const struct obj *table_put(struct table *t, const struct obj *o)
{
	/* Loading, and names that count upwards, come in order. */
	bool last = t->n && table_order(t->rows[t->n - 1], o->namespace, o->name) < 0;
	size_t at = last ? t->n : table_lower(t, o->namespace, o->name);
	const struct obj *old = NULL;

	t->changes++;
	if (at < t->n && !table_order(t->rows[at], o->namespace, o->name)) {
		old = t->rows[at];
		t->rows[at] = o;
		return old;
	}
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 16;
		t->rows = xreallocarray(t->rows, t->cap, sizeof(*t->rows));
	}
	memmove(&t->rows[at + 1], &t->rows[at], (t->n - at) * sizeof(*t->rows));
	t->rows[at] = o;
	t->n++;
	return NULL;
}

const struct obj *table_del(struct table *t, struct str namespace, struct str name)
{
	size_t at = table_lower(t, namespace, name);
	const struct obj *old;

	if (at == t->n || table_order(t->rows[at], namespace, name))
		return NULL;
	old = t->rows[at];
	t->changes++;
	t->n--;
	memmove(&t->rows[at], &t->rows[at + 1], (t->n - at) * sizeof(*t->rows));
	return old;
}

/* The first row of a later namespace. */
static size_t namespace_end(const struct table *t, struct str namespace, size_t from)
{
	size_t lo = from, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(t->rows[mid]->namespace, namespace) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void table_range(const struct table *t, struct str namespace, size_t *ret_from, size_t *ret_to)
{
	if (!namespace.n) {
		*ret_from = 0;
		*ret_to = t->n;
		return;
	}
	*ret_from = table_lower(t, namespace, STR_NONE);
	*ret_to = namespace_end(t, namespace, *ret_from);
}
