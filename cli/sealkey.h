/* Where `plumb seal` finds the cluster's public key. Blocking; for the command line. */
#ifndef PLUMB_CLI_SEALKEY_H
#define PLUMB_CLI_SEALKEY_H

#include "lib/kube/client.h"
#include "secrets/seal.h"

struct sealkey_opts {
	const char *cert;       /* file or URL; "" = look for it */
	const char *kubeconfig; /* "" = DIR/admin.kubeconfig */
	const char *data_dir;
};
#define SEALKEY_API "the API"
/* In this order: --cert; .plumb/cluster.pub here or in a folder above; the API. *ret_from (caller
 * frees) says where, SEALKEY_API for the last. */
MUST_USE int sealkey_find(const struct sealkey_opts *o, struct seal_pub *ret, char **ret_from,
			  struct err *err);
/* A client with the admin's credentials; *ret_loop is the caller's to free after it. NULL on error.
 */
struct client *admin_client(const struct sealkey_opts *o, struct loop **ret_loop, struct err *err);

#endif
