/*
 * The arena: chunks of malloc'd memory handed out from the front. One thread at a time. A reset
 * keeps the largest chunk, so a steady loop stops calling malloc after its first rounds.
 */
#include "lib/base/arena.h"

#include <stdio.h>
#include <string.h>

#define ALIGN 16
/* With its header one of malloc's sizes. Small: every idle watch keeps a request's arena. */
#define FIRST_CHUNK (2048 - 2 * 16)
#define CHUNK_MAX (1u << 20)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of what follows */
};

static char *chunk_memory(struct arena_chunk *c)
{
	return (char *)c + sizeof(struct arena_chunk);
}

static_assert(sizeof(struct arena_chunk) % ALIGN == 0, "chunks start aligned");

#ifndef ARENA_DEBUG
static void add_chunk(struct arena *a, size_t n)
{
	size_t size = a->chunks ? MIN(a->chunks->size * 2, CHUNK_MAX) : FIRST_CHUNK;

	size = MAX(size, n);
	struct arena_chunk *c = xrealloc(NULL, sizeof(*c) + size);
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	a->at = chunk_memory(c);
	a->end = a->at + size;
}
#endif

static void chunk_free(const struct arena *a, struct arena_chunk *c)
{
	if (a->wipes)
		explicit_bzero(chunk_memory(c), c->size);
	free(c);
}

void arena_release(struct arena *a)
{
	for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		chunk_free(a, c);
	}
	*a = (struct arena){.wipes = a->wipes};
}

void arena_cleanup(struct arena *a)
{
	arena_release(a);
}

void arena_reset(struct arena *a)
{
#ifdef ARENA_DEBUG
	arena_release(a);
#else
	struct arena_chunk *keep = a->chunks;

	if (!keep)
		return;
	for (struct arena_chunk *c = keep->next, *next; c; c = next) {
		next = c->next;
		chunk_free(a, c);
	}
	if (a->wipes)
		explicit_bzero(chunk_memory(keep), keep->size);
	keep->next = NULL;
	a->at = chunk_memory(keep);
	a->end = a->at + keep->size;
	a->used = 0;
#endif
}

void *arena_room(struct arena *a, size_t n)
{
	size_t rounded = (MAX(n, 1) + ALIGN - 1) & ~(size_t)(ALIGN - 1);

	if (rounded < n)
		panic("an allocation of more than the address space");
#ifdef ARENA_DEBUG
	/* A chunk of exactly this size each, so that AddressSanitizer sees its end. */
	struct arena_chunk *c = xalloc(sizeof(*c) + MAX(n, 1));
	c->size = n;
	c->next = a->chunks;
	a->chunks = c;
	a->used += rounded;
	return chunk_memory(c);
#else
	if ((size_t)(a->end - a->at) < rounded)
		add_chunk(a, rounded);
	void *p = a->at;
	a->at += rounded;
	a->used += rounded;
	return p;
#endif
}

void *arena_alloc(struct arena *a, size_t n)
{
	return memset(arena_room(a, n), 0, n);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		panic("an array of more than the address space");
	return arena_alloc(a, bytes);
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_room(a, n);

	return n ? memcpy(copy, p, n) : copy;
}

char *arena_cstr(struct arena *a, struct str s)
{
	char *copy = arena_room(a, s.n + 1);

	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = 0;
	return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
	return s.p ? (struct str){arena_cstr(a, s), s.n} : STR_NONE;
}

static struct str format(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;

	char small[256] = "";
	char *out;

	va_copy(again, ap);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0)
		n = 0;
	out = arena_room(a, (size_t)n + 1);
	if ((size_t)n < sizeof(small))
		memcpy(out, small, (size_t)n + 1);
	else
		vsnprintf(out, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){out, (size_t)n};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str s = format(a, fmt, ap);
	va_end(ap);
	return (char *)(uintptr_t)s.p;
}

struct str arena_strf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str s = format(a, fmt, ap);
	va_end(ap);
	return s;
}
