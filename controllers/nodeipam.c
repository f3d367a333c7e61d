/*
 * Gives each Node its share of the pod network (spec.podCIDR). All nodes are one key: two of them
 * never get the same share, because the next decision waits until the last one is in the cache.
 * Pure.
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

#define THE_KEY STR("all")

/* "10.244.3.0/24" → its number within the pod network; -1 when it isn't one of ours. */
static int64_t share_number(const struct controllers_config *c, struct str cidr)
{
	struct str address, bits, part;
	int64_t prefix, octet;
	uint32_t ip = 0;
	size_t n = 0;

	if (!str_cut(cidr, '/', &address, &bits) || str_to_i64(bits, &prefix) != 0 ||
	    prefix != c->node_bits)
		return -1;
	for (; str_next(&address, '.', &part); n++) {
		if (n == 4 || str_to_i64(part, &octet) != 0 || octet < 0 || octet > 255)
			return -1;
		ip = ip << 8 | (uint32_t)octet;
	}
	if (n != 4 || (ip ^ c->cluster_net) >> (32 - c->cluster_bits))
		return -1;
	return (ip - c->cluster_net) >> (32 - c->node_bits);
}

static struct str share_text(struct arena *a, const struct controllers_config *c, int64_t number)
{
	uint32_t ip = c->cluster_net + ((uint32_t)number << (32 - c->node_bits));

	return arena_strf(a, "%u.%u.%u.%u/%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255,
			  c->node_bits);
}

static int reconcile(const struct view *v, struct str namespace UNUSED, struct str name UNUSED,
		     struct plan *p, struct err *err UNUSED)
{
	const struct controllers_config *c = v->config;
	struct json_set_view nodes = view_list(v, &res_nodes, STR_NONE);
	int64_t shares, next = 0;
	bool *taken;

	if (!c || !c->cluster_bits || c->node_bits < c->cluster_bits || c->node_bits > 30)
		return 0;
	shares = INT64_C(1) << MIN(c->node_bits - c->cluster_bits, 16u);
	taken = arena_array(v->arena, (size_t)shares, sizeof(*taken));
	for (size_t i = 0; i < nodes.n; i++) {
		int64_t n = share_number(c, json_str(json_at(nodes.v[i], "spec", "podCIDR")));

		if (n >= 0 && n < shares)
			taken[n] = true;
	}
	for (size_t i = 0; i < nodes.n; i++) {
		const struct json *node = nodes.v[i];
		struct str cidr;

		if (json_str(json_at(node, "spec", "podCIDR")).n || meta_deleting(node))
			continue;
		while (next < shares && taken[next])
			next++;
		if (next == shares) {
			plan_event(p, node, "Warning", "CIDRNotAvailable",
				   "Node %.*s status is now: CIDRNotAvailable",
				   STR_ARG(meta_name(node)));
			continue;
		}
		cidr = share_text(v->arena, c, next++);
		plan_patch(p, &res_nodes, node, NULL,
			   json_build(v->arena, "{s:{s:S}, s:{s:S, s:[S]}}", "metadata", "uid",
				      meta_uid(node), "spec", "podCIDR", cidr, "podCIDRs", cidr));
		p->last->ignore_not_found = true;
	}
	return 0;
}

static void map_all(const struct obj *o UNUSED, struct arena *a UNUSED,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	put(ctx, THE_KEY);
}

static const struct controller_watch watches[] = {
	{&res_nodes, map_all, NULL, NULL},
	{0},
};

const struct controller controller_nodeipam = {
	.name = "nodeipam",
	.watches = watches,
	.reconcile = reconcile,
};
