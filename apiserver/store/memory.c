/* The store of tests and of the simulation: a map, as durable as the process. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/store/store.h"
#include "lib/base/map.h"

struct row {
	struct str value; /* behind the struct */
	uint64_t revision;
};

struct memory {
	struct store store;
	struct map rows;
	uint64_t revision;
};

static struct memory *of(struct store *s)
{
	return CONTAINER_OF(s, struct memory, store);
}

static int key_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int memory_load(struct store *s,
		       int (*fn)(void *arg, struct str key, struct str value, uint64_t revision),
		       void *arg, struct err *err)
{
	struct memory *m = of(s);
	struct str *keys = xreallocarray(NULL, m->rows.n + 1, sizeof(*keys));
	struct map_iter it = {0};
	size_t n = 0;
	int ret = 0;

	(void)err;
	while (map_next(&m->rows, &it))
		keys[n++] = it.key;
	qsort(keys, n, sizeof(*keys), key_order);
	for (size_t i = 0; i < n && !ret; i++) {
		const struct row *r = map_get(&m->rows, keys[i]);

		ret = fn(arg, keys[i], r->value, r->revision);
	}
	free(keys);
	return ret;
}

static int memory_commit(struct store *s, const struct store_write *w, size_t n, uint64_t revision,
			 struct err *err)
{
	struct memory *m = of(s);

	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct row *r = NULL;

		if (w[i].value.p) {
			r = xalloc(sizeof(*r) + w[i].value.n);
			memcpy(r + 1, w[i].value.p, w[i].value.n);
			*r = (struct row){{(char *)(r + 1), w[i].value.n}, w[i].revision};
			free(map_set(&m->rows, w[i].key, r));
		} else {
			free(map_del(&m->rows, w[i].key));
		}
	}
	m->revision = revision;
	return 0;
}

static uint64_t memory_revision(const struct store *s)
{
	return CONTAINER_OF(s, const struct memory, store)->revision;
}

static int memory_maintain(struct store *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static struct store_backup *memory_backup(struct store *s, const char *path, struct err *err)
{
	(void)s;
	err_set(err, ERR_UNSUPPORTED, "%s: a store in memory has nothing to back up", path);
	return NULL;
}

static void memory_free(struct store *s)
{
	struct memory *m = of(s);
	struct map_iter it = {0};

	while (map_next(&m->rows, &it))
		free(it.value);
	map_release(&m->rows);
	free(m);
}

static const struct store_ops memory_ops = {.load = memory_load,
					    .commit = memory_commit,
					    .revision = memory_revision,
					    .maintain = memory_maintain,
					    .backup = memory_backup,
					    .free = memory_free};

struct store *store_memory_new(void)
{
	struct memory *m = xalloc(sizeof(*m));

	m->store.ops = &memory_ops;
	return &m->store;
}
