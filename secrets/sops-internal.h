/* One SOPS leaf: what sops.c and sops_text.c share. */
#ifndef PLUMB_SECRETS_SOPS_INTERNAL_H
#define PLUMB_SECRETS_SOPS_INTERNAL_H

#include "lib/json/json.h"
#include "secrets/sops.h"

enum { SOPS_KEY_BYTES = 32 };

struct sops_key {
	uint8_t bytes[SOPS_KEY_BYTES];
};

enum sops_type { SOPS_STR, SOPS_INT, SOPS_FLOAT, SOPS_BOOL, SOPS_BYTES, SOPS_TIME, SOPS_COMMENT };

bool sops_is_value(struct str s); /* "ENC[AES256_GCM,…" */
/* Appends the plain bytes. */
MUST_USE int sops_value_open(const struct sops_key *k, struct str value, struct str aad,
			     struct buf *out, enum sops_type *ret_type, struct err *err);

/* The MAC over a file's leaves in their order. */
struct sops_mac;
struct sops_mac *sops_mac_new(bool only_encrypted);
void sops_mac_free(struct sops_mac *m);
void sops_mac_add(struct sops_mac *m, struct str plain, bool encrypted);
/* ERR_CORRUPT when it isn't the one in the file's metadata. */
MUST_USE int sops_mac_check(struct sops_mac *m, const struct sops_key *k, struct str mac,
			    struct str last_modified, struct err *err);

/* From the tree of a file's metadata. */
MUST_USE int sops_data_key(const struct age_keys *keys, const struct json *metadata,
			   struct sops_key *ret, struct err *err);
/* A Go float64 as strconv.FormatFloat(f, 'f', -1, 64). */
void sops_float(double f, struct buf *out);

#endif
