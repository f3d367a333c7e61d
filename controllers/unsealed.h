/* Secrets made of sealed ones, and what is said of it: for the controllers that open. Pure. */
#ifndef PLUMB_CONTROLLERS_UNSEALED_H
#define PLUMB_CONTROLLERS_UNSEALED_H

#include "controllers/controller.h"

/* What condition Synced says. */
struct unsealed {
	const struct resource *resource; /* of the sealed object */
	const char *reason;              /* "Synced" is good */
	struct str message;
	const char *id; /* of the key; or NULL */
};
/* The reason for what opening said. */
const char *unsealed_reason(enum err_code code);
bool unsealed_is_kubeseal(const struct json *ss);
void unsealed_tell(const struct view *v, const struct json *ss, const struct unsealed *u,
		   struct plan *p);
/* Makes or updates the Secret, which ss owns. False when somebody else's has the name. */
bool unsealed_plan(const struct view *v, const struct json *ss, struct json *wanted,
		   struct plan *p);
/* Both: the Secret, and the condition that says so. */
void unsealed_finish(const struct view *v, const struct json *ss, struct json *wanted,
		     struct unsealed *u, struct plan *p);

#endif
