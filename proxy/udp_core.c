/*
 * Stale flows. New connections follow the rules at once; a UDP flow is remembered by its ports
 * and would go on to an endpoint that has left. A TCP connection whose pod has died without a word
 * is remembered for a day, and whoever comes from the same port within that day would be sent after
 * it. Pure; memory in the caller's arena, what is kept between changes on the heap.
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

static bool to_the_dead(const struct udp_fronts *f, const struct net_flow *flow)
{
	for (size_t i = 0; i < f->ndead; i++)
		if (f->dead[i].ip == flow->served_by && f->dead[i].port == flow->served_port)
			return flow->to != flow->served_by;
	return false;
}

bool udp_gone(void *arg, const struct net_flow *flow)
{
	const struct udp_fronts *f = arg;

	if (flow->proto == IPPROTO_TCP)
		return to_the_dead(f, flow);
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
	size_t n, nending;
	struct udp_front *v;
	struct udp_end *ending; /* pods on their way out */
};

static void kept_free(struct kept *k)
{
	if (!k)
		return;
	free(k->v);
	free(k->ending);
	free(k);
}

static struct kept *keep(const struct udp_fronts *now, const struct service *s)
{
	struct kept *k = xalloc(sizeof(*k));
	size_t cap = 0;

	k->v = now->n ? xreallocarray(NULL, now->n, sizeof(*k->v)) : NULL;
	for (; k->n < now->n; k->n++)
		k->v[k->n] = (struct udp_front){now->v[k->n].ip, now->v[k->n].port, NULL};
	for (size_t i = 0; s && i < s->nports; i++) {
		for (size_t j = 0; j < s->ports[i].nendpoints; j++) {
			const struct endpoint *e = &s->ports[i].endpoints[j];

			if (!e->terminating)
				continue;
			if (k->nending == cap) {
				cap = cap ? cap * 2 : 4;
				k->ending = xreallocarray(k->ending, cap, sizeof(*k->ending));
			}
			k->ending[k->nending++] = (struct udp_end){e->ip, e->port};
		}
	}
	return k;
}

static bool lists(const struct service *s, struct udp_end end)
{
	for (size_t i = 0; i < s->nports; i++)
		for (size_t j = 0; j < s->ports[i].nendpoints; j++)
			if (s->ports[i].endpoints[j].ip == end.ip &&
			    s->ports[i].endpoints[j].port == end.port)
				return true;
	return false;
}

static void add_dead(struct arena *a, struct udp_fronts *f, struct udp_end end)
{
	if (f->ndead == f->dead_cap) {
		struct udp_end *more =
			arena_array(a, f->dead_cap ? f->dead_cap * 2 : 8, sizeof(*more));

		for (size_t i = 0; i < f->ndead; i++)
			more[i] = f->dead[i];
		f->dead = more;
		f->dead_cap = f->dead_cap ? f->dead_cap * 2 : 8;
	}
	f->dead[f->ndead++] = end;
}

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
		kept_free(it.value);
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
	for (size_t i = 0; old && s && i < old->nending; i++)
		if (!lists(s, old->ending[i]))
			add_dead(a, f, old->ending[i]);
	kept_free(old);
	new = keep(&now, s);
	if (new->n || new->nending)
		map_set(&b->services, key, new);
	else
		kept_free(new);
}
