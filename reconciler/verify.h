/*
 * Detached signatures as git makes them: OpenSSH's (gpg.format ssh) and OpenPGP's. Keys are what a
 * Secret holds: public keys, lists of allowed signers, armored OpenPGP keys. Helper process only.
 */
#ifndef PLUMB_RECONCILER_VERIFY_H
#define PLUMB_RECONCILER_VERIFY_H

#include "lib/json/json.h"

#define VERIFY_KEYS_MAX (1u << 20) /* bytes of all keys together */

/*
 * keys: {name: text}. 0 when `signature` (armored) is by one of them over `text`; *ret_who names
 * it, in `a`. err says what is wrong with it otherwise.
 */
MUST_USE int verify_signature(struct arena *a, const struct json *keys, struct str text,
			      struct str signature, char **ret_who, struct err *err);

/*
 * One key of ssh's, wherever it stands: "ssh-ed25519 AAAA… comment" or "who@where [options]
 * ssh-ed25519 AAAA…". Pure. Specification: OpenSSH's PROTOCOL.sshsig; ssh-keygen(1), "ALLOWED
 * SIGNERS".
 */
MUST_USE int verify_ssh(struct arena *a, const struct json *keys, struct str text,
			struct str signature, char **ret_who, struct err *err);
/* Runs gpg in a home of its own that is removed afterwards; ERR_UNSUPPORTED where there is none. */
MUST_USE int verify_pgp(struct arena *a, const struct json *keys, struct str text,
			struct str signature, char **ret_who, struct err *err);

#endif
