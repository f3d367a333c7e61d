/*
 * metrics.k8s.io: what nodes and pods use now. The kubelets are asked for their counters only when
 * somebody asks us; two readings make a rate. While nobody asks, nothing is done. An APIService
 * that somebody makes for the group takes it over (aggregate.c). The core's thread.
 */
#ifndef PLUMB_APISERVER_RESMETRICS_H
#define PLUMB_APISERVER_RESMETRICS_H

#include "apiserver/front-internal.h"

struct resmetrics;

struct resmetrics *resmetrics_new(struct front *f);
void resmetrics_free(struct resmetrics *m);
/* True when the request now waits for the kubelets; it then goes on by itself. After authorization.
 */
bool resmetrics_serve(struct front_req *r);

#endif
