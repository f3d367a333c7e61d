/*
 * What garbage collection decides about one object, once it is known what became of its owners.
 * Pure.
 */
#ifndef PLUMB_GC_CORE_H
#define PLUMB_GC_CORE_H

#include "controllers/common.h"

#define FINALIZER_FOREGROUND "foregroundDeletion"
#define FINALIZER_ORPHAN "orphan"

enum gc_owner {
	GC_OWNER_SOLID,   /* there */
	GC_OWNER_ABSENT,  /* gone, or another object of the same name */
	GC_OWNER_WAITING, /* being deleted, and waits for what it owns to go first */
};
enum gc_action {
	GC_NOTHING,
	GC_DROP_OWNERS, /* write `owners` into ownerReferences */
	GC_DELETE,      /* with `propagation` */
};
struct gc_decision {
	enum gc_action action;
	const struct json *owners;
	const char *propagation;
};
/* state[i] is what became of metadata.ownerReferences[i]; has_dependents: something names it as
 * owner. */
struct gc_decision gc_decide(struct arena *a, const struct json *o, const enum gc_owner *state,
			     bool has_dependents);

bool gc_has_finalizer(const struct json *o, const char *name);
/* The state of an owner that exists, from its object. */
enum gc_owner gc_owner_state(const struct json *owner, struct str uid);
/* ownerReferences without those to `uid`; NULL when there is none to it. */
const struct json *gc_owners_without(struct arena *a, const struct json *o, struct str uid);
/* ownerReferences none of which holds its owner up; NULL when none does. */
const struct json *gc_owners_released(struct arena *a, const struct json *o);
/* A merge patch of one metadata list, with uid and resourceVersion as preconditions. */
const struct json *gc_patch(struct arena *a, const struct json *o, const char *field,
			    const struct json *value);
const struct json *gc_finalizers_without(struct arena *a, const struct json *o, const char *name);
/* Whether `o` names `uid` as an owner that must wait for it. */
bool gc_blocks(const struct json *o, struct str uid);

#endif
