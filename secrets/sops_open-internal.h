/* An encrypted file taken apart for editing: what sops_edit.c and sops_merge.c share. */
#ifndef PLUMB_SECRETS_SOPS_OPEN_INTERNAL_H
#define PLUMB_SECRETS_SOPS_OPEN_INTERNAL_H

#include "secrets/sops-internal.h"
#include "secrets/sops_write.h"

/* Bytes of a text to be replaced. */
struct sops_cut {
	size_t from, to;
	struct str with;
};
struct sops_cuts {
	struct sops_cut *v;
	size_t n;
};
void sops_cuts_add(struct sops_cuts *c, size_t from, size_t to, struct str with);
/* Appends the text with the cuts made; ERR_UNSUPPORTED when two overlap. */
MUST_USE int sops_cuts_make(struct sops_cuts *c, struct str text, struct buf *out, struct err *err);
void sops_cuts_release(struct sops_cuts *c);
/* The range of a value, without the blank lines that a block scalar's end swallows. */
MUST_USE int sops_range(struct str text, const struct yaml_srcs *srcs, const struct json *v,
			size_t *ret_from, size_t *ret_to);
/* How an encrypted value is written where `v` stands: quoted where it must be. In `a`. */
struct str sops_quoted(struct arena *a, const struct yaml_srcs *srcs, const struct sops_leaf *l,
		       struct str enc);

/* A file, parsed; its metadata apart from its documents. */
struct sops_open {
	struct arena *a;
	struct str text;
	struct yaml_srcs srcs;
	struct yaml_docs docs;
	struct json **metadata; /* of each document, or NULL */
	struct sops_key key;
};
MUST_USE int sops_open_init(struct sops_open *o, struct arena *a, const struct age_keys *keys,
			    struct str text, struct err *err);
void sops_open_release(struct sops_open *o); /* wipes the key */
struct sops_docs sops_open_docs_of(const struct sops_open *o);
/* Cuts that give the documents' metadata a new MAC and time. */
MUST_USE int sops_stamp(struct sops_open *o, struct sops_mac *mac, struct str modified,
			struct sops_cuts *cuts, struct err *err);
/* The data key for each recipient: [{recipient, enc}]; those of `old` stay as they are. */
MUST_USE int sops_wrap_all(struct arena *a, const struct sops_key *k, const struct sops_policy *p,
			   const struct json *old, struct json **ret, struct err *err);
void sops_age_dotenv(const struct json *list, struct buf *out);
void sops_age_yaml(const struct json *list, size_t indent, struct buf *out);
/* Whether the file's MAC is that of what it says. */
MUST_USE int sops_check(const struct sops_open *o, struct err *err);
/* Whether a file that was just written opens under its key, MAC and all. */
MUST_USE int sops_verify(const struct sops_key *k, struct str text, struct err *err);
/* Seals e's text anew after a change by bytes: computes the MAC of what it says now. */
MUST_USE int sops_restamp(const struct sops_edit *e, struct str changed, struct buf *out,
			  struct err *err);

#endif
