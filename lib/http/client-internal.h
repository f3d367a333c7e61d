/* The client's insides: calls, connections, the pool. All on the loop's thread. */
#ifndef PLUMB_HTTP_CLIENT_INTERNAL_H
#define PLUMB_HTTP_CLIENT_INTERNAL_H

#include "lib/http/client.h"
#include "lib/http/lookup.h"
#include "lib/http/parse.h"
#include "lib/http/wire.h"

struct cconn;

struct http_client {
	struct loop *loop;
	char *host, *connect_to;
	int port, netns_fd;
	bool lookup_apart;
	size_t max_conns;
	struct tls_ctx *tls;
	SSL_SESSION *session;
	struct wire_scratch *scratch;
	struct list idle, active; /* cconn.link */
	size_t nidle;
	size_t nwhole;                      /* whole answers under way */
	struct list queue[HTTP_CALL_RANKS]; /* http_running.link: waiting for a place */
	struct list graves; /* closed connections: freed when no callback is on the stack */
	struct list done;   /* finished calls, likewise */
	int depth;
	bool dead;
};

struct http_running {
	struct list link; /* in queue, or in done */
	struct http_client *client;
	struct cconn *conn;
	struct http_call call; /* callbacks and limits; its texts are not kept */
	struct http_tunnel_opts tunnel;
	bool upgrade, stream,
		whole; /* stream: answers go to head and data; whole: counts in nwhole */
	bool idempotent, retried, finished;
	char method[33];
	struct buf text; /* the request as sent, kept for a retry */
	struct loop_timer timer;
	struct arena arena; /* the answer's head */
	struct http_answer answer;
	struct buf body;
	struct err err;
};

struct http_tunnel {
	struct cconn *conn;
	struct http_tunnel_opts o;
	bool high;
};

enum cconn_state {
	CCONN_LOOKUP,
	CCONN_CONNECT,
	CCONN_HANDSHAKE,
	CCONN_IDLE,
	CCONN_HEAD,
	CCONN_BODY,
	CCONN_TUNNEL,
	CCONN_CLOSED
};

struct cconn {
	struct loop_fd w; /* first */
	struct http_client *client;
	struct list link;
	struct wire wire;
	enum cconn_state state;
	bool reused, paused, got_bytes;
	struct outq out;
	struct buf in;
	struct http_scan scan;
	struct http_head head;
	struct http_chunks chunks;
	uint64_t left;
	struct http_running *r;
	struct lookup *lookup;
	struct http_tunnel tunnel;
};

/* client.c */
void client_enter(struct http_client *c);
void client_leave(struct http_client *c); /* the client may be gone after the outermost one */
void call_finish(struct http_running *r); /* reports and forgets it */
void call_failed(struct http_running *r, bool may_retry);
void client_pump(struct http_client *c); /* starts queued calls for which there is room */

/* client_conn.c */
int cconn_open(struct http_running *r, struct err *err);
void cconn_send(struct cconn *c, struct http_running *r);
void cconn_flush(struct cconn *c);
void cconn_close(struct cconn *c);

/* client_read.c */
void cconn_consume(struct cconn *c);
void cconn_eof(struct cconn *c); /* the peer closed, or it broke */

#endif
