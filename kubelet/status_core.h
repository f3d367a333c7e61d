/* A pod's status, from its spec and what is observed. Pure. */
#ifndef PLUMB_KUBELET_STATUS_CORE_H
#define PLUMB_KUBELET_STATUS_CORE_H

#include "kubelet/pod_core.h"

struct status_in {
	const struct pod_spec *spec;
	const struct pod_obs *obs;
	const struct json *old; /* the status as the API has it, or NULL: foreign conditions stay */
	const char *host_ip;
	const char *runtime; /* "crun", for container ids */
	struct pod_clock now;
};
/* The status object, in `a`. */
struct json *pod_status(struct arena *a, const struct status_in *in);
const char *pod_phase(const struct pod_spec *s, const struct pod_obs *o);

#endif
