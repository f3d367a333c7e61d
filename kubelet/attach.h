/* /attach/NAMESPACE/POD/CONTAINER, GET or POST: a container's own streams (kubelet/streams.h). */
#ifndef PLUMB_KUBELET_ATTACH_H
#define PLUMB_KUBELET_ATTACH_H

#include "kubelet/kubelet.h"
#include "lib/http/server.h"

/* rest: what is behind "/attach/". Answers errors at once, else upgrades. */
void attach_serve(struct kubelet *k, struct http_req *r, struct str rest);

#endif
