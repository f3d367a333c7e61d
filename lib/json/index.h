/*
 * Finding members of large objects and items of large lists by hash, so that what a client sends
 * costs what its size says. Small ones are walked. Pure; an index holds heap memory until it is
 * released, and the tree it looks into must outlive it.
 */
#ifndef PLUMB_JSON_INDEX_H
#define PLUMB_JSON_INDEX_H

#include "lib/base/map.h"
#include "lib/json/json.h"

/* Members. struct json_index x = {object}; members that are added later are found, too; removing
 * any is not allowed meanwhile. */
struct json_index {
	struct json *of; /* NULL and what is no object have no members */
	struct map at;   /* key → position + 1 */
	size_t known;    /* how many members are in there */
};
void json_index_cleanup(struct json_index *x);
struct json_index json_index_of(const struct json *object);
struct json *json_index_get(struct json_index *x, struct str key);
/* As json_set. */
struct json *json_index_set(struct arena *a, struct json_index *x, struct str key,
			    const struct json *value);

/* Items, each by a text of the caller's: the first of several with one text counts. */
struct json_items {
	struct map at;
};
void json_items_cleanup(struct json_items *x);
void json_items_add(struct json_items *x, struct str text, size_t at);
size_t json_items_find(const struct json_items *x, struct str text); /* SIZE_MAX = none */
/* A text that two values share when json_equal() holds, and otherwise don't (numbers beyond 2^53
 * aside, when one is written as a float): appended to out. */
void json_identity(const struct json *v, struct buf *out);

/* Takes the members or items out for which gone[i] holds. */
void json_sweep(struct json *v, const bool *gone);

#endif
