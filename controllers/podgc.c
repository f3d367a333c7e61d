/*
 * Takes away pods that nobody will: bound to a Node that is gone, or deleted before they had one.
 * A pod of a vanished Node is marked first and goes 40 s later, so that a Node that is
 * registered anew finds its pods; so does, at once, a pod that is to go from a Node that somebody
 * has declared out of service. Pure.
 */
#include "controllers/common.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define QUARANTINE (40 * NS_PER_S)
#define MARK "DisruptionTarget"
#define REASON "DeletionByPodGC"

#define OUT_OF_SERVICE "node.kubernetes.io/out-of-service"

/* Nobody will say how it ended: it has failed, for whoever waits for its end. */
static void delete_now(const struct view *v, struct plan *p, const struct json *pod)
{
	struct plan_op *op;
	struct json *new;

	if (!pod_finished(pod)) {
		new = json_copy(v->arena, pod);
		json_set_str(v->arena, json_set_object(v->arena, new, "status"), "phase",
			     STR("Failed"));
		plan_update_status(p, &res_pods, new);
		p->last->ignore_not_found = true;
	} else if (meta_deleting(pod) &&
		   !json_int(json_at(pod, "metadata", "deletionGracePeriodSeconds"), 1)) {
		return; /* all that can be done is done: finalizers hold it */
	}
	op = plan_delete(p, &res_pods, pod);

	op->grace_s = 0;
	op->ignore_not_found = true;
}

static void mark(const struct view *v, const struct json *pod, struct plan *p)
{
	struct json *new = json_copy(v->arena, pod);

	condition_set(v->arena, new, MARK, "True", REASON, STR("PodGC: node no longer exists"),
		      v->now_ns);
	condition_set(v->arena, new, "Ready", "False", "NodeLost",
		      STR("the pod's node no longer exists"), v->now_ns);
	plan_update_status(p, &res_pods, new);
	p->last->ignore_not_found = true;
	plan_requeue(p, QUARANTINE);
}

static bool marked(const struct json *pod, int64_t *ret_since)
{
	const struct json *c = condition_find(pod, MARK);

	*ret_since = meta_time_ns(json_at(c, "lastTransitionTime"));
	return str_is(json_str(json_at(c, "status")), "True") &&
	       str_is(json_str(json_at(c, "reason")), REASON) && *ret_since;
}

static void unmark(const struct view *v, const struct json *pod, struct plan *p)
{
	struct json *new = json_copy(v->arena, pod);
	struct json *all = json_at(new, "status", "conditions");

	for (size_t i = json_len(all); i-- > 0;)
		if (str_is(json_str(json_at(json_item(all, i), "type")), MARK))
			json_remove(all, i);
	plan_update_status(p, &res_pods, new);
	p->last->ignore_not_found = true;
}

static bool out_of_service(const struct json *node)
{
	const struct json *taints = json_at(node, "spec", "taints");

	if (str_is(json_str(json_at(condition_find(node, "Ready"), "status")), "True"))
		return false;
	for (size_t i = 0; i < json_len(taints); i++)
		if (str_is(json_str(json_at(json_item(taints, i), "key")), OUT_OF_SERVICE))
			return true;
	return false;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *pod = view_get(v, &res_pods, namespace, name), *on;
	struct str node = json_str(json_at(pod, "spec", "nodeName"));
	int64_t since, left;

	if (!pod)
		return 0;
	if (!node.n) {
		if (meta_deleting(pod))
			delete_now(v, p, pod);
		return 0;
	}
	on = view_get(v, &res_nodes, STR_NONE, node);
	if (on) {
		if (marked(pod, &since))
			unmark(v, pod, p);
		else if (meta_deleting(pod) && out_of_service(on))
			delete_now(v, p, pod);
		return 0;
	}
	if (!marked(pod, &since)) {
		mark(v, pod, p);
		return 0;
	}
	left = since + QUARANTINE - v->now_ns;
	if (left > 0)
		plan_requeue(p, left);
	else
		delete_now(v, p, pod);
	return 0;
}

static void map_node(const struct view *v, const struct obj *o,
		     void (*put)(void *ctx, struct str key), void *ctx)
{
	const struct json *node = view_get(v, &res_nodes, STR_NONE, o->name);
	bool away = node && out_of_service(node);
	struct json_set_view pods;

	pods = view_by_index(v, &res_pods, INDEX_NODE, o->name);
	for (size_t i = 0; i < pods.n; i++) {
		int64_t since;

		if (node && !away && !marked(pods.v[i], &since))
			continue;
		put(ctx, obj_key(v->arena, meta_namespace(pods.v[i]), meta_name(pods.v[i])));
	}
}

/* A pod without a node matters once it is being deleted. */
static void map_pod(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		    void *ctx)
{
	if (o->deleted_ns || obj_mentions(o, "nodeName"))
		put(ctx, obj_key(a, o->namespace, o->name));
}

static const struct controller_watch watches[] = {
	{&res_pods, map_pod, NULL, NULL},
	{&res_nodes, NULL, NULL, map_node},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_NODE, index_by_node},
	{0},
};

const struct controller controller_podgc = {
	.name = "podgc",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
