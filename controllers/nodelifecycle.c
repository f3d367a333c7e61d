/*
 * Node lifecycle: a node that isn't heard of for 40 s becomes Ready=Unknown, is tainted, its pods
 * stop being Ready (so that Services leave them out) and are evicted when their toleration ends
 * (300 s unless they say otherwise). While no node at all is ready nobody is evicted: then more
 * likely the control plane is cut off than all nodes are dead. Pure.
 */
#include "controllers/nodelifecycle_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define GRACE (40 * NS_PER_S)
#define LEASES STR("kube-node-lease")

static bool any_ready(const struct view *v)
{
	struct json_set_view nodes = view_list(v, &res_nodes, STR_NONE);

	for (size_t i = 0; i < nodes.n; i++)
		if (node_is_ready(nodes.v[i]))
			return true;
	return false;
}

/* Its tolerations have ended; asks to be woken when they will. */
static bool to_be_evicted(const struct view *v, const struct json *pod, const struct json *node,
			  struct plan *p)
{
	int64_t at = pod_evict_at(pod, node);

	if (at == INT64_MAX || meta_deleting(pod))
		return false;
	if (at > v->now_ns)
		plan_requeue(p, at - v->now_ns);
	return at <= v->now_ns;
}

/* Services must not send to pods that nobody watches over any more; and whoever reads that a pod
 * goes shall read why. */
static void mark(const struct view *v, const struct json *pod, const struct json *node, bool going,
		 struct plan *p)
{
	struct json *new = json_copy(v->arena, pod);
	bool changed = false;

	if (!node_is_ready(node) && pod_ready(pod))
		changed |= condition_set(v->arena, new, "Ready", "False", "NodeNotReady", STR(""),
					 v->now_ns);
	if (going)
		changed |= condition_set(
			v->arena, new, "DisruptionTarget", "True", "DeletionByTaintManager",
			STR("Taint manager: deleting due to NoExecute taint"), v->now_ns);
	if (!changed)
		return;
	plan_update_status(p, &res_pods, new);
	p->last->ignore_not_found = true;
}

static void look_after_pod(const struct view *v, const struct json *pod, const struct json *node,
			   bool evicting, struct plan *p)
{
	bool going = evicting && to_be_evicted(v, pod, node, p);

	mark(v, pod, node, going, p);
	if (!going)
		return;
	plan_event(p, pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod %.*s/%.*s",
		   STR_ARG(meta_namespace(pod)), STR_ARG(meta_name(pod)));
	plan_delete(p, &res_pods, pod)->ignore_not_found = true;
}

static bool has_no_execute(const struct json *node)
{
	const struct json *taints = json_at(node, "spec", "taints");

	for (size_t i = 0; i < json_len(taints); i++)
		if (str_is(json_str(json_at(json_item(taints, i), "effect")), "NoExecute"))
			return true;
	return false;
}

static void look_after_pods(const struct view *v, const struct json *node, struct plan *p)
{
	struct json_set_view pods;
	bool concerned = false, evicting;

	if (!has_no_execute(node))
		return;
	pods = view_by_index(v, &res_pods, INDEX_NODE, meta_name(node));
	for (size_t i = 0; i < pods.n; i++)
		concerned |=
			!meta_deleting(pods.v[i]) && pod_evict_at(pods.v[i], node) != INT64_MAX;
	/* Looks at all nodes, which isn't worth it at each change of pods that tolerate all. */
	evicting = concerned && any_ready(v);
	for (size_t i = 0; i < pods.n; i++)
		look_after_pod(v, pods.v[i], node, evicting, p);
	if (concerned && !evicting)
		plan_requeue(p, GRACE);
}

static int reconcile(const struct view *v, struct str namespace UNUSED, struct str name,
		     struct plan *p, struct err *err UNUSED)
{
	const struct controllers_config *config = v->config;
	const struct json *node = view_get(v, &res_nodes, STR_NONE, name);
	const struct json *lease = view_get(v, &res_leases, LEASES, name);
	struct json *new;
	int64_t due;

	if (!node || meta_deleting(node))
		return 0;
	new = json_copy(v->arena, node);
	due = MAX(node_last_heard(node, lease), config ? config->started_ns : 0) + GRACE;
	if (due > v->now_ns) {
		plan_requeue(p, due - v->now_ns);
	} else if (node_set_unknown(v->arena, new, v->now_ns)) {
		plan_event(p, node, "Normal", "NodeNotReady",
			   "Node %.*s status is now: NodeNotReady", STR_ARG(name));
		plan_update_status(p, &res_nodes, new);
		/* The taints come next time, on what was written. */
		return 0;
	}
	if (node_set_taints(v->arena, new, v->now_ns))
		plan_update(p, &res_nodes, new);
	look_after_pods(v, new, p);
	return 0;
}

static void map_lease(const struct obj *o, struct arena *a UNUSED,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	if (str_eq(o->namespace, LEASES))
		put(ctx, o->name);
}

/* A pod matters only where its node is in trouble. */
static void map_pod(const struct view *v, const struct obj *o,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	struct str node;

	if (!obj_mentions(o, "nodeName"))
		return;
	node = json_str(json_at(obj_tree(o, v->arena), "spec", "nodeName"));
	if (node.n && has_no_execute(view_get(v, &res_nodes, STR_NONE, node)))
		put(ctx, node);
}

static const struct controller_watch watches[] = {
	{&res_nodes, NULL, NULL, NULL},
	{&res_leases, map_lease, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_NODE, index_by_node},
	{0},
};

const struct controller controller_nodelifecycle = {
	.name = "nodelifecycle",
	.component = "node-controller",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
