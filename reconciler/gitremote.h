/*
 * What talks to a remote: fetching into a mirror, and committing and pushing a drift branch. Both
 * are blocking and run only in the helper process (`plumb helper git-…`), which has a deadline and
 * few rights; the reconciler starts it through githelper.h.
 */
#ifndef PLUMB_RECONCILER_GITREMOTE_H
#define PLUMB_RECONCILER_GITREMOTE_H

#include "lib/json/json.h"

/*
 * request: {url, mirror, ref: {branch, tag, semver, name, commit}, known, auth: {username,
 * password, identity, identity_pub, known_hosts, ca}}. Asks the remote what the ref points to;
 * fetches only when that isn't `known`. Also says which of `branches: [name]` stand there.
 * Answer: {branches, revision: "main@sha1:…", commit: "…", fetched:
 * bool}.
 */
struct json *gitremote_fetch(struct arena *a, const struct json *request, struct err *err);

/*
 * request: {url, mirror, auth, branch, base, message, name, files: [{path, content | delete}]}.
 * Makes one commit on top of base, and pushes it as branch, unless a person has committed there.
 * With `onto: true` the commit goes straight onto a branch that people use: only while that stands
 * at base, and never by force (ERR_CONFLICT, ERR_FORBIDDEN). `restore: [{path, commit}]` puts
 * folders or files back as they were in another commit.
 * Answer: {commit: "…"}. With `delete: true` the branch is taken away instead, where it is ours.
 */
struct json *gitremote_push(struct arena *a, const struct json *request, struct err *err);

/* A commit of ours carries this trailer. */
#define GIT_TRAILER "Plumb-Drift: "

#endif
