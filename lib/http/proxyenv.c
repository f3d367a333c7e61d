/*
 * Which proxy the environment names for a server, read as curl and Go read it. Computes only; must
 * never log what it finds, which may hold a password. Any thread, while nobody writes the
 * environment; what is returned is the environment's own.
 */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "lib/http/proxied.h"

/* 10.0.0.0/8, 2001:db8::/32 */
static bool in_network(struct arena *a, struct str host, struct str entry)
{
	unsigned char one[16], net[16];
	struct str address, bits;
	int64_t n;
	int family = str_find(host, STR(":")) < 0 ? AF_INET : AF_INET6;
	unsigned mask;

	if (!str_cut(entry, '/', &address, &bits) || str_to_i64(bits, &n) || n < 0 ||
	    n > (family == AF_INET ? 32 : 128) ||
	    inet_pton(family, arena_cstr(a, host), one) != 1 ||
	    inet_pton(family, arena_cstr(a, address), net) != 1)
		return false;
	mask = n % 8 ? 0xffu << (8 - n % 8) & 0xffu : 0;
	return !memcmp(one, net, (size_t)n / 8) &&
	       (!mask || (one[n / 8] & mask) == (net[n / 8] & mask));
}

/* example.com and .example.com are for all below it, too. */
static bool excepted(struct arena *a, struct str entry, struct str host, int port)
{
	struct str name, number;
	int64_t n;

	if (str_is(entry, "*") || in_network(a, host, entry))
		return true;
	if (entry.n > 2 && entry.p[0] == '[' && entry.p[entry.n - 1] == ']')
		entry = str_sub(entry, 1, entry.n - 2);
	/* Of several colons none is a port's. */
	if (str_cut(entry, ':', &name, &number) && str_find(number, STR(":")) < 0) {
		if (str_to_i64(number, &n) || n != port)
			return false;
		entry = name;
	}
	if (str_starts(entry, STR("*.")))
		entry = str_sub(entry, 1, entry.n);
	if (entry.n && entry.p[0] == '.')
		entry = str_sub(entry, 1, entry.n);
	if (!entry.n || host.n < entry.n ||
	    !str_ieq(str_sub(host, host.n - entry.n, host.n), entry))
		return false;
	return host.n == entry.n || host.p[host.n - entry.n - 1] == '.';
}

static const char *first_of(const char *const *names)
{
	for (; *names; names++) {
		const char *v = getenv(*names);

		if (v && *v)
			return v;
	}
	return NULL;
}

const char *http_proxy_for(bool tls, struct str host, int port)
{
	/* HTTP_PROXY in capitals is what a CGI makes of a request's header. */
	static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL},
				 *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
						    "ALL_PROXY", NULL},
				 *const except[] = {"no_proxy", "NO_PROXY", NULL};
	AUTO(arena) struct arena a = {0};
	const char *proxy = first_of(tls ? secure : plain);
	struct str rest = str_c(first_of(except)), entry;

	if (!proxy)
		return NULL;
	while (rest.n) {
		str_cut(rest, ',', &entry, &rest);
		if (excepted(&a, str_trim(entry), host, port))
			return NULL;
	}
	return proxy;
}
