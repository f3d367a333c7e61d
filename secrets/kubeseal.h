/*
 * Values as kubeseal writes them (bitnami.com/v1alpha1): a session key under RSA-OAEP (SHA-256,
 * the scope as label), the value under AES-256-GCM. They are bound to namespace and name at most,
 * not to the key they stand under. Sealing is for what was opened: values that come under a newer
 * key. Pure. Not thread-safe.
 */
#ifndef PLUMB_SECRETS_KUBESEAL_H
#define PLUMB_SECRETS_KUBESEAL_H

#include "lib/json/json.h"

enum { KUBESEAL_VALUE_MAX = 2 * 1024 * 1024, KUBESEAL_KEYS_MAX = 200 };

struct kubeseal_keys;
struct kubeseal_keys *kubeseal_keys_new(void);
void kubeseal_keys_free(struct kubeseal_keys *k); /* wipes; NULL is fine */
/* tls.key of one of its Secrets: PEM, RSA. ERR_PARSE, ERR_LIMIT. */
MUST_USE int kubeseal_keys_add(struct kubeseal_keys *k, struct str pem, struct err *err);

/* STR_NONE for both: sealed for the whole cluster; name STR_NONE: for a namespace. */
struct kubeseal_binding {
	struct str namespace, name;
};
/*
 * Appends the plain bytes. ERR_PARSE: not such a value; ERR_FORBIDDEN: whole, but of another scope;
 * ERR_NOT_FOUND: no key here opens it (the format doesn't tell a foreign key from another name);
 * ERR_CORRUPT: damaged.
 */
MUST_USE int kubeseal_open(const struct kubeseal_keys *k, const struct kubeseal_binding *b,
			   struct str sealed, struct buf *out, struct err *err);
/* Appends a value for the key of this certificate. */
MUST_USE int kubeseal_seal(struct str cert_pem, const struct kubeseal_binding *b, struct str plain,
			   struct buf *out, struct err *err);
/* What the object's annotations say its values are bound to. */
struct kubeseal_binding kubeseal_binding_of(const struct json *sealed);
/*
 * Opens every value of the object, whatever its template says, and with a certificate seals it anew
 * in place; the status goes. STR_NONE: only looks whether they open. Errors as kubeseal_open.
 */
MUST_USE int kubeseal_again(struct arena *a, struct json *sealed, const struct kubeseal_keys *k,
			    struct str cert_pem, struct err *err);
size_t kubeseal_keys_count(const struct kubeseal_keys *k);
/*
 * SealedSecret → Secret, without owner, in `a`: wipe it where that matters. NULL with the failing
 * key's name in front.
 */
struct json *kubeseal_object(struct arena *a, const struct json *sealed,
			     const struct kubeseal_keys *k, struct err *err);

#endif
