/* The HTTP implementation of the API client, shared by its two files. */
#ifndef PLUMB_CLIENT_HTTP_H
#define PLUMB_CLIENT_HTTP_H

#include "lib/kube/client-internal.h"

struct http_client_api {
	struct client client;
	struct http_client *http;
	char *user_agent, *authorization;
};

/* Fills `out`, whose texts are borrowed; returns how many. */
size_t client_http_headers(const struct http_client_api *h, const char *accept,
			   const char *impersonate, struct http_header out[4]);

/* Accept of a call that may do with metadata; NULL = everything. */
const char *client_http_accept(bool metadata_only, bool list);

struct client_watch *client_http_watch(struct client *c, const struct watch_call *w);
void client_http_watch_cancel(struct client *c, struct client_watch *w);

#endif
