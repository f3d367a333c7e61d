/*
 * Garbage collection: what an owner leaves behind is deleted when the owner is gone; owners that
 * wait (foreground) or let go (orphan) are served. Looks at every kind that the API server's
 * discovery lists. Not a `struct controller`, because its kinds are known only at run time.
 */
#ifndef PLUMB_GC_H
#define PLUMB_GC_H

#include "lib/kube/controller.h"
#include "lib/kube/restmap.h"

struct gc;
/* After the controllers were added and before manager_start: shares the manager's informers. */
struct gc *gc_new(struct client *c, struct manager *m, struct restmap *map);
void gc_start(struct gc *g);
void gc_free(struct gc *g); /* NULL is fine */
bool gc_idle(const struct gc *g);

#endif
