/*
 * Stale UDP flows. New connections follow the rules at once; a UDP flow is remembered by its ports
 * and would go on to an endpoint that has left. Pure; memory in the caller's arena.
 */
#include "proxy/udp.h"

#include "lib/base/pure.h"

static void add(struct arena *a, struct udp_fronts *f, uint32_t ip, uint16_t port,
		const struct service_port *behind)
{
	if (f->n == f->cap) {
		struct udp_front *more = arena_array(a, f->cap ? f->cap * 2 : 8, sizeof(*more));

		for (size_t i = 0; i < f->n; i++)
			more[i] = f->v[i];
		f->v = more;
		f->cap = f->cap ? f->cap * 2 : 8;
	}
	f->v[f->n++] = (struct udp_front){ip, port, behind};
}

void udp_add(struct arena *a, struct udp_fronts *f, const struct service *s)
{
	for (size_t i = 0; i < s->nports; i++) {
		const struct service_port *p = &s->ports[i];

		if (p->proto != IPPROTO_UDP)
			continue;
		add(a, f, s->cluster_ip, p->port, p);
		for (size_t j = 0; j < s->nexternal; j++)
			add(a, f, s->external_ips[j], p->port, p);
		if (p->node_port)
			add(a, f, 0, p->node_port, p);
	}
}

static bool serves(const struct service_port *p, const struct net_flow *flow)
{
	for (size_t i = 0; i < p->nendpoints; i++) {
		const struct endpoint *e = &p->endpoints[i];

		if (e->ip == flow->served_by && e->port == flow->served_port &&
		    (e->ready || (e->serving && e->terminating)))
			return true;
	}
	return false;
}

bool udp_gone(void *arg, const struct net_flow *flow)
{
	const struct udp_fronts *f = arg;

	for (size_t i = 0; i < f->n; i++) {
		const struct udp_front *v = &f->v[i];

		if (v->port != flow->to_port ||
		    (v->ip ? v->ip != flow->to : flow->to == flow->served_by))
			continue;
		return !serves(v->behind, flow);
	}
	return false;
}
