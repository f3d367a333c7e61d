/*
 * Keeping files' recipients at a list that somebody else keeps: what a file says, what the list
 * says, and the file with that list in its recipients' part and not a byte changed beside it. Pure
 * but for the dice of wrapping a key. No error names a value.
 */
#ifndef PLUMB_SECRETS_SOPS_RECIPIENTS_H
#define PLUMB_SECRETS_SOPS_RECIPIENTS_H

#include "secrets/sops_bind.h"
#include "secrets/sops_write.h"

/* "age1…" or "ssh-ed25519 …" one a line, with comments after '#' at a line's beginning. In `a`;
 * errors name the line, not what stands there. ERR_INVALID: none at all. */
MUST_USE int sops_recipients_parse(struct arena *a, struct str text, struct sops_policy *ret,
				   struct err *err);
/* One of the identities opens what is encrypted to the list. */
bool sops_recipients_hold(const struct sops_policy *p, const struct age_keys *keys);
/* Whom a file says it is encrypted to, as it says it; in `a`. ERR_NOT_FOUND: sops didn't encrypt
 * it; ERR_UNSUPPORTED: to other keys than age's as well. */
MUST_USE int sops_recipients_of(struct arena *a, enum sops_format format, struct str bytes,
				struct sops_policy *ret, struct err *err);
/* The same ones, in whatever order. */
bool sops_recipients_equal(const struct sops_policy *x, const struct sops_policy *y);
bool sops_recipients_has(const struct sops_policy *p, struct str recipient);
/* Whether a document may go to others by what it is bound to. Without it, re-wrapping a copy of
 * somebody's file would open what its binding keeps closed. */
struct sops_bound {
	bool required; /* documents without a binding are left */
	bool (*may)(void *arg, const struct sops_binding *b);
	void *arg;
};
/*
 * Appends the file with these recipients: data key, values, MAC and lastmodified stay.
 * ERR_NOT_FOUND: no identity opens it; ERR_CORRUPT: its MAC or its binding isn't right;
 * ERR_FORBIDDEN: `bound` says no. What is appended was opened again and says the same.
 */
MUST_USE int sops_recipients_put(const struct sops_file *f, const struct sops_policy *to,
				 const struct sops_bound *bound, struct buf *out, struct err *err);

/*
 * Appends the file under a new data key for the same recipients and rule, printed as sops prints
 * it: after somebody was taken out who has had the old key. ERR_CORRUPT: its MAC isn't right;
 * ERR_UNSUPPORTED: other keys than age's, or encrypted comments, which we don't write.
 */
MUST_USE int sops_rotate(const struct sops_file *f, struct str modified, struct buf *out,
			 struct err *err);

#endif
