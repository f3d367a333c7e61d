/* What stands in the machine's /var/log, for administrators: `kubectl get --raw
 * /api/v1/nodes/NODE/proxy/logs/…`. */
#ifndef PLUMB_KUBELET_NODELOGS_H
#define PLUMB_KUBELET_NODELOGS_H

#include "lib/http/server.h"

/* path is what follows "/logs", with its slash or empty; root is the folder that is shown. */
void nodelogs_serve(struct http_req *r, const char *root, struct str path);

#endif
