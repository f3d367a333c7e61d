/*
 * The HTTP/1.1 server: TLS, keep-alive, pipelining in order, streaming answers, connection
 * upgrades, bounded everything. Runs either on the caller's loop (threads = 0: kubelet, metrics
 * ports) or on its own threads, each with a loop; a connection stays on its thread for life.
 *
 * A request is answered when and from wherever the handler likes: the http_reply_* and
 * http_stream_* calls may come from any thread, and are carried out on the connection's own, in
 * the order of the calls. If the client goes away first, `gone` is called (once) on the
 * connection's thread and later calls for the request do nothing; it is never called once the
 * answer is complete (replied, or the stream ended) as the connection's thread sees it.
 *
 * Memory: the request lives while `handle` or `gone` runs for it, and until its answer is complete
 * or its client gone. A handler that answers after `handle` returned, from whatever thread, cannot
 * know about the latter: it takes a reference (http_req_ref) inside `handle` and drops it after
 * its last call for the request, and before http_server_free.
 */
#ifndef PLUMB_HTTP_SERVER_H
#define PLUMB_HTTP_SERVER_H

#include "lib/http/http.h"
#include "lib/http/tls.h"
#include "lib/os/loop.h"

struct http_server;

/* A producer that can wait (logs, tunnels) stops above HIGH and goes on when told at LOW. */
#define HTTP_BACKLOG_HIGH (256 << 10)
#define HTTP_BACKLOG_LOW (64 << 10)

struct http_req {
	struct arena arena;      /* for the handler's use too, on one thread at a time */
	struct str method, path; /* path is unescaped and free of NUL; never contains the query */
	struct str raw_path, query;
	struct http_headers headers;
	struct str body;                  /* complete, bounded by max_body */
	const char *peer_cn;              /* from a verified client certificate, or NULL */
	const char *const *peer_orgs;     /* NULL-terminated, or NULL */
	const char *peer_sha256;          /* of that certificate, in hex; NULL without one */
	bool peer_is_proxy;               /* its certificate is of tls_files.proxy_ca */
	char remote[64];                  /* "ip:port" */
	int64_t received_ns;              /* loop_now() of its thread */
	void *user;                       /* the handler's */
	void (*gone)(struct http_req *r); /* set inside `handle`; the client left before the answer
					     was complete */
	/* Set inside `handle`, on the connection's thread: a stream whose backlog was over
	 * HTTP_BACKLOG_HIGH has fallen below HTTP_BACKLOG_LOW. */
	void (*drained)(struct http_req *r);
	struct loop *loop; /* of the connection's thread */
};

struct http_server_opts {
	int threads;         /* 0 = on `loop`, whose thread also calls new, listen, stop and free */
	struct tls_ctx *tls; /* NULL = plain text (loopback metrics, tests) */
	size_t max_body;     /* 0 = 3 MiB */
	size_t max_conns;    /* 0 = 20,000 */
	size_t max_backlog;  /* unsent bytes a stream may pile up before it is cut; 0 = 8 MiB */
	int64_t idle_ns;     /* keep-alive idle limit, 0 = 120 s */
	int64_t head_ns;     /* to send a request's head and body, 0 = 30 s */
	int64_t dead_ns;     /* a peer that acknowledges nothing is dropped, 0 = 120 s */
	void (*handle)(void *arg, struct http_req *r); /* on the connection's thread */
	/* What a request that is refused before it is whole (413, 431, 408 …) is told: JSON,
	 * appended to `out`; nothing appended, or NULL here: a line of plain text. */
	void (*refusal)(void *arg, int status, struct buf *out);
	void *arg;
};

struct http_server *http_server_new(struct loop *loop, const struct http_server_opts *o,
				    struct err *err);
/* "127.0.0.1:6443", "[::1]:0"; may be called several times. Returns the port, or -1. */
int http_server_listen(struct http_server *s, const char *addr, struct err *err);
/* New connections speak with this context; any thread. Only for servers that have one. */
void http_server_set_tls(struct http_server *s, struct tls_ctx *tls);
/*
 * Stops accepting, lets running answers end for at most drain_ns, then closes. Blocking; with
 * threads = 0 it runs turns of the caller's loop, so it must not be called from a callback.
 */
void http_server_stop(struct http_server *s, int64_t drain_ns);
void http_server_free(struct http_server *s); /* stops it first if need be; NULL is fine */

/* Keeps r's memory until the matching unref; for handlers that finish on another thread.
 * Thread-safe. */
struct http_req *http_req_ref(struct http_req *r);
void http_req_unref(struct http_req *r);

struct http_reply {
	int status;
	const char *content_type;          /* or NULL */
	const struct http_header *headers; /* further ones; copied */
	size_t nheaders;
};
/* Complete answers. Blocks are referenced until sent, not copied; body bytes are copied. */
void http_reply_bytes(struct http_req *r, const struct http_reply *h, struct str body);
void http_reply_blocks(struct http_req *r, const struct http_reply *h, struct block *const *blocks,
		       size_t n);

/* Streams (watch, logs): chunked. write returns 0, or -1 when the client is gone or its backlog is
 * over the limit (it is then cut). Batches written in one turn leave in one TLS record where they
 * fit. */
void http_stream_begin(struct http_req *r, const struct http_reply *h);
int http_stream_write(struct http_req *r, struct block *const *blocks, size_t n);
void http_stream_end(struct http_req *r);
size_t http_stream_backlog(const struct http_req *r); /* unsent bytes; any thread */

/*
 * Upgrade: answers 101 with the headers, then bytes flow both ways. on_data gets what arrives
 * (n 0 = the peer closed or broke; the last callback, `gone` is not called). `u` is the caller's
 * and stays valid until that callback or the close. Everything on the connection's thread, except
 * http_upgraded_write. on_drain may be NULL: the backlog went over HIGH and then below LOW.
 */
struct http_upgraded {
	struct http_req *req; /* set by http_upgrade, which holds a reference for it */
	void *user;
	void (*on_data)(struct http_upgraded *u, struct str data);
	void (*on_drain)(struct http_upgraded *u);
};
void http_upgrade(struct http_req *r, const struct http_reply *h, struct http_upgraded *u);
int http_upgraded_write(struct http_upgraded *u,
			struct str data); /* copies; -1 when gone or over the backlog limit */
size_t http_upgraded_backlog(const struct http_upgraded *u);
void http_upgraded_pause(struct http_upgraded *u, bool paused); /* stops and resumes reading */
void http_upgraded_close(
	struct http_upgraded *u); /* what was written is still sent; no further callback */

#endif
