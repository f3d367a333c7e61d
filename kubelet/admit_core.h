/*
 * Will this node have that pod? Whoever bound it may not have asked the scheduler. Pure.
 * Specification: the reasons that Kubernetes' kubelet gives.
 */
#ifndef PLUMB_KUBELET_ADMIT_CORE_H
#define PLUMB_KUBELET_ADMIT_CORE_H

#include "kubelet/pod_spec.h"

struct admit_in {
	const struct pod_spec *pod;
	const struct json *node;              /* the Node, or NULL when it isn't known yet */
	const struct pod_spec *const *others; /* those that have a place here */
	size_t nothers;
	int64_t cpu_m, memory, max_pods; /* what there is to have */
	bool apparmor;                   /* the machine enforces it */
};
struct admit_no {
	char reason[40], message[200];
};
bool pod_admit(const struct admit_in *in, struct admit_no *ret);

/* What a pod's cgroup gets: the weight of what it asks for, and where all of its containers have
 * limits their sum; memory 0 = unlimited. */
struct pod_share {
	int64_t cpu_shares, memory;
};
struct pod_share pod_share(const struct pod_spec *s);

/* NULL when the sysctl may be set for this pod; else what speaks against it. */
const char *sysctl_refusal(const struct pod_spec *pod, struct str name);

#endif
