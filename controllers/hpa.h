/*
 * Horizontal pod autoscaling. Each autoscaler has a turn of its own every few seconds, in which it
 * asks for its target's scale and its metrics, and writes the scale and its status. It asks the API
 * server for things that no informer has, and so is a shell of its own and no pure controller; what
 * it decides is in hpa_core.h. Nothing runs while there are no autoscalers.
 */
#ifndef PLUMB_CONTROLLERS_HPA_H
#define PLUMB_CONTROLLERS_HPA_H

#include "lib/kube/controller.h"
#include "lib/kube/restmap.h"

struct hpa;
/* Before manager_start. period_ns: how often each has its turn; 0 = HPA_PERIOD. */
#define HPA_PERIOD INT64_C(5000000000)
struct hpa *hpa_new(struct client *c, struct manager *m, struct restmap *map, int64_t period_ns);
void hpa_free(struct hpa *h); /* NULL is fine */
/* No turn is under way: for tests. */
bool hpa_idle(const struct hpa *h);

#endif
