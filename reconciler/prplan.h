/*
 * A plan on every pull request into the branch that a source follows: what merging it would change
 * in the cluster, as a comment that is kept true and a commit status. Renders and dry-runs here, so
 * nobody's CI needs a way into the cluster. On the role's loop; the engine's.
 */
#ifndef PLUMB_RECONCILER_PRPLAN_H
#define PLUMB_RECONCILER_PRPLAN_H

#include "reconciler/engine.h"

/* On a GitRepository: "disabled" posts none. */
#define PULL_PLANS "plumb.dev/plan"

/* Looks for pull requests soon; does nothing without a forge. */
void prplan_look(struct source *s);
void prplan_free(struct source *s);

/* Whether two commits differ in what the unit is built from. */
bool unit_touched(struct gitmirror *m, const struct unit *u, const char *one, const char *two);
/* The commit that two have in common last; ERR_NOT_FOUND where there is none. */
MUST_USE int git_common(const char *mirror, const char *one, const char *two,
			char ret[GIT_OID_TEXT], struct err *err);

#endif
