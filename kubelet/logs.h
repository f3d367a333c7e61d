/* GET /containerLogs/NAMESPACE/POD/CONTAINER. */
#ifndef PLUMB_KUBELET_LOGS_H
#define PLUMB_KUBELET_LOGS_H

#include "kubelet/kubelet.h"
#include "lib/http/server.h"

/* Answers the request, at once or as a stream. rest: what is behind "/containerLogs/". */
void logs_serve(struct kubelet *k, struct http_req *r, struct str rest);

#endif
