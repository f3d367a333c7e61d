/*
 * Sets of fields in their wire form, FieldsV1: a tree of objects whose members are path elements
 * ("f:name", `k:{"name":"x"}`, "v:3") and "." for the path itself. An empty object is a path that
 * is a member and has nothing below. Sets are never changed once made; results may share parts.
 * Pure. Specification: sigs.k8s.io/structured-merge-diff/v4/fieldpath (serialize.go).
 */
#ifndef PLUMB_FIELDSET_H
#define PLUMB_FIELDSET_H

#include "lib/json/index.h"
#include "lib/schema/schema.h"

/* How a value's parts are owned. */
enum shape { SHAPE_LEAF, SHAPE_MAP, SHAPE_KEYED, SHAPE_SET };
/* Of a value under a type (NULL = deduced): empty and atomic ones are leaves. */
enum shape shape_of(const struct schema *s, const struct json *v);
/* The type below, for a field or map key, or for a list's items (key STR_NONE). NULL = deduced. */
const struct schema *shape_child(const struct schema *s, struct str key);

/* The path element of a list item: `k:{…}` or "v:…". STR_NONE when a key is missing. */
struct str element_of_item(struct arena *a, const struct schema *list, const struct json *item);
/* The parts of a value by their elements, whatever the value is. Cleaned up before the value is
 * changed otherwise than in place. */
struct parts {
	const struct schema *s;
	const struct json *v;
	struct json_index members;
	struct str *elements; /* of a list's items */
	struct json_items items;
};
void parts_cleanup(struct parts *p);
struct parts parts_of(struct arena *a, const struct schema *s, const struct json *v);
/* Where the element stands; SIZE_MAX when it doesn't. */
size_t parts_find(struct parts *p, struct str element);
struct json *parts_at(const struct parts *p, size_t at); /* NULL for SIZE_MAX */
/* The type of what an element names. */
const struct schema *part_type(const struct schema *s, struct str element);

bool fieldset_is_member(const struct json *set); /* the path itself */
bool fieldset_is_empty(const struct json *set);  /* NULL, or no members at all */

struct json *fieldset_union(struct arena *a, const struct json *x, const struct json *y);
/* Paths of x that y has neither itself nor (where y's is a leaf) above. */
struct json *fieldset_minus(struct arena *a, const struct json *x, const struct json *y);
struct json *fieldset_and(struct arena *a, const struct json *x, const struct json *y);
/* Calls fn for each member path: ".spec.replicas", `.spec.containers[name="x"].image`. */
void fieldset_each(const struct json *set, void (*fn)(void *arg, struct str path), void *arg);

/* Every field that `v` sets. */
struct json *fieldset_of(struct arena *a, const struct schema *s, const struct json *v);
struct fieldset_diff {
	struct json *changed; /* added or modified */
	struct json *removed;
};
void fieldset_compare(struct arena *a, const struct schema *s, const struct json *from,
		      const struct json *to, struct fieldset_diff *ret);

#endif
