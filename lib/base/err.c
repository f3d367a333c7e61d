/* Errors by table. Pure but for strerror. Any thread; each struct err belongs to its caller. */
#include "lib/base/err.h"

#include <errno.h>
#include <stdio.h>

static const struct {
	int http;
	const char *reason;
	bool retry;
} rows[ERR_CODE_MAX] = {
	[ERR_NONE] = {200, "", false},
#define ERR_ROW(code, http, reason, retry) [ERR_##code] = {http, reason, retry},
#include "lib/base/err.tbl.h"
#undef ERR_ROW
};

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	err->code = code;
	err->sys = 0;
	err->retry_after_s = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -1;
}

static enum err_code code_of(int sys)
{
	switch (sys) {
	case ENOENT:
	case ESRCH:
	case ENODEV:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		return ERR_FORBIDDEN;
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPIPE:
		return ERR_UNAVAILABLE;
	case E2BIG:
	case EFBIG:
	case ENAMETOOLONG:
		return ERR_LIMIT;
	case EINVAL:
	case ELOOP:
	case EXDEV:
		return ERR_BAD_REQUEST;
	case EBUSY:
	case EAGAIN:
	case EINTR:
		return ERR_CONFLICT;
	default:
		return ERR_IO;
	}
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", strerror(sys));
	err->code = code_of(sys);
	err->sys = sys;
	err->retry_after_s = 0;
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char context[sizeof(err->msg)], whole[2 * sizeof(err->msg)];
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	int n = snprintf(whole, sizeof(whole), "%s: %s", context, err->msg);
	/* What went wrong matters more than where: keep the end when it doesn't fit. */
	size_t len = n < 0 ? 0 : MIN((size_t)n, sizeof(whole) - 1);
	size_t skip = len >= sizeof(err->msg) ? len - sizeof(err->msg) + 1 : 0;
	memcpy(err->msg, whole + skip, len - skip + 1);
	return -1;
}

int err_http(enum err_code code)
{
	return rows[code].http;
}

const char *err_reason(enum err_code code)
{
	return rows[code].reason;
}

bool err_retryable(enum err_code code)
{
	return rows[code].retry;
}

enum err_code err_from_http(int status, const char *reason)
{
	enum err_code by_status = ERR_NONE;

	if (status >= 200 && status < 400)
		return ERR_NONE;
	for (int c = ERR_NONE + 1; c < ERR_CODE_MAX; c++) {
		if (rows[c].http != status)
			continue;
		if (reason && !strcmp(rows[c].reason, reason))
			return (enum err_code)c;
		if (by_status == ERR_NONE)
			by_status = (enum err_code)c;
	}
	/* Without a reason 409 is a stale write, the common case. */
	if (status == 409)
		return ERR_CONFLICT;
	if (by_status != ERR_NONE)
		return by_status;
	return status >= 500 || status == 0 ? ERR_UNAVAILABLE : ERR_BAD_REQUEST;
}
