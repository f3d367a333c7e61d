/* The texts of a pod's /etc/hosts, /etc/resolv.conf and its host name. Pure. */
#ifndef PLUMB_KUBELET_PODFILES_CORE_H
#define PLUMB_KUBELET_PODFILES_CORE_H

#include "kubelet/pod_spec.h"

/* spec.hostname or the pod's name, at most 63 bytes; the node's for hostNetwork. */
struct str pod_hostname(struct arena *a, const struct pod_spec *s, struct str node_name);
void pod_hosts(const struct pod_spec *s, struct str hostname, struct str ip, struct buf *out);
/* host: the node's own resolv.conf. cluster_dns may be empty: then the node's is used. */
void pod_resolv(const struct pod_spec *s, struct str cluster_dns, struct str domain,
		struct str host, struct buf *out);

#endif
