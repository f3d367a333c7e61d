/*
 * Allocation that cannot fail quietly, and the cleanup functions of plain pointers and
 * descriptors. Any thread.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/base.h"

void fd_cleanup(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

void free_cleanup(void *p)
{
	free(*(void **)p);
}

static void *checked(void *p)
{
	if (!p)
		panic("out of memory");
	return p;
}

void *xalloc(size_t n)
{
	return checked(calloc(1, n ? n : 1));
}

void *xrealloc(void *p, size_t n)
{
	return checked(realloc(p, n ? n : 1));
}

void *xreallocarray(void *p, size_t n, size_t size)
{
	return checked(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
	return checked(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	char *copy = xalloc(n + 1);

	if (n)
		memcpy(copy, s, n);
	return copy;
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : s);
}
