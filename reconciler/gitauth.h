/* Credentials for one connection to a git server, and who it must be. Helper process only. */
#ifndef PLUMB_RECONCILER_GITAUTH_H
#define PLUMB_RECONCILER_GITAUTH_H

#include <git2/remote.h>

#include "lib/json/json.h"

struct gitauth {
	const char *username, *password, *identity, *known_hosts;
	unsigned asked;    /* times that the server asked for credentials */
	char problem[200]; /* why it was refused, empty = it wasn't */
};

/* auth may be NULL. Values are the keys of a Flux source Secret, decoded. */
MUST_USE int gitauth_init(struct gitauth *g, struct arena *a, const struct json *auth,
			  struct err *err);
/* g must outlive the connection. */
void gitauth_callbacks(struct gitauth *g, git_remote_callbacks *c);

#endif
