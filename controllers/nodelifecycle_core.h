/*
 * What the node lifecycle controller decides: whether a node is heard of, which taints its
 * conditions ask for, and when a pod must leave. Pure.
 */
#ifndef PLUMB_NODELIFECYCLE_CORE_H
#define PLUMB_NODELIFECYCLE_CORE_H

#include "controllers/common.h"

/* When the node last gave a sign of life: its Lease or its Ready condition. */
int64_t node_last_heard(const struct json *node, const struct json *lease);
/* Sets the conditions of a silent node to Unknown; true when anything changed. */
bool node_set_unknown(struct arena *a, struct json *node, int64_t now_ns);
/* Makes spec.taints what the conditions ask for, leaving others' taints; true when changed. */
bool node_set_taints(struct arena *a, struct json *node, int64_t now_ns);
/* When the pod must leave because of NoExecute taints: 0 = now, INT64_MAX = never. */
int64_t pod_evict_at(const struct json *pod, const struct json *node);
bool node_is_ready(const struct json *node);

#endif
