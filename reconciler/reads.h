/*
 * What a build has read: paths of the repository with the ids of what stood there, "-" where
 * nothing did. The same ids in another commit make the same build. On the role's loop.
 */
#ifndef PLUMB_RECONCILER_READS_H
#define PLUMB_RECONCILER_READS_H

#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "reconciler/git.h"

struct reads {
	struct map seen; /* paths */
	struct buf text; /* "ID PATH\n"… */
	bool lost;       /* something that cannot be said in a line: nothing is known */
};
void reads_release(struct reads *r);
void reads_note(struct reads *r, struct gitmirror *m, const char *commit, struct str path);
/* The text, for free(); NULL when it isn't known. What lies below `tree` goes where that itself was
 * read. */
char *reads_take(struct reads *r, const char *tree);

/* One line after the other; false at the end. *ret_id is STR_NONE where nothing stood. */
bool reads_next(struct str *rest, struct str *ret_id, struct str *ret_path);
/* All of it is the same in `commit`. */
bool reads_same(struct gitmirror *m, const char *commit, struct str reads);
/* path is `dir`, or lies below it. */
bool reads_below(struct str path, struct str dir);

#endif
