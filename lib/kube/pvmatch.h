/*
 * Which volume may a claim have? The question that binder and scheduler both ask, and the names
 * they use. Trees in, answers out. Pure; thread-safe.
 * Specification: k8s.io/component-helpers/storage/volume.
 */
#ifndef PLUMB_PVMATCH_H
#define PLUMB_PVMATCH_H

#include "lib/kube/nodematch.h"
#include "lib/kube/pvnames.h"

/* spec.storageClassName, or the annotation that preceded it. Of claims and of volumes. */
struct str volume_class(const struct json *o);
bool class_waits(const struct json *class); /* volumeBindingMode WaitForFirstConsumer */
/* Has a volume, and the binder has seen to both sides. */
bool claim_is_bound(const struct json *claim);
/* The volume's claimRef names this claim (and no other that bore its name). */
bool volume_is_for(const struct json *volume, const struct json *claim);
/* NULL when the volume gives what the claim asks for, whoever has it; else what is wrong. */
const char *volume_unfit(const struct json *volume, const struct json *claim);
/* The volume's node affinity allows that node. */
bool volume_reaches(const struct json *volume, const struct node_facts *n);

/*
 * The smallest available volume that fits; one that is reserved for the claim before all others.
 * node NULL = wherever it is. reserved_only: the class waits for a consumer, others don't count.
 * taken(arg, volume) says of one that it is spoken for; may be NULL.
 */
struct volume_search {
	const struct json *const *v;
	size_t n;
	const struct node_facts *node;
	bool reserved_only;
	bool (*taken)(void *arg, const struct json *volume);
	void *arg;
};
const struct json *volume_for(const struct volume_search *s, const struct json *claim);

#endif
