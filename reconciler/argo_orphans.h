/*
 * spec.orphanedResources of AppProjects: what is in an Application's namespace, and nobody's. An
 * Application's namespace is looked through after each of its runs, at most every half a minute.
 */
#ifndef PLUMB_RECONCILER_ARGO_ORPHANS_H
#define PLUMB_RECONCILER_ARGO_ORPHANS_H

#include "reconciler/engine.h"

/* Begins a look, where its project asks for it; what was counted is forgotten where none does. */
void argo_orphans_look(struct unit *u);
void argo_orphans_free(struct unit *u);
/* What the last look found, for a condition; NULL when that is nothing. */
const char *argo_orphans_text(const struct unit *u, struct arena *a);

#endif
