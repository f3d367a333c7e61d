/*
 * The list of resources that kustomize's steps pass on, and what identifies one. Does not look at
 * anything but apiVersion, kind, metadata.namespace and metadata.name. Memory: the caller's arena.
 */
#include "reconciler/kustomize/kustomize.h"

#include "lib/base/pure.h"

struct kres *kres_push(struct arena *a, struct kres_list *l)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct kres *v = arena_array(a, cap, sizeof(*v));
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	struct kres *r = &l->v[l->n++];
	*r = (struct kres){0};
	return r;
}

struct kid kres_id(const struct kres *r)
{
	struct kid id = {
		.kind = json_str(json_at(r->tree, "kind")),
		.namespace = json_str(json_at(r->tree, "metadata", "namespace")),
		.name = json_str(json_at(r->tree, "metadata", "name")),
	};
	struct str api = json_str(json_at(r->tree, "apiVersion"));
	if (!str_cut(api, '/', &id.group, &id.version)) {
		id.version = api;
		id.group = STR_NONE;
	}
	return id;
}

/* kustomize takes an absent namespace and "default" for the same. */
static struct str effective_namespace(const struct kid *x)
{
	return x->namespace.n ? x->namespace : STR("default");
}

bool kid_eq(const struct kid *x, const struct kid *y)
{
	return str_eq(x->group, y->group) && str_eq(x->version, y->version) &&
	       str_eq(x->kind, y->kind) && str_eq(x->name, y->name) &&
	       str_eq(effective_namespace(x), effective_namespace(y));
}
