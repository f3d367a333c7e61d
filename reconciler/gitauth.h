/* Credentials for one connection to a git server, and who it must be. Helper process only. */
#ifndef PLUMB_RECONCILER_GITAUTH_H
#define PLUMB_RECONCILER_GITAUTH_H

#include <git2/proxy.h>
#include <git2/remote.h>

#include "lib/json/json.h"

struct gitauth {
	const char *username, *password, *identity, *known_hosts;
	char *header; /* Authorization, for a bearer token; or NULL */
	const char *proxy, *proxy_user, *proxy_password;
	const char *host; /* and port, as the url says them */
	int port;
	unsigned asked, proxy_asked; /* times that we were asked for credentials */
	char problem[200];           /* why it was refused, empty = it wasn't */
};

/*
 * request: {url, auth: {…, proxy: {address, username, password}}}. auth may be absent; it and its
 * proxy hold the keys of Flux' Secrets, decoded.
 */
MUST_USE int gitauth_init(struct gitauth *g, struct arena *a, const struct json *request,
			  struct err *err);
/* g must outlive the connection. */
void gitauth_callbacks(struct gitauth *g, git_remote_callbacks *c);
void gitauth_proxy(struct gitauth *g, git_proxy_options *o);

#endif
