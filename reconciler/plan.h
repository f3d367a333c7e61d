/*
 * What to do in which order: the pure part of applying a revision. Order of kinds, reading and
 * writing inventories, and what may be pruned. Memory: the caller's arena.
 */
#ifndef PLUMB_RECONCILER_PLAN_H
#define PLUMB_RECONCILER_PLAN_H

#include "lib/json/json.h"
#include "reconciler/render.h"

#define PRUNE_SHARE_PERCENT 50 /* more of an inventory than this at once needs a confirmation … */
#define PRUNE_SHARE_MIN 10     /* … when at least as many objects are to go */
/* On a Kustomization: the revision whose pruning somebody agreed to, or "*". */
#define PRUNE_CONFIRM "plumb.dev/confirm-prune"

/* Lower comes first when applying, last when pruning. */
int plan_rank(struct str group, struct str kind);
/* Namespaces, volumes and definitions: what hangs on them goes with them. */
bool plan_is_precious(struct str kind);
/* By wave (an annotation of Argo CD), rank, then namespace and name. */
void plan_sort(struct rendered *r);

/* An inventory entry, taken apart. */
struct plan_entry {
	struct str id, version, group, kind, namespace, name;
	bool no_difference; /* held back, and that is how it shall be: Argo CD's IgnoreExtraneous */
	bool unapproved;    /* held back until somebody approves */
	bool stays;         /* was to go, and was left: nobody waits for its end */
};
MUST_USE int plan_entry_parse(struct arena *a, const struct json *entry, struct plan_entry *ret);

struct plan_prune {
	struct plan_entry *go; /* to delete, in order */
	size_t ngo;
	struct plan_entry *held; /* would go, but for a brake */
	size_t nheld;
	struct str why; /* which brake; STR_NONE when nothing is held */
};
struct plan_prune_opts {
	const struct json *inventory; /* status.inventory.entries */
	struct str revision;          /* what is applied now */
	struct str confirmed;         /* PRUNE_CONFIRM's value, or STR_NONE */
	bool enabled;                 /* spec.prune */
	bool empty_ok;                /* a revision that declares nothing prunes all */
};
/* `now` holds what the revision declares. An empty revision prunes nothing, unless it may. */
void plan_prune(struct arena *a, const struct rendered *now, const struct plan_prune_opts *o,
		struct plan_prune *ret);

#endif
