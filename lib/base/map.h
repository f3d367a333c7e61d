/*
 * Hash table from text to pointer. The key's bytes are copied; values are the caller's.
 * A zeroed struct is an empty map. Iteration order is unspecified. Not thread-safe.
 */
#ifndef PLUMB_MAP_H
#define PLUMB_MAP_H

#include "lib/base/str.h"

struct map_slot;
struct map {
	struct map_slot *slots;
	size_t n, cap, used;
};

void map_release(struct map *m); /* values are not touched */
void map_cleanup(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL when absent */
bool map_has(const struct map *m, struct str key);
void *map_set(struct map *m, struct str key, void *value); /* returns the value replaced, or NULL */
void *map_del(struct map *m, struct str key);              /* returns the value removed, or NULL */

struct map_iter {
	size_t i;
	struct str key;
	void *value;
};
/* struct map_iter it = {0}; while (map_next(m, &it)) … ; deleting the current key is allowed. */
bool map_next(const struct map *m, struct map_iter *it);

#endif
