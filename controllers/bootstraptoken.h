/* What the Secrets of bootstrap tokens say. Pure. */
#ifndef PLUMB_BOOTSTRAPTOKEN_H
#define PLUMB_BOOTSTRAPTOKEN_H

#include "controllers/common.h"

#define BOOTSTRAP_TOKEN_PREFIX "bootstrap-token-"

/* In kube-system, of the right type, and not being deleted. */
bool bootstrap_token_is(const struct json *secret);
/* A member of data, decoded onto `out`; false when it isn't there or can't be decoded. What may be
 * secret the caller wipes. */
MUST_USE bool bootstrap_token_get(const struct json *secret, const char *key, struct buf *out);
/* When its time is over: 0 = never, -1 = says something that is no time. */
int64_t bootstrap_token_ends_ns(const struct json *secret);
/* A change of any such Secret, without parsing others: bytes alone are looked at. */
bool bootstrap_token_concerns(const struct obj *o);

#endif
