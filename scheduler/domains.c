/*
 * A small open-addressing table in an arena. Only ever asked by name, so the per-process hash key
 * does not show in any answer. Pure.
 */
#include "scheduler/domains.h"

#include "lib/base/pure.h"

static struct domain *slot(const struct domains *d, struct str name)
{
	size_t i = str_hash(name) & (d->cap - 1);

	while (d->slots[i].name.p && !str_eq(d->slots[i].name, name))
		i = (i + 1) & (d->cap - 1);
	return &d->slots[i];
}

static void grow(struct domains *d)
{
	struct domains old = *d;

	d->cap = old.cap ? old.cap * 2 : 16;
	d->slots = arena_array(d->a, d->cap, sizeof(*d->slots));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].name.p)
			*slot(d, old.slots[i].name) = old.slots[i];
}

int64_t *domains_at(struct domains *d, struct str name)
{
	struct domain *s;

	if (!name.p)
		name = STR("");
	if (d->n * 2 >= d->cap)
		grow(d);
	s = slot(d, name);
	if (!s->name.p) {
		s->name = name;
		d->n++;
	}
	return &s->n;
}

int64_t domains_get(const struct domains *d, struct str name)
{
	return d->cap ? slot(d, name.p ? name : STR(""))->n : 0;
}

int64_t domains_min(const struct domains *d)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < d->cap; i++)
		if (d->slots[i].name.p)
			least = MIN(least, d->slots[i].n);
	return least == INT64_MAX ? 0 : least;
}
