/*
 * Routes from a server's machine to the pods of its nodes, which are elsewhere: webhooks, extension
 * APIs and `kubectl get --raw …/proxy` need them. Kept up with the Nodes while it runs. Where an
 * agent runs on the same machine its kubelet has them already, and nothing is done. On the loop.
 */
#ifndef PLUMB_CLI_NODEROUTES_H
#define PLUMB_CLI_NODEROUTES_H

#include "lib/base/err.h"
#include "lib/os/loop.h"

struct noderoutes;
/* NULL with err when the kubeconfig can't be used. */
struct noderoutes *noderoutes_start(struct loop *l, const char *kubeconfig, struct err *err);
/* Takes away what it made; NULL is fine. */
void noderoutes_stop(struct noderoutes *r);

#endif
