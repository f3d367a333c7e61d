/*
 * The vocabulary that every file of Plumb shares: compiler attributes, cleanup
 * attributes, and allocation that cannot fail quietly.
 *
 * Order of inclusion: system headers, then our own, then (in pure files) pure.h last.
 */
#ifndef PLUMB_BASE_H
#define PLUMB_BASE_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
#define SENTINEL __attribute__((sentinel))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/*
 * AUTO(fd) int fd = -1;  AUTO(buf) struct buf b = {0};
 * Each module that has a cleanup declares `x_cleanup(T *)` beside its release function.
 */
#define AUTO(what) __attribute__((cleanup(what##_cleanup)))

/* Close *fd when it is >= 0. Never retried, errno preserved. */
void fd_cleanup(int *fd);
/* free(*p), for `AUTO(free) char *s`. */
void free_cleanup(void *p);

/*
 * Allocation of bounded size: aborts the process on failure (every role can be killed at any
 * instruction, so dying is safe). Whatever is proportional to somebody's input must be checked
 * against a limit before it gets here. Results are freed with free().
 */
void *xalloc(size_t n);            /* zeroed */
void *xrealloc(void *p, size_t n); /* n > 0 */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A bug was found: logs `fmt` and the recent log lines, then aborts. */
NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
