/*
 * known_hosts, a line at a time. Lines that aren't understood vouch for nobody. Pure: no file is
 * read here; memory is a buffer per line.
 */
#include "reconciler/knownhosts.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/base/codec.h"

#include "lib/base/pure.h"

#define HOST_TEXT_MAX 300

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* '*' and '?'; linear but for the last star, so no pattern is expensive. */
static bool glob(struct str pattern, struct str s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, from = 0;

	while (i < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = i;
		} else if (p < pattern.n &&
			   (pattern.p[p] == '?' || lower(pattern.p[p]) == lower(s.p[i]))) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

/* "|1|salt|hash": HMAC-SHA1 of the name. */
static bool hashed(struct str field, struct str name)
{
	AUTO(buf) struct buf salt = {0};
	AUTO(buf) struct buf sum = {0};
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	struct str s, h;

	if (!str_cut(str_sub(field, 3, field.n), '|', &s, &h) || base64_decode(s, &salt) ||
	    base64_decode(h, &sum) || salt.n > 64)
		return false;
	if (!HMAC(EVP_sha1(), salt.p ? salt.p : "", (int)salt.n, (const unsigned char *)name.p,
		  name.n, mac, &n))
		return false;
	return sum.n == n && !memcmp(sum.p, mac, n);
}

/* Whether a line's first field speaks of the host, under either of its names. */
static bool names(struct str field, struct str with_port, struct str bare)
{
	bool found = false;
	struct str one;

	if (str_starts(field, STR("|1|")))
		return hashed(field, with_port) || (bare.n && hashed(field, bare));
	while (str_next(&field, ',', &one)) {
		bool negated = one.n && one.p[0] == '!';

		if (negated)
			one = str_sub(one, 1, one.n);
		if (!glob(one, with_port) && !(bare.n && glob(one, bare)))
			continue;
		if (negated)
			return false;
		found = true;
	}
	return found;
}

static struct str take_field(struct str *line)
{
	struct str s = str_trim(*line), field;
	size_t n = 0;

	while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t')
		n++;
	field = str_sub(s, 0, n);
	*line = str_sub(s, n, s.n);
	return field;
}

static bool key_is(struct str text, const unsigned char *sha256)
{
	AUTO(buf) struct buf key = {0};
	struct sha256 sum;

	if (base64_decode(text, &key))
		return false;
	sha256_of(buf_view(&key), &sum);
	return !memcmp(sum.bytes, sha256, sizeof(sum.bytes));
}

enum known_host known_host(struct str text, struct str host, int port,
			   const unsigned char *key_sha256)
{
	char full[HOST_TEXT_MAX];
	struct str with_port, line;
	enum known_host found = KNOWN_HOST_NEVER;

	if (!host.n || host.n > 255)
		return KNOWN_HOST_NEVER;
	snprintf(full, sizeof(full), "[%.*s]:%d", STR_ARG(host), port);
	for (size_t i = 0; full[i]; i++)
		full[i] = (char)lower(full[i]);
	with_port = str_c(full);
	while (str_next(&text, '\n', &line)) {
		struct str field = take_field(&line);
		bool revoked = str_is(field, "@revoked");

		if (!field.n || field.p[0] == '#')
			continue;
		if (revoked)
			field = take_field(&line);
		else if (field.p[0] == '@')
			continue;
		/* A key that stands without a port is the machine's, on whichever port. */
		if (!names(field, with_port, host))
			continue;
		take_field(&line); /* the type is in the key, too */
		if (!key_is(take_field(&line), key_sha256)) {
			if (!revoked && found == KNOWN_HOST_NEVER)
				found = KNOWN_HOST_OTHER;
			continue;
		}
		if (revoked)
			return KNOWN_HOST_REVOKED;
		found = KNOWN_HOST_YES;
	}
	return found;
}
