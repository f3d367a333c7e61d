/* What the way to the kubelets is made of: where a call goes, and how it is carried there. */
#ifndef PLUMB_APISERVER_KUBELETPROXY_INTERNAL_H
#define PLUMB_APISERVER_KUBELETPROXY_INTERNAL_H

#include "apiserver/front-internal.h"
#include "lib/http/client.h"
#include "lib/http/wsframes.h"

struct kubelet_call {
	struct front_req *r;
	/* where to, in the request's arena */
	const char *host;
	int port;
	struct tls_ctx *tls;             /* borrowed from the front; NULL = plain text */
	struct str path;                 /* escaped, with query */
	const char *connect_to;          /* instead of host, or NULL */
	struct tls_ctx *owned;           /* a reference to tls, dropped when it is in use */
	const struct http_header *heads; /* added to the client's */
	size_t nheads;
	struct str prefix; /* path of the proxied root, to which its pages' links lead */
	struct buf page;   /* an HTML page, until it is whole */
	bool html;
	bool as_it_is; /* errors are passed on as they come */
	/* under way; the connection's thread */
	struct http_client *client;
	struct http_running *running;
	struct http_tunnel *tunnel;
	struct http_upgraded up;
	bool streaming, upgraded, paused;
	bool websocket; /* upgraded to that */
	struct wsframes frames;
};

/* kubelettarget.c, the core's thread: fills host, port, tls and path. */
MUST_USE int kubelet_target(struct front_req *r, struct kubelet_call *k, struct err *err);

/* kubesealcert.c, the core's thread: true when it was answered. */
bool kubesealcert_serve(struct front_req *r);

/* The path up to and with ".../NAME/proxy". */
struct str kubelet_proxy_prefix(const struct front_req *r);

/* kubeletproxy.c, the core's thread: off it goes. */
void kubelet_go(struct front_req *r, struct kubelet_call *k);

#endif
