/*
 * Files that sops encrypted, kept at the recipients that a Kustomization's decryption Secret lists
 * under `recipients`: a commit that rewrites the recipients' part and nothing else, on a branch of
 * its own, with a pull request where the source has a forge. The list stands beside the identities,
 * since whoever may write there decides on decryption already; .sops.yaml is anybody's who may push
 * a branch. What is decided is pure (recipients_core.c); recipients.c pushes.
 */
#ifndef PLUMB_RECONCILER_RECIPIENTS_H
#define PLUMB_RECONCILER_RECIPIENTS_H

#include "reconciler/git.h"
#include "secrets/sops_recipients.h"

/* In the Secret of spec.decryption, beside *.agekey. */
#define RECIPIENTS_KEY "recipients"

enum { RECIPIENTS_LEFT_MAX = 50 };
struct recipients {
	const struct age_keys *keys;
	struct sops_policy wanted;
	const struct sops_bound *bound;
	/* Over all files, in the arena: */
	struct sops_policy added, removed;
	struct recipients_file {
		struct str path, was, text; /* was: the blob's id */
	} * files;
	size_t nfiles;
	struct recipients_left {
		struct str path, why;
	} left[RECIPIENTS_LEFT_MAX]; /* not touched, and why */
	size_t nleft;
	size_t strange; /* no identity opens them: somebody else's */
};
/* Notes the file's new text where it has other recipients than wanted. */
void recipients_take(struct arena *a, struct recipients *r, const struct git_file *f);
/* What a pull request about it is called and says; no byte of a secret. `mark` stands in the text
 * and tells what it is about: the list and the files, whatever commit they are of. */
struct recipients_about {
	struct str unit, cluster, secret;
};
struct str recipients_title(struct arena *a, const struct recipients *r);
struct str recipients_body(struct arena *a, const struct recipients *r,
			   const struct recipients_about *about);
struct str recipients_mark(struct arena *a, const struct recipients *r);

/* ---- recipients.c ---- */
struct run;
struct unit;
/* After a build, however that ended: its keys are still there. */
void recipients_look(struct run *run, bool built);
void recipients_free(struct unit *u);
/* The Kustomization is going: so does its branch. */
void recipients_goodbye(struct unit *u);

#endif
