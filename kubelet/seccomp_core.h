/* The default seccomp profile (securityContext.seccompProfile: RuntimeDefault). Pure. */
#ifndef PLUMB_KUBELET_SECCOMP_CORE_H
#define PLUMB_KUBELET_SECCOMP_CORE_H

#include "lib/json/json.h"

/* caps: bit set of the container's capabilities; what one of them grants is not filtered. */
struct json *seccomp_default(struct arena *a, uint64_t caps);

#endif
