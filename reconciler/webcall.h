/*
 * One HTTP request to somewhere outside of the cluster, made by a helper process: names are looked
 * up, certificates read and hostile answers taken apart there, and a server that stalls holds
 * nobody up. Redirects are never followed.
 */
#ifndef PLUMB_RECONCILER_WEBCALL_H
#define PLUMB_RECONCILER_WEBCALL_H

#include "reconciler/githelper.h"

struct webcall {
	const char *method;
	struct str url;             /* http or https */
	const struct json *headers; /* name: text; or NULL */
	struct str body, content_type;
	struct str ca;      /* PEM in place of the system's authorities; STR_NONE */
	int64_t timeout_ns; /* 0 = 20 s */
	/* {address, username, password}; NULL = the machine's, where its environment names one */
	const struct json *proxy;
};
/* The answer is {status, headers: {lower-case name: text}, body}; body is "" where it is no text.
 */
struct githelper *webcall_start(struct loop *l, const struct webcall *c, githelper_done *done,
				void *arg);

/* The helper's end: blocking. */
struct json *webcall_run(struct arena *a, const struct json *request, struct err *err);

/* Scheme, host, port and path of a URL; ERR_INVALID. */
struct weburl {
	bool tls;
	int port;
	struct str host, path; /* path with its query, at least "/" */
};
MUST_USE int weburl_parse(struct str url, struct weburl *ret, struct err *err);

#endif
