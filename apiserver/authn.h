/*
 * Who asks: from the verified client certificate, else from a ServiceAccount token. What can be
 * decided without the store is decided here, on the connection's thread; whether a token's account
 * still exists is asked later, on the core's (claims).
 */
#ifndef PLUMB_APISERVER_AUTHN_H
#define PLUMB_APISERVER_AUTHN_H

#include "apiserver/admission/admission.h"
#include "apiserver/tokens.h"
#include "lib/http/server.h"

struct core;

struct identity {
	struct admission_user user;
	bool token; /* then claims are what it said */
	struct token_claims claims;
};

/* Texts are in r->arena. ERR_UNAUTHORIZED when nobody can be named. */
MUST_USE int authn_request(struct tokens *t, struct http_req *r, int64_t now_s,
			   struct identity *ret, struct err *err);
/* A token on its own (TokenReview). */
MUST_USE int authn_token(struct tokens *t, struct arena *a, struct str jwt, int64_t now_s,
			 struct identity *ret, struct err *err);
/* Core's thread: the account, and what the token is bound to, are there and the same ones. */
MUST_USE int authn_still_exists(const struct core *c, const struct token_claims *k,
				struct err *err);

/* The Impersonate-* headers. */
struct impersonation {
	struct str user, uid;
	struct str *groups;
	size_t ngroups;
	bool extra; /* Impersonate-Extra-… is there */
};
/* False when there are none. ERR through *bad when groups come without a user. */
bool authn_impersonation(struct http_req *r, struct impersonation *ret, bool *bad);
/* The user that an impersonation makes. */
void authn_impersonated(struct arena *a, const struct impersonation *i, struct admission_user *ret);

#endif
