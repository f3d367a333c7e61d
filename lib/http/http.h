/*
 * HTTP/1.1 messages: what server and client share. Strict where smuggling lives (one length, no
 * obs-fold, no bare LF in chunk framing, bounded head). HTTP/2 prefaces are refused cleanly.
 * Specification: RFC 9110, RFC 9112.
 */
#ifndef PLUMB_HTTP_H
#define PLUMB_HTTP_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define HTTP_HEAD_MAX 32768
#define HTTP_HEADERS_MAX 100

struct http_header {
	struct str name, value;
};

struct http_headers {
	struct http_header *v;
	size_t n;
};

/* First value of that name, ASCII case ignored; STR_NONE when absent. */
struct str http_header(const struct http_headers *h, const char *name);
/* True when a comma-separated header holds the token. */
bool http_header_has(const struct http_headers *h, const char *name, const char *token);

/* Query parameter, unescaped into `a`; STR_NONE when absent, empty when given without a value. */
struct str http_query(struct arena *a, struct str query, const char *name);
/* A parameter that switches something on, as Kubernetes reads it: absent, "0" and "false" in any
 * case don't, whatever else (Python's "True", nothing behind the name) does. */
bool http_query_flag(struct arena *a, struct str query, const char *name);
bool http_flag(struct str value);
/* Every value of a repeated parameter: call with *pos = 0 until it returns STR_NONE. */
struct str http_query_next(struct arena *a, struct str query, const char *name, size_t *pos);

const char *http_status_text(int status);

/*
 * A block of bytes that responses share: stored objects, watch events, discovery documents.
 * Reference counted, thread-safe. `free_fn` NULL = bytes are behind the header in one allocation.
 */
struct block {
	_Atomic uint32_t refs;
	struct str data;
	void (*free_fn)(struct block *b);
	void *owner;
};
struct block *block_new(struct str data); /* copies */
struct block *block_take(struct buf *b);  /* takes the buffer's memory */
struct block *block_ref(struct block *b);
void block_unref(struct block *b); /* NULL is fine */

#endif
