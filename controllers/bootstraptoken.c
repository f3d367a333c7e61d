/*
 * Bootstrap tokens' Secrets, as those who clean up after them and who sign by them read them. Must
 * never keep a token's secret beyond the caller's buffer. Pure, without memory of its own.
 * Specification: Kubernetes' "Authenticating with Bootstrap Tokens" (Bootstrap Token Secret
 * Format).
 */
#include "controllers/bootstraptoken.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define TYPE "bootstrap.kubernetes.io/token"
#define NAMESPACE "kube-system"

bool bootstrap_token_is(const struct json *secret)
{
	return secret && !meta_deleting(secret) &&
	       str_is(json_str(json_get(secret, STR("type"))), TYPE) &&
	       str_is(meta_namespace(secret), NAMESPACE);
}

bool bootstrap_token_get(const struct json *secret, const char *key, struct buf *out)
{
	const struct json *v = json_at(secret, "data", key);

	return json_is(v, JSON_STRING) && base64_decode(json_str(v), out) == 0;
}

int64_t bootstrap_token_ends_ns(const struct json *secret)
{
	AUTO(buf) struct buf text = {0};
	int64_t ns;

	if (!json_str(json_at(secret, "data", "expiration")).n)
		return 0;
	if (!bootstrap_token_get(secret, "expiration", &text) ||
	    time_parse(buf_view(&text), &ns) != 0)
		return -1;
	return MAX(ns, 1);
}

bool bootstrap_token_concerns(const struct obj *o)
{
	return str_is(o->namespace, NAMESPACE) && str_find(o->bytes, STR(TYPE)) >= 0;
}
