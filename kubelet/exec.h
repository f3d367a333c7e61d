/* GET /exec/NAMESPACE/POD/CONTAINER by WebSocket (v5.channel.k8s.io, v4.channel.k8s.io). */
#ifndef PLUMB_KUBELET_EXEC_H
#define PLUMB_KUBELET_EXEC_H

#include "kubelet/kubelet.h"
#include "lib/http/server.h"

/* rest: what is behind "/exec/". Answers errors at once, else upgrades. */
void exec_serve(struct kubelet *k, struct http_req *r, struct str rest);

#endif
