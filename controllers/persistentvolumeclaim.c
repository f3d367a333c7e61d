/*
 * The binder, seen from claims: finds a volume for each, reserves it, and then tells the claim. A
 * volume is reserved under its revision, so that two claims can't both get it. What no volume
 * fits and a class could make is handed to whoever provisions for that class. Must never undo a
 * binding that was completed: a claim whose volume went is Lost, since its data are. Pure.
 * Specification: pkg/controller/volume/persistentvolume.
 */
#include "controllers/common.h"
#include "lib/kube/pvmatch.h"

#include "lib/base/pure.h"

#define INDEX_UNBOUND "unbound"

struct binder {
	const struct view *v;
	const struct json *claim;
	struct plan *plan;
};

static void patch_claim(struct binder *b, const char *subresource, const struct json *patch)
{
	plan_patch(b->plan, &res_persistentvolumeclaims, b->claim, subresource, patch);
	b->plan->last->uid = meta_uid(b->claim);
	b->plan->last->ignore_not_found = true;
}

/* ---- binding ---- */

static void reserve(struct binder *b, const struct json *volume)
{
	struct arena *a = b->v->arena;
	const struct json *ref = json_at(volume, "spec", "claimRef");
	struct json *patch;

	if (str_eq(json_str(json_get(ref, STR("uid"))), meta_uid(b->claim)))
		return;
	patch = json_build(a, "{s:{s:{s:s, s:s, s:S, s:S, s:S, s:S}}}", "spec", "claimRef", "kind",
			   "PersistentVolumeClaim", "apiVersion", "v1", "namespace",
			   meta_namespace(b->claim), "name", meta_name(b->claim), "uid",
			   meta_uid(b->claim), "resourceVersion",
			   json_str(json_at(b->claim, "metadata", "resourceVersion")));
	if (!ref)
		json_set_str(a, meta_set_object(a, patch, "annotations"), ANN_BOUND_BY_CONTROLLER,
			     STR("yes"));
	plan_patch(b->plan, &res_persistentvolumes, volume, NULL, patch);
	b->plan->last->revision = json_str(json_at(volume, "metadata", "resourceVersion"));
}

static void tell_claim(struct binder *b, const struct json *volume)
{
	struct arena *a = b->v->arena;
	struct json *patch = json_new(a, JSON_OBJECT), *notes;

	if (claim_is_bound(b->claim))
		return;
	notes = meta_set_object(a, patch, "annotations");
	json_set_str(a, notes, ANN_BIND_COMPLETED, STR("yes"));
	if (!json_str(json_at(b->claim, "spec", "volumeName")).n) {
		json_set_str(a, notes, ANN_BOUND_BY_CONTROLLER, STR("yes"));
		json_set_str(a, json_set_object(a, patch, "spec"), "volumeName", meta_name(volume));
	}
	patch_claim(b, NULL, patch);
}

static void claim_status(struct binder *b, const struct json *volume)
{
	struct arena *a = b->v->arena;
	const struct json *was = json_at(b->claim, "status"), *spec = json_at(volume, "spec");
	const struct json *modes = json_get(spec, STR("accessModes")),
			  *capacity = json_get(spec, STR("capacity"));

	if (str_is(json_str(json_get(was, STR("phase"))), "Bound") &&
	    json_equal(json_get(was, STR("accessModes")), modes) && json_get(was, STR("capacity")))
		return;
	patch_claim(b, "status",
		    json_build(a, "{s:{s:s, s:o, s:o}}", "status", "phase", "Bound", "accessModes",
			       modes, "capacity", capacity));
}

static void complete(struct binder *b, const struct json *volume)
{
	reserve(b, volume);
	tell_claim(b, volume);
	claim_status(b, volume);
}

/* ---- claims that had a volume ---- */

static void lost(struct binder *b, const char *reason, const char *message)
{
	if (str_is(json_str(json_at(b->claim, "status", "phase")), "Lost"))
		return;
	patch_claim(b, "status", json_build(b->v->arena, "{s:{s:s}}", "status", "phase", "Lost"));
	plan_event(b->plan, b->claim, "Warning", reason, "%s", message);
}

static void look_after(struct binder *b)
{
	struct str name = json_str(json_at(b->claim, "spec", "volumeName"));
	const struct json *volume = view_get(b->v, &res_persistentvolumes, STR_NONE, name);

	if (!volume)
		lost(b, "ClaimLost",
		     "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
	else if (!json_at(volume, "spec", "claimRef") || volume_is_for(volume, b->claim))
		complete(b, volume);
	else
		lost(b, "ClaimMisbound",
		     "Two claims are bound to the same volume, this one is bound incorrectly");
}

/* ---- claims that want one ---- */

static void bind_to_named(struct binder *b, struct str name)
{
	const struct json *volume = view_get(b->v, &res_persistentvolumes, STR_NONE, name);
	const char *why;

	if (!volume)
		return; /* it may come */
	if (json_at(volume, "spec", "claimRef")) {
		if (volume_is_for(volume, b->claim))
			complete(b, volume);
		else
			plan_event(b->plan, b->claim, "Warning", "FailedBinding",
				   "volume \"%.*s\" already bound to a different claim.",
				   STR_ARG(name));
		return;
	}
	why = volume_unfit(volume, b->claim);
	if (why)
		plan_event(b->plan, b->claim, "Warning", "VolumeMismatch",
			   "Cannot bind to requested volume \"%.*s\": %s", STR_ARG(name), why);
	else
		complete(b, volume);
}

/* Says who is to make the volume. */
static void ask_for_volume(struct binder *b, const struct json *class)
{
	struct arena *a = b->v->arena;
	struct str by = json_str(json_get(class, STR("provisioner"))),
		   name = volume_class(b->claim);

	if (!class || str_is(by, NO_PROVISIONER)) {
		plan_event(b->plan, b->claim, "Warning", "ProvisioningFailed", "%s \"%.*s\"%s",
			   class ? "no volume plugin matched name: " NO_PROVISIONER " of class"
				 : "storageclass.storage.k8s.io",
			   STR_ARG(name), class ? "" : " not found");
		return;
	}
	if (!str_eq(meta_annotation(b->claim, ANN_PROVISIONER), by))
		patch_claim(b, NULL,
			    json_build(a, "{s:{s:{s:S, s:S}}}", "metadata", "annotations",
				       ANN_PROVISIONER, by, ANN_PROVISIONER_BETA, by));
	plan_event(b->plan, b->claim, "Normal", "ExternalProvisioning",
		   "Waiting for a volume to be created either by the external provisioner '%.*s' "
		   "or manually by the system administrator. If volume creation is delayed, please "
		   "verify that the provisioner is running and correctly registered.",
		   STR_ARG(by));
}

static const struct json *default_class(const struct view *v)
{
	struct json_set_view all = view_list(v, &res_storageclasses, STR_NONE);
	const struct json *best = NULL;

	for (size_t i = 0; i < all.n; i++) {
		if (!str_is(meta_annotation(all.v[i],
					    "storageclass.kubernetes.io/is-default-class"),
			    "true"))
			continue;
		if (!best || meta_created_ns(all.v[i]) > meta_created_ns(best))
			best = all.v[i];
	}
	return best;
}

/* A claim from before there was a default class gets the one that there is now. */
static bool give_class(struct binder *b)
{
	const struct json *class;

	if (volume_class(b->claim).p || !(class = default_class(b->v)))
		return false;
	patch_claim(
		b, NULL,
		json_build(b->v->arena, "{s:{s:S}}", "spec", "storageClassName", meta_name(class)));
	return true;
}

static void find_volume(struct binder *b)
{
	struct json_set_view all = view_list(b->v, &res_persistentvolumes, STR_NONE);
	struct str name = volume_class(b->claim),
		   node = meta_annotation(b->claim, ANN_SELECTED_NODE);
	const struct json *class = view_get(b->v, &res_storageclasses, STR_NONE, name), *there, *pv;
	struct volume_search s = {.v = all.v, .n = all.n};
	struct node_facts facts;

	if (class_waits(class)) {
		there = node.n ? view_get(b->v, &res_nodes, STR_NONE, node) : NULL;
		facts = node_facts_of(there);
		s.reserved_only = !there;
		s.node = there ? &facts : NULL;
	}
	pv = volume_for(&s, b->claim);
	if (pv)
		complete(b, pv);
	else if (class_waits(class) && !node.n)
		plan_event(b->plan, b->claim, "Normal", "WaitForFirstConsumer",
			   "waiting for first consumer to be created before binding");
	else if (name.n)
		ask_for_volume(b, class);
	else if (!give_class(b))
		plan_event(b->plan, b->claim, "Normal", "FailedBinding",
			   "no persistent volumes available for this claim and no storage class "
			   "is set");
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	struct binder b = {v, view_get(v, &res_persistentvolumeclaims, namespace, name), p};
	struct str volume = json_str(json_at(b.claim, "spec", "volumeName"));

	if (!b.claim)
		return 0;
	if (claim_is_bound(b.claim))
		look_after(&b);
	else if (meta_deleting(b.claim))
		return 0;
	else if (volume.n)
		bind_to_named(&b, volume);
	else
		find_volume(&b);
	return 0;
}

/* ---- what concerns whom ---- */

static void index_unbound(const struct obj *o, struct arena *a,
			  void (*put)(void *ctx, struct str value), void *ctx)
{
	if (!claim_is_bound(obj_tree(o, a)))
		put(ctx, STR("yes"));
}

static void index_volume(const struct obj *o, struct arena *a,
			 void (*put)(void *ctx, struct str value), void *ctx)
{
	struct str name = json_str(json_at(obj_tree(o, a), "spec", "volumeName"));

	if (name.n)
		put(ctx, name);
}

static void put_all(struct json_set_view claims, const struct view *v,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	for (size_t i = 0; i < claims.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(claims.v[i]), meta_name(claims.v[i])));
}

static void map_unbound(const struct view *v, const struct obj *o UNUSED,
			void (*put)(void *ctx, struct str key), void *ctx)
{
	put_all(view_by_index(v, &res_persistentvolumeclaims, INDEX_UNBOUND, STR("yes")), v, put,
		ctx);
}

/* A volume that is nobody's may be anybody's. */
static void map_volume(const struct view *v, const struct obj *o,
		       void (*put)(void *ctx, struct str key), void *ctx)
{
	const struct json *ref = json_at(obj_tree(o, v->arena), "spec", "claimRef");

	put_all(view_by_index(v, &res_persistentvolumeclaims, "volume", o->name), v, put, ctx);
	if (ref)
		put(ctx, obj_key(v->arena, json_str(json_get(ref, STR("namespace"))),
				 json_str(json_get(ref, STR("name")))));
	else
		map_unbound(v, o, put, ctx);
}

static void map_nothing(const struct obj *o UNUSED, struct arena *a UNUSED,
			void (*put)(void *ctx, struct str key) UNUSED, void *ctx UNUSED)
{
}

static const struct controller_watch watches[] = {
	{&res_persistentvolumeclaims, NULL, NULL, NULL},
	{&res_persistentvolumes, NULL, NULL, map_volume},
	{&res_storageclasses, NULL, NULL, map_unbound},
	{&res_nodes, map_nothing, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_persistentvolumeclaims, INDEX_UNBOUND, index_unbound},
	{&res_persistentvolumeclaims, "volume", index_volume},
	{0},
};

const struct controller controller_persistentvolumeclaim = {
	.name = "persistentvolumeclaim",
	.component = "persistentvolume-controller",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
