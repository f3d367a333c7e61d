/* A container's root file system: an overlay of its image's layers and a folder to write to.
 * Blocking. */
#ifndef PLUMB_KUBELET_ROOTFS_H
#define PLUMB_KUBELET_ROOTFS_H

#include "kubelet/image/image.h"

/*
 * Mounts DIR/rootfs (dir is the container's own folder; upper and work are made in it) over the
 * layers of img in the image store `images`.
 */
MUST_USE int rootfs_mount(const char *images, const struct image *img, const char *dir,
			  struct err *err);
/* Absent or not mounted is success. Detaches when something still uses it. */
MUST_USE int rootfs_unmount(const char *dir, struct err *err);

#endif
