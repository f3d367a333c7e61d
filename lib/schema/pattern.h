/*
 * `pattern` of OpenAPI schemas: Go's regular expressions (RE2), carried over to the C library's as
 * far as those reach. What cannot be carried over matches everything. Pure; patterns are hostile.
 */
#ifndef PLUMB_SCHEMA_PATTERN_H
#define PLUMB_SCHEMA_PATTERN_H

#include "lib/base/arena.h"
#include "lib/base/str.h"

/* Why Go could not compile the pattern, in its words; none when it could. In the arena. */
struct str pattern_problem(struct arena *a, struct str pattern);
/* Whether the pattern is found in `s`. */
bool pattern_matches(const char *pattern, struct str s);
/* The same for callers that must not guess: 1 found, 0 not found, -1 when the pattern is malformed
 * or cannot be carried over. */
int pattern_search(const char *pattern, struct str s);
/* Calls fn for what the pattern finds, from the left and without overlapping, at most max times.
 * How many there were, or -1 as above. The longest of what begins at one place is found. */
int pattern_find(const char *pattern, struct str s, size_t max,
		 void (*fn)(void *arg, struct str match), void *arg);

#endif
