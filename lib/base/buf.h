/*
 * A growing byte buffer. A zeroed struct is an empty buffer. Grows without limit unless the owner
 * checks `n`: whoever fills one from the outside compares with a limit first.
 */
#ifndef PLUMB_BUF_H
#define PLUMB_BUF_H

#include "lib/base/str.h"

struct buf {
	char *p;
	size_t n, cap;
};

void buf_release(struct buf *b); /* frees and zeroes */
void buf_cleanup(struct buf *b);
void buf_reset(struct buf *b);              /* keeps the memory */
char *buf_reserve(struct buf *b, size_t n); /* room for n more bytes; returns where they go */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
void buf_i64(struct buf *b, int64_t v);
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
const char *buf_cstr(struct buf *b);       /* NUL-terminates in place, borrowed */
char *buf_take(struct buf *b);             /* NUL-terminated, caller frees; b is empty after */
struct str buf_view(const struct buf *b);
void buf_wipe(struct buf *b); /* overwrites, then releases: for secrets */

#endif
