/* What the command line does with sops files. Blocking. */
#ifndef PLUMB_CLI_SOPS_H
#define PLUMB_CLI_SOPS_H

#include "lib/base/flags.h"
#include "secrets/sops_write.h"

struct sopsfile {
	const char *path;
	const char *identity;            /* file; "" = as sops looks for it */
	struct flag_list *age;           /* recipients; none = .sops.yaml */
	bool in_place;                   /* else encrypting goes to out */
	const struct sops_binding *bind; /* see sops_encrypt */
};
/* SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, ~/.config/sops/age/keys.txt, or the file given. NULL with err.
 */
struct age_keys *sops_identities(const char *file, struct err *err);
/* The time that goes into lastmodified, in `a`. */
struct str sops_now(struct arena *a);

/* Encrypts a file in clear. Appends what is to be printed. */
MUST_USE int sopsfile_encrypt(const struct sopsfile *f, struct buf *out, struct err *err);
/* Gives an encrypted Secret (or flat file) another value under key. */
MUST_USE int sopsfile_put(const struct sopsfile *f, struct str key, struct str plain,
			  struct err *err);
/* The same recipients, another data key. */
MUST_USE int sopsfile_rotate(const struct sopsfile *f, struct err *err);
bool sopsfolder_is(const char *path);
/* The same for all that is encrypted below a folder. */
MUST_USE int sopsfolder_recipients(const struct sopsfile *f, struct buf *out, struct err *err);
/* Recipients as .sops.yaml says now; a file that has them is left alone. */
MUST_USE int sopsfile_recipients(const struct sopsfile *f, struct buf *out, struct err *err);

#endif
