/*
 * The ConfigMaps, Secrets, claims and volumes that pods of this node refer to: each is followed for
 * as long as one of them does, and no other is ever asked for. On the kubelet's loop.
 */
#ifndef PLUMB_KUBELET_REFS_H
#define PLUMB_KUBELET_REFS_H

#include "lib/kube/informer.h"

struct refs;
enum ref_kind { REF_CONFIGMAP, REF_SECRET, REF_CLAIM, REF_VOLUME };

/* changed: the object came, changed, went, or was found absent. */
struct refs *
refs_new(struct client *c,
	 void (*changed)(void *arg, enum ref_kind kind, struct str ns, struct str name), void *arg);
void refs_free(struct refs *r);
void refs_use(struct refs *r, enum ref_kind kind, struct str ns, struct str name);
void refs_drop(struct refs *r, enum ref_kind kind, struct str ns, struct str name);
/* False while it isn't known yet. *ret NULL = there is none; borrowed until the loop's next turn.
 */
bool refs_get(struct refs *r, enum ref_kind kind, struct str ns, struct str name,
	      const struct obj **ret);

#endif
