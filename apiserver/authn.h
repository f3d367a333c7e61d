/*
 * Who asks: from the verified client certificate, else from a token: one of the administrator's
 * file, a bootstrap token, a ServiceAccount's, another issuer's. What can be decided without the
 * store is decided here, on the connection's thread; whether a ServiceAccount token's account still
 * exists is asked later, on the core's (claims).
 */
#ifndef PLUMB_APISERVER_AUTHN_H
#define PLUMB_APISERVER_AUTHN_H

#include "apiserver/admission/admission.h"
#include "apiserver/tokens.h"
#include "lib/http/server.h"

struct core;
struct obj;
struct oidc;
struct oidc_fetch;
struct static_tokens;
struct bootstrap_tokens;

/* How somebody may say who they are. All borrowed; NULL = not that way. */
struct authn {
	struct tokens *tokens;
	struct static_tokens *file;
	struct bootstrap_tokens *boot;
	struct oidc *oidc;
	struct oidc_fetch *oidc_fetch;
	bool anonymous; /* who shows nothing is system:anonymous */
	/* Whose name a proxy may tell: certificates' names (none = all), and in which headers. */
	const char *const *proxy_names, *const *proxy_user, *const *proxy_group;
	const char *const *proxy_extra; /* what these headers' names begin with */
	size_t nproxy_names, nproxy_user, nproxy_group, nproxy_extra;
};

struct identity {
	struct admission_user user;
	bool token; /* then claims are what it said */
	struct token_claims claims;
};

/* Texts are in r->arena. ERR_UNAUTHORIZED when nobody can be named; ERR_UNAVAILABLE when new keys
 * of the issuer may help (oidc_fetch_wait). */
MUST_USE int authn_request(const struct authn *x, struct http_req *r, int64_t now_s,
			   struct identity *ret, struct err *err);
/* A token on its own (TokenReview). */
MUST_USE int authn_token(const struct authn *x, struct arena *a, struct str token, int64_t now_s,
			 struct identity *ret, struct err *err);
/* Core's thread: the account, and what the token is bound to, are there and the same ones. */
MUST_USE int authn_still_exists(const struct core *c, const struct token_claims *k,
				struct err *err);

/* ---- authn_file.c: `token,user,uid,"group,group"` lines ---- */
struct static_tokens *static_tokens_new(struct str csv, struct err *err);
void static_tokens_free(struct static_tokens *t);
/* Texts live as long as t. */
bool static_tokens_find(const struct static_tokens *t, struct str token,
			struct admission_user *ret);

/* ---- authn_bootstrap.c: Secrets of type bootstrap.kubernetes.io/token ---- */
struct bootstrap_tokens *bootstrap_tokens_new(void);
void bootstrap_tokens_free(struct bootstrap_tokens *t);
/* Any Secret that has changed or is gone. */
void bootstrap_tokens_change(struct bootstrap_tokens *t, const struct obj *secret, bool gone);
bool bootstrap_token_looks_like_one(struct str token);
/* Any thread. Texts are in `a`. */
bool bootstrap_tokens_find(struct bootstrap_tokens *t, struct arena *a, struct str token,
			   int64_t now_s, struct admission_user *ret);

/* The Impersonate-* headers. */
struct impersonation {
	struct str user, uid;
	struct str *groups;
	size_t ngroups;
	const struct user_extra *extra;
	size_t nextra;
};
/* 1 = there are some, 0 = none; -1 when groups and the like come without a user, or too much. */
MUST_USE int authn_impersonation(struct http_req *r, struct impersonation *ret, struct err *err);
/* The user that an impersonation makes. */
void authn_impersonated(struct arena *a, const struct impersonation *i, struct admission_user *ret);

#endif
