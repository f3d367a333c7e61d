/* Chunked bodies, whole and in single bytes: both readings must agree. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum http_chunk feed(struct http_chunks *c, struct str in, size_t *total)
{
	struct str piece;
	enum http_chunk r;

	while ((r = http_chunks_next(c, &in, &piece)) == HTTP_CHUNK_DATA)
		*total += piece.n;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct http_chunks whole = {0}, single = {0};
	size_t a = 0, b = 0;
	enum http_chunk r = feed(&whole, (struct str){(const char *)data, n}, &a);
	enum http_chunk s = HTTP_CHUNK_MORE;

	for (size_t i = 0; i < n && s == HTTP_CHUNK_MORE; i++)
		s = feed(&single, (struct str){(const char *)data + i, 1}, &b);
	if (r != s || a != b)
		abort();
	return 0;
}
