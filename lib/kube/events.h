/*
 * The event recorder: writes core/v1 Events, counts repeats into one object (count,
 * lastTimestamp), limits the rate per object. Best effort: failures are dropped after a retry.
 */
#ifndef PLUMB_EVENTS_H
#define PLUMB_EVENTS_H

#include "lib/kube/client.h"

struct recorder;
struct recorder *recorder_new(struct client *c, const char *component, const char *host);
void recorder_free(struct recorder *r);
/* regarding: a whole object tree, or {apiVersion, kind, metadata{namespace, name, uid}}, with a
 * fieldPath where it is about a part. type: "Normal", "Warning". */
void recorder_event(struct recorder *r, const struct json *regarding, const char *type,
		    const char *reason, const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
