/*
 * FlowSchemas: says in the status of each whether the priority level that it names is there. Pure.
 * Specification: apiserver/pkg/util/flowcontrol (Dangling).
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *schema = view_get(v, &res_flowschemas, namespace, name);
	struct str level = json_str(json_at(schema, "spec", "priorityLevelConfiguration", "name"));
	struct json *next;
	bool there;

	(void)err;
	if (!schema)
		return 0;
	there = view_get(v, &res_prioritylevelconfigurations, STR_NONE, level) != NULL;
	next = json_copy(v->arena, schema);
	if (condition_set(v->arena, next, "Dangling", there ? "False" : "True",
			  there ? "Found" : "NotFound",
			  arena_strf(v->arena,
				     "This FlowSchema references the PriorityLevelConfiguration "
				     "object named \"%.*s\" %s",
				     STR_ARG(level),
				     there ? "and it exists" : "but there is no such object"),
			  v->now_ns)) {
		plan_update_status(p, &res_flowschemas, next);
		p->last->ignore_not_found = true;
	}
	return 0;
}

static void map_level(const struct view *v, const struct obj *o,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_list(v, &res_flowschemas, STR_NONE);

	for (size_t i = 0; i < all.n; i++)
		if (str_eq(json_str(
				   json_at(all.v[i], "spec", "priorityLevelConfiguration", "name")),
			   o->name))
			put(ctx, obj_key(v->arena, STR_NONE, meta_name(all.v[i])));
}

static const struct controller_watch watches[] = {
	{&res_flowschemas, NULL, NULL, NULL},
	{&res_prioritylevelconfigurations, NULL, NULL, map_level},
	{0},
};

const struct controller controller_flowschema = {
	.name = "flowschema",
	.watches = watches,
	.reconcile = reconcile,
};
