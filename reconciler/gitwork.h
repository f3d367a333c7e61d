/*
 * A checkout as a commit that can be rendered: its files as they stand in the folder, or a revision
 * of its repository. For the command line; blocking, reads only what is given to it.
 */
#ifndef PLUMB_RECONCILER_GITWORK_H
#define PLUMB_RECONCILER_GITWORK_H

#include "reconciler/git.h"

/* Puts all files of a folder (but what .gitignore excludes) into a new bare repository at `store`.
 */
MUST_USE int git_snapshot(const char *folder, const char *store, char ret[GIT_OID_TEXT],
			  struct err *err);
/* A revision of the repository that a folder belongs to; *ret_repo is where its objects are. */
MUST_USE int git_resolve(struct arena *a, const char *folder, const char *rev, char **ret_repo,
			 char ret[GIT_OID_TEXT], struct err *err);

#endif
