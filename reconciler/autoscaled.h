/*
 * Replicas that an autoscaler decides on: git may say how many to begin with, but once a
 * HorizontalPodAutoscaler has scaled the object the number is no drift, and no commit sets it back.
 * Told by the field's owner; a run that finds the autoscaler gone applies git's number again. Pure.
 */
#ifndef PLUMB_RECONCILER_AUTOSCALED_H
#define PLUMB_RECONCILER_AUTOSCALED_H

#include "lib/json/json.h"

#define AUTOSCALED_PATH "/spec/replicas"

bool autoscaled(const struct json *live);
/* What may be applied: `declared` as it is, or a copy that leaves the live number alone. live may
 * be NULL. */
const struct json *autoscaled_keep(struct arena *a, const struct json *declared,
				   const struct json *live);

/* Whether one of the HorizontalPodAutoscalers in a list is about the object. */
bool autoscaled_by_any(const struct json *list, const struct json *object);

#endif
