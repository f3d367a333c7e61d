/* /exec/NAMESPACE/POD/CONTAINER, GET or POST: a command inside a container (kubelet/streams.h). */
#ifndef PLUMB_KUBELET_EXEC_H
#define PLUMB_KUBELET_EXEC_H

#include "kubelet/kubelet.h"
#include "lib/http/server.h"

/* rest: what is behind "/exec/". Answers errors at once, else upgrades. */
void exec_serve(struct kubelet *k, struct http_req *r, struct str rest);
/* The running container that NAMESPACE/POD/CONTAINER names; NULL = the request was answered. */
struct attempt *exec_find(struct kubelet *k, struct http_req *r, struct str rest);

#endif
