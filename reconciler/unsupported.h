/* Says in the status of Flux' other kinds that nothing acts on them. On the role's loop. */
#ifndef PLUMB_RECONCILER_UNSUPPORTED_H
#define PLUMB_RECONCILER_UNSUPPORTED_H

#include "reconciler/engine.h"

struct unsupported;
struct unsupported *unsupported_start(struct reconciler *r);
void unsupported_stop(struct unsupported *u); /* NULL is fine */

#endif
