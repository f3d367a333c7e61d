/* Shared by dns.c (questions), dns_forward.c (what goes upstream) and dns_tcp.c. */
#ifndef PLUMB_PROXY_DNS_INTERNAL_H
#define PLUMB_PROXY_DNS_INTERNAL_H

#include "lib/base/list.h"
#include "lib/kube/informer.h"
#include "proxy/dns.h"
#include "proxy/dns_zone.h"

/* Who asked: over UDP an address, over TCP a connection. */
struct dns_client {
	struct sockaddr_in addr;
	struct dns_conn *conn; /* NULL = UDP */
};

struct dns {
	struct dns_opts o;
	struct client *client;
	struct loop *loop;
	struct informer *services, *slices, *namespaces;
	struct loop_fd udp, tcp;
	struct list forwards, conns;
	size_t nforwards, nconns;
	bool synced;
};

/* One question, answered now or (upstream) later. */
void dns_question(struct dns *d, const struct dns_client *who, struct str message);
void dns_reply(struct dns *d, const struct dns_client *who, struct str message);

/* Sends the question upstream; the asker hears of the answer, or of the failure. */
void dns_forward(struct dns *d, const struct dns_client *who, const struct dns_question *q,
		 struct str message);
/* The same for an alias whose addresses are known elsewhere: the answer names both. */
void dns_forward_alias(struct dns *d, const struct dns_client *who, const struct dns_question *q,
		       struct str target);
/* A connection is gone: nobody waits any more. */
void dns_forward_forget(struct dns *d, const struct dns_conn *conn);
void dns_forward_stop(struct dns *d);

MUST_USE int dns_tcp_start(struct dns *d, struct err *err);
void dns_tcp_reply(struct dns_conn *c, struct str message);
void dns_tcp_stop(struct dns *d);

#endif
