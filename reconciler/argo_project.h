/*
 * What AppProjects allow: sources, destinations, kinds, and the hours in which Applications are
 * synced. Pure; the words are Argo CD's.
 */
#ifndef PLUMB_RECONCILER_ARGO_PROJECT_H
#define PLUMB_RECONCILER_ARGO_PROJECT_H

#include "lib/json/json.h"

/* What the AppProject forbids: -1. NULL is the project `default`, which allows all. scoped: this
 * cluster is registered as the project's own. */
MUST_USE int application_allowed(const struct json *project, const struct json *app, bool scoped,
				 struct err *err);
/* The same of one object that it declares; namespace is STR_NONE for what belongs to the cluster.
 */
struct project_object {
	struct str group, kind, namespace, name;
};
MUST_USE int project_permits(const struct json *project, const struct project_object *o,
			     struct err *err);
/* Whether Applications of a namespace may belong to it, where it is in another one. */
bool project_serves(const struct json *project, struct str namespace);
/* spec.orphanedResources: the object is one that may be there though nobody declares it. */
bool project_orphan_known(const struct json *rules, struct str group, struct str kind,
			  const struct json *object);
/* What it says that has no effect, added to a list of {type, message}: application_warn.c. */
void project_unheeded(struct arena *a, const struct json *project, struct json *list);

/* Seconds that a zone is ahead of UTC at a time; -1 when there is no such zone. */
typedef int zone_fn(void *ctx, struct str zone, int64_t at_s, int32_t *ret);
struct project_clock {
	int64_t now_ns;
	zone_fn *zone;
	void *ctx;
};
/*
 * Whether the sync windows let the Application sync now, by itself or by hand. -1 with
 * ERR_FORBIDDEN and the window in the way, or with ERR_INVALID for one that cannot be read: then
 * nothing is synced.
 */
MUST_USE int project_window(const struct json *project, const struct json *app,
			    const struct project_clock *clock, bool by_hand, struct err *err);

#endif
