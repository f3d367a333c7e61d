/* Whom a container runs as, from securityContext, the image, and its passwd and group. Pure. */
#ifndef PLUMB_KUBELET_USER_CORE_H
#define PLUMB_KUBELET_USER_CORE_H

#include "kubelet/oci_core.h"

struct user_in {
	const struct pod_spec *pod;
	const struct container_spec *c;
	const struct json *image; /* its "config" */
	struct str passwd, group; /* texts; may be empty */
};
/* ERR_INVALID: a name that isn't in passwd or group; root where runAsNonRoot forbids it. */
MUST_USE int user_of(const struct user_in *in, struct oci_user *ret, struct err *err);

#endif
