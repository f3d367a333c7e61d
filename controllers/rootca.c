/*
 * Publishes the cluster's authority as ConfigMap kube-root-ca.crt in each namespace: what pods
 * check the API server with. Pure.
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

#define NAME "kube-root-ca.crt"

static int reconcile(const struct view *v, struct str namespace UNUSED, struct str name,
		     struct plan *p, struct err *err UNUSED)
{
	const struct controllers_config *config = v->config;
	const struct json *ns = view_get(v, &res_namespaces, STR_NONE, name);
	const struct json *was = view_get(v, &res_configmaps, name, STR(NAME));
	struct json *data, *new;

	if (!ns || meta_deleting(ns) || !config || !config->root_ca.n)
		return 0;
	data = json_build(v->arena, "{s:S}", "ca.crt", config->root_ca);
	if (was && json_equal(json_at(was, "data"), data))
		return 0;
	new = was ? json_copy(v->arena, was)
		  : object_new(v->arena, &res_configmaps, name, STR(NAME));
	json_set(v->arena, new, STR("data"), data);
	json_set_str(v->arena, meta_set_object(v->arena, new, "annotations"),
		     "kubernetes.io/description",
		     STR("The certificate authority of the API server, for clients in the "
			 "cluster. Kept by the control plane: changes are undone."));
	if (was)
		plan_update(p, &res_configmaps, new);
	else
		plan_create(p, &res_configmaps, new);
	p->last->ignore_exists = true;
	p->last->ignore_not_found = true;
	return 0;
}

static void map_configmap(const struct obj *o, struct arena *a UNUSED,
			  void (*put)(void *ctx, struct str key), void *ctx)
{
	put(ctx, o->namespace);
}

static const struct controller_watch watches[] = {
	{&res_namespaces, NULL, NULL, NULL},
	{&res_configmaps, map_configmap, "metadata.name=" NAME, NULL},
	{0},
};

const struct controller controller_rootca = {
	.name = "rootca",
	.watches = watches,
	.reconcile = reconcile,
};
