/* Small encodings: base64, hex, SHA-256 text, URL escapes, random identifiers. Thread-safe. */
#ifndef PLUMB_CODEC_H
#define PLUMB_CODEC_H

#include "lib/base/buf.h"

void base64_encode(struct str in, struct buf *out);         /* standard, padded */
void base64url_encode(struct str in, struct buf *out);      /* unpadded */
MUST_USE int base64_decode(struct str in, struct buf *out); /* standard, padded, strict */
/* The same with line breaks anywhere, which Go's decoder and so Kubernetes' API take. */
MUST_USE int base64_decode_lines(struct str in, struct buf *out);
MUST_USE int base64url_decode(struct str in, struct buf *out); /* unpadded, strict */
void hex_encode(struct str in, struct buf *out);
MUST_USE int hex_decode(struct str in, struct buf *out);
void url_escape(struct str in, struct buf *out); /* everything but unreserved characters */
MUST_USE int url_unescape(struct str in, bool plus_is_space, struct buf *out);

struct sha256 {
	uint8_t bytes[32];
};
void sha256_of(struct str in, struct sha256 *ret);
void sha256_hex(struct str in, char ret[65]);

/* A splitmix/xoshiro generator: deterministic from its seed. For pure code and simulations. */
struct rng {
	uint64_t s[4];
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 … n-1; n > 0 */
/* n characters of Kubernetes' name alphabet (bcdfghjklmnpqrstvwxz2456789), NUL-terminated: out[n +
 * 1]. */
void rng_suffix(struct rng *r, size_t n, char *out);

void random_bytes(void *p, size_t n); /* from the kernel; cannot fail */
#define UUID_TEXT_MAX 37
void uuid_v4(char ret[UUID_TEXT_MAX]);
/* The same from a generator, for simulations. */
void uuid_from(struct rng *r, char ret[UUID_TEXT_MAX]);

#endif
