/*
 * As much HTTP/2 as one call of grpc.health.v1.Health/Check takes: the request as bytes, and the
 * frames that come back. Headers are not decoded: a message that says SERVING is the answer. Pure.
 * Specification: RFC 9113, RFC 7541, grpc's health checking protocol.
 */
#ifndef PLUMB_KUBELET_GRPC_CORE_H
#define PLUMB_KUBELET_GRPC_CORE_H

#include "lib/base/buf.h"

#define GRPC_SERVICE_MAX 250

enum grpc_verdict { GRPC_MORE, GRPC_SERVING, GRPC_UNHEALTHY, GRPC_BROKEN };

struct grpc_call {
	struct buf in;      /* a frame that isn't complete */
	struct buf message; /* what came of the answer */
};

/* authority: "10.0.0.1:50051". service may be empty; longer ones are cut. */
void grpc_request(struct str authority, struct str service, struct buf *out);
/* Takes what came; what is to be sent back (acknowledgements) goes to `out`. */
enum grpc_verdict grpc_feed(struct grpc_call *c, struct str data, struct buf *out);
void grpc_release(struct grpc_call *c);

#endif
