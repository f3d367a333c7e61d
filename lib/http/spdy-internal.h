/* SPDY's header blocks: names and values under one zlib stream a direction. */
#ifndef PLUMB_HTTP_SPDY_INTERNAL_H
#define PLUMB_HTTP_SPDY_INTERNAL_H

#define ZLIB_CONST
#include <zlib.h>

#include "lib/http/spdy.h"

#define SPDY_BLOCK_MAX 16384 /* unpacked */
#define SPDY_HEADERS_MAX 64

struct spdy_block {
	z_stream in, out;
	bool in_ready, out_ready;
	char plain[SPDY_BLOCK_MAX];
	struct http_header v[SPDY_HEADERS_MAX];
};

void spdy_block_release(struct spdy_block *b);
/* *ret points into b, until the next call. After -1 the stream of blocks is broken for good. */
MUST_USE int spdy_block_read(struct spdy_block *b, struct str packed, struct http_headers *ret,
			     struct err *err);
void spdy_block_write(struct spdy_block *b, const struct http_headers *h, struct buf *out);

/* Big endian. */
static inline uint32_t spdy_get32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static inline void spdy_put32(struct buf *b, uint32_t v)
{
	const char p[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};

	buf_put(b, p, 4);
}

#endif
