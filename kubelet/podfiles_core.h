/* The texts of a pod's /etc/hosts, /etc/resolv.conf and its host name. Pure. */
#ifndef PLUMB_KUBELET_PODFILES_CORE_H
#define PLUMB_KUBELET_PODFILES_CORE_H

#include "kubelet/pod_spec.h"

struct node_names {
	struct str node;        /* the node's own name */
	struct str dns, domain; /* the cluster's server, "cluster.local" */
};

/*
 * spec.hostname or the pod's name, at most 63 bytes; with setHostnameAsFQDN and a subdomain, the
 * whole name. The node's for hostNetwork. ERR_INVALID when it is longer than the kernel takes.
 */
MUST_USE int pod_hostname(struct arena *a, const struct pod_spec *s, const struct node_names *n,
			  struct str *ret, struct err *err);
/* host: the node's own file, for pods in the node's network; ip: empty for those. */
void pod_hosts(const struct pod_spec *s, const struct node_names *n, struct str ip, struct str host,
	       struct buf *out);
/* host: the node's own resolv.conf. n->dns may be empty: then the node's is used. */
void pod_resolv(const struct pod_spec *s, const struct node_names *n, struct str host,
		struct buf *out);

#endif
