/*
 * Which Secrets, ConfigMaps, ServiceAccounts and claims the pods of each node refer to: what a
 * node's kubelet may read. Kept current from pods as they change. Pure; one thread.
 */
#ifndef PLUMB_APISERVER_NODEREFS_H
#define PLUMB_APISERVER_NODEREFS_H

#include "lib/kube/obj.h"

struct noderefs;
struct noderefs *noderefs_new(void);
void noderefs_free(struct noderefs *r);
/* old NULL = created, new NULL = deleted. */
void noderefs_change(struct noderefs *r, const struct obj *old, const struct obj *new);
/* resource: "secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims". */
bool noderefs_has(const struct noderefs *r, struct str node, struct str resource,
		  struct str namespace, struct str name);

#endif
