/*
 * Borrowed text: comparing, cutting, numbers, hashing. Pure but for the hash key, which is drawn
 * once a process. Never allocates. Any thread.
 */
#include "lib/base/str.h"

#include <string.h>
#include <sys/random.h>

struct str str_c(const char *s)
{
	return s ? (struct str){s, strlen(s)} : STR_NONE;
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(struct str a, const char *b)
{
	return b ? a.p != NULL && str_eq(a, str_c(b)) : a.p == NULL;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool str_ieq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (lower((unsigned char)a.p[i]) != lower((unsigned char)b.p[i]))
			return false;
	}
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = MIN(a.n, b.n);
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return at ? at - s.p : -1;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
	from = MIN(from, s.n);
	return (struct str){s.p ? s.p + from : NULL, MIN(n, s.n - from)};
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.n && is_space(s.p[0]))
		s.p++, s.n--;
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool cut_at(struct str s, const char *at, struct str *ret_head, struct str *ret_tail)
{
	if (!at) {
		*ret_head = s;
		*ret_tail = (struct str){s.p ? s.p + s.n : NULL, 0};
		return false;
	}
	size_t i = (size_t)(at - s.p);
	*ret_head = (struct str){s.p, i};
	*ret_tail = (struct str){s.p + i + 1, s.n - i - 1};
	return true;
}

bool str_cut(struct str s, char sep, struct str *ret_head, struct str *ret_tail)
{
	return cut_at(s, s.n ? memchr(s.p, sep, s.n) : NULL, ret_head, ret_tail);
}

bool str_rcut(struct str s, char sep, struct str *ret_head, struct str *ret_tail)
{
	return cut_at(s, s.n ? memrchr(s.p, sep, s.n) : NULL, ret_head, ret_tail);
}

bool str_next(struct str *rest, char sep, struct str *ret_part)
{
	if (!rest->p)
		return false;
	if (!str_cut(*rest, sep, ret_part, rest))
		*rest = STR_NONE;
	return true;
}

int str_to_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -1;
	}
	*ret = v;
	return 0;
}

int str_to_i64(struct str s, int64_t *ret)
{
	bool negative = s.n && s.p[0] == '-';
	uint64_t v;

	if (str_to_u64(negative ? str_sub(s, 1, s.n) : s, &v) ||
	    v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -1;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

/* ---- SipHash-1-3: fast on short keys, and its collisions cannot be made from outside ---- */

static uint64_t hash_key[2];

static __attribute__((constructor)) void draw_hash_key(void)
{
	if (getrandom(hash_key, sizeof(hash_key), 0) != (ssize_t)sizeof(hash_key))
		__builtin_trap();
}

static uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

uint64_t str_hash(struct str s)
{
	uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
			 hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573};
	uint64_t m;
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&m, s.p + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)s.n << 56;
	for (size_t k = 0; i + k < s.n; k++)
		m |= (uint64_t)(unsigned char)s.p[i + k] << (8 * k);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v), sip_round(v), sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t str_fnv32(struct str s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return h;
}

bool str_eq_secret(struct str a, struct str b)
{
	unsigned char diff = a.n != b.n;

	for (size_t i = 0; i < a.n && i < b.n; i++)
		diff |= (unsigned char)(a.p[i] ^ b.p[i]);
	return diff == 0;
}

/* Length of the well-formed sequence at p, 0 when it isn't one (Unicode table 3-7). */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

bool str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	for (size_t i = 0; i < s.n;) {
		uint64_t eight;
		if (i + 8 <= s.n && (memcpy(&eight, p + i, 8), !(eight & 0x8080808080808080))) {
			i += 8;
			continue;
		}
		size_t len = utf8_sequence(p + i, s.n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}
