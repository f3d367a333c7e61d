/*
 * Where the values of an object are said, for those that its own document doesn't say at the same
 * place: an overlay's replicas, a patch's image, a tag. Pure.
 */
#ifndef PLUMB_RECONCILER_SAID_H
#define PLUMB_RECONCILER_SAID_H

#include "reconciler/render.h"

/* Appends records of all such values, each "pointer\0file\0byte\0"; an empty file means that no
 * file says it. */
void said_elsewhere(const struct rendered *from, const struct rendered_object *o, struct buf *out);

struct said {
	struct str file; /* "app/kustomization.yaml"; points into the records */
	size_t begin;    /* where the value stands in it */
	size_t inner; /* the value is a text that holds the one meant, there; SIZE_MAX = it isn't */
};
/* False when there is no record: the object's own document says it. */
bool said_find(struct str records, struct str pointer, struct said *ret);

struct said_change {
	struct str original;         /* the file as the place means it */
	struct str current;          /* the file as other edits left it */
	const struct json *git, *to; /* what the object says, and is to say */
};
/* The whole new text, or STR_NONE with err. A value that stands there in part (a tag within an
 * image) is changed where that part makes the whole difference. */
struct str said_edit(struct arena *a, const struct said *at, const struct said_change *c,
		     struct err *err);

#endif
