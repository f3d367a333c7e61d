/*
 * Approves what nodes ask for themselves: a client certificate at their start (by a bootstrap
 * token's holder who may create certificatesigningrequests/nodeclient) and its renewals (by the
 * node, who may create certificatesigningrequests/selfnodeclient). On the client's loop.
 */
#ifndef PLUMB_CONTROLLERS_CSRAPPROVE_H
#define PLUMB_CONTROLLERS_CSRAPPROVE_H

#include "lib/kube/client.h"

struct csrapprove;
struct csrapprove *csrapprove_start(struct client *c);
void csrapprove_stop(struct csrapprove *p); /* NULL is fine */

#endif
