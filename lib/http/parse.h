/*
 * HTTP/1.1 heads and chunked framing, as server and client read them. Everything here sees
 * hostile bytes: bounded, strict, no state outside the structures. Any thread.
 */
#ifndef PLUMB_HTTP_PARSE_H
#define PLUMB_HTTP_PARSE_H

#include "lib/http/http.h"

/* Looks for the end of a head as bytes come in. A zeroed struct starts a new one. */
struct http_scan {
	size_t at;   /* looked at up to here */
	size_t line; /* start of the current line */
};
/* Length of the head including its empty line; 0 = more bytes are needed; -1 = it can't become a
 * head (status in *ret_status: 400 or 431). */
ptrdiff_t http_scan_head(struct http_scan *s, struct str in, int *ret_status);

enum http_length { HTTP_LENGTH_NONE, HTTP_LENGTH_KNOWN, HTTP_LENGTH_CHUNKED, HTTP_LENGTH_EOF };

struct http_head {
	struct str method, target; /* requests */
	int status;                /* answers; of a refused request: what to answer */
	int minor;                 /* HTTP/1.minor */
	struct http_headers headers;
	enum http_length length;
	uint64_t content_length;
	bool keep_alive, expect_continue;
};
/* `head` must stay: everything points into it; the array of headers is in `a`. -1 with ret->status
 * set when it is refused. */
MUST_USE int http_parse_request(struct arena *a, struct str head, struct http_head *ret);
MUST_USE int http_parse_answer(struct arena *a, struct str head, struct str method,
			       struct http_head *ret);

/* Path and query of a target in origin, absolute or asterisk form. -1 when it is none of them. */
MUST_USE int http_split_target(struct str target, struct str *ret_path, struct str *ret_query);

/* "name: value" and the line's end; what would break out of the line becomes blanks. */
void http_put_header(struct buf *b, struct str name, struct str value);

/* The chunked framing of one body. A zeroed struct starts it. */
struct http_chunks {
	int state;
	int digits;
	size_t line; /* bytes of extension or trailer so far */
	uint64_t left;
};
enum http_chunk { HTTP_CHUNK_BAD = -1, HTTP_CHUNK_MORE, HTTP_CHUNK_DATA, HTTP_CHUNK_END };
/* Takes bytes off *in. DATA: *ret_data is a piece of the body (part of in). MORE: *in is used up.
 */
enum http_chunk http_chunks_next(struct http_chunks *c, struct str *in, struct str *ret_data);

#endif
