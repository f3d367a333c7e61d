/*
 * What talks to a remote: fetching into a mirror, and committing and pushing a drift branch. All
 * are blocking and run only in the helper process (`plumb helper git-…`), which has a deadline and
 * few rights; the reconciler starts it through githelper.h.
 */
#ifndef PLUMB_RECONCILER_GITREMOTE_H
#define PLUMB_RECONCILER_GITREMOTE_H

#include "lib/json/json.h"

/*
 * request: {url, mirror, ref: {branch, tag, semver, name, commit}, known, auth: {username,
 * password, bearerToken, identity, known_hosts, ca.crt, proxy: {address, username, password}},
 * verify: {mode, keys: {name: text}, verified}, include: [{mirror, commit, fromPath, toPath}],
 * submodules: bool, sparse: [path], branches: [name], maxBytes}.
 * Asks the remote what the ref points to, and fetches what isn't there. `known` is the commit that
 * was followed until now. Also says which of `branches` stand there.
 *
 * Answer: {branches, revision: "main@sha1:…", base: "…", commit: "…", fetched: bool, rewritten:
 * bool, packs: n, verified: {key, message}}. base is the remote's commit; commit is what to render:
 * the same, or one put together from it, the submodules and the includes. Where signatures are
 * asked for and don't hold: {problem: {reason, message}} instead.
 */
struct json *gitremote_fetch(struct arena *a, const struct json *request, struct err *err);

/*
 * request: {url, mirror, auth, branch, base, message, name, files: [{path, content |
 * delete}]}. Makes one commit on top of base, and pushes it as branch, unless a person has
 * committed there. With `onto: true` the commit goes straight onto a branch that people use: only
 * while that stands at base, and never by force (ERR_CONFLICT, ERR_FORBIDDEN). `restore: [{path,
 * commit}]` puts folders or files back as they were in another commit.
 * Answer: {commit: "…"}. With `delete: true` the branch is taken away instead, where it is ours.
 */
struct json *gitremote_push(struct arena *a, const struct json *request, struct err *err);

/*
 * request: {mirror}. Makes one pack of many small ones; drops nothing. Needs no network, and may
 * be killed at any time. Answer: {packs: n}.
 */
struct json *gitremote_repack(struct arena *a, const struct json *request, struct err *err);

/* A commit of ours carries this trailer. */
#define GIT_TRAILER "Plumb-Drift: "
/* And one that was put together for rendering names the commit it stands for. */
#define GIT_COMPOSED "Plumb-Composed: "
/* Packs in a mirror beyond which they are put together. */
#define GIT_PACKS_MAX 24

#endif
