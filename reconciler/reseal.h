/*
 * Sealed values of a repository brought under the cluster's newest key, and the public key that
 * people seal with kept there: `plumb keys rotate` ends in a commit. What is decided is pure
 * (reseal_core.c); reseal.c asks for the keys and pushes.
 */
#ifndef PLUMB_RECONCILER_RESEAL_H
#define PLUMB_RECONCILER_RESEAL_H

#include "reconciler/git.h"
#include "secrets/seal.h"

#define SEALING_FILE ".plumb/cluster.pub"
/* On a GitRepository: "commit", "propose" or "off". */
#define SEALING_MODE "plumb.dev/sealing"
/* Ours on a GitRepository: how many values of the branch are under which key. */
#define SEALED_VALUES "plumb.dev/sealed-values"

/* What a document of a file became in the cluster, where a kustomization gave it its namespace. */
struct reseal_owner {
	struct str file;
	uint32_t doc;
	struct str namespace, name;
};
struct reseal_use {
	uint8_t id[SEAL_ID_BYTES];
	size_t values;
};
enum { RESEAL_USES_MAX = 64 };
struct reseal {
	const struct seal_keys *keys;
	const struct seal_pub *pub; /* the newest */
	const struct reseal_owner *owners;
	size_t nowners;
	size_t done, left;  /* counted up: values sealed anew; values that could not be opened */
	struct str left_in; /* the last file with one of those; in the arena */
	/* counted up: values under each key, as the files say them now */
	struct reseal_use uses[RESEAL_USES_MAX];
	size_t nuses;
};
/* "ID=3,ID=1", sorted, in `a`. */
struct str reseal_uses_text(struct arena *a, struct reseal *r);
/*
 * The file's text with every value under an older key sealed anew, not a byte beside them changed.
 * STR_NONE when there is nothing to do, or (with err) when it can't be done. In `a`; no plain text
 * stays anywhere.
 */
struct str reseal_file(struct arena *a, struct reseal *r, const struct git_file *f,
		       struct err *err);

enum sealing_file { SEALING_MISSING, SEALING_EMPTY, SEALING_CURRENT, SEALING_OLD, SEALING_FOREIGN };
/* What the repository's key file says. all: every key of this cluster, whatever its state. */
enum sealing_file sealing_file_is(struct str text, const struct seal_pub *current,
				  const struct seal_pub *all, size_t n);
/* Its new text: comments stay. In `a`. */
struct str sealing_file_text(struct arena *a, struct str old, const struct seal_pub *pub);

/* ---- reseal.c ---- */
struct source;
struct reconciler;
/* Looks whether the source's branch needs a commit, unless that is known. */
void reseal_look(struct source *s);
void reseal_free(struct source *s);
/* reseal_pull.c: asks for a pull request where the source has a forge. Never NULL. */
struct pullreq;
struct pullreq *resealpull_start(struct source *s, const char *branch, const char *id,
				 size_t values);
/* The published key is watched from now on. */
void reseal_start(struct reconciler *r);
void reseal_stop(struct reconciler *r);

#endif
