/*
 * Where the messages of a WebSocket stream end, for those who pass one on without reading it. Some
 * clients wait for the socket before each message (Python's kubernetes-client does), and would not
 * see a second one that came in the same TLS record: so each message is written by itself.
 * Pure. Specification: RFC 6455, section 5.2.
 */
#ifndef PLUMB_HTTP_WSFRAMES_H
#define PLUMB_HTTP_WSFRAMES_H

#include "lib/base/str.h"

/* A zeroed one stands at the beginning of a stream. */
struct wsframes {
	unsigned char head[14]; /* of a frame, as far as it has come */
	size_t nhead;
	uint64_t left; /* bytes of its payload yet to come */
};

/* How many of the bytes belong to the frame that is under way (or begins with them). */
size_t wsframes_cut(struct wsframes *f, struct str data);

#endif
