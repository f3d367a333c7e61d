/*
 * HMAC by libcrypto, as codec.c has its digests from there. Keys are the caller's and are not kept.
 */
#include "lib/base/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

static const EVP_MD *digest_of(enum hmac_kind kind)
{
	switch (kind) {
	case HMAC_SHA1:
		return EVP_sha1();
	case HMAC_SHA256:
		return EVP_sha256();
	case HMAC_SHA384:
		return EVP_sha384();
	case HMAC_SHA512:
		break;
	}
	return EVP_sha512();
}

void hmac_hex(enum hmac_kind kind, struct str key, struct str data, char ret[HMAC_HEX_MAX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (key.n > INT32_MAX ||
	    !HMAC(digest_of(kind), key.n ? key.p : "", (int)key.n,
		  (const unsigned char *)(data.n ? data.p : ""), data.n, sum, &n))
		panic("libcrypto has no HMAC");
	for (unsigned i = 0; i < n; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", sum[i]);
}

bool hmac_fits(enum hmac_kind kind, struct str key, struct str data, struct str hex)
{
	char want[HMAC_HEX_MAX], said[HMAC_HEX_MAX];

	if (!key.n || hex.n >= sizeof(said))
		return false;
	hmac_hex(kind, key, data, want);
	for (size_t i = 0; i < hex.n; i++)
		said[i] = hex.p[i] >= 'A' && hex.p[i] <= 'F' ? (char)(hex.p[i] + 32) : hex.p[i];
	return str_eq_secret((struct str){said, hex.n}, str_c(want));
}
