/*
 * Deletion of namespaces: while a Namespace is Terminating, everything in it is deleted, kind by
 * kind as discovery lists them; when nothing is left the Namespace is finalized.
 */
#ifndef PLUMB_NAMESPACE_DELETION_H
#define PLUMB_NAMESPACE_DELETION_H

#include "lib/kube/controller.h"
#include "lib/kube/restmap.h"

struct namespace_deletion;
/* Before manager_start: shares the manager's informer of Namespaces. */
struct namespace_deletion *namespace_deletion_new(struct client *c, struct manager *m,
						  struct restmap *map);
void namespace_deletion_start(struct namespace_deletion *d);
void namespace_deletion_free(struct namespace_deletion *d); /* NULL is fine */
bool namespace_deletion_idle(const struct namespace_deletion *d);

#endif
