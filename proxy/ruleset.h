/*
 * The nftables table of one node as a set of named objects (chains, map elements, sets), each
 * claimed by the Services that want it, and the transactions that bring the kernel from what was
 * applied to what is wanted. Pure: text out, nothing run. On one thread.
 *
 *	ruleset_put(r, key, service)   as often as Services change
 *	ruleset_diff(r, &text)         only what changed since the last commit
 *	nft_run(text) worked → ruleset_commit(r); it didn't → ruleset_full(r, &text) and run that
 */
#ifndef PLUMB_PROXY_RULESET_H
#define PLUMB_PROXY_RULESET_H

#include "lib/base/map.h"
#include "lib/os/net.h"
#include "proxy/service.h"

#define RULESET_TABLE "plumb_proxy"
#define RULESET_MASQ_MARK "0x4000"

enum rule_kind { RULE_SET, RULE_CHAIN, RULE_ELEMENT };

/* One object of the table. */
struct rule {
	enum rule_kind kind;
	struct str object; /* the set, chain or map */
	struct str key;    /* RULE_ELEMENT: which element */
	struct str text;   /* its definition; its rules, a line each; the element's value or "" */
};

struct rules {
	struct rule *v;
	size_t n, cap;
};

/* In the arena that the list was begun in. */
void rules_add(struct arena *a, struct rules *r, struct rule rule);
/* "svc-1f2e3d4c5b6a-default_web": the hash tells apart, the rest is for people. */
struct str rules_name(struct arena *a, const char *prefix, const char *identity);

struct ruleset_opts {
	struct cidr cluster; /* the pod network; bits 0 = unknown: nothing is told apart by it */
};

/* ---- ruleset_core.c: from a Service to objects; deterministic ---- */
void rules_of_service(struct arena *a, const struct ruleset_opts *o, const struct service *s,
		      struct rules *ret);
/* The part of the table that is there without any Service. */
void rules_base(const struct ruleset_opts *o, struct buf *out);

/* policy_rules_core.c: the same for NetworkPolicies. */
void policy_base(struct buf *out);

/* hostport_core.c: a pod's ports on its node. The pod is one of this node. */
void rules_of_host_ports(struct arena *a, const struct json *pod, struct rules *ret);

/* ---- ruleset_diff.c ---- */
struct ruleset;
struct ruleset *ruleset_new(const struct ruleset_opts *o);
void ruleset_free(struct ruleset *r);
/* What the Service `key` ("namespace/name") wants from now on; NULL = nothing. Copies. */
void ruleset_put(struct ruleset *r, struct str key, const struct service *s);
/* The same for whoever makes rules of something else; its keys must be no Service's. */
void ruleset_put_rules(struct ruleset *r, struct str key, const struct rules *rules);
/* The transaction from applied to wanted; nothing is written when they are the same. */
void ruleset_diff(struct ruleset *r, struct buf *out);
/* The transaction from anything to wanted: the table is made anew. */
void ruleset_full(struct ruleset *r, struct buf *out);
/* What was written last is in the kernel. */
void ruleset_commit(struct ruleset *r);
size_t ruleset_count(const struct ruleset *r); /* objects wanted */

#endif
