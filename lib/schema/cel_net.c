/*
 * Kubernetes' addresses and URLs in CEL. Addresses are read strictly: no leading zeros, no zones,
 * no IPv4 inside IPv6. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)

/* ---- addresses ---- */

static bool parse_v4(struct str s, struct cel_ip *ip)
{
	struct str part;
	uint64_t u;
	size_t i = 0;

	for (; str_next(&s, '.', &part); i++) {
		if (i == 4 || !part.n || part.n > 3 || (part.n > 1 && part.p[0] == '0') ||
		    str_to_u64(part, &u) || u > 255)
			return false;
		ip->bytes[i] = (uint8_t)u;
	}
	ip->len = 4;
	return i == 4;
}

static bool parse_group(struct str s, uint8_t *out)
{
	unsigned u = 0;

	if (!s.n || s.n > 4)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char low = (char)(s.p[i] | 0x20);

		if (s.p[i] >= '0' && s.p[i] <= '9')
			u = u << 4 | (unsigned)(s.p[i] - '0');
		else if (low >= 'a' && low <= 'f')
			u = u << 4 | (unsigned)(low - 'a' + 10);
		else
			return false;
	}
	out[0] = (uint8_t)(u >> 8);
	out[1] = (uint8_t)u;
	return true;
}

/* Groups into bytes, how many or -1. */
static int parse_groups(struct str s, uint8_t *out)
{
	struct str part;
	int n = 0;

	if (!s.n)
		return 0;
	while (str_next(&s, ':', &part)) {
		if (n == 8 || !parse_group(part, out + 2 * n))
			return -1;
		n++;
	}
	return n;
}

static bool parse_v6(struct str s, struct cel_ip *ip)
{
	uint8_t head[16] = {0}, tail[16] = {0};
	ptrdiff_t gap = str_find(s, STR("::"));
	int before, after = 0;

	ip->len = 16;
	if (gap < 0)
		return parse_groups(s, ip->bytes) == 8;
	before = parse_groups(str_sub(s, 0, (size_t)gap), head);
	after = parse_groups(str_sub(s, (size_t)gap + 2, s.n), tail);
	if (before < 0 || after < 0 || before + after > 7)
		return false;
	memcpy(ip->bytes, head, (size_t)before * 2);
	memcpy(ip->bytes + 16 - (size_t)after * 2, tail, (size_t)after * 2);
	return true;
}

static bool parse_ip(struct str s, struct cel_ip *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	*ip = (struct cel_ip){0};
	if (!memchr(s.p ? s.p : "", ':', s.n))
		return parse_v4(s, ip);
	return parse_v6(s, ip) && memcmp(ip->bytes, mapped, sizeof(mapped)) != 0;
}

static bool parse_cidr(struct str s, struct cel_ip *ip)
{
	struct str address, bits;
	uint64_t u;

	if (!str_cut(s, '/', &address, &bits) || !parse_ip(address, ip) || !bits.n ||
	    (bits.n > 1 && bits.p[0] == '0') || str_to_u64(bits, &u) || u > ip->len * 8U)
		return false;
	ip->prefix = (uint8_t)u;
	return true;
}

/* The longest run of at least two zero groups is left out (RFC 5952). */
static void put_v6(const uint8_t *b, struct buf *out)
{
	int best = -1, best_n = 1;

	for (int i = 0; i < 8; i++) {
		int run = 0;

		while (i + run < 8 && !b[2 * (i + run)] && !b[2 * (i + run) + 1])
			run++;
		if (run > best_n) {
			best = i;
			best_n = run;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			buf_puts(out, "::");
			i += best_n - 1;
			continue;
		}
		if (i && i != best + best_n)
			buf_putc(out, ':');
		else if (i && best < 0)
			buf_putc(out, ':');
		buf_printf(out, "%x", (unsigned)b[2 * i] << 8 | b[2 * i + 1]);
	}
}

void cel_ip_text(const struct cel_ip *ip, bool cidr, struct buf *out)
{
	if (ip->len == 4)
		buf_printf(out, "%u.%u.%u.%u", ip->bytes[0], ip->bytes[1], ip->bytes[2],
			   ip->bytes[3]);
	else
		put_v6(ip->bytes, out);
	if (cidr)
		buf_printf(out, "/%u", ip->prefix);
}

static struct cel_value of_ip(struct cel *c, const struct cel_ip *ip, enum cel_type type)
{
	if (!cel_pay_memory(c, sizeof(*ip)))
		return cel_fail(c, "%s", c->stop);
	return (struct cel_value){.type = (uint8_t)type, .ip = arena_dup(c->a, ip, sizeof(*ip))};
}

F(ip)
{
	struct cel_ip ip;

	UNUSED_ARGS;
	return parse_ip(v->s, &ip) ? of_ip(c, &ip, CEL_IP)
				   : cel_fail(c,
					      "IP Address '%.*s' parse error during conversion "
					      "from string",
					      (int)MIN(v->s.n, 60), v->s.p);
}

F(is_ip)
{
	struct cel_ip ip;

	UNUSED_ARGS;
	return cel_of_bool(parse_ip(v->s, &ip));
}

F(ip_is_canonical)
{
	struct cel_ip ip;
	AUTO(buf) struct buf b = {0};

	UNUSED_ARGS;
	if (!parse_ip(v->s, &ip))
		return cel_fail(c, "IP Address parse error during conversion from string");
	cel_ip_text(&ip, false, &b);
	return cel_of_bool(str_eq(buf_view(&b), v->s));
}

F(family)
{
	UNUSED_ARGS;
	return cel_of_int(v->ip->len == 4 ? 4 : 6);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

F(is_unspecified)
{
	UNUSED_ARGS;
	return cel_of_bool(all_zero(v->ip->bytes, v->ip->len));
}

F(is_loopback)
{
	const uint8_t *b = v->ip->bytes;

	UNUSED_ARGS;
	return cel_of_bool(v->ip->len == 4 ? b[0] == 127 : all_zero(b, 15) && b[15] == 1);
}

F(is_link_local_multicast)
{
	const uint8_t *b = v->ip->bytes;

	UNUSED_ARGS;
	return cel_of_bool(v->ip->len == 4 ? b[0] == 224 && !b[1] && !b[2]
					   : b[0] == 0xff && (b[1] & 0xf) == 2);
}

F(is_link_local_unicast)
{
	const uint8_t *b = v->ip->bytes;

	UNUSED_ARGS;
	return cel_of_bool(v->ip->len == 4 ? b[0] == 169 && b[1] == 254
					   : b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

F(is_global_unicast)
{
	const uint8_t *b = v->ip->bytes;
	struct cel_value loop = is_loopback(c, v, n), local = is_link_local_unicast(c, v, n);
	bool multicast = v->ip->len == 4 ? (b[0] & 0xf0) == 224 : b[0] == 0xff,
	     broadcast =
		     v->ip->len == 4 && b[0] == 255 && b[1] == 255 && b[2] == 255 && b[3] == 255;

	return cel_of_bool(!loop.b && !local.b && !multicast && !broadcast &&
			   !all_zero(b, v->ip->len));
}

/* ---- ranges ---- */

F(cidr)
{
	struct cel_ip ip;

	UNUSED_ARGS;
	return parse_cidr(v->s, &ip) ? of_ip(c, &ip, CEL_CIDR)
				     : cel_fail(c, "CIDR address parse error during conversion "
						   "from string");
}

F(is_cidr)
{
	struct cel_ip ip;

	UNUSED_ARGS;
	return cel_of_bool(parse_cidr(v->s, &ip));
}

static bool inside(const struct cel_ip *range, const struct cel_ip *ip)
{
	size_t whole = range->prefix / 8U;
	uint8_t mask = (uint8_t)(0xff00U >> range->prefix % 8U);

	if (range->len != ip->len || memcmp(range->bytes, ip->bytes, whole) != 0)
		return false;
	return !(range->prefix % 8) || !((range->bytes[whole] ^ ip->bytes[whole]) & mask);
}

F(contains_ip)
{
	struct cel_ip ip;

	UNUSED_ARGS;
	if (v[1].type == CEL_IP)
		return cel_of_bool(inside(v[0].ip, v[1].ip));
	if (!parse_ip(v[1].s, &ip))
		return cel_fail(c, "IP Address parse error during conversion from string");
	return cel_of_bool(inside(v[0].ip, &ip));
}

F(contains_cidr)
{
	struct cel_ip ip;

	UNUSED_ARGS;
	if (v[1].type == CEL_CIDR)
		ip = *v[1].ip;
	else if (!parse_cidr(v[1].s, &ip))
		return cel_fail(c, "CIDR address parse error during conversion from string");
	return cel_of_bool(inside(v[0].ip, &ip) && v[0].ip->prefix <= ip.prefix);
}

F(prefix_length)
{
	UNUSED_ARGS;
	return cel_of_int(v->ip->prefix);
}

F(ip_of_cidr)
{
	struct cel_ip ip = *v->ip;

	UNUSED_ARGS;
	ip.prefix = 0;
	return of_ip(c, &ip, CEL_IP);
}

F(masked)
{
	struct cel_ip ip = *v->ip;

	UNUSED_ARGS;
	for (size_t bit = ip.prefix; bit < ip.len * 8U; bit++)
		ip.bytes[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	return of_ip(c, &ip, CEL_CIDR);
}

/* ---- URLs: absolute, or an absolute path ---- */

struct url {
	struct str scheme, host, path, query;
};

static bool is_scheme(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char low = (char)(s.p[i] | 0x20);
		bool letter = low >= 'a' && low <= 'z';

		if (!letter && (!i || !((s.p[i] >= '0' && s.p[i] <= '9') || strchr("+-.", s.p[i]))))
			return false;
	}
	return s.n > 0;
}

static bool parse_url(struct str s, struct url *u)
{
	ptrdiff_t colon;
	struct str rest = s, before;
	size_t end = 0;

	*u = (struct url){0};
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	str_cut(rest, '#', &rest, &before);
	str_cut(rest, '?', &rest, &u->query);
	colon = str_find(rest, STR("://"));
	if (colon < 0) {
		u->path = rest;
		return rest.n && rest.p[0] == '/' && !str_starts(rest, STR("//"));
	}
	u->scheme = str_sub(rest, 0, (size_t)colon);
	rest = str_sub(rest, (size_t)colon + 3, rest.n);
	while (end < rest.n && rest.p[end] != '/')
		end++;
	u->host = str_sub(rest, 0, end);
	u->path = str_sub(rest, end, rest.n);
	if (str_rcut(u->host, '@', &before, &rest))
		u->host = rest;
	return is_scheme(u->scheme);
}

F(url)
{
	struct url u;

	UNUSED_ARGS;
	if (!parse_url(v->s, &u))
		return cel_fail(c, "URL parse error during conversion from string");
	return (struct cel_value){.type = CEL_URL, .s = v->s};
}

F(is_url)
{
	struct url u;

	UNUSED_ARGS;
	return cel_of_bool(parse_url(v->s, &u));
}

F(url_scheme)
{
	struct url u;

	UNUSED_ARGS;
	parse_url(v->s, &u);
	return cel_of_str(u.scheme);
}

F(url_host)
{
	struct url u;

	UNUSED_ARGS;
	parse_url(v->s, &u);
	return cel_of_str(u.host);
}

/* Without the port, and an IPv6 address without its brackets. */
static void cut_port(struct str host, struct str *name, struct str *port)
{
	struct str tail;

	*port = STR("");
	*name = host;
	if (host.n && host.p[0] == '[') {
		if (str_rcut(host, ']', name, &tail)) {
			*name = str_sub(*name, 1, name->n);
			*port = str_starts(tail, STR(":")) ? str_sub(tail, 1, tail.n) : STR("");
		}
	} else if (!str_rcut(host, ':', name, port)) {
		*name = host;
		*port = STR("");
	}
}

F(url_hostname)
{
	struct str name, port;
	struct url u;

	UNUSED_ARGS;
	parse_url(v->s, &u);
	cut_port(u.host, &name, &port);
	return cel_of_str(name);
}

F(url_port)
{
	struct str name, port;
	struct url u;

	UNUSED_ARGS;
	parse_url(v->s, &u);
	cut_port(u.host, &name, &port);
	return cel_of_str(port);
}

F(url_path)
{
	struct url u;

	UNUSED_ARGS;
	parse_url(v->s, &u);
	return cel_new_str(c, u.path);
}

/* name → list of values. */
F(url_query)
{
	struct json *all = json_new(c->a, JSON_OBJECT);
	AUTO(buf) struct buf key = {0}, value = {0};
	struct str part, name, said;
	struct url u;

	UNUSED_ARGS;
	parse_url(v->s, &u);
	if (!cel_pay(c, u.query.n) || !cel_pay_memory(c, 64 * u.query.n))
		return cel_fail(c, "%s", c->stop);
	while (str_next(&u.query, '&', &part)) {
		if (!part.n)
			continue;
		str_cut(part, '=', &name, &said);
		buf_reset(&key);
		buf_reset(&value);
		if (url_unescape(name, true, &key) || url_unescape(said, true, &value))
			continue;
		json_append_str(c->a, json_set_array(c->a, all, buf_cstr(&key)), buf_view(&value));
	}
	return cel_of_json(c, all, NULL);
}

const struct cel_fn cel_fns_net[] = {
	{"ip", "s", CEL_IP, false, ip},
	{"isIP", "s", CEL_BOOL, false, is_ip},
	{"ip.isCanonical", "s", CEL_BOOL, false, ip_is_canonical},
	{"family", "I", CEL_INT, true, family},
	{"isUnspecified", "I", CEL_BOOL, true, is_unspecified},
	{"isLoopback", "I", CEL_BOOL, true, is_loopback},
	{"isLinkLocalMulticast", "I", CEL_BOOL, true, is_link_local_multicast},
	{"isLinkLocalUnicast", "I", CEL_BOOL, true, is_link_local_unicast},
	{"isGlobalUnicast", "I", CEL_BOOL, true, is_global_unicast},
	{"cidr", "s", CEL_CIDR, false, cidr},
	{"isCIDR", "s", CEL_BOOL, false, is_cidr},
	{"containsIP", "CI", CEL_BOOL, true, contains_ip},
	{"containsIP", "Cs", CEL_BOOL, true, contains_ip},
	{"containsCIDR", "CC", CEL_BOOL, true, contains_cidr},
	{"containsCIDR", "Cs", CEL_BOOL, true, contains_cidr},
	{"prefixLength", "C", CEL_INT, true, prefix_length},
	{"ip", "C", CEL_IP, true, ip_of_cidr},
	{"masked", "C", CEL_CIDR, true, masked},
	{"url", "s", CEL_URL, false, url},
	{"isURL", "s", CEL_BOOL, false, is_url},
	{"getScheme", "U", CEL_STRING, true, url_scheme},
	{"getHost", "U", CEL_STRING, true, url_host},
	{"getHostname", "U", CEL_STRING, true, url_hostname},
	{"getPort", "U", CEL_STRING, true, url_port},
	{"getEscapedPath", "U", CEL_STRING, true, url_path},
	{"getQuery", "U", CEL_MAP, true, url_query},
	{0},
};
