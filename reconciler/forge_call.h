/*
 * Asking a forge: requests go out one at a time per forge and token, keep away for as long as the
 * forge wants, and are made again where that cannot do harm. On the role's loop; the engine's.
 */
#ifndef PLUMB_RECONCILER_FORGE_CALL_H
#define PLUMB_RECONCILER_FORGE_CALL_H

#include "reconciler/engine.h"
#include "reconciler/forge.h"

/* On a GitRepository: KIND or KIND=URL; and OWNER/NAME there, when its URL doesn't tell. */
#define FORGE "plumb.dev/forge"
#define FORGE_REPOSITORY "plumb.dev/forge-repository"

/* answer is NULL when err says why; both are valid during the call only. */
typedef void forge_done(void *arg, const struct forge_answer *answer, const struct err *err);

struct forge_call;
/*
 * secret: keys of a Secret, decoded: token, else bearerToken, else password; or githubAppID,
 * githubAppInstallationID and githubAppPrivateKey; ca.crt; proxy: {address, …}. All is copied. done
 * comes in a later turn. err.retry_after_s says when it is worth while to ask again.
 */
struct forge_call *forge_call(struct reconciler *r, const struct forge_repo *repo,
			      const struct json *secret, const struct forge_ask *ask,
			      forge_done *done, void *arg);
/* The Secret holds a GitHub App's key. */
bool forge_is_app(const struct json *secret);
void forge_call_cancel(struct forge_call *c); /* done is not called; NULL is fine */
void forge_gates_free(struct reconciler *r);

/* The forge of a source: 1 when it has one, 0 when it has none, -1 with err when that is wrong. */
MUST_USE int source_forge(const struct source *s, struct arena *a, struct forge_repo *ret,
			  struct err *err);
/* Where the GitHub App of a source's Secret gets its tokens: githubAppBaseURL (…/api/v3), else
 * plumb.dev/forge, else the repository's own host. */
MUST_USE int source_app_api(const struct source *s, struct arena *a, const struct json *auth,
			    struct forge_repo *ret, struct err *err);
/* With the source's own Secret. */
struct forge_call *source_ask(struct source *s, const struct forge_repo *repo,
			      const struct forge_ask *ask, forge_done *done, void *arg);

#endif
