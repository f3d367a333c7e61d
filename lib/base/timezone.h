/*
 * Time zones as the system's database has them (TZif, versions 1 to 4), and the rule after its last
 * entry. Pure: reading the files is lib/os/zoneinfo.h. Immutable once read; thread-safe.
 * Specification: RFC 9636.
 */
#ifndef PLUMB_TIMEZONE_H
#define PLUMB_TIMEZONE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

enum { TIMEZONE_FILE_MAX = 256 * 1024 };

struct timezone;
/* ERR_INVALID when it is no such file. What it answers lives in the arena. */
const struct timezone *timezone_read(struct arena *a, struct str file, struct err *err);

struct timezone_span {
	int32_t offset_s; /* local time less UTC */
	int64_t until_s;  /* it may be another from then on (Unix seconds); INT64_MAX = never */
};
/* tz NULL is UTC. */
struct timezone_span timezone_at(const struct timezone *tz, int64_t unix_s);

#endif
