/*
 * A connected socket, with TLS or without: bytes in, bytes out, never blocking. One per
 * connection; belongs to its loop's thread, and so does the scratch memory that all connections
 * of a thread share (an idle connection holds no buffers).
 */
#ifndef PLUMB_HTTP_WIRE_H
#define PLUMB_HTTP_WIRE_H

#include <openssl/ssl.h>

#include "lib/http/http.h"
#include "lib/http/tls.h"

#define WIRE_IN_MAX (64 << 10)   /* read from the socket at once */
#define WIRE_OUT_MAX (128 << 10) /* ciphertext gathered for one send */
#define WIRE_RECORD 16384        /* plain bytes in one TLS record */

struct wire_scratch {
	size_t out_n;
	char in[WIRE_IN_MAX];
	char out[WIRE_OUT_MAX];
	char plain[WIRE_RECORD];
};

/* ---- what is to be sent: shared blocks and small text, in order ---- */
struct outseg {
	struct block *block; /* NULL = the next n bytes of text */
	size_t at, n;
};

struct outq {
	struct outseg *v;
	size_t head, n, cap;
	struct buf text;
	size_t text_at;
	size_t bytes; /* in all */
	bool apart;   /* what is queued by one call leaves in TLS records of its own */
};

void outq_text(struct outq *q, const void *p, size_t n); /* copies */
/* Takes a reference, or copies what is small. */
void outq_block(struct outq *q, struct block *b);
void outq_consume(struct outq *q, size_t n);
void outq_release(struct outq *q);

/* ---- the connection ---- */
enum wire_result { WIRE_OK, WIRE_AGAIN, WIRE_EOF, WIRE_BROKEN };

struct wire {
	int fd;
	SSL *ssl; /* NULL = plain */
	struct wire_scratch *s;
	const char *feed; /* ciphertext that was read and not yet decrypted */
	size_t feed_n;
	struct buf pending;    /* ciphertext that the socket didn't take yet */
	SSL_SESSION **session; /* clients: where to keep what resumes the next connection */
	bool ready;            /* handshake done */
	bool eof, clean;       /* the peer closed; and said so in TLS */
	int sys;               /* errno of what broke it, 0 = protocol */
};

/* Small answers leave at once; and a peer that neither acknowledges what was sent nor answers the
 * probes of a silent connection for dead_ns breaks it, so that nobody waits for it for ever. */
void wire_keep_alive(int fd, int64_t dead_ns);
/* fd becomes the wire's. ctx NULL = plain. `host` for clients: the name to verify. */
void wire_init(struct wire *w, int fd, struct wire_scratch *s, struct tls_ctx *ctx);
MUST_USE int wire_expect(struct wire *w, struct tls_ctx *ctx, const char *host, struct err *err);
/* Client: starts the handshake. Both: also driven by wire_read. */
enum wire_result wire_handshake(struct wire *w);
/* Reads what is there (at most WIRE_IN_MAX of it) and appends the plain bytes. OK = something was
 * appended or the handshake moved. */
enum wire_result wire_read(struct wire *w, struct buf *in);
/* Sends until q is empty (OK), the socket is full or `max` bytes went out (AGAIN). */
enum wire_result wire_write(struct wire *w, struct outq *q, size_t max);
bool wire_stuck(const struct wire *w); /* ciphertext waits for the socket */
/* TLS goodbye and shutdown of our direction; the socket stays open. */
void wire_finish(struct wire *w);
void wire_close(struct wire *w);
/* Why the handshake or the connection failed. Returns -1. */
int wire_err(const struct wire *w, struct err *err, const char *what);

#endif
