/*
 * Sealed values: what may be committed to a public repository. Anybody with a cluster's public key
 * seals, only the cluster opens. The format, to the byte, is docs/SEALED-SECRETS.md; version 1
 * never changes its meaning. Pure but for randomness. Thread-safe: keys don't change once made.
 */
#ifndef PLUMB_SECRETS_SEAL_H
#define PLUMB_SECRETS_SEAL_H

#include "lib/json/json.h"

enum { SEAL_KEY_BYTES = 32, SEAL_ID_BYTES = 8, SEAL_ID_TEXT = 17, SEAL_VALUE_MAX = 1024 * 1024 };

/* What a value is bound to: it opens nowhere else. */
enum seal_scope { SEAL_STRICT = 1, SEAL_NAMESPACE = 2, SEAL_CLUSTER = 3 };
MUST_USE int seal_scope_parse(struct str s, enum seal_scope *ret); /* "" is strict */
const char *seal_scope_name(enum seal_scope s);

struct seal_binding {
	enum seal_scope scope;
	struct str namespace, name; /* as far as the scope uses them */
	struct str key;             /* of the Secret's data */
};

struct seal_pub {
	uint8_t bytes[SEAL_KEY_BYTES];
	uint8_t id[SEAL_ID_BYTES];
};
/* The key file: comment lines with '#', then lines "plumb-seal-v1:BASE64"; the first one seals. */
MUST_USE int seal_pub_parse(struct str text, struct seal_pub *ret, struct err *err);
void seal_pub_write(const struct seal_pub *p, struct buf *out); /* one line */
const char *seal_id_text(const uint8_t id[SEAL_ID_BYTES], char ret[SEAL_ID_TEXT]);

/* A cluster's private keys, in guarded memory. The first added is not special. */
struct seal_keys;
struct seal_keys *seal_keys_new(void);
void seal_keys_free(struct seal_keys *k); /* wipes; NULL is fine */
/* 32 bytes; ERR_LIMIT beyond 1000 keys; adding one twice is fine. */
MUST_USE int seal_keys_add(struct seal_keys *k, struct str private_key, struct err *err);
/* A new private key, 32 bytes appended to out (wipe it), and its public half. */
void seal_key_generate(struct buf *ret_private, struct seal_pub *ret);
MUST_USE int seal_pub_of(struct str private_key, struct seal_pub *ret, struct err *err);

/* Appends the sealed text (base64). */
MUST_USE int seal_value(const struct seal_pub *p, const struct seal_binding *b, struct str plain,
			struct buf *out, struct err *err);
/*
 * Appends the plain bytes. Says which it was: ERR_PARSE not a sealed value, ERR_UNSUPPORTED
 * version, ERR_NOT_FOUND no such key here, ERR_CORRUPT damaged or truncated, ERR_FORBIDDEN whole
 * but bound to another scope, namespace, name or key.
 */
MUST_USE int seal_open(const struct seal_keys *k, const struct seal_binding *b, struct str sealed,
		       struct buf *out, struct err *err);
/* Which key a sealed value is under, without opening it. */
MUST_USE int seal_value_id(struct str sealed, uint8_t ret[SEAL_ID_BYTES], struct err *err);

/* The scope that it was sealed with. */
MUST_USE int seal_value_scope(struct str sealed, enum seal_scope *ret, struct err *err);

/* ---- whole objects (sealed_object.c) ---- */

/* Secret → SealedSecret. stringData is taken over data. */
struct json *seal_object(struct arena *a, const struct json *secret, const struct seal_pub *p,
			 enum seal_scope scope, struct err *err);
/*
 * SealedSecret → Secret, without owner. ret_id gets the id of the first value's key (hex).
 * The plain text is in `a`: wipe it where that matters. NULL with the failing key's name in front.
 */
struct json *unseal_object(struct arena *a, const struct json *sealed, const struct seal_keys *k,
			   char ret_id[SEAL_ID_TEXT], struct err *err);

#endif
