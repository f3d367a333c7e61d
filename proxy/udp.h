/* Which tracked flows a change of Services has made stale. Pure. */
#ifndef PLUMB_PROXY_UDP_H
#define PLUMB_PROXY_UDP_H

#include "lib/os/net.h"
#include "proxy/service.h"

struct udp_front {
	uint32_t ip; /* 0 = a node port: any address, but only translated flows */
	uint16_t port;
	const struct service_port *behind; /* NULL = nobody any more */
};
struct udp_end {
	uint32_t ip;
	uint16_t port;
};
struct udp_fronts {
	struct udp_front *v;
	size_t n, cap;
	struct udp_end *dead; /* whose pods have ended: TCP flows to them, too, are stale */
	size_t ndead, dead_cap;
};
/* Adds the addresses of a Service that has changed; s must outlive f. */
void udp_add(struct arena *a, struct udp_fronts *f, const struct service *s);
/* Adds an address whose flows are all to be decided anew. */
void udp_add_gone(struct arena *a, struct udp_fronts *f, uint32_t ip, uint16_t port);
/* The addresses that every Service had, so that one that is gone takes its flows along, and which
 * of its pods were ending. A pod that only leaves the Service keeps its connections. */
struct udp_before;
struct udp_before *udp_before_new(void);
void udp_before_free(struct udp_before *b); /* NULL is fine */
/* Notes what the Service `key` has now (NULL = is gone), and adds to f what it had besides. */
void udp_left(struct udp_before *b, struct arena *a, struct udp_fronts *f, struct str key,
	      const struct service *s);
/* hostport_core.c: the pod's ports on its node. */
void udp_of_host_ports(struct arena *a, const struct json *pod, struct udp_fronts *f);
/* arg is a struct udp_fronts: true when the flow goes where none of these Services sends it any
 * more. */
bool udp_gone(void *arg, const struct net_flow *flow);

#endif
