/*
 * The informer's indexes: from a value that a function reads off an object to the objects that
 * have it. Costs what one object's values cost, never the cache's size. One loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/kube/informer-internal.h"

void informer_add_index(struct informer *i, const char *name, index_fn *fn)
{
	for (size_t n = 0; n < i->nindexes; n++)
		if (!strcmp(i->indexes[n].name, name))
			return;
	i->indexes = xreallocarray(i->indexes, i->nindexes + 1, sizeof(*i->indexes));
	i->indexes[i->nindexes++] = (struct index){.name = xstrdup(name), .fn = fn};
}

static struct bucket *bucket_of(struct index *x, struct str value)
{
	struct bucket *b = map_get(&x->buckets, value);

	if (b)
		return b;
	b = xalloc(sizeof(*b) + value.n);
	if (value.n)
		memcpy(b + 1, value.p, value.n);
	b->value = (struct str){(char *)(b + 1), value.n};
	b->index = x;
	map_set(&x->buckets, b->value, b);
	return b;
}

struct putting {
	struct index *index;
	struct entry *entry;
};

static void put(void *ctx, struct str value)
{
	struct putting *p = ctx;
	struct bucket *b = bucket_of(p->index, value);
	struct entry *e = p->entry;

	if (b->n && b->v[b->n - 1] == e) /* the same value twice */
		return;
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 4;
		b->v = xreallocarray(b->v, b->cap, sizeof(*b->v));
	}
	b->v[b->n++] = e;
	e->buckets = xreallocarray(e->buckets, e->nbuckets + 1, sizeof(struct bucket *));
	e->buckets[e->nbuckets++] = b;
}

void informer_index(struct informer *i, struct entry *e)
{
	AUTO(arena) struct arena a = {0};

	for (size_t n = 0; n < i->nindexes; n++) {
		struct putting p = {&i->indexes[n], e};

		i->indexes[n].fn(e->obj, &a, put, &p);
	}
}

static void bucket_remove(struct bucket *b, const struct entry *e)
{
	for (size_t n = 0; n < b->n; n++)
		if (b->v[n] == e) {
			b->v[n] = b->v[--b->n];
			break;
		}
	if (b->n)
		return;
	map_del(&b->index->buckets, b->value);
	free(b->v);
	free(b);
}

void informer_unindex(struct informer *i, struct entry *e)
{
	(void)i;
	for (size_t n = 0; n < e->nbuckets; n++)
		bucket_remove(e->buckets[n], e);
	free(e->buckets);
	e->buckets = NULL;
	e->nbuckets = 0;
}

void informer_indexes_release(struct informer *i)
{
	for (size_t n = 0; n < i->nindexes; n++) {
		map_release(&i->indexes[n].buckets);
		free(i->indexes[n].name);
	}
	free(i->indexes);
}

struct obj_set informer_by_index(struct informer *i, const char *index, struct str value,
				 struct arena *a)
{
	for (size_t n = 0; n < i->nindexes; n++) {
		const struct bucket *b;
		const struct obj **v;

		if (strcmp(i->indexes[n].name, index))
			continue;
		b = map_get(&i->indexes[n].buckets, value);
		v = arena_array(a, b ? b->n : 1, sizeof(*v));
		for (size_t m = 0; b && m < b->n; m++)
			v[m] = b->v[m]->obj;
		return informer_sorted(v, b ? b->n : 0);
	}
	panic("no index %s", index);
}
