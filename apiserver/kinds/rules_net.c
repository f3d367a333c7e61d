/* Addresses and networks in objects, as text. Pure. */
#include "apiserver/kinds/rules_net.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/pure.h"

static int parse(struct str s, unsigned char raw[16])
{
	char text[INET6_ADDRSTRLEN + 1];
	int af = memchr(s.p ? s.p : "", ':', s.n) ? AF_INET6 : AF_INET;

	if (!s.n || s.n >= sizeof(text))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	if (inet_pton(af, text, raw) != 1)
		return 0;
	return af == AF_INET ? 4 : 6;
}

int ip_family(struct str s)
{
	unsigned char raw[16];

	return parse(s, raw);
}

static int parse_cidr(struct str s, unsigned char raw[16], int64_t *ret_bits)
{
	struct str address, bits;
	int f;

	if (!str_cut(s, '/', &address, &bits) || str_to_i64(bits, ret_bits) || *ret_bits < 0)
		return 0;
	f = parse(address, raw);
	return f && *ret_bits <= (f == 4 ? 32 : 128) ? f : 0;
}

int cidr_family(struct str s)
{
	unsigned char raw[16];
	int64_t bits;

	return parse_cidr(s, raw, &bits);
}

bool cidr_within(struct str inner, struct str outer)
{
	unsigned char in[16], out[16];
	int64_t in_bits, out_bits;
	int f = parse_cidr(inner, in, &in_bits);

	if (!f || parse_cidr(outer, out, &out_bits) != f || in_bits <= out_bits)
		return false;
	for (int64_t i = 0; i < out_bits; i++)
		if ((in[i / 8] ^ out[i / 8]) & (0x80 >> (i % 8)))
			return false;
	return true;
}

static const char *special(const unsigned char raw[16], int family)
{
	static const unsigned char zero[16];

	if (!memcmp(raw, zero, family == 4 ? 4 : 16))
		return "may not be unspecified (0.0.0.0 or ::)";
	if (family == 4 ? raw[0] == 127 : !memcmp(raw, zero, 15) && raw[15] == 1)
		return "may not be in the loopback range (127.0.0.0/8, ::1/128)";
	if (family == 4 ? raw[0] == 169 && raw[1] == 254
			: raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80)
		return "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
	if (family == 4 && raw[0] == 224 && !raw[1] && !raw[2])
		return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
	return NULL;
}

void rule_endpoint_ip(struct kind_ctx *c, const struct spath *at, const char *field,
		      const struct json *value)
{
	unsigned char raw[16];
	int family = parse(json_str(value), raw);
	const char *why = family ? special(raw, family)
				 : "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

	if (why)
		rule_invalid(c, at, field, value, why);
}

void rule_cidr(struct kind_ctx *c, const struct spath *at, const char *field,
	       const struct json *value)
{
	if (!cidr_family(str_trim(json_str(value))))
		rule_invalid(c, at, field, value,
			     "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
}
