/*
 * The cluster's names: Services, their endpoints, pods by address, and the way back from addresses.
 * Answers come from what the facts say at that moment; there is no zone to keep. Pure.
 * Specification: github.com/kubernetes/dns/docs/specification.md, version 1.1.0.
 */
#ifndef PLUMB_PROXY_DNS_ZONE_H
#define PLUMB_PROXY_DNS_ZONE_H

#include "lib/json/json.h"
#include "lib/os/net.h"
#include "proxy/dns_message.h"

struct dns_list {
	const struct json *const *v;
	size_t n;
};

struct dns_facts {
	/* NULL when there is none. */
	const struct json *(*service)(void *ctx, struct arena *a, struct str namespace,
				      struct str name);
	struct dns_list (*slices)(void *ctx, struct arena *a, struct str namespace,
				  struct str service);
	bool (*namespace)(void *ctx, struct str namespace);
	/* The Service of a cluster address, and the slices that hold an endpoint's. */
	const struct json *(*service_at)(void *ctx, struct arena *a, uint32_t ip);
	struct dns_list (*slices_at)(void *ctx, struct arena *a, uint32_t ip);
	void *ctx;
	struct str domain; /* "cluster.local" */
};

enum dns_verdict {
	DNS_ANSWERED,  /* w holds the answer */
	DNS_ELSEWHERE, /* not ours: ask upstream */
	DNS_ALIAS      /* ours, but another name: *ret_target, whose address is to be asked for */
};
enum dns_verdict dns_resolve(const struct dns_facts *f, struct arena *a,
			     const struct dns_question *q, struct dns_answer *w,
			     struct str *ret_target);

#endif
