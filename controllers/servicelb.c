/*
 * Load balancers without a cloud: a Service of that type gets the nodes' own addresses, where the
 * proxies take its ports. Must never touch an address that somebody else gave (another balancer's,
 * a person's), nor a Service that names a class; never give one port to two Services, nor a port
 * that the node itself needs. Pure.
 */
#include "controllers/endpoints_core.h"

#include "lib/base/pure.h"

#define INDEX_BALANCED "balanced"
#define LABEL_EXCLUDE "node.kubernetes.io/exclude-from-external-load-balancers"
#define LABEL_SERVICE "kubernetes.io/service-name"

static bool balanced(const struct json *service)
{
	return service && !meta_deleting(service) &&
	       str_is(json_str(json_at(service, "spec", "type")), "LoadBalancer") &&
	       !json_str(json_at(service, "spec", "loadBalancerClass")).n;
}

/* ---- nodes ---- */

static struct str node_ip(const struct json *node)
{
	const struct json *all = json_at(node, "status", "addresses");

	for (size_t i = 0; i < json_len(all); i++)
		if (str_is(json_str(json_at(json_item(all, i), "type")), "InternalIP"))
			return json_str(json_at(json_item(all, i), "address"));
	return STR_NONE;
}

static bool node_takes_part(const struct json *node)
{
	return !meta_deleting(node) && !meta_label(node, LABEL_EXCLUDE).p && node_ip(node).n &&
	       str_is(json_str(json_at(condition_find(node, "Ready"), "status")), "True");
}

static bool serves(struct json_set_view slices, struct str node)
{
	for (size_t i = 0; i < slices.n; i++) {
		const struct json *all = json_at(slices.v[i], "endpoints");

		for (size_t j = 0; j < json_len(all); j++) {
			const struct json *e = json_item(all, j);

			if (str_eq(json_str(json_at(e, "nodeName")), node) &&
			    json_bool(json_at(e, "conditions", "ready"), true))
				return true;
		}
	}
	return false;
}

/* Where it can be reached: every node, or those that serve it when traffic must stay there. */
static struct json *addresses(const struct view *v, const struct json *service)
{
	bool local = str_is(json_str(json_at(service, "spec", "externalTrafficPolicy")), "Local");
	struct json_set_view nodes = view_list(v, &res_nodes, STR_NONE), slices = {0};
	struct json *out = json_new(v->arena, JSON_ARRAY);

	if (local)
		slices = view_by_index(v, &res_endpointslices, INDEX_LABEL,
				       arena_strf(v->arena, "%.*s/" LABEL_SERVICE "=%.*s",
						  STR_ARG(meta_namespace(service)),
						  STR_ARG(meta_name(service))));
	for (size_t i = 0; i < nodes.n; i++)
		if (node_takes_part(nodes.v[i]) &&
		    (!local || serves(slices, meta_name(nodes.v[i]))))
			json_append(v->arena, out,
				    json_build(v->arena, "{s:S,s:s}", "ip", node_ip(nodes.v[i]),
					       "ipMode", "VIP"));
	return out;
}

/* Given by us: it names a node. Nothing at all is nobody's. */
static bool ours(const struct view *v, const struct json *service)
{
	const struct json *had = json_at(service, "status", "loadBalancer", "ingress");
	struct json_set_view nodes = view_list(v, &res_nodes, STR_NONE);

	for (size_t i = 0; i < json_len(had); i++)
		for (size_t j = 0; j < nodes.n; j++)
			if (str_eq(json_str(json_at(json_item(had, i), "ip")), node_ip(nodes.v[j])))
				return true;
	return !json_len(had);
}

/* ---- ports ---- */

static bool is_nodes_own(int64_t port)
{
	static const int64_t own[] = {22, 6443, 10250};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (port == own[i])
			return true;
	return false;
}

static bool shares_port(const struct json *a, const struct json *b, int64_t *ret_port)
{
	const struct json *x = json_at(a, "spec", "ports"), *y = json_at(b, "spec", "ports");

	for (size_t i = 0; i < json_len(x); i++)
		for (size_t j = 0; j < json_len(y); j++) {
			const struct json *p = json_item(x, i), *q = json_item(y, j);

			*ret_port = json_int(json_at(p, "port"), 0);
			if (*ret_port == json_int(json_at(q, "port"), 0) &&
			    str_eq(json_str(json_at(p, "protocol")),
				   json_str(json_at(q, "protocol"))))
				return true;
		}
	return false;
}

/* Who has a port already keeps it; of two that have it, the older one. */
static bool goes_before(const struct json *a, const struct json *b)
{
	int64_t x = meta_created_ns(a), y = meta_created_ns(b);

	return x != y ? x < y : str_cmp(meta_uid(a), meta_uid(b)) < 0;
}

static bool refused(const struct view *v, const struct json *service, struct plan *p)
{
	struct json_set_view all = view_by_index(v, &res_services, INDEX_BALANCED, STR("yes"));
	const struct json *ports = json_at(service, "spec", "ports");
	bool has = json_len(json_at(service, "status", "loadBalancer", "ingress")) > 0;
	int64_t port;

	for (size_t i = 0; i < json_len(ports); i++) {
		port = json_int(json_at(json_item(ports, i), "port"), 0);
		if (!is_nodes_own(port))
			continue;
		plan_event(p, service, "Warning", "PortNotAvailable",
			   "Port %lld is the nodes' own: no load balancer", (long long)port);
		return true;
	}
	for (size_t i = 0; i < all.n; i++) {
		const struct json *other = all.v[i];

		if (str_eq(meta_uid(other), meta_uid(service)) || !balanced(other) ||
		    !json_len(json_at(other, "status", "loadBalancer", "ingress")) ||
		    !ours(v, other) || (has && goes_before(service, other)) ||
		    !shares_port(service, other, &port))
			continue;
		plan_event(p, service, "Warning", "PortNotAvailable",
			   "Port %lld is the load balancer's of Service %.*s/%.*s", (long long)port,
			   STR_ARG(meta_namespace(other)), STR_ARG(meta_name(other)));
		return true;
	}
	return false;
}

/* ---- the whole ---- */

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *service = view_get(v, &res_services, namespace, name), *want;
	struct json *next, *balancer;

	if (!balanced(service) || !ours(v, service))
		return 0;
	want = refused(v, service, p) ? json_new(v->arena, JSON_ARRAY) : addresses(v, service);
	if (json_equal(want, json_at(service, "status", "loadBalancer", "ingress")) ||
	    (!json_len(want) && !json_len(json_at(service, "status", "loadBalancer", "ingress"))))
		return 0;
	/* Whole, with its revision: an address that another gave meanwhile isn't overwritten. */
	next = json_copy(v->arena, service);
	balancer = json_set_object(v->arena, json_set_object(v->arena, next, "status"),
				   "loadBalancer");
	json_del(balancer, STR("ingress"));
	if (json_len(want))
		json_set(v->arena, balancer, STR("ingress"), want);
	plan_update_status(p, &res_services, next);
	p->last->ignore_not_found = true;
	return 0;
}

static void index_balanced(const struct obj *o, struct arena *a,
			   void (*put)(void *ctx, struct str value), void *ctx)
{
	if (str_is(json_str(json_at(obj_tree(o, a), "spec", "type")), "LoadBalancer"))
		put(ctx, STR("yes"));
}

static void map_to_all(const struct view *v, const struct obj *o UNUSED,
		       void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_by_index(v, &res_services, INDEX_BALANCED, STR("yes"));

	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(all.v[i]), meta_name(all.v[i])));
}

/* A port that one lets go, another may wait for. */
static void map_service(const struct view *v, const struct obj *o,
			void (*put)(void *ctx, struct str key), void *ctx)
{
	if (str_is(json_str(json_at(obj_tree(o, v->arena), "spec", "type")), "LoadBalancer"))
		map_to_all(v, o, put, ctx);
	put(ctx, obj_key(v->arena, o->namespace, o->name));
}

static void map_slice(const struct view *v, const struct obj *o,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	struct str service = obj_label(o, STR(LABEL_SERVICE));

	if (service.n && balanced(view_get(v, &res_services, o->namespace, service)))
		put(ctx, obj_key(v->arena, o->namespace, service));
}

static const struct controller_watch watches[] = {
	{&res_services, NULL, NULL, map_service},
	{&res_nodes, NULL, NULL, map_to_all},
	{&res_endpointslices, NULL, NULL, map_slice},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_services, INDEX_BALANCED, index_balanced},
	{&res_endpointslices, INDEX_LABEL, index_by_label},
	{0},
};

const struct controller controller_servicelb = {
	.name = "servicelb",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
