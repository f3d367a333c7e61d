/*
 * One order of places for all verbs that ask the API, so that what works for kubectl in a shell
 * works for plumb there, too. Blocking, for the command line only.
 */
#include "cli/adminconf.h"

#include <stdlib.h>
#include <string.h>

#include "cli/datadir.h"

/* The first of a list that is parted by colons; NULL when nothing is named. The caller's. */
static char *named_by_environment(void)
{
	const char *all = getenv("KUBECONFIG");
	size_t n = all ? strcspn(all, ":") : 0;

	return n ? xstrndup(all, n) : NULL;
}

int adminconf_load(const char *kubeconfig, const char *data_dir, struct kubeconfig *ret,
		   struct err *err)
{
	AUTO(free) char *named = NULL;
	struct datadir d;

	if (kubeconfig && *kubeconfig)
		return kubeconfig_load(kubeconfig, ret, err);
	if (!strcmp(data_dir, DATADIR_DEFAULT) && (named = named_by_environment()))
		return kubeconfig_load(named, ret, err);
	if (datadir_open(&d, data_dir, false, err))
		return err_wrap(err, "no instance here (--kubeconfig, --data-dir or $KUBECONFIG "
				     "says where)");
	return kubeconfig_load(datadir_path(&d, "admin.kubeconfig"), ret, err);
}
