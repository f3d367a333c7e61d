/*
 * Starting the git helper: one request, one answer, in a child process with a deadline, a memory
 * limit and few rights. On the role's loop.
 */
#ifndef PLUMB_RECONCILER_GITHELPER_H
#define PLUMB_RECONCILER_GITHELPER_H

#include "lib/json/json.h"
#include "lib/os/loop.h"

struct githelper;
/* answer is NULL when err says why; both are valid during the call only. */
typedef void githelper_done(void *arg, const struct json *answer, const struct err *err);

/* what: "git-fetch", "git-push" or "web-call". The request is written out before this returns. */
struct githelper *githelper_start(struct loop *l, const char *what, const struct json *request,
				  int64_t timeout_ns, githelper_done *done, void *arg);
void githelper_cancel(struct githelper *h); /* done is not called */

#endif
