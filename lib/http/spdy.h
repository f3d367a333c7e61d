/*
 * SPDY/3.1 as Kubernetes' clients speak it behind `Upgrade: SPDY/3.1`: many streams on one
 * connection, opened by the client, answered by us. A codec and a state machine: bytes go in by
 * spdy_feed(), events come out by callbacks, and what is to be sent gathers in spdy_out(), which
 * the owner sends and empties. No I/O, no clock; one thread at a time.
 *
 * Flow control: the peers (moby/spdystream) neither send nor heed WINDOW_UPDATE, so windows are
 * read and ignored. The owner holds a peer back by not feeding, which stops the whole connection.
 * Specification: draft-mbelshe-httpbis-spdy-00 with 3.1's changes.
 */
#ifndef PLUMB_HTTP_SPDY_H
#define PLUMB_HTTP_SPDY_H

#include "lib/http/http.h"

#define SPDY_STREAMS_MAX 1024 /* open at a time; more are refused */

enum spdy_status {
	SPDY_PROTOCOL_ERROR = 1,
	SPDY_INVALID_STREAM = 2,
	SPDY_REFUSED_STREAM = 3,
	SPDY_CANCEL = 5,
	SPDY_INTERNAL_ERROR = 6,
};

/*
 * Called from inside spdy_feed(); may send, end and reset streams, must not free the connection.
 * All of it is for streams that `opened` said yes to.
 */
struct spdy_ops {
	/* A new stream, its headers valid during the call. False refuses it. */
	bool (*opened)(void *arg, uint32_t id, const struct http_headers *h);
	void (*data)(void *arg, uint32_t id, struct str data); /* pieces, as they arrive */
	void (*ended)(void *arg, uint32_t id);                 /* the peer sends no more */
	void (*reset)(void *arg, uint32_t id);                 /* by the peer: it is gone */
};

struct spdy;
struct spdy *spdy_new(const struct spdy_ops *ops, void *arg);
void spdy_free(struct spdy *s); /* NULL is fine */

/* Takes all of `data`. -1: the peer broke the rules; GOAWAY was queued, feed no more. */
MUST_USE int spdy_feed(struct spdy *s, struct str data, struct err *err);
struct buf *spdy_out(struct spdy *s);

/* For streams that are gone, or whose end was sent already, these do nothing. */
void spdy_send(struct spdy *s, uint32_t id, struct str data);
void spdy_end(struct spdy *s, uint32_t id); /* we send no more */
void spdy_reset(struct spdy *s, uint32_t id, enum spdy_status status);
/* A whole frame that asks for nothing (SETTINGS without any), to find out whether the peer lives.
 */
struct str spdy_nothing(void);

#endif
