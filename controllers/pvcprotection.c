/*
 * Claims that pods use stay until these are gone: a deleted claim keeps its finalizer as long as a
 * pod that has a node names it. Claims that are older than their protection get it. Pure.
 * Specification: pkg/controller/volume/pvcprotection.
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

#define FINALIZER "kubernetes.io/pvc-protection"
#define INDEX_CLAIM "claims"

/* The claims of a pod's volumes; an ephemeral volume's is named after both. */
static struct str claim_of(struct arena *a, const struct json *pod, const struct json *volume)
{
	struct str name = json_str(json_at(volume, "persistentVolumeClaim", "claimName"));

	if (name.n || !json_get(volume, STR("ephemeral")))
		return name;
	return arena_strf(a, "%.*s-%.*s", STR_ARG(meta_name(pod)),
			  STR_ARG(json_str(json_get(volume, STR("name")))));
}

static void each_claim(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		       void *ctx)
{
	const struct json *pod, *volumes;

	if (!obj_mentions(o, "claimName") && !obj_mentions(o, "ephemeral"))
		return;
	pod = obj_tree(o, a);
	volumes = json_at(pod, "spec", "volumes");
	for (size_t i = 0; i < json_len(volumes); i++) {
		struct str name = claim_of(a, pod, json_item(volumes, i));

		if (name.n)
			put(ctx, obj_key(a, o->namespace, name));
	}
}

/* A kubelet starts no pod whose claim is being deleted, so one without a node doesn't count. */
static bool in_use(const struct view *v, struct str namespace, struct str name)
{
	struct json_set_view pods =
		view_by_index(v, &res_pods, INDEX_CLAIM, obj_key(v->arena, namespace, name));

	for (size_t i = 0; i < pods.n; i++)
		if (json_str(json_at(pods.v[i], "spec", "nodeName")).n)
			return true;
	return false;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *claim = view_get(v, &res_persistentvolumeclaims, namespace, name);

	if (!claim)
		return 0;
	if (!meta_deleting(claim))
		finalizer_set(v, &res_persistentvolumeclaims, claim, FINALIZER, true, p);
	else if (!in_use(v, namespace, name))
		finalizer_set(v, &res_persistentvolumeclaims, claim, FINALIZER, false, p);
	return 0;
}

static const struct controller_watch watches[] = {
	{&res_persistentvolumeclaims, NULL, NULL, NULL},
	{&res_pods, each_claim, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_CLAIM, each_claim},
	{0},
};

const struct controller controller_pvcprotection = {
	.name = "pvcprotection",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
