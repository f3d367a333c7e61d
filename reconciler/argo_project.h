/*
 * What AppProjects allow: sources, destinations, kinds, and the hours in which Applications are
 * synced. Pure; the words are Argo CD's.
 */
#ifndef PLUMB_RECONCILER_ARGO_PROJECT_H
#define PLUMB_RECONCILER_ARGO_PROJECT_H

#include "lib/json/json.h"

/* What the AppProject forbids: -1. NULL is the project `default`, which allows all. */
MUST_USE int application_allowed(const struct json *project, const struct json *app,
				 struct err *err);
/* The same of one object that it declares; namespace is STR_NONE for what belongs to the cluster.
 */
MUST_USE int project_permits(const struct json *project, struct str group, struct str kind,
			     struct str namespace, struct err *err);

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
