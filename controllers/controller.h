/* The registry of controllers: one file in this folder declares `const struct controller
 * controller_x`. */
#ifndef PLUMB_CONTROLLERS_H
#define PLUMB_CONTROLLERS_H

#include "lib/base/timezone.h"
#include "lib/kube/controller.h"
#include "lib/kube/resources.h"

/* What every controller's view->config points to. */
struct controllers_config {
	struct str root_ca;    /* PEM; STR_NONE = not known */
	struct str ca_key;     /* of root_ca, PEM: client certificates are signed with it */
	uint32_t cluster_net;  /* pod network, host byte order */
	unsigned cluster_bits; /* its prefix length; 0 = no addresses are given to nodes */
	unsigned node_bits;    /* prefix length of a node's share */
	int64_t seal_interval; /* a new sealing key that often, in ns; 0 = when asked for */
	/* lib/os/zoneinfo.h's; NULL: UTC only */
	bool (*find_zone)(struct str name, const struct timezone **ret);
	int64_t started_ns; /* wall clock: silence before it doesn't count against nodes */
};

extern const struct controller *const controller_registry[]; /* generated, ended by NULL */

#endif
