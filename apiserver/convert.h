/*
 * API versions: an object is stored in one version of its kind and shown in whichever is asked
 * for. A version either differs by its name alone, or brings functions that move its fields
 * (kind.h: stored, to_stored, from_stored). Built-in kinds and those of CustomResourceDefinitions
 * go the same way. Pure; results live in the arena.
 */
#ifndef PLUMB_APISERVER_CONVERT_H
#define PLUMB_APISERVER_CONVERT_H

#include "apiserver/kinds/kind.h"
#include "lib/kube/obj.h"

/* "group/version", or the version alone for the core group. */
struct str convert_api_version(struct arena *a, const struct kind *k);
/* Whether an object's bytes are what a reader of k is to see. */
bool convert_is_plain(const struct kind *k, const struct obj *o);
/* Whether the versions' fields differ too, so that a tree must be copied to be shown. */
bool convert_moves(const struct kind *k);
/* The object as readers of k see it: shared with the object where nothing changes. */
const struct json *convert_view(struct arena *a, const struct kind *k, const struct obj *o);
/* In place, of a tree that the caller may change. */
void convert_from_stored(struct arena *a, const struct kind *to, struct json *o);
void convert_to_stored(struct arena *a, const struct kind *from, const struct kind *stored,
		       struct json *o);

#endif
