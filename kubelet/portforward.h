/*
 * /portForward/NAMESPACE/POD, GET or POST: connections to the pod's own ports, many over one
 * connection of the client's: SPDY streams (portforward.k8s.io), the same inside WebSocket messages
 * (SPDY/3.1+portforward.k8s.io), or one pair of WebSocket channels a port (v4.channel.k8s.io).
 */
#ifndef PLUMB_KUBELET_PORTFORWARD_H
#define PLUMB_KUBELET_PORTFORWARD_H

#include "kubelet/kubelet.h"
#include "lib/http/server.h"

/* rest: what is behind "/portForward/". Answers errors at once, else upgrades. */
void portforward_serve(struct kubelet *k, struct http_req *r, struct str rest);

#endif
