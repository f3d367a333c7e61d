/*
 * The choices of the ReplicaSet controller: which pods go first when there are too many, and how
 * the next ones are called. Pure.
 */
#ifndef PLUMB_REPLICASET_CORE_H
#define PLUMB_REPLICASET_CORE_H

#include "controllers/common.h"

/*
 * Sorts pods so that those to delete first come first: unassigned, pending, not ready, cheaper by
 * the pod-deletion-cost annotation, doubled up on a node, ready for less long, more restarts,
 * newer. `related` are all pods of the same application: what "doubled up" counts.
 */
void replicaset_rank(const struct view *v, struct trees *pods, const struct trees *related);

/*
 * The five characters behind the owner's name are a number, shuffled by a permutation that depends
 * on the owner's uid. The number counts on from how many pods it ever had (those that are there and
 * view.gone): a controller that decides twice on the same state, also one whose write's answer was
 * lost, asks for the same name and is refused; and the pod that follows one that has gone isn't
 * taken for it, for somebody may be waiting for that name to disappear.
 */
struct str replicaset_pod_name(struct arena *a, const struct json *rs, uint32_t number);

/* Plans what makes `rs`, a ReplicaSet or a ReplicationController (which r says), have the pods that
 * it wants and say so in its status. */
MUST_USE int replicaset_keep(const struct view *v, const struct resource *r, const struct json *rs,
			     struct plan *p, struct err *err);

#endif
