/*
 * The history of a DaemonSet or StatefulSet: one ControllerRevision for each template that it has
 * had, numbered in the order in which they were (last) wanted. `kubectl rollout history` and
 * `undo` read them. Pure.
 */
#ifndef PLUMB_REVISIONS_H
#define PLUMB_REVISIONS_H

#include "controllers/common.h"

#define LABEL_REVISION "controller-revision-hash"

struct revisions {
	struct trees all;   /* oldest first; without one that this plan makes */
	struct str name;    /* of the present template's, made by the plan when it was missing */
	struct str hash;    /* its hash */
	int64_t collisions; /* status.collisionCount as it shall be */
};

/* Finds the owner's revisions, adopting orphans that `s` picks; plans the one of the present
 * template, or gives an older equal one the highest number. r is the owner's resource. */
void revisions_sync(const struct view *v, const struct resource *r, const struct json *owner,
		    const struct selector *s, struct plan *p, struct revisions *ret);
/* The hash that a revision stands for, STR_NONE for one that isn't ours. */
struct str revision_hash(const struct json *revision);
/* One of `all` by name; NULL. */
const struct json *revisions_find(const struct revisions *all, struct str name);
/* The template that a revision keeps; NULL when it holds none. */
const struct json *revision_template(const struct json *revision);
/* Plans to delete the oldest beyond `limit` that no pod's label (a hash or a name) speaks of, the
 * present one and `kept` aside. */
void revisions_prune(const struct view *v, struct plan *p, const struct revisions *all,
		     const struct trees *pods, struct str kept, int64_t limit);

#endif
