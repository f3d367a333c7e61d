/*
 * The cluster's name server: answers for the cluster's domain out of informers, and passes all
 * else on. UDP and TCP, one address. On the client's loop.
 */
#ifndef PLUMB_PROXY_DNS_H
#define PLUMB_PROXY_DNS_H

#include "lib/kube/client.h"

enum { DNS_UPSTREAMS_MAX = 4 };

struct dns_opts {
	uint32_t address; /* where to listen; it must be one of this machine's by now */
	uint16_t port;
	const char *domain;                   /* "cluster.local" */
	uint32_t upstream[DNS_UPSTREAMS_MAX]; /* who knows the rest of the world, in order */
	size_t nupstream;
	void (*synced)(void *arg); /* once the cluster's names are known */
	void *arg;
};

struct dns;
struct dns *dns_start(struct client *c, const struct dns_opts *o, struct err *err);
void dns_stop(struct dns *d); /* NULL is fine */
bool dns_synced(const struct dns *d);
/* The IPv4 name servers of a resolv.conf, `self` left out; how many. */
size_t dns_upstreams(struct str resolv_conf, uint32_t self, uint32_t ret[DNS_UPSTREAMS_MAX]);

#endif
