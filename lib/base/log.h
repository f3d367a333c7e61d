/*
 * Structured logs on stderr: one line an event, text on a terminal, JSON otherwise (or as
 * log_init says). Only roles and shells log; library code returns errors, pure code returns
 * plans. Thread-safe. Identical lines within a second are counted, not repeated.
 * The last 512 lines are kept in a ring that panic() prints.
 * Values are text; never pass a secret.
 */
#ifndef PLUMB_LOG_H
#define PLUMB_LOG_H

#include "lib/base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* role: "apiserver", … shown in each line. Format "text", "json", or NULL for by-terminal. */
void log_init(const char *role, enum log_level level, const char *format);
MUST_USE int log_level_parse(const char *name, enum log_level *ret);
bool log_enabled(enum log_level level);

/*
 * log_info("pod started", "pod", key, "pid", log_i64(pid), NULL): message, then key/value text
 * pairs, closed by NULL. A NULL value prints as "".
 */
void log_line(enum log_level level, const char *msg, ...) SENTINEL;
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__, (char *)NULL)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__, (char *)NULL)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__, (char *)NULL)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_DEBUG))                                                        \
			log_line(LOG_DEBUG, __VA_ARGS__, (char *)NULL);                            \
	} while (0)

/* Formats into a small per-thread ring of buffers: valid until 16 further calls on this thread. */
const char *log_i64(int64_t v);
const char *log_fmt(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Prints the ring of recent lines to stderr; called by panic(). */
void log_dump_recent(void);

#endif
