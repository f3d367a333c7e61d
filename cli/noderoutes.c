/*
 * See noderoutes.h. Must never touch a route that it did not make, nor make one for a network that
 * is no node's podCIDR as the controllers gave it. Each change is one request to the kernel, on the
 * supervisor's thread.
 */
#include "cli/noderoutes.h"

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"
#include "lib/os/net.h"

#define KUBELET_BRIDGE "plumb0"

struct noderoutes {
	struct client *client;
	struct informer *nodes;
	struct map made; /* node → struct made */
};

struct made {
	struct cidr to;
	uint32_t via;
};

static uint32_t address_of(const struct json *node)
{
	const struct json *list = json_at(node, "status", "addresses");
	uint32_t ip = 0;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *at = json_item(list, i);

		if (str_is(json_str(json_get(at, STR("type"))), "InternalIP") &&
		    ip4_parse(json_str(json_get(at, STR("address"))), &ip))
			ip = 0;
	}
	return ip;
}

static void unmake(struct noderoutes *r, struct str node)
{
	struct made *m = map_del(&r->made, node);

	if (m)
		(void)!net_route_del(m->to, NULL);
	free(m);
}

static void make(struct noderoutes *r, struct str node, struct made want)
{
	struct made *m = map_get(&r->made, node);
	struct err err = {0};

	if (m && m->to.addr == want.to.addr && m->to.bits == want.to.bits && m->via == want.via)
		return;
	unmake(r, node);
	if (net_route_overlaps(want.to)) /* somebody's already */
		return;
	if (net_route_add(want.to, want.via, NULL, &err)) {
		log_warn("no route to a node's pods: webhooks and extension APIs there can't be "
			 "called",
			 "node", log_fmt("%.*s", STR_ARG(node)), "error", err.msg);
		return;
	}
	m = xalloc(sizeof(*m));
	*m = want;
	map_set(&r->made, node, m);
}

static void on_node(void *arg, const struct obj *old, const struct obj *new)
{
	struct noderoutes *r = arg;
	AUTO(arena) struct arena a = {0};
	const struct json *node = new ? obj_tree(new, &a) : NULL;
	struct str name = new ? new->name : old->name;
	struct made want = {.via = address_of(node)};
	bool known = node && want.via &&
		     !cidr_parse(json_str_or(json_at(node, "spec", "podCIDR"), STR("")), &want.to);

	if (known && !net_link_exists(KUBELET_BRIDGE))
		make(r, name, want);
	else
		unmake(r, name);
}

struct noderoutes *noderoutes_start(struct loop *l, const char *kubeconfig, struct err *err)
{
	struct kubeconfig k = {0};
	struct noderoutes *r;

	if (kubeconfig_load(kubeconfig, &k, err))
		return NULL;
	r = xalloc(sizeof(*r));
	r->client = client_http_new(l, &k, "plumb-server", err);
	kubeconfig_release(&k);
	if (!r->client) {
		free(r);
		return NULL;
	}
	r->nodes = informer_new(r->client, &(struct informer_opts){.resource = &res_nodes});
	informer_on_change(r->nodes, on_node, r);
	informer_start(r->nodes);
	return r;
}

void noderoutes_stop(struct noderoutes *r)
{
	struct map_iter it = {0};

	if (!r)
		return;
	informer_free(r->nodes);
	client_free(r->client);
	while (map_next(&r->made, &it)) {
		struct made *m = it.value;

		(void)!net_route_del(m->to, NULL);
		free(m);
	}
	map_release(&r->made);
	free(r);
}
