/*
 * The server's insides: shards (one loop each), connections, requests, and the messages that
 * carry answers from other threads to a connection's shard. Unless a field says otherwise it
 * belongs to the shard's thread.
 */
#ifndef PLUMB_HTTP_SERVER_INTERNAL_H
#define PLUMB_HTTP_SERVER_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "lib/http/parse.h"
#include "lib/http/server.h"
#include "lib/http/wire.h"

struct shard;
struct conn;
struct request;

/* Connections that wait for the same thing, the one that waits longest first. */
struct waiters {
	struct list conns; /* conn.waiting */
	int64_t after_ns;
	struct loop_timer timer;
	struct shard *shard;
};

enum op_kind {
	OP_REPLY,
	OP_BEGIN,
	OP_WRITE,
	OP_END,
	OP_UPGRADE,
	OP_RAW,
	OP_CLOSE,
	OP_CUT,
	OP_ACCEPT
};

/* A message to a shard. */
struct op {
	struct op *next;
	enum op_kind kind;
	struct request *r; /* referenced */
	struct http_upgraded *up;
	int fd;
	struct buf text; /* head of an answer, or raw bytes */
	size_t n;
	struct block *blocks[]; /* referenced */
};

enum wait_for { WAIT_HEAD, WAIT_IDLE, WAIT_SENT, WAIT_LINGER, WAIT_MAX };

struct shard {
	struct http_server *s;
	struct loop *loop;
	pthread_t thread;
	struct wire_scratch *scratch;
	struct list conns;  /* conn.all */
	struct list dirty;  /* conn.dirty: to be flushed at the end of the turn */
	struct list graves; /* conn.all of closed ones: freed in a later turn */
	int in_turn;        /* > 0: somebody up the stack flushes `dirty` */
	bool flush_posted, bury_posted;
	struct waiters wait[WAIT_MAX];
	_Atomic(struct op *) ops; /* pushed by any thread, newest first */
	struct request *spare;
	size_t nspare;
	bool draining;
	struct list listeners; /* on the first shard */
};

struct listener {
	struct loop_fd w; /* first */
	struct list link;
	struct shard *shard;
	struct loop_timer pause;
};

enum conn_state {
	CONN_HEAD, /* reads a request's head (or is idle between requests) */
	CONN_BODY,
	CONN_HANDLE, /* the handler has it */
	CONN_UPGRADED,
	CONN_LAST,   /* sends what is queued, then closes */
	CONN_LINGER, /* has sent everything; swallows input so that the peer sees the answer, not a
			reset */
	CONN_CLOSED,
};

struct conn {
	struct loop_fd w; /* first */
	struct shard *shard;
	struct list all, dirty, waiting;
	enum wait_for waits; /* WAIT_MAX = for nothing */
	int64_t waits_until;
	struct wire wire;
	enum conn_state state;
	bool identified, peer_is_proxy;
	bool doomed;       /* to be closed at the end of the turn */
	bool last_request; /* close after the answer */
	bool paused;       /* upgraded: don't read */
	struct buf in;
	struct http_scan scan;
	struct outq out;
	struct request *r;
	struct http_upgraded *up;
	char remote[64];
	char *peer_cn;
	const char **peer_orgs;
	char *peer_sha256;
	int64_t peer_until_ns; /* the certificate's end */
};

enum answer { ANSWER_NONE, ANSWER_STREAM, ANSWER_DONE };

struct request {
	struct http_req pub; /* first */
	_Atomic uint32_t refs;
	struct shard *shard;
	pthread_t home;        /* the shard's thread: others may drop it after the server is gone */
	struct conn *conn;     /* NULL once it is gone or answered */
	struct http_head head; /* constant while handled */
	bool handled;          /* the handler has seen it */
	bool has_body;         /* of a stream: set by its writer */
	bool last;             /* constant while handled: close after the answer */
	struct http_chunks chunks;
	struct buf body;
	enum answer answer;
	uint64_t applied;              /* bytes that the shard took over from writers */
	_Atomic uint64_t queued, sent; /* by writers; by the shard */
	_Atomic bool over;             /* gone, cut or ended: writers stop */
};

struct http_server {
	struct http_server_opts o; /* o.tls under tls_lock */
	pthread_mutex_t tls_lock;
	struct shard *shards;
	size_t nshards;
	_Atomic size_t nconns;
	size_t next_shard; /* first shard's thread */
	sem_t idle;        /* posted by a shard that has become empty while draining */
	bool stopped;
};

/* server.c */
void server_op(struct op *op); /* hands over, from any thread; runs it at once on the right one */
/* A reference, or NULL. */
struct tls_ctx *server_tls(struct http_server *s);
bool shard_is_ours(const struct shard *s);
void shard_drain_ops(struct shard *s);

/* server_conn.c */
void conn_open(struct shard *s, int fd);
void conn_close(struct conn *c);
void conn_wait(struct conn *c, enum wait_for what);
void conn_dirty(struct conn *c);    /* flush at the end of the turn */
void conn_run(struct conn *c);      /* handles what was read, sends what is queued */
void conn_answered(struct conn *c); /* the current request's answer is queued whole */
void shard_enter(struct shard *s);
void shard_leave(struct shard *s); /* the outermost one flushes */
void shard_bury(struct shard *s);

/* server_read.c */
/* True when it stopped only because too much output is queued. */
bool conn_progress(struct conn *c);
void conn_identify(struct conn *c); /* once, after the handshake */
void conn_refuse(struct conn *c, int status);

/* server_reply.c */
void op_apply(struct op *op);
void op_free(struct op *op);
void http_date(int64_t wall_s, char out[30]);

/* server_read.c, too */
struct request *request_new(struct shard *s);
void request_ref(struct request *r);
void request_unref(struct request *r);

#endif
