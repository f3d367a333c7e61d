/*
 * Writing SOPS files with age recipients, so that sops itself reads and edits them. Files are
 * edited by byte ranges: what isn't encrypted, comments and layout stay; comments are not
 * encrypted. Values that don't change keep their bytes. Pure but for randomness; time comes in.
 */
#ifndef PLUMB_SECRETS_SOPS_WRITE_H
#define PLUMB_SECRETS_SOPS_WRITE_H

#include "secrets/sops.h"

enum { SOPS_RECIPIENTS_MAX = 64, SOPS_TIME_TEXT = 32 };

/* What of a file is encrypted and to whom: a rule of .sops.yaml, or chosen. Texts are borrowed. */
struct sops_policy {
	struct str recipients[SOPS_RECIPIENTS_MAX]; /* age1… */
	size_t n;
	const char *rule; /* "encrypted_regex" …; NULL = by the file: see sops_encrypt */
	struct str value; /* of the rule */
	bool mac_only_encrypted;
};
/*
 * The first of creation_rules in a .sops.yaml whose path_regex matches path (relative to the
 * file's folder). ERR_NOT_FOUND: none does; ERR_UNSUPPORTED: it wants other keys than age.
 */
MUST_USE int sops_policy_find(struct arena *a, struct str config, struct str path,
			      struct sops_policy *ret, struct err *err);

struct sops_binding;
struct sops_encrypt {
	const struct sops_policy *policy;
	enum sops_format format;
	struct str modified;             /* RFC 3339, seconds */
	const struct sops_binding *bind; /* sops_bind.h; NULL = to nothing */
};
/*
 * Appends the encrypted file. Without a rule, Kubernetes objects have data and stringData
 * encrypted, anything else all but *_unencrypted. ERR_INVALID: encrypted already.
 */
MUST_USE int sops_encrypt(const struct sops_encrypt *e, struct str plain, struct buf *out,
			  struct err *err);

/* An encrypted YAML or JSON file that is changed by who can read it. */
struct sops_edit {
	const struct age_keys *keys;
	struct str text, modified;
};
/* Gives the value at a JSON pointer of document doc (counted from 0 over what isn't empty) another
 * text; added to its mapping when it isn't there. Changes its line, mac and lastmodified. */
struct sops_put {
	size_t doc;
	struct str pointer, plain;
};
MUST_USE int sops_edit_put(const struct sops_edit *e, const struct sops_put *p, struct buf *out,
			   struct err *err);
/* The same for a line of a dotenv file. */
MUST_USE int sops_edit_put_dotenv(const struct sops_edit *e, struct str name, struct str plain,
				  struct buf *out, struct err *err);
/* Other recipients for the same data key: only the recipients' part changes. */
MUST_USE int sops_edit_recipients(const struct sops_edit *e, const struct sops_policy *to,
				  struct buf *out, struct err *err);
/*
 * Three versions of a file become one, leaf by leaf; e->text is ours. ERR_CONFLICT names the path
 * that both changed differently.
 */
MUST_USE int sops_edit_merge(const struct sops_edit *e, struct str base, struct str theirs,
			     struct buf *out, struct err *err);

#endif
