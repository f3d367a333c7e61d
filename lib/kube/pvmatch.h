/*
 * Which volume may a claim have? The question that binder and scheduler both ask, and the names
 * they use. Trees in, answers out. Pure; thread-safe.
 * Specification: k8s.io/component-helpers/storage/volume.
 */
#ifndef PLUMB_PVMATCH_H
#define PLUMB_PVMATCH_H

#include "lib/kube/nodematch.h"

#define ANN_BIND_COMPLETED "pv.kubernetes.io/bind-completed"
#define ANN_BOUND_BY_CONTROLLER "pv.kubernetes.io/bound-by-controller"
#define ANN_PROVISIONED_BY "pv.kubernetes.io/provisioned-by"
#define ANN_SELECTED_NODE "volume.kubernetes.io/selected-node"
#define ANN_PROVISIONER "volume.kubernetes.io/storage-provisioner"
#define ANN_PROVISIONER_BETA "volume.beta.kubernetes.io/storage-provisioner"
#define NO_PROVISIONER "kubernetes.io/no-provisioner"

/* Volumes of our own: folders of a node, that its kubelet makes and removes. */
#define LOCAL_PROVISIONER "plumb.dev/local"
#define LOCAL_FINALIZER "plumb.dev/local-volume" /* until the node has removed the data */
#define LOCAL_NODE "plumb.dev/node"              /* label of such a volume */
#define LOCAL_FOLDER "plumb.dev/volumes"         /* annotation of a Node: where they are */

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
