/* What the makers of volumes share. */
#ifndef PLUMB_KUBELET_VOLUME_INTERNAL_H
#define PLUMB_KUBELET_VOLUME_INTERNAL_H

#include <limits.h>
#include <string.h>

#include "kubelet/volume/volume.h"

/* A hostPath's (or local volume's) path, checked; *ret is the caller's. */
MUST_USE int host_path(const struct json *v, char **ret, struct err *err);
/* Makes what its type asks for, and checks it. */
MUST_USE int set_up_host(const struct json *v, struct err *err);

/* Where the volume is, made when it is ours and missing; *ret is the caller's. */
MUST_USE int persistent_setup(const struct persistent *v, char **ret, struct err *err);
/* Is what is there still to be given to the pod's fsGroup, by its policy and the volume's kind? */
bool persistent_ungrouped(const struct persistent *v, const char *path, const struct pod_spec *pod);
/* Is it a device with a file system that is to be mounted? Of which type? */
bool persistent_mounts(const struct persistent *v, const char *path);
struct str persistent_fs(const struct persistent *v);
/*
 * A pod's folder only holds a link to a persistent volume, which no container sees: whatever
 * becomes of the pod's folder, nothing that removes it can reach the data.
 */
MUST_USE int persistent_link(const char *at, const char *path, struct err *err);
char *persistent_linked(const char *at); /* NULL when it is no link; the caller's */

#endif
