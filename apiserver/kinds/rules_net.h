/* Addresses and networks in objects. Pure. */
#ifndef PLUMB_APISERVER_RULES_NET_H
#define PLUMB_APISERVER_RULES_NET_H

#include "apiserver/kinds/rules.h"

/* 4, 6, or 0 when it is no address. */
int ip_family(struct str s);
/* The same of "ADDRESS/BITS"; bits behind the network's may be set. */
int cidr_family(struct str s);
/* Is `inner` a smaller part of `outer`? Both are networks. */
bool cidr_within(struct str inner, struct str outer);

/* An address that traffic may be sent to: none of this host, a link or a group. `field` may be NULL
 * (the path itself). */
void rule_endpoint_ip(struct kind_ctx *c, const struct spath *at, const char *field,
		      const struct json *value);
void rule_cidr(struct kind_ctx *c, const struct spath *at, const char *field,
	       const struct json *value);

/* Without an address or pods of its own: somebody else writes its endpoints. */
bool service_is_open(const struct json *spec);
/* What a Service must be, and what an update that leaves things out means (service_rules.c). */
void service_prepare(struct kind_ctx *c, struct json *next, const struct json *live);
void service_validate(struct kind_ctx *c, const struct json *next, const struct json *live);

#endif
