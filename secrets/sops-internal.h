/* One SOPS leaf: what sops.c and sops_text.c share. */
#ifndef PLUMB_SECRETS_SOPS_INTERNAL_H
#define PLUMB_SECRETS_SOPS_INTERNAL_H

#include <regex.h>

#include "lib/json/json.h"
#include "secrets/sops.h"

enum { SOPS_KEY_BYTES = 32, SOPS_MARKED_MAX = 1000 };

struct sops_key {
	uint8_t bytes[SOPS_KEY_BYTES];
};

enum sops_type { SOPS_STR, SOPS_INT, SOPS_FLOAT, SOPS_BOOL, SOPS_BYTES, SOPS_TIME, SOPS_COMMENT };

bool sops_is_value(struct str s); /* "ENC[AES256_GCM,…" */
/* Appends the plain bytes. */
MUST_USE int sops_value_open(const struct sops_key *k, struct str value, struct str aad,
			     struct buf *out, enum sops_type *ret_type, struct err *err);

/* Appends the encrypted value, under a fresh nonce. */
struct sops_sealing {
	struct str plain, aad;
	enum sops_type type;
};
MUST_USE int sops_value_seal(const struct sops_key *k, const struct sops_sealing *s,
			     struct buf *out, struct err *err);

/* The MAC over a file's leaves in their order. */
struct sops_mac;
struct sops_mac *sops_mac_new(bool only_encrypted);
void sops_mac_free(struct sops_mac *m);
void sops_mac_add(struct sops_mac *m, struct str plain, bool encrypted);
/* ERR_CORRUPT when it isn't the one in the file's metadata. */
MUST_USE int sops_mac_check(struct sops_mac *m, const struct sops_key *k, struct str mac,
			    struct str last_modified, struct err *err);

/* Appends the encrypted MAC for a file that was changed at last_modified (RFC 3339, seconds). */
MUST_USE int sops_mac_write(struct sops_mac *m, const struct sops_key *k, struct str last_modified,
			    struct buf *out, struct err *err);

/* Each leaf in the file's order, documents without their metadata: what is encrypted, or is to be,
 * by the metadata's rule. aad is valid during the call. */
struct sops_leaf {
	struct json *v;
	struct str aad;
	bool encrypted;
	bool flow; /* within {} or [] */
};
typedef int sops_leaf_fn(void *arg, const struct sops_leaf *leaf, struct err *err);
MUST_USE int sops_each(const struct sops_docs *d, const struct json *metadata, sops_leaf_fn *fn,
		       void *arg, struct err *err);
/* The bytes that a value in clear counts as, and its type. */
enum sops_type sops_scalar(const struct sops_docs *d, const struct json *v, struct buf *out);

/* sops_open_docs, and the data key: wipe it. Opened values' `spare` is their enum sops_type + 1. */
MUST_USE int sops_open_keyed(struct arena *a, const struct sops_docs *d, struct sops_key *ret_key,
			     struct sops_report *ret, struct err *err);

/* Go's regular expression; regfree it. ERR_UNSUPPORTED, ERR_LIMIT. */
MUST_USE int sops_regex(struct str go, regex_t *ret, struct err *err);

/* The values that comments which a rule hits stand by: members, with all below them. In `a`.
 * ERR_UNSUPPORTED where it isn't clear to which value one belongs. */
struct sops_marked {
	const struct json **v;
	size_t n;
};
MUST_USE int sops_find_marked(struct arena *a, const struct sops_docs *d, const regex_t *rule,
			      struct sops_marked *ret, struct err *err);
bool sops_is_marked(const struct sops_marked *m, const struct json *v);

/* A dotenv file's metadata as a tree, in `a`. */
struct json *sops_dotenv_metadata(struct arena *a, struct str text);
void sops_dotenv_unescape(struct str in, struct buf *out);
/* From the tree of a file's metadata. */
MUST_USE int sops_data_key(const struct age_keys *keys, const struct json *metadata,
			   struct sops_key *ret, struct err *err);
/* A Go float64 as strconv.FormatFloat(f, 'f', -1, 64). */
void sops_float(double f, struct buf *out);

#endif
