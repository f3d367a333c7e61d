/* What claims, volumes and nodes say of each other, by name. */
#ifndef PLUMB_PVNAMES_H
#define PLUMB_PVNAMES_H

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

#endif
