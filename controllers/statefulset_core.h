/*
 * The choices of the StatefulSet controller: which pod stands at which ordinal, of which revision,
 * with which claims, and which one step comes next. Pure.
 */
#ifndef PLUMB_STATEFULSET_CORE_H
#define PLUMB_STATEFULSET_CORE_H

#include "controllers/revisions.h"

struct sts {
	const struct view *v;
	struct plan *plan;
	const struct json *was; /* the StatefulSet */
	struct trees pods;      /* what it owns */
	int64_t first, replicas, partition, min_ready;
	bool ordered, rolling; /* OrderedReady; RollingUpdate */
	struct revisions revisions;
	struct str current; /* name of the revision that older pods are of */
};

/* The ordinal in a pod's name; -1 for a name that isn't of this set. */
int64_t sts_ordinal(const struct sts *s, const struct json *pod);
/* The pod at an ordinal, NULL when there is none. */
const struct json *sts_pod(const struct sts *s, int64_t ordinal);
bool sts_pod_of(const struct json *pod, struct str revision);
bool sts_available(const struct sts *s, const struct json *pod);
/* Brings the set one step (or, Parallel, many) nearer to what it shall be. */
void sts_step(struct sts *s);

/* ---- pods and their claims (statefulset_pod.c) ---- */
/* Plans the pod of an ordinal, and the claims that it lacks. */
void sts_create(struct sts *s, int64_t ordinal);
/* The claims that a pod which waits lacks: somebody deleted them. */
void sts_restore_claims(struct sts *s, const struct json *pod);
void sts_delete(struct sts *s, const struct json *pod);
/* What persistentVolumeClaimRetentionPolicy asks of claims: whose they are. */
void sts_claim_owners(struct sts *s);

#endif
