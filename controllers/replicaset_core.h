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
 * Pod names of a ReplicaSet are numbered; the number is shuffled into the five-character suffix
 * by a permutation that depends on the ReplicaSet's uid. So a controller that decides twice on
 * the same state asks for the same name and is refused, and new names do not repeat old ones as
 * long as the last pod is there to be counted on from.
 */
struct str replicaset_pod_name(struct arena *a, const struct json *rs, uint32_t number);
/* The number that is in `name`; false when the name isn't of this ReplicaSet. */
bool replicaset_pod_number(const struct json *rs, struct str name, uint32_t *ret);

/* Plans what makes `rs`, a ReplicaSet or a ReplicationController (which r says), have the pods that
 * it wants and say so in its status. */
MUST_USE int replicaset_keep(const struct view *v, const struct resource *r, const struct json *rs,
			     struct plan *p, struct err *err);

#endif
