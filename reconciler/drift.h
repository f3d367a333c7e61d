/*
 * Drift: where a live object differs from what git declares. Only declared fields count: what the
 * server defaulted, and fields that git doesn't speak of, are no drift. Pure; memory: the caller's
 * arena, values are borrowed from the trees.
 */
#ifndef PLUMB_RECONCILER_DRIFT_H
#define PLUMB_RECONCILER_DRIFT_H

#include "lib/schema/schema.h"

#define DRIFT_ITEMS_MAX 100 /* of one object */

enum drift_op { DRIFT_CHANGED, DRIFT_REMOVED, DRIFT_DELETED };
const char *drift_op_text(enum drift_op op);

struct drift_item {
	enum drift_op op;
	struct str path;          /* JSON pointer into the declared object; "" = the whole object */
	const struct json *git;   /* as declared */
	const struct json *live;  /* NULL unless DRIFT_CHANGED */
	struct str manager, when; /* who wrote it last, when known */
};
struct drift_list {
	struct drift_item *v;
	size_t n, cap;
	size_t dropped; /* beyond DRIFT_ITEMS_MAX */
};

/*
 * accepted: what the server made of the declared object when it was applied last (it may write
 * values its own way), or NULL. s: the kind's type, or NULL.
 */
void drift_compare(struct arena *a, const struct schema *s, const struct json *declared,
		   const struct json *live, const struct json *accepted, struct drift_list *ret);

/* Values of Secrets, and whatever is flagged as sensitive, never leave this process but through
 * this: the text of a value for reports. In `a`; NULL gives "". */
struct str drift_redacted(struct arena *a, const struct json *object, const struct json *value);

#endif
