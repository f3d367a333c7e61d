/*
 * .gitmodules: which submodules there are and where they may be fetched from. Its author is whoever
 * commits, its reader holds credentials, so addresses are held to the server of the repository
 * itself. Pure. Specification: gitmodules(5), git-config(1) "Syntax".
 */
#ifndef PLUMB_RECONCILER_GITMODULES_H
#define PLUMB_RECONCILER_GITMODULES_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define GITMODULES_MAX 64
#define GITMODULES_TEXT_MAX (64u << 10)

struct gitmodule {
	struct str name, path, url;
};
struct gitmodules {
	struct gitmodule v[GITMODULES_MAX];
	size_t n;
};

/* ERR_LIMIT, ERR_PARSE. Everything in `a`. */
MUST_USE int gitmodules_parse(struct arena *a, struct str text, struct gitmodules *ret,
			      struct err *err);

/*
 * The address of a submodule: relative ones are resolved against the repository's, others must lie
 * on the same server (for file://, in the same folder). NULL with ERR_FORBIDDEN otherwise. In `a`.
 */
char *gitmodule_url(struct arena *a, struct str parent, struct str url, struct err *err);

#endif
