/*
 * Status writes in order: at most one is under way for an object, the next waits for its answer.
 * Two at once would travel on two connections and could arrive the other way round, and the older
 * word would stand. One loop.
 */
#ifndef PLUMB_RECONCILER_STATUSQ_H
#define PLUMB_RECONCILER_STATUSQ_H

#include "lib/kube/client.h"

struct statusq;
struct statusq *statusq_new(struct client *c);
void statusq_free(struct statusq *q); /* what waits is dropped; NULL is fine */

/* A merge patch of o's status sub-resource, whole ({"status": …}). Tried again while the server
 * cannot be reached. */
void statusq_put(struct statusq *q, const struct resource *r, const struct obj *o,
		 const struct json *patch);
/* True while caches may not show what was last put for o. */
bool statusq_busy(const struct statusq *q, const struct resource *r, const struct obj *o);

#endif
