/*
 * Errors live on the caller's stack: no allocation, no thread-local, no ownership. Success never
 * touches the struct, so a zeroed one can be reused. Functions return 0 or -1 (or NULL).
 *
 * The code comes from err.tbl.h, one row each: HTTP status, Kubernetes reason, whether a retry
 * can help. An error becomes a metav1.Status or a requeue decision by table.
 */
#ifndef PLUMB_ERR_H
#define PLUMB_ERR_H

#include "lib/base/base.h"

enum err_code {
	ERR_NONE = 0,
#define ERR_ROW(code, http, reason, retry) ERR_##code,
#include "lib/base/err.tbl.h"
#undef ERR_ROW
	ERR_CODE_MAX
};

struct err {
	enum err_code code;
	int sys;           /* errno, or 0 */
	int retry_after_s; /* from a 429 or 503; 0 = not said */
	char msg[500];
};

/* Fills *err (which may be NULL) and returns -1. Messages: one line, impersonal, nothing the caller
 * already knows. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Same, with errno's text behind the message; maps ENOENT, EACCES, ENOSPC, ETIMEDOUT … to codes. */
int err_sys(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts context in front: "mount volume data: " + what was there. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

int err_http(enum err_code code);           /* 404 … */
const char *err_reason(enum err_code code); /* "NotFound" … */
bool err_retryable(enum err_code code);     /* a later attempt with the same input can succeed */
enum err_code err_from_http(int status, const char *reason); /* reason may be NULL */

#endif
