/*
 * Time zones as tzdata's compiled files hold them (RFC 9636, TZif version 2 and later): how far a
 * zone is ahead of UTC at a time. Pure: the file's bytes are the caller's. Thread-safe.
 */
#ifndef PLUMB_TZ_H
#define PLUMB_TZ_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#define TZ_FILE_MAX (256u << 10)

/* Seconds east of UTC at `at_s`, seconds since the epoch. -1 with ERR_INVALID for what is no such
 * file. */
MUST_USE int tz_offset(struct str file, int64_t at_s, int32_t *ret, struct err *err);
/* A name that may be looked up: Europe/Berlin, UTC, Etc/GMT+3; no "..", nothing absolute. */
bool tz_name_valid(struct str name);

#endif
