/*
 * Branches of ours that outlive what they were about: a Kustomization that is being deleted leaves
 * none behind, nor their pull requests. It is not held up for that.
 */
#ifndef PLUMB_RECONCILER_GOODBYE_H
#define PLUMB_RECONCILER_GOODBYE_H

#include "reconciler/engine.h"

/* Closes the branch's pull request with `why` as a comment, then deletes it, unless somebody else
 * committed to it. Texts are copied. */
void goodbye_branch(struct source *s, const char *branch, const char *why);
/* The source is still needed for that. */
bool goodbye_needs(const struct source *s);
void goodbyes_free(struct reconciler *r);

#endif
