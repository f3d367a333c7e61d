/*
 * Shared libraries that only some roles need: mapped at their first use, because each one costs
 * every process that has it a megabyte or more. tools/lazylib makes one struct per library, and a
 * jump in place of each function; callers see the library's own header and nothing else.
 */
#ifndef PLUMB_LAZY_H
#define PLUMB_LAZY_H

#include "lib/base/err.h"

struct lazy_lib {
	const char *soname;
	const char *names; /* one behind the other, each ended by NUL */
	void **table;      /* filled by lazy_load */
	uint64_t n;
};

/* Absent (NULL addresses) where a program is linked with the libraries themselves: tests. */
extern const struct lazy_lib lazy_git2 __attribute__((weak));
extern const struct lazy_lib lazy_nftables __attribute__((weak));
extern const struct lazy_lib lazy_archive __attribute__((weak));
extern const struct lazy_lib lazy_curl __attribute__((weak));

/* Before the first call of any of its functions; again is harmless. Main thread. NULL is fine. */
MUST_USE int lazy_load(const struct lazy_lib *l, struct err *err);

#endif
