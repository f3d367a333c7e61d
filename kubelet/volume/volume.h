/*
 * A pod's volumes on disk, pods/UID/volumes/NAME. Setting up what is set up already is quick and
 * also brings it up to date (ConfigMaps, Secrets, tokens change under running pods). Blocking.
 */
#ifndef PLUMB_KUBELET_VOLUME_H
#define PLUMB_KUBELET_VOLUME_H

#include "kubelet/volume/payload_core.h"

/* A PersistentVolume that is a pod's to use. */
struct persistent {
	const struct json *volume;
	const char *ours; /* the folder of volumes that this node makes itself */
};

/* dir: pods/UID. Makes or updates all volumes of in->pod. */
MUST_USE int volumes_setup(const char *dir, const struct payload_in *in, struct err *err);
/* Devices that were set up, but whose file systems are yet to be mounted. */
struct device_mount {
	const char *device;
	struct str type;
	const char *at;
};
void volumes_to_mount(const char *dir, const struct payload_in *in,
		      void (*fn)(void *ctx, const struct device_mount *m), void *ctx);
/* Persistent ones that were set up, but are yet to be given to the pod's fsGroup. */
void volumes_ungrouped(const char *dir, const struct payload_in *in,
		       void (*fn)(void *ctx, const char *path), void *ctx);
/* Gives all of it to the group: as long as that takes. */
MUST_USE int volume_give(const char *path, int64_t gid, struct err *err);
/* Updates those that hold files of the API's, when they exist. */
MUST_USE int volumes_update(const char *dir, const struct payload_in *in, struct err *err);
void volumes_teardown(const char *dir);
/* Nothing is mounted below dir (any more): what removes it reaches nothing else. */
bool volumes_unmounted(const char *dir);

struct volume_mount {
	char *source;      /* owned */
	struct str target; /* in the container */
	bool readonly;
};
/*
 * Where a volumeMount of a container comes from: a path that is safe to bind. A subPath is resolved
 * inside its volume without following links out, and bound at dir/subpaths/CONTAINER/INDEX.
 */
MUST_USE int volume_mount_source(const char *dir, const struct pod_spec *pod,
				 const struct container_spec *c, size_t index, struct str sub_path,
				 struct volume_mount *ret, struct err *err);
/* The same of an item of volumeDevices: source is a block device. */
MUST_USE int volume_device_source(const char *dir, const struct pod_spec *pod,
				  const struct json *device, struct volume_mount *ret,
				  struct err *err);
void subpaths_teardown(const char *dir, struct str container);

/* Replaces the folder's content with the payload's files: readers see the old or the new, never a
 * mix. */
MUST_USE int atomic_write(const char *folder, const struct payload *p, int64_t gid,
			  struct err *err);

#endif
