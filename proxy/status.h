/*
 * What a node's proxy says of itself, at the ports where kube-proxy does: whether the dataplane is
 * true (10256, for load balancers that choose nodes by it), and on loopback (10249) its metrics
 * and how it works. On one loop.
 */
#ifndef PLUMB_PROXY_STATUS_H
#define PLUMB_PROXY_STATUS_H

#include "lib/base/err.h"
#include "lib/os/loop.h"

struct proxy_status_opts {
	const char *healthz, *metrics; /* ADDR:PORT; empty = not served */
	bool (*healthy)(void *arg);    /* is the kernel's table what it should be? */
	void *arg;
};

struct proxy_status;
/* An address that cannot be had is told of in the log and done without: Services matter more. */
struct proxy_status *proxy_status_start(struct loop *l, const struct proxy_status_opts *o);
void proxy_status_stop(struct proxy_status *s); /* NULL is fine */

#endif
