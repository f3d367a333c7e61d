/*
 * Stale UDP flows. New connections follow the rules at once; a UDP flow is remembered by its ports
 * and would go on to an endpoint that has left. Pure; memory in the caller's arena, what is
 * kept between changes on the heap.
 */
#include "proxy/udp.h"

#include <stdlib.h>

#include "lib/base/map.h"

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

void udp_add_gone(struct arena *a, struct udp_fronts *f, uint32_t ip, uint16_t port)
{
	add(a, f, ip, port, NULL);
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
		return !v->behind || !serves(v->behind, flow);
	}
	return false;
}

/* ---- addresses that there were ---- */

struct udp_before {
	struct map services; /* key → struct kept */
};
struct kept {
	size_t n;
	struct udp_front v[];
};

struct udp_before *udp_before_new(void)
{
	return xalloc(sizeof(struct udp_before));
}

void udp_before_free(struct udp_before *b)
{
	struct map_iter it = {0};

	if (!b)
		return;
	while (map_next(&b->services, &it))
		free(it.value);
	map_release(&b->services);
	free(b);
}

static bool among(const struct udp_fronts *f, const struct udp_front *v)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].ip == v->ip && f->v[i].port == v->port)
			return true;
	return false;
}

void udp_left(struct udp_before *b, struct arena *a, struct udp_fronts *f, struct str key,
	      const struct service *s)
{
	struct kept *old = map_del(&b->services, key), *new;
	struct udp_fronts now = {0};

	if (s)
		udp_add(a, &now, s);
	for (size_t i = 0; old && i < old->n; i++)
		if (!among(&now, &old->v[i]))
			add(a, f, old->v[i].ip, old->v[i].port, NULL);
	free(old);
	if (!now.n)
		return;
	new = xalloc(sizeof(*new) + now.n * sizeof(new->v[0]));
	new->n = now.n;
	for (size_t i = 0; i < now.n; i++)
		new->v[i] = (struct udp_front){now.v[i].ip, now.v[i].port, NULL};
	map_set(&b->services, key, new);
}
