/*
 * The binder, seen from volumes: says in which phase each is, lets go of claims that are bound to
 * another, and does with what was released as its policy says. Data are only ever given up for a
 * claim that is known to be gone: one that isn't in the cache of a volume that was never Bound
 * gets time to show up. Pure.
 * Specification: pkg/controller/volume/persistentvolume.
 */
#include "controllers/common.h"
#include "lib/base/timefmt.h"
#include "lib/kube/pvmatch.h"

#include "lib/base/pure.h"

#define INDEX_LOCAL "local-node"
#define SHOW_UP (15 * NS_PER_S)

struct keeper {
	const struct view *v;
	const struct json *volume;
	struct plan *plan;
};

static bool has_phase(const struct keeper *k, const char *phase)
{
	return str_is(json_str(json_at(k->volume, "status", "phase")), phase);
}

static void set_phase(struct keeper *k, const char *phase, const char *message)
{
	struct arena *a = k->v->arena;
	struct json *patch;

	if (has_phase(k, phase))
		return;
	patch = json_build(a, "{s:{s:s, s:n}}", "status", "phase", phase, "message");
	if (message)
		json_set_str(a, json_get(patch, STR("status")), "message", str_c(message));
	plan_patch(k->plan, &res_persistentvolumes, k->volume, "status", patch);
	k->plan->last->uid = meta_uid(k->volume);
	k->plan->last->ignore_not_found = true;
}

static bool is_deleted_afterwards(const struct keeper *k)
{
	return str_is(json_str(json_at(k->volume, "spec", "persistentVolumeReclaimPolicy")),
		      "Delete");
}

/* What another's provisioner made is its to remove. */
static void reclaim(struct keeper *k)
{
	struct str by = meta_annotation(k->volume, ANN_PROVISIONED_BY);

	if (!is_deleted_afterwards(k) || meta_deleting(k->volume)) {
		set_phase(k, "Released", NULL);
		return;
	}
	if (!by.n) {
		if (!has_phase(k, "Failed"))
			plan_event(k->plan, k->volume, "Warning", "VolumeFailedDelete",
				   "no deletable volume plugin matched");
		set_phase(k, "Failed", "no deletable volume plugin matched");
		return;
	}
	set_phase(k, "Released", NULL);
	if (str_is(by, LOCAL_PROVISIONER))
		plan_delete(k->plan, &res_persistentvolumes, k->volume);
}

/* Its claim has another volume. */
static void let_go(struct keeper *k)
{
	struct arena *a = k->v->arena;
	bool ours = meta_annotation(k->volume, ANN_BOUND_BY_CONTROLLER).p;
	struct json *patch;

	if (meta_annotation(k->volume, ANN_PROVISIONED_BY).p && is_deleted_afterwards(k)) {
		reclaim(k);
		return;
	}
	/* What an administrator reserved stays reserved, by name. */
	patch = ours ? json_build(a, "{s:{s:n}, s:{s:{s:n}}}", "spec", "claimRef", "metadata",
				  "annotations", ANN_BOUND_BY_CONTROLLER)
		     : json_build(a, "{s:{s:{s:n, s:n}}}", "spec", "claimRef", "uid",
				  "resourceVersion");
	plan_patch(k->plan, &res_persistentvolumes, k->volume, NULL, patch);
	k->plan->last->revision = json_str(json_at(k->volume, "metadata", "resourceVersion"));
}

static void without_claim(struct keeper *k)
{
	int64_t age = k->v->now_ns - meta_created_ns(k->volume);

	if (!has_phase(k, "Bound") && !has_phase(k, "Released") && age < SHOW_UP)
		plan_requeue(k->plan, SHOW_UP - age);
	else
		reclaim(k);
}

static void bound_to(struct keeper *k, const struct json *claim)
{
	struct str name = json_str(json_at(claim, "spec", "volumeName"));

	if (str_eq(name, meta_name(k->volume)))
		set_phase(k, "Bound", NULL);
	else if (name.n)
		let_go(k);
}

/* Nobody can remove the data of a node that is no more: nobody waits for it. */
static void without_node(struct keeper *k)
{
	struct str node = meta_label(k->volume, LOCAL_NODE);

	if (meta_deleting(k->volume) && node.n && !view_get(k->v, &res_nodes, STR_NONE, node))
		finalizer_set(k->v, &res_persistentvolumes, k->volume, LOCAL_FINALIZER, false,
			      k->plan);
}

static int reconcile(const struct view *v, struct str namespace UNUSED, struct str name,
		     struct plan *p, struct err *err UNUSED)
{
	struct keeper k = {v, view_get(v, &res_persistentvolumes, STR_NONE, name), p};
	const struct json *ref = json_at(k.volume, "spec", "claimRef"), *claim;

	if (!k.volume)
		return 0;
	without_node(&k);
	if (p->n)
		return 0;
	if (!json_str(json_get(ref, STR("uid"))).n) {
		set_phase(&k, "Available", NULL);
		return 0;
	}
	claim = view_get(v, &res_persistentvolumeclaims, json_str(json_get(ref, STR("namespace"))),
			 json_str(json_get(ref, STR("name"))));
	if (claim && str_eq(meta_uid(claim), json_str(json_get(ref, STR("uid")))))
		bound_to(&k, claim);
	else
		without_claim(&k);
	return 0;
}

/* ---- what concerns whom ---- */

static void index_claim(const struct obj *o, struct arena *a,
			void (*put)(void *ctx, struct str value), void *ctx)
{
	const struct json *ref = json_at(obj_tree(o, a), "spec", "claimRef");

	if (ref)
		put(ctx, obj_key(a, json_str(json_get(ref, STR("namespace"))),
				 json_str(json_get(ref, STR("name")))));
}

static void index_local(const struct obj *o, struct arena *a UNUSED,
			void (*put)(void *ctx, struct str value), void *ctx)
{
	struct str node = obj_label(o, STR(LOCAL_NODE));

	if (node.n)
		put(ctx, node);
}

static void put_volumes(const struct view *v, const char *index, struct str value,
			void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_by_index(v, &res_persistentvolumes, index, value);

	for (size_t i = 0; i < all.n; i++)
		put(ctx, meta_name(all.v[i]));
}

static void map_claim(const struct view *v, const struct obj *o,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	put_volumes(v, "claim", obj_key(v->arena, o->namespace, o->name), put, ctx);
}

static void map_node(const struct view *v, const struct obj *o,
		     void (*put)(void *ctx, struct str key), void *ctx)
{
	if (!view_get(v, &res_nodes, STR_NONE, o->name))
		put_volumes(v, INDEX_LOCAL, o->name, put, ctx);
}

static const struct controller_watch watches[] = {
	{&res_persistentvolumes, NULL, NULL, NULL},
	{&res_persistentvolumeclaims, NULL, NULL, map_claim},
	{&res_nodes, NULL, NULL, map_node},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_persistentvolumes, "claim", index_claim},
	{&res_persistentvolumes, INDEX_LOCAL, index_local},
	{0},
};

const struct controller controller_persistentvolume = {
	.name = "persistentvolume",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
