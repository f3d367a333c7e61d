/*
 * Open addressing with linear probing; removed slots are marked so that iteration may delete.
 * One thread at a time. Keys are copied, one allocation each.
 */
#include "lib/base/map.h"

struct map_slot {
	char *key; /* NULL = never used, &dead = removed */
	size_t n;
	uint64_t hash;
	void *value;
};

static char dead;

static bool live(const struct map_slot *s)
{
	return s->key && s->key != &dead;
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key)
			return NULL;
		if (s->key != &dead && s->hash == hash && s->n == key.n &&
		    (key.n == 0 || !memcmp(s->key, key.p, key.n)))
			return s;
	}
}

static void place(struct map *m, struct map_slot moved)
{
	size_t i = moved.hash & (m->cap - 1);

	while (m->slots[i].key)
		i = (i + 1) & (m->cap - 1);
	m->slots[i] = moved;
}

static void grow(struct map *m)
{
	struct map_slot *old = m->slots;
	size_t cap = m->cap;

	/* Many removed slots: the same size again, cleaned. */
	m->cap = cap == 0 ? 8 : m->n * 2 >= cap ? cap * 2 : cap;
	m->slots = xalloc(m->cap * sizeof(*m->slots));
	for (size_t i = 0; i < cap; i++) {
		if (live(&old[i]))
			place(m, old[i]);
	}
	m->used = m->n;
	free(old);
}

void map_release(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++) {
		if (live(&m->slots[i]))
			free(m->slots[i].key);
	}
	free(m->slots);
	*m = (struct map){0};
}

void map_cleanup(struct map *m)
{
	map_release(m);
}

void *map_get(const struct map *m, struct str key)
{
	struct map_slot *s = find(m, key, str_hash(key));

	return s ? s->value : NULL;
}

bool map_has(const struct map *m, struct str key)
{
	return find(m, key, str_hash(key)) != NULL;
}

void *map_set(struct map *m, struct str key, void *value)
{
	uint64_t hash = str_hash(key);
	struct map_slot *s = find(m, key, hash);

	if (s) {
		void *old = s->value;
		s->value = value;
		return old;
	}
	if ((m->used + 1) * 4 > m->cap * 3)
		grow(m);
	place(m, (struct map_slot){xstrndup(key.p, key.n), key.n, hash, value});
	m->n++;
	m->used++;
	return NULL;
}

void *map_del(struct map *m, struct str key)
{
	struct map_slot *s = find(m, key, str_hash(key));

	if (!s)
		return NULL;
	void *old = s->value;
	free(s->key);
	s->key = &dead;
	s->value = NULL;
	m->n--;
	return old;
}

bool map_next(const struct map *m, struct map_iter *it)
{
	while (it->i < m->cap) {
		struct map_slot *s = &m->slots[it->i++];
		if (!live(s))
			continue;
		it->key = (struct str){s->key, s->n};
		it->value = s->value;
		return true;
	}
	return false;
}
