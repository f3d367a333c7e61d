/* Who wrote a field last, by managedFields. Pure. */
#ifndef PLUMB_RECONCILER_OWNER_H
#define PLUMB_RECONCILER_OWNER_H

#include "lib/json/json.h"

struct owner {
	struct str manager, when; /* borrowed from the object */
};

/* The latest manager other than `plumb` that owns the field at `pointer` of `shape` (an object
 * with the same list keys as the live one). False, and STR_NONE, when nobody is known. When the
 * field is gone, whoever wrote anything last is the best guess. */
bool owner_find(const struct json *live, const struct json *shape, struct str pointer,
		struct owner *ret);

#endif
