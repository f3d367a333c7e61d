/*
 * The claims of a pod: each is followed, and the volume it is bound to, for as long as the pod is
 * known. On the kubelet's loop.
 */
#ifndef PLUMB_KUBELET_CLAIMS_H
#define PLUMB_KUBELET_CLAIMS_H

#include "kubelet/kubelet.h"
#include "kubelet/volume/volume.h"

void claims_start(struct pod *p);
void claims_free(struct pod *p);
/* Everything is known that will be: what is still missing then is worth an error. */
bool claims_ready(const struct pod *p);
/* True when the claim, or the volume (ns is STR_NONE), is one of the pod's; follows it further. */
bool claims_changed(struct pod *p, enum ref_kind kind, struct str ns, struct str name);
/* For payload_in: the volume behind one of the pod's volumes, borrowed until the pod changes. */
MUST_USE int claims_volume(void *arg, const struct json *volume, struct persistent *ret,
			   struct err *err);
/* The claim that a volume of a pod is about, in `a`; STR_NONE when it is of another kind. */
struct str claim_of(struct arena *a, const struct pod_spec *pod, const struct json *volume);

#endif
