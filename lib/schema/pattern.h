/*
 * `pattern` of OpenAPI schemas: Go's regular expressions (RE2), carried over to the C library's as
 * far as those reach. What cannot be carried over matches everything. Pure; patterns are hostile.
 */
#ifndef PLUMB_SCHEMA_PATTERN_H
#define PLUMB_SCHEMA_PATTERN_H

#include "lib/base/str.h"

/* Whether the pattern is found in `s`. */
bool pattern_matches(const char *pattern, struct str s);

#endif
