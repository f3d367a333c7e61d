/*
 * Authorization as the server asks it: RBAC, kept current from the core's changes, or the policy
 * file of whoever has one; and a further
 * fence around node identities, which may only touch what belongs to their own node: its Node and
 * Lease, the pods bound to it, the Secrets, ConfigMaps and claims that those pods name, and
 * volumes. Must never widen what these allow. The core's thread.
 */
#include <string.h>

#include "apiserver/front-internal.h"
#include "apiserver/noderefs.h"
#include "lib/base/map.h"
#include "lib/kube/pvnames.h"

#define NODE_PREFIX "system:node:"

struct rights {
	struct core *core;
	struct authz *rbac;
	const struct abac *abac;
	struct noderefs *refs;
	const struct kind *pods, *volumes;
};

struct feed {
	struct rights *rights;
	const struct kind *kind;
};

static void change_rbac(struct rights *r, const struct kind *k, const struct obj *o, bool gone)
{
	AUTO(arena) struct arena a = {0};
	const struct json *v = gone ? NULL : obj_tree(o, &a);

	if (!strcmp(k->plural, "roles") || !strcmp(k->plural, "clusterroles"))
		authz_role(r->rbac, o->namespace, o->name, v);
	else if (!strcmp(k->plural, "rolebindings") || !strcmp(k->plural, "clusterrolebindings"))
		authz_binding(r->rbac, o->namespace, o->name, v);
}

void rights_change(struct rights *r, const struct kind *k, const struct obj *old,
		   const struct obj *new)
{
	if (!strcmp(k->group, "rbac.authorization.k8s.io"))
		change_rbac(r, k, new ? new : old, !new);
	else if (!*k->group && !strcmp(k->plural, "pods"))
		noderefs_change(r->refs, old, new);
}

static void feed_one(void *arg, const struct obj *o)
{
	struct feed *f = arg;

	rights_change(f->rights, f->kind, NULL, o);
}

static void feed(struct rights *r, const char *group, const char *plural)
{
	struct feed f = {r, core_kind_find(r->core, str_c(group), STR("v1"), str_c(plural))};

	if (f.kind)
		core_each(r->core, f.kind, feed_one, &f);
}

struct rights *rights_new(struct core *c)
{
	static const char *const rbac[] = {"roles", "clusterroles", "rolebindings",
					   "clusterrolebindings"};
	struct rights *r = xalloc(sizeof(*r));

	r->core = c;
	r->rbac = authz_new();
	r->refs = noderefs_new();
	r->pods = core_kind_find(c, STR(""), STR("v1"), STR("pods"));
	r->volumes = core_kind_find(c, STR(""), STR("v1"), STR("persistentvolumes"));
	for (size_t i = 0; i < ARRAY_LEN(rbac); i++)
		feed(r, "rbac.authorization.k8s.io", rbac[i]);
	feed(r, "", "pods");
	return r;
}

void rights_free(struct rights *r)
{
	if (!r)
		return;
	authz_free(r->rbac);
	noderefs_free(r->refs);
	free(r);
}

void rights_abac(struct rights *r, const struct abac *x)
{
	r->abac = x;
}

const struct authz *rights_rbac(const struct rights *r)
{
	return r->rbac;
}

/* ---- nodes ---- */

static bool reads(struct str verb)
{
	return str_is(verb, "get") || str_is(verb, "list") || str_is(verb, "watch");
}

static bool pod_is_on(struct rights *r, const struct authz_ask *q, struct str node)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o =
		r->pods && q->name.n ? core_get(r->core, r->pods, q->namespace, q->name) : NULL;

	/* What is absent gets its 404 from the core. */
	if (!o)
		return q->name.n > 0;
	return str_eq(json_str(json_at(obj_tree(o, &a), "spec", "nodeName")), node);
}

/*
 * A node reads the volumes of claims that its pods name, and those that it holds itself, which
 * alone it may change (in what way, admission says). Lists of the latter are checked by their
 * selector, in the front.
 */
static bool volume_is_its(struct rights *r, const struct authz_ask *q, struct str node)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = r->volumes ? core_get(r->core, r->volumes, STR_NONE, q->name) : NULL;
	const struct json *ref;

	if (!o)
		return true;
	if (str_eq(obj_label(o, STR(LOCAL_NODE)), node))
		return true;
	ref = json_at(obj_tree(o, &a), "spec", "claimRef");
	return reads(q->verb) && ref &&
	       noderefs_has(r->refs, node, STR("persistentvolumeclaims"),
			    json_str(json_at(ref, "namespace")), json_str(json_at(ref, "name")));
}

static bool node_may(struct rights *r, const struct authz_ask *q, struct str node)
{
	bool named = str_eq(q->name, node);

	if (str_is(q->group, "coordination.k8s.io"))
		return str_is(q->namespace, "kube-node-lease") &&
		       (named || str_is(q->verb, "create"));
	if (q->group.n)
		return true;
	if (str_is(q->resource, "nodes"))
		return reads(q->verb) || str_is(q->verb, "create") || named;
	if (str_is(q->resource, "persistentvolumes"))
		return q->name.n ? volume_is_its(r, q, node) : reads(q->verb);
	if (str_is(q->resource, "secrets") || str_is(q->resource, "configmaps") ||
	    str_is(q->resource, "persistentvolumeclaims"))
		return q->name.n && noderefs_has(r->refs, node, q->resource, q->namespace, q->name);
	if (str_is(q->resource, "serviceaccounts") && str_is(q->subresource, "token"))
		return noderefs_has(r->refs, node, q->resource, q->namespace, q->name);
	if (str_is(q->resource, "pods"))
		return !q->name.n || pod_is_on(r, q, node);
	return true;
}

/* A node's name and group. */
static bool is_node(const struct admission_user *u)
{
	return str_starts(u->name, STR(NODE_PREFIX)) && user_in_group(u, "system:nodes") &&
	       !user_in_group(u, "system:masters");
}

/* Their role is nodes' by being nodes: bound to their group it would be that of whoever is given
 * the group without such a name, whom the fence does not keep in. */
bool rights_allow(struct rights *r, const struct authz_ask *q, struct buf *why)
{
	bool node = is_node(q->user);

	if (!authz_allows(r->rbac, q, why) &&
	    !(node && authz_role_allows(r->rbac, STR("system:node"), q)) &&
	    !abac_allows(r->abac, q))
		return false;
	if (q->path.n || !node)
		return true;
	return node_may(r, q, str_sub(q->user->name, sizeof(NODE_PREFIX) - 1, q->user->name.n));
}
