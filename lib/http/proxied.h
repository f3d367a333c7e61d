/*
 * One HTTP request that leaves the machine by a proxy, and which one the environment names
 * (https_proxy, http_proxy, all_proxy, but for what no_proxy lists). Blocking: for helper
 * processes. Never follows redirects.
 */
#ifndef PLUMB_HTTP_PROXIED_H
#define PLUMB_HTTP_PROXIED_H

#include "lib/http/http.h"

struct http_proxied {
	const char *method, *url;
	const struct http_header *headers;
	size_t nheaders;
	const char *content_type; /* of body, or NULL */
	struct str body;
	struct str ca; /* PEM in place of the system's authorities; STR_NONE */
	int64_t timeout_ns;
	size_t max_body;
	const char *proxy, *proxy_user, *proxy_password;
};

struct http_proxied_answer {
	int status;
	struct http_headers headers;
	struct str body;
};

/* The environment's proxy for a server; NULL = it is reached directly. Borrowed. */
const char *http_proxy_for(bool tls, struct str host, int port);
/* The answer is in `a`. No credentials stand in err. */
MUST_USE int http_proxied_call(struct arena *a, const struct http_proxied *q,
			       struct http_proxied_answer *ret, struct err *err);

#endif
