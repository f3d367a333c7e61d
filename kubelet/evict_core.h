/*
 * When a pod has to go for what it uses, and who goes first when the node runs out. Pure.
 * Specification: the limits, order and words of Kubernetes' kubelet.
 */
#ifndef PLUMB_KUBELET_EVICT_CORE_H
#define PLUMB_KUBELET_EVICT_CORE_H

#include "kubelet/pod_spec.h"

/* Bytes on disk; -1 = not known. */
struct disk_use {
	int64_t containers[POD_CONTAINERS_MAX]; /* what they wrote to their root, and their logs */
	int64_t volumes[POD_VOLUMES_MAX];       /* those of emptyDirs that aren't memory */
};
/* Has it limits that need measuring? */
bool disk_limited(const struct pod_spec *s);
/* An emptyDir on the disk. */
bool disk_volume(const struct json *volume);
/* True when a limit is exceeded; the message tells which. */
bool disk_exceeded(const struct pod_spec *s, const struct disk_use *u, struct buf *message);
int64_t disk_sum(const struct pod_spec *s, const struct disk_use *u);

struct evict_candidate {
	const struct pod_spec *pod;
	int64_t usage, request;
};
/* Whom to evict: who uses more than it asked for, then the least important, then the greediest.
 * -1 = nobody may go. */
ptrdiff_t evict_choose(const struct evict_candidate *v, size_t n);
/* The sum over its main containers: "memory", "ephemeral-storage". */
int64_t evict_request(const struct pod_spec *s, const char *resource);

#endif
