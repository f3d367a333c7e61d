/*
 * Somebody else's ID tokens (OpenID Connect): whom a token names, by the keys that its issuer
 * publishes. oidc.c is about tokens and keys, from any thread; oidc_fetch.c brings the keys, on
 * one loop.
 */
#ifndef PLUMB_APISERVER_OIDC_H
#define PLUMB_APISERVER_OIDC_H

#include "apiserver/admission/admission.h"
#include "lib/os/loop.h"

struct oidc;
struct oidc_fetch;

/* As kube-apiserver's --oidc-* options; texts are borrowed for good. */
struct oidc_opts {
	const char *issuer_url, *client_id;
	const char *username_claim;  /* NULL = "sub" */
	const char *username_prefix; /* NULL = "ISSUER#" unless the claim is email; "-" = none */
	const char *groups_claim, *groups_prefix;
	const char *const *required; /* "key=value" */
	size_t nrequired;
	const char *const *algs; /* none = RS256 */
	size_t nalgs;
	const char *ca_file; /* whom the issuer's connection is verified with; NULL = system's */
	int64_t again_ns;    /* how soon strangers' keys make it ask again; 0 = 5 s */
};
struct oidc *oidc_new(const struct oidc_opts *o, struct err *err);
void oidc_free(struct oidc *o);

/* The issuer's keys from now on: a JSON web key set. ERR_PARSE leaves the old ones. */
MUST_USE int oidc_keys(struct oidc *o, struct str jwks, struct err *err);
/* True when the token says that it is from this issuer. */
bool oidc_is_from(const struct oidc *o, struct str jwt);
/* Texts are in `a`. ERR_UNAVAILABLE: the token's key is not known (yet), new ones may help;
 * ERR_UNAUTHORIZED: they won't. */
MUST_USE int oidc_verify(struct oidc *o, struct arena *a, struct str jwt, int64_t now_s,
			 struct admission_user *ret, struct err *err);

/* ---- oidc_fetch.c ---- */
struct oidc_fetch *oidc_fetch_new(struct loop *l, struct oidc *o, const struct oidc_opts *opts,
				  struct err *err);
/* Any thread: calls fn(arg) on the loop's thread once the keys have been asked for again, or when
 * they were just now. */
void oidc_fetch_wait(struct oidc_fetch *f, void (*fn)(void *arg), void *arg);
/* Lets everybody who waits go on. */
void oidc_fetch_stop(struct oidc_fetch *f);
void oidc_fetch_free(struct oidc_fetch *f);

#endif
