/*
 * Health rules: one file a kind declares `const struct health health_x`. Pure: from an object as
 * it is live to whether it does what its manifest asks. Kinds without a rule are judged by their
 * conditions and observedGeneration (health_generic), as kstatus does.
 */
#ifndef PLUMB_RECONCILER_HEALTH_H
#define PLUMB_RECONCILER_HEALTH_H

#include "lib/kube/obj.h"

enum health_state { HEALTH_CURRENT, HEALTH_PROGRESSING, HEALTH_FAILED };

struct health_result {
	enum health_state state;
	struct str message; /* why it isn't current; in the arena */
};

struct health {
	const char *group, *kind; /* group "" = core; kind "*" = whatever has no rule of its own */
	struct health_result (*check)(const struct json *o, struct arena *a);
};

extern const struct health *const health_registry[]; /* generated, ended by NULL */

/* The rule for the object's kind, applied. Being deleted is always PROGRESSING. */
struct health_result health_of(const struct json *o, struct arena *a);

/* For rules. */
#define HEALTHY ((struct health_result){HEALTH_CURRENT, STR_NONE})
struct health_result health_wait(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct health_result health_fail(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The controller hasn't seen the latest spec yet. */
bool health_stale(const struct json *o);
bool health_condition_is(const struct json *o, const char *type, const char *status);

#endif
