/*
 * Small encodings and random numbers. SHA-256 is libcrypto's (four times as fast as portable
 * code); everything else is short enough to stand here. Any thread.
 */
#include "lib/base/codec.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>

static const char b64std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct str in, const char *alphabet, bool pad, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	size_t i = 0;

	for (; i + 3 <= in.n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
		char q[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63],
			     alphabet[v & 63]};
		buf_put(out, q, 4);
	}
	if (i == in.n)
		return;
	bool two = in.n - i == 2;
	uint32_t v = (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0);
	buf_putc(out, alphabet[v >> 18]);
	buf_putc(out, alphabet[v >> 12 & 63]);
	if (two)
		buf_putc(out, alphabet[v >> 6 & 63]);
	if (pad)
		buf_puts(out, two ? "=" : "==");
}

void base64_encode(struct str in, struct buf *out)
{
	encode(in, b64std, true, out);
}

void base64url_encode(struct str in, struct buf *out)
{
	encode(in, b64url, false, out);
}

static int digit64(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	return c == (url ? '_' : '/') ? 63 : -1;
}

/* in is free of padding here; bits that no byte takes must be zero. */
static int decode(struct str in, bool url, struct buf *out)
{
	uint32_t v = 0;
	int bits = 0;

	if (in.n % 4 == 1)
		return -1;
	buf_reserve(out, in.n / 4 * 3 + 3);
	for (size_t i = 0; i < in.n; i++) {
		int d = digit64(in.p[i], url);
		if (d < 0)
			return -1;
		v = v << 6 | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_putc(out, (char)(v >> bits));
			v &= (1u << bits) - 1;
		}
	}
	return v ? -1 : 0;
}

int base64_decode(struct str in, struct buf *out)
{
	if (in.n % 4)
		return -1;
	for (int i = 0; i < 2 && in.n && in.p[in.n - 1] == '='; i++)
		in.n--;
	return decode(in, false, out);
}

int base64_decode_lines(struct str in, struct buf *out)
{
	AUTO(buf) struct buf flat = {0};
	int rc;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '\n' && in.p[i] != '\r')
			buf_putc(&flat, in.p[i]);
	}
	rc = base64_decode(buf_view(&flat), out);
	buf_wipe(&flat);
	return rc;
}
int base64url_decode(struct str in, struct buf *out)
{
	return decode(in, true, out);
}

void hex_encode(struct str in, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		buf_putc(out, digits[c >> 4]);
		buf_putc(out, digits[c & 15]);
	}
}

static int digit16(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_decode(struct str in, struct buf *out)
{
	if (in.n % 2)
		return -1;
	for (size_t i = 0; i < in.n; i += 2) {
		int hi = digit16(in.p[i]), lo = digit16(in.p[i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		buf_putc(out, (char)(hi << 4 | lo));
	}
	return 0;
}

void url_escape(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_' || c == '.' || c == '~')
			buf_putc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

int url_unescape(struct str in, bool plus_is_space, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '%') {
			int hi = i + 2 < in.n ? digit16(in.p[i + 1]) : -1;
			int lo = i + 2 < in.n ? digit16(in.p[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return -1;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		buf_putc(out, c);
	}
	return 0;
}

void sha256_of(struct str in, struct sha256 *ret)
{
	if (EVP_Digest(in.p, in.n, ret->bytes, NULL, EVP_sha256(), NULL) != 1)
		panic("libcrypto has no SHA-256");
}

void sha256_hex(struct str in, char ret[65])
{
	struct sha256 h;

	sha256_of(in, &h);
	for (size_t i = 0; i < sizeof(h.bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", h.bytes[i]);
}

/* ---- xoshiro256**, seeded by splitmix64 ---- */

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15);
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		r->s[i] = z ^ (z >> 31);
	}
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	assert(n > 0);
	return (uint64_t)(((unsigned __int128)rng_u64(r) * n) >> 64);
}

void rng_suffix(struct rng *r, size_t n, char *out)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";

	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[rng_below(r, sizeof(alphabet) - 1)];
	out[n] = 0;
}

void random_bytes(void *p, size_t n)
{
	for (char *at = p; n;) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			panic("the kernel gives no random bytes: %s", strerror(errno));
		at += got;
		n -= (size_t)got;
	}
}

static void format_uuid(uint8_t b[16], char *ret)
{
	static const char digits[] = "0123456789abcdef";

	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*ret++ = '-';
		*ret++ = digits[b[i] >> 4];
		*ret++ = digits[b[i] & 15];
	}
	*ret = 0;
}

void uuid_v4(char ret[UUID_TEXT_MAX])
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	format_uuid(b, ret);
}

void uuid_from(struct rng *r, char ret[UUID_TEXT_MAX])
{
	uint64_t v[2] = {rng_u64(r), rng_u64(r)};
	uint8_t b[16];

	memcpy(b, v, sizeof(b));
	format_uuid(b, ret);
}
