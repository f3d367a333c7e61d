/*
 * The provisioner plumb.dev/local: declares a volume in a folder of the node that the scheduler
 * chose for the claim's first pod. The folder is made by that node's kubelet when a pod needs it,
 * and removed by it before the volume's finalizer goes; here nobody touches a disk. Pure.
 */
#include "controllers/common.h"
#include "lib/kube/pvmatch.h"

#include "lib/base/pure.h"

#define INDEX_OURS "local"

struct order {
	const struct view *v;
	const struct json *claim, *class, *node;
	struct plan *plan;
};

static void refuse(struct order *o, const char *why)
{
	plan_event(o->plan, o->claim, "Warning", "ProvisioningFailed",
		   "failed to provision volume with StorageClass \"%.*s\": %s",
		   STR_ARG(volume_class(o->claim)), why);
}

static struct str host_of(const struct json *node)
{
	return meta_label(node, "kubernetes.io/hostname");
}

/* A name that fits into a label, and a folder that its kubelet has told of. */
static bool can_hold(const struct json *node)
{
	return host_of(node).n && !name_check_label_value(meta_name(node)) &&
	       str_starts(meta_annotation(node, LOCAL_FOLDER), STR("/"));
}

/* The scheduler is to choose again. */
static void give_back(struct order *o, const char *why)
{
	refuse(o, why);
	plan_patch(o->plan, &res_persistentvolumeclaims, o->claim, NULL,
		   json_build(o->v->arena, "{s:{s:{s:n}}}", "metadata", "annotations",
			      ANN_SELECTED_NODE));
	o->plan->last->revision = json_str(json_at(o->claim, "metadata", "resourceVersion"));
}

/* For classes that don't wait for a pod: any node that is ready, always the same one. */
static const struct json *any_node(const struct order *o)
{
	struct json_set_view all = view_list(o->v, &res_nodes, STR_NONE);
	struct trees fit = {0};

	for (size_t i = 0; i < all.n; i++) {
		const struct json *ready = condition_find(all.v[i], "Ready");

		if (can_hold(all.v[i]) && str_is(json_str(json_at(ready, "status")), "True") &&
		    !json_bool(json_at(all.v[i], "spec", "unschedulable"), false))
			trees_add(o->v->arena, &fit, all.v[i]);
	}
	return fit.n ? fit.v[str_fnv32(meta_uid(o->claim)) % fit.n] : NULL;
}

static bool find_node(struct order *o)
{
	struct str name = meta_annotation(o->claim, ANN_SELECTED_NODE);

	if (!name.n && class_waits(o->class))
		return false;
	o->node = name.n ? view_get(o->v, &res_nodes, STR_NONE, name) : any_node(o);
	if (o->node && can_hold(o->node))
		return true;
	if (name.n)
		give_back(o, o->node ? "the selected node holds no local volumes"
				     : "the selected node is not there");
	else
		refuse(o, "no ready node holds local volumes");
	return false;
}

static struct json *spec_of(const struct order *o, struct str name)
{
	struct arena *a = o->v->arena;
	const struct json *want = json_at(o->claim, "spec");
	struct json *spec = json_build(
		a, "{s:{s:o}, s:o, s:S, s:S, s:s, s:{s:S}}", "capacity", "storage",
		json_at(want, "resources", "requests", "storage"), "accessModes",
		json_get(want, STR("accessModes")), "persistentVolumeReclaimPolicy",
		json_str_or(json_get(o->class, STR("reclaimPolicy")), STR("Delete")),
		"storageClassName", meta_name(o->class), "volumeMode", "Filesystem", "local",
		"path",
		arena_strf(a, "%.*s/%.*s", STR_ARG(meta_annotation(o->node, LOCAL_FOLDER)),
			   STR_ARG(name)));

	json_set(a, spec, STR("claimRef"),
		 json_build(a, "{s:s, s:s, s:S, s:S, s:S}", "kind", "PersistentVolumeClaim",
			    "apiVersion", "v1", "namespace", meta_namespace(o->claim), "name",
			    meta_name(o->claim), "uid", meta_uid(o->claim)));
	json_set(a, spec, STR("nodeAffinity"),
		 json_build(a, "{s:{s:[{s:[{s:s, s:s, s:[S]}]}]}}", "required", "nodeSelectorTerms",
			    "matchExpressions", "key", "kubernetes.io/hostname", "operator", "In",
			    "values", host_of(o->node)));
	return spec;
}

static void provision(struct order *o)
{
	struct arena *a = o->v->arena;
	struct str name = arena_strf(a, "pvc-%.*s", STR_ARG(meta_uid(o->claim)));
	struct json *volume, *meta;

	if (view_get(o->v, &res_persistentvolumes, STR_NONE, name) || !find_node(o))
		return;
	volume = object_new(a, &res_persistentvolumes, STR_NONE, name);
	meta = json_get(volume, STR("metadata"));
	json_set_str(a, json_set_object(a, meta, "annotations"), ANN_PROVISIONED_BY,
		     STR(LOCAL_PROVISIONER));
	json_set_str(a, json_set_object(a, meta, "labels"), LOCAL_NODE, meta_name(o->node));
	json_append_str(a, json_set_array(a, meta, "finalizers"), STR(LOCAL_FINALIZER));
	json_set(a, volume, STR("spec"), spec_of(o, name));
	plan_create(o->plan, &res_persistentvolumes, volume);
	o->plan->last->ignore_exists = true;
	plan_event(o->plan, o->claim, "Normal", "ProvisioningSucceeded",
		   "Successfully provisioned volume %.*s", STR_ARG(name));
}

static bool is_ours(const struct json *claim)
{
	return str_is(meta_annotation(claim, ANN_PROVISIONER), LOCAL_PROVISIONER) &&
	       !json_str(json_at(claim, "spec", "volumeName")).n && !meta_deleting(claim);
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	struct order o = {v, view_get(v, &res_persistentvolumeclaims, namespace, name), NULL, NULL,
			  p};

	if (!o.claim || !is_ours(o.claim))
		return 0;
	o.class = view_get(v, &res_storageclasses, STR_NONE, volume_class(o.claim));
	if (!str_is(json_str(json_get(o.class, STR("provisioner"))), LOCAL_PROVISIONER))
		return 0;
	if (str_is(json_str(json_at(o.claim, "spec", "volumeMode")), "Block"))
		refuse(&o, "local volumes are folders: volumeMode Block is not supported");
	else if (json_at(o.claim, "spec", "selector"))
		refuse(&o, "claim Selector is not supported");
	else if (json_len(json_get(o.class, STR("parameters"))))
		refuse(&o, "the class has parameters, and there are none");
	else
		provision(&o);
	return 0;
}

static void index_ours(const struct obj *o, struct arena *a,
		       void (*put)(void *ctx, struct str value), void *ctx)
{
	if (is_ours(obj_tree(o, a)))
		put(ctx, STR("yes"));
}

/* Nodes that came or became ready may hold what no node could. */
static void map_node(const struct view *v, const struct obj *o UNUSED,
		     void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all =
		view_by_index(v, &res_persistentvolumeclaims, INDEX_OURS, STR("yes"));

	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(all.v[i]), meta_name(all.v[i])));
}

static const struct controller_watch watches[] = {
	{&res_persistentvolumeclaims, NULL, NULL, NULL},
	{&res_nodes, NULL, NULL, map_node},
	{&res_storageclasses, NULL, NULL, map_node},
	{&res_persistentvolumes, map_to_controller_owner, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_persistentvolumeclaims, INDEX_OURS, index_ours},
	{0},
};

const struct controller controller_localvolume = {
	.name = "localvolume",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
