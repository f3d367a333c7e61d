/* Gives each namespace its ServiceAccount "default", which pods run as that name none. Pure. */
#include "controllers/common.h"

#include "lib/base/pure.h"

static int reconcile(const struct view *v, struct str namespace UNUSED, struct str name,
		     struct plan *p, struct err *err UNUSED)
{
	const struct json *ns = view_get(v, &res_namespaces, STR_NONE, name);

	if (!ns || meta_deleting(ns) || view_get(v, &res_serviceaccounts, name, STR("default")))
		return 0;
	plan_create(p, &res_serviceaccounts,
		    object_new(v->arena, &res_serviceaccounts, name, STR("default")));
	p->last->ignore_exists = true;
	/* The namespace may have gone meanwhile. */
	p->last->ignore_not_found = true;
	return 0;
}

static void map_account(const struct obj *o, struct arena *a UNUSED,
			void (*put)(void *ctx, struct str key), void *ctx)
{
	if (str_is(o->name, "default"))
		put(ctx, o->namespace);
}

static const struct controller_watch watches[] = {
	{&res_namespaces, NULL, NULL, NULL},
	{&res_serviceaccounts, map_account, NULL, NULL},
	{0},
};

const struct controller controller_serviceaccount = {
	.name = "serviceaccount",
	.watches = watches,
	.reconcile = reconcile,
};
