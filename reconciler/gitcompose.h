/* One commit out of what a source is made of: sparse folders, submodules, includes. Helper only. */
#ifndef PLUMB_RECONCILER_GITCOMPOSE_H
#define PLUMB_RECONCILER_GITCOMPOSE_H

#include "reconciler/gitremote-internal.h"

#define COMPOSE_OBJECTS_MAX 200000 /* copied from included repositories */
#define COMPOSE_BYTES_MAX (UINT64_C(1) << 28)
#define COMPOSE_DEPTH_MAX 4 /* submodules of submodules */
#define COMPOSE_MODULES_MAX 128

/*
 * The commit itself where nothing is to be put together; else one on top of it, always the same for
 * the same parts. request as in gitremote.h. May turn s to other remotes.
 */
MUST_USE int gitcompose(struct gitsession *s, const struct json *request, const git_oid *commit,
			git_oid *ret, struct err *err);
/* The commit that a composed one stands for; any other stands for itself. */
void gitcompose_base(git_repository *repo, git_oid *id);

#endif
