/*
 * Memory that lives as long as one request, one reconcile or one scheduling cycle. Nothing in an
 * arena is freed singly. Not thread-safe: an arena belongs to whoever runs the request.
 * A zeroed struct is an empty arena. With -DARENA_DEBUG every allocation is its own malloc, so
 * that AddressSanitizer sees overruns.
 */
#ifndef PLUMB_ARENA_H
#define PLUMB_ARENA_H

#include "lib/base/str.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
	char *at, *end;
	size_t used; /* bytes handed out since the last reset */
	bool wipes;  /* set by its owner: memory is overwritten before it is given back or reused */
};

void arena_release(struct arena *a);
void arena_cleanup(struct arena *a);
void arena_reset(struct arena *a);            /* keeps one chunk for the next round */
void *arena_room(struct arena *a, size_t n);  /* not zeroed; aligned for any type, never NULL */
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type, never NULL */
void *arena_array(struct arena *a, size_t n, size_t size); /* checked multiplication */
void *arena_dup(struct arena *a, const void *p, size_t n);
struct str arena_str(struct arena *a,
		     struct str s); /* copies; also NUL-terminated behind the end */
char *arena_cstr(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_strf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
