/*
 * The HTTP/1.1 client on a loop: keep-alive connections to one origin, TLS, whole or streamed
 * answers, deadlines, upgrades. Callbacks run on the loop. Not thread-safe. Never follows
 * redirects.
 */
#ifndef PLUMB_HTTP_CLIENT_H
#define PLUMB_HTTP_CLIENT_H

#include "lib/http/http.h"
#include "lib/http/tls.h"
#include "lib/os/loop.h"

struct http_client;

struct http_client_opts {
	const char *host; /* name or address; also the TLS server name */
	int port;
	const char *connect_to; /* address to connect to instead of host, or NULL */
	struct tls_ctx *tls;    /* NULL = plain text */
	int netns_fd;           /* sockets are made in that namespace (probes); 0 = ours */
	bool lookup_apart;      /* names are looked up by a thread, so that the loop goes on */
	int max_conns; /* 0 = 16 for whole answers; streams have connections of their own */
};
struct http_client *http_client_new(struct loop *l, const struct http_client_opts *o,
				    struct err *err);
void http_client_free(struct http_client *c); /* running calls get ERR_CANCELED */

struct http_answer {
	int status; /* 0 when there was no answer; then err says why */
	struct http_headers headers;
	struct str body; /* empty for streams */
	struct err *err;
};

/* Who goes first when all connections are busy. */
enum http_call_rank { HTTP_CALL_IN_TURN, HTTP_CALL_URGENT, HTTP_CALL_LAST, HTTP_CALL_RANKS };

struct http_call {
	const char *method;
	struct str path; /* with query, escaped */
	const struct http_header *headers;
	size_t nheaders;
	const char *content_type; /* of body, or NULL */
	struct str body;          /* copied */
	int64_t timeout_ns;       /* for the whole answer, or for a stream's head; 0 = 30 s */
	size_t max_body;          /* 0 = 64 MiB */
	enum http_call_rank rank;
	bool repeatable; /* a POST that may be sent again when a kept connection turns out dead */
	/* exactly once, unless cancelled; memory is valid during the callback only */
	void (*done)(void *arg, const struct http_answer *a);
	/* When set and the status is 2xx: `head` once, then data as it comes; `done` at the end
	 * (answer.err->code ERR_NONE on a clean end). */
	void (*head)(void *arg, const struct http_answer *a);
	void (*data)(void *arg, struct str bytes);
	void *arg;
};

struct http_running;
/* NULL is never returned; failures come through done in a later turn. */
struct http_running *http_client_call(struct http_client *c, const struct http_call *call);
/* No further callback for this call; its connection is closed. Not after done was called. */
void http_call_cancel(struct http_running *r);
/* Streams: stops and resumes reading from the connection (the peer is held back by TCP). */
void http_call_pause(struct http_running *r, bool paused);

/*
 * Upgrade: sends the call with its headers (Connection: Upgrade is the caller's to set). On 101
 * `up` gets the connection: write with http_tunnel_write, read through on_data (n 0 = closed: the
 * last callback, the tunnel is gone after it). Any other answer goes to call->done. After `up` the
 * http_running is gone.
 */
struct http_tunnel;
struct http_tunnel_opts {
	void (*up)(void *arg, struct http_tunnel *t, const struct http_answer *a);
	void (*on_data)(void *arg, struct str data);
	void (*on_drain)(void *arg); /* or NULL: the backlog went over HTTP_TUNNEL_HIGH and then
					below a quarter of it */
	void *arg;
};
#define HTTP_TUNNEL_HIGH (256 << 10)
struct http_running *http_client_upgrade(struct http_client *c, const struct http_call *call,
					 const struct http_tunnel_opts *o);
int http_tunnel_write(struct http_tunnel *t,
		      struct str data); /* copies; -1 when more than 8 MiB wait to be sent */
size_t http_tunnel_backlog(const struct http_tunnel *t);
void http_tunnel_pause(struct http_tunnel *t, bool paused);
void http_tunnel_close(struct http_tunnel *t); /* no further callback */

#endif
