/* A container's environment: the image's, the services', envFrom, env. Pure. */
#ifndef PLUMB_KUBELET_ENV_CORE_H
#define PLUMB_KUBELET_ENV_CORE_H

#include "kubelet/volume/payload_core.h"

struct env_in {
	const struct payload_in *in; /* find, fields, node */
	const struct container_spec *c;
	const struct json *image; /* its "config" */
	const struct json *const
		*services; /* those of the pod's namespace, and default/kubernetes */
	size_t nservices;
	struct str hostname;
};
/* ERR_NOT_FOUND: a ConfigMap, Secret or key that isn't optional is missing; the message is the
 * container's. */
MUST_USE int env_build(struct arena *a, const struct env_in *in, struct env *ret, struct err *err);
/* One Service's variables, as kube names them. */
MUST_USE int env_service(struct arena *a, const struct json *service, struct env *e,
			 struct err *err);

#endif
