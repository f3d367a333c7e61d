/*
 * ServiceAccount tokens: JSON web tokens signed with ES256. What a token says is proven here;
 * whether its ServiceAccount and Pod still exist is for the caller to see.
 *
 * Thread-safe.
 */
#ifndef PLUMB_APISERVER_TOKENS_H
#define PLUMB_APISERVER_TOKENS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define TOKEN_ISSUER "https://kubernetes.default.svc.cluster.local"
#define TOKEN_MAX 8192 /* bytes of one token */

struct tokens;

struct token_claims {
	struct str namespace, account, account_uid;
	struct str bound_kind, bound_name, bound_uid; /* "pod", "node", "secret", or STR_NONE */
	struct str node_name, node_uid;               /* of a bound pod */
	const struct str *audiences;
	size_t naudiences;
	struct str id; /* jti */
	int64_t issued_s, expires_s;
};

/* Takes the key's PEM (copied). */
struct tokens *tokens_new(struct str key_pem, struct err *err);
void tokens_free(struct tokens *t);

MUST_USE int token_sign(struct tokens *t, const struct token_claims *c, struct buf *ret,
			struct err *err);
/* Signature, issuer and times. Texts are in `a`. ERR_UNAUTHORIZED when it doesn't hold. */
MUST_USE int token_verify(struct tokens *t, struct arena *a, struct str jwt, int64_t now_s,
			  struct token_claims *ret, struct err *err);
bool token_for(const struct token_claims *c, struct str audience);

/* What /.well-known/openid-configuration and /openid/v1/jwks answer. */
void tokens_openid_configuration(struct buf *out);
void tokens_jwks(const struct tokens *t, struct buf *out);

#endif
