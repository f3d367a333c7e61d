/*
 * From a Service to an address that answers for it: for webhooks and aggregated APIs. Reads the
 * core's objects; the core's thread.
 */
#ifndef PLUMB_APISERVER_RESOLVE_H
#define PLUMB_APISERVER_RESOLVE_H

#include "apiserver/core.h"

struct endpoint {
	const char *host; /* an address, or an ExternalName's; in the arena */
	int port;
};
/* One of the ready endpoints behind that port, another with another `turn`. ERR_NOT_FOUND without
 * Service or port, ERR_UNAVAILABLE without endpoints; err is worded as Kubernetes does. */
MUST_USE int resolve_service(const struct core *c, struct str namespace, struct str name, int port,
			     unsigned turn, struct arena *a, struct endpoint *ret, struct err *err);

#endif
