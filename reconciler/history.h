/* A Kustomization's status.history: the last few builds and how they ended. Pure. */
#ifndef PLUMB_RECONCILER_HISTORY_H
#define PLUMB_RECONCILER_HISTORY_H

#include "lib/json/json.h"

#define HISTORY_MAX 5

struct history_entry {
	struct str digest; /* of what was built: sha256:… */
	struct str status; /* the Ready condition's reason */
	struct str revision;
	struct str origin; /* where an artifact was made of that, or empty */
	int64_t now_ns, took_ns;
};
/*
 * The list with the entry in front. The same digest that ended the same way is one entry that
 * counts; older ones fall off the end. In `a`; `old` may be NULL.
 */
struct json *history_add(struct arena *a, const struct json *old, const struct history_entry *e);

#endif
