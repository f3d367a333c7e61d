/* What reconcile functions see: lookups through the view's operations, and the mappers and indexes
 * that many controllers share. Pure. */
#include "lib/kube/controller.h"

#include "lib/base/pure.h"

const struct json *view_get(const struct view *v, const struct resource *r, struct str namespace,
			    struct str name)
{
	return v->ops->get(v, r, namespace, name);
}

struct json_set_view view_list(const struct view *v, const struct resource *r, struct str namespace)
{
	return v->ops->list(v, r, namespace, NULL, STR_NONE);
}

struct json_set_view view_by_index(const struct view *v, const struct resource *r,
				   const char *index, struct str value)
{
	return v->ops->list(v, r, STR_NONE, index, value);
}

void map_to_controller_owner(const struct obj *o, struct arena *a,
			     void (*put)(void *ctx, struct str key), void *ctx)
{
	const struct json *owner = obj_controller(o, a);

	if (owner)
		put(ctx, obj_key(a, o->namespace, json_str(json_get(owner, STR("name")))));
}

void index_by_controller_uid(const struct obj *o, struct arena *a,
			     void (*put)(void *ctx, struct str value), void *ctx)
{
	const struct json *owner = obj_controller(o, a);

	if (owner)
		put(ctx, json_str(json_get(owner, STR("uid"))));
}

void index_by_node(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str value),
		   void *ctx)
{
	struct str node;

	if (!obj_mentions(o, "nodeName"))
		return;
	node = json_str(json_at(obj_tree(o, a), "spec", "nodeName"));
	if (node.n)
		put(ctx, node);
}
