/* The pieces of age's format that age.c and age_format.c share. */
#ifndef PLUMB_SECRETS_AGE_INTERNAL_H
#define PLUMB_SECRETS_AGE_INTERNAL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { AGE_STANZAS_MAX = 256, AGE_ARGS_MAX = 16, AGE_BODY_MAX = 4096, AGE_MAC = 32 };

struct age_stanza {
	struct str args[AGE_ARGS_MAX]; /* args[0] is the type; borrowed from the file */
	size_t nargs;
	struct buf body;
};

struct age_header {
	struct age_stanza *stanzas;
	size_t n;
	struct str covered; /* what the MAC is over: up to and with "---" */
	uint8_t mac[AGE_MAC];
	struct str payload; /* the rest of the file */
};
MUST_USE int age_header_parse(struct str file, struct age_header *ret, struct err *err);
void age_header_release(struct age_header *h);

/* Unpadded, canonical base64. */
MUST_USE int age_b64_decode(struct str in, struct buf *out);
void age_b64_encode(struct str in, struct buf *out);
/* A stanza's body: lines of 64 columns, ended by a shorter one. */
void age_body_write(struct str body, struct buf *out);

/* HKDF-SHA256 with one block of output (RFC 5869). */
void age_hkdf(struct str secret, struct str salt, struct str info, uint8_t ret[32]);

/* ---- age_ssh.c ---- */
#define AGE_SSH_INFO "age-encryption.org/v1/ssh-ed25519"
struct age_recipient;
struct age_ssh_identity {
	uint8_t secret[32], public[32]; /* X25519 */
	uint8_t ed[32];
};
bool age_ssh_is_recipient(struct str text);
MUST_USE int age_ssh_recipient(struct str text, struct age_recipient *ret, struct err *err);
bool age_ssh_is_identity(struct str line); /* the first line of one */
/* From behind that line; takes what it read off *rest. Wipe *ret. */
MUST_USE int age_ssh_identity(struct str *rest, struct age_ssh_identity *ret, struct err *err);
void age_ssh_tag(const uint8_t ed[32], uint8_t ret[4]);
/* -1 when nothing is left of the secret. */
MUST_USE int age_ssh_tweak(const uint8_t ed[32], uint8_t shared[32]);

bool age_is_armored(struct str file);
MUST_USE int age_armor_decode(struct str file, struct buf *out, struct err *err);
void age_armor_encode(struct str file, struct buf *out);

#endif
