/*
 * Generic ephemeral volumes: a claim for each, named after pod and volume, that the pod owns and
 * that goes with it. A claim of that name that is somebody else's is left alone. Pure.
 * Specification: pkg/controller/volume/ephemeral.
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

static void make(const struct view *v, const struct json *pod, const struct json *volume,
		 struct plan *p)
{
	struct arena *a = v->arena;
	const struct json *t = json_at(volume, "ephemeral", "volumeClaimTemplate"), *had, *more;
	struct str name = arena_strf(a, "%.*s-%.*s", STR_ARG(meta_name(pod)),
				     STR_ARG(json_str(json_get(volume, STR("name")))));
	struct json *o, *meta;

	had = view_get(v, &res_persistentvolumeclaims, meta_namespace(pod), name);
	if (had) {
		if (!str_eq(json_str(json_at(meta_controller(had), "uid")), meta_uid(pod)))
			plan_event(p, pod, "Warning", "FailedBinding",
				   "PVC %.*s/%.*s was not created for the pod",
				   STR_ARG(meta_namespace(pod)), STR_ARG(name));
		return;
	}
	o = object_new(a, &res_persistentvolumeclaims, meta_namespace(pod), name);
	meta = json_get(o, STR("metadata"));
	more = json_at(t, "metadata", "labels");
	if (more)
		json_set(a, meta, STR("labels"), more);
	more = json_at(t, "metadata", "annotations");
	if (more)
		json_set(a, meta, STR("annotations"), more);
	json_append(a, json_set_array(a, meta, "ownerReferences"), meta_owner_ref(a, pod, true));
	json_set(a, o, STR("spec"), json_at(t, "spec"));
	plan_create(p, &res_persistentvolumeclaims, o);
	p->last->ignore_exists = true;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *pod = view_get(v, &res_pods, namespace, name),
			  *list = json_at(pod, "spec", "volumes");

	if (!pod || !pod_active(pod))
		return 0;
	for (size_t i = 0; i < json_len(list); i++)
		if (json_at(json_item(list, i), "ephemeral", "volumeClaimTemplate"))
			make(v, pod, json_item(list, i), p);
	return 0;
}

static void map_pod(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		    void *ctx)
{
	if (obj_mentions(o, "volumeClaimTemplate"))
		put(ctx, obj_key(a, o->namespace, o->name));
}

static const struct controller_watch watches[] = {
	{&res_pods, map_pod, NULL, NULL},
	{&res_persistentvolumeclaims, map_to_controller_owner, NULL, NULL},
	{0},
};

const struct controller controller_ephemeralvolume = {
	.name = "ephemeralvolume", .watches = watches, .reconcile = reconcile};
