/*
 * The cluster's certificates and kubeconfigs below DIR/pki. Made where missing, renewed when they
 * end within thirty days or no longer name the addresses they should.
 */
#ifndef PLUMB_CLI_PKI_H
#define PLUMB_CLI_PKI_H

#include "cli/datadir.h"

struct pki_cluster {
	const char *server;      /* "https://127.0.0.1:6443": for admin and the control plane */
	const char *node_server; /* how nodes reach it; NULL = server */
	const char *const *server_ips; /* addresses the API server answers on; NULL-terminated */
};

/* Authority, serving certificate, ServiceAccount key, kubeconfigs of the control plane and admin.
 */
MUST_USE int pki_control_plane(const struct datadir *d, const struct pki_cluster *c,
			       struct err *err);
/* kubelet's and proxy's kubeconfigs and the kubelet's serving certificate. */
MUST_USE int pki_node(const struct datadir *d, const struct pki_cluster *c, const char *node,
		      const char *ip, struct err *err);

#endif
