/*
 * What an object counts for in a namespace's quotas, and which quotas it counts in. Pure; memory is
 * the caller's arena.
 * Specification: https://kubernetes.io/docs/concepts/policy/resource-quotas/
 */
#ifndef PLUMB_ADMISSION_QUOTA_USAGE_H
#define PLUMB_ADMISSION_QUOTA_USAGE_H

#include "apiserver/admission/amounts.h"

/* Whether objects of that resource can count for `name`. */
bool quota_concerns(struct str name, const char *group, const char *plural);
/* Whether what one counts for can change while it lives, or depends on what it says. */
bool quota_looks_inside(const char *group, const char *plural);
/* o may be NULL when quota_looks_inside() is false. */
void quota_usage(struct arena *a, const char *group, const char *plural, const struct json *o,
		 struct amounts *ret);
/* Whether the object falls under the quota's scopes. */
bool quota_in_scope(const struct json *quota_spec, const char *group, const char *plural,
		    const struct json *o);
/* What a quota on processor or memory wants every container to say: STR_NONE, or the complaint
 * "must specify …". */
struct str quota_missing(struct arena *a, const struct json *quota_spec, const struct json *pod);

#endif
