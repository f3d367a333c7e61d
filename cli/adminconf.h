/* Where the command line finds the cluster and the rights to ask it. */
#ifndef PLUMB_CLI_ADMINCONF_H
#define PLUMB_CLI_ADMINCONF_H

#include "lib/kube/client.h"

/*
 * The first of: the file `kubeconfig` (empty or NULL = not said), the instance in `data_dir` where
 * that isn't DATADIR_DEFAULT, the first file that $KUBECONFIG names, the instance in
 * DATADIR_DEFAULT. 0, and *ret is the caller's (kubeconfig_release); or -1.
 */
MUST_USE int adminconf_load(const char *kubeconfig, const char *data_dir, struct kubeconfig *ret,
			    struct err *err);

#endif
