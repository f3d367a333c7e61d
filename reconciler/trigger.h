/* What a Receiver names looks for something new. On the role's loop; the engine's. */
#ifndef PLUMB_RECONCILER_TRIGGER_H
#define PLUMB_RECONCILER_TRIGGER_H

#include "lib/kube/obj.h"

struct reconciler;
/* Everything in spec.resources of the Receiver: sources at once, other kinds by annotation. */
void trigger(struct reconciler *r, const struct obj *receiver);

#endif
