/*
 * What load balancers ask a node about a Service whose traffic stays on the node
 * (healthCheckNodePort): does it serve here? 200 or 503, and how many pods do. On one loop.
 */
#ifndef PLUMB_PROXY_HEALTH_H
#define PLUMB_PROXY_HEALTH_H

#include "lib/base/str.h"
#include "lib/os/loop.h"

struct health;
struct health *health_new(struct loop *l);
void health_free(struct health *h); /* NULL is fine */
/* From now on `port` answers for the Service `key` ("namespace/name"); 0 = none does any more. A
 * port that cannot be listened at is told of, and tried again at the next call. */
void health_set(struct health *h, struct str key, uint16_t port, size_t local);

#endif
