/*
 * The pure part of applying: order and pruning. Decides only; never deletes anything itself.
 */
#include "reconciler/plan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "reconciler/application.h"

#include "lib/base/pure.h"

static const char *const order[] = {"CustomResourceDefinition",
				    "Namespace",
				    "ClusterRole",
				    "ClusterClass",
				    "RuntimeClass",
				    "PriorityClass",
				    "StorageClass",
				    "VolumeSnapshotClass",
				    "IngressClass",
				    "GatewayClass",
				    "ClusterRoleBinding",
				    "ResourceQuota",
				    "ServiceAccount",
				    "Role",
				    "RoleBinding",
				    "ConfigMap",
				    "Secret",
				    "Service",
				    "LimitRange",
				    "Deployment",
				    "StatefulSet",
				    "CronJob",
				    "PodDisruptionBudget"};

int plan_rank(struct str group, struct str kind)
{
	(void)group;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (str_is(kind, order[i]))
			return (int)i;
	}
	if (str_is(kind, "MutatingWebhookConfiguration") ||
	    str_is(kind, "ValidatingWebhookConfiguration"))
		return 1000;
	return 500;
}

struct ranked {
	int rank, wave;
	struct rendered_object o;
};

static int by_rank(const void *pa, const void *pb)
{
	const struct ranked *a = pa, *b = pb;
	int c;

	if (a->wave != b->wave)
		return a->wave < b->wave ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	c = str_cmp(a->o.namespace, b->o.namespace);
	return c ? c : str_cmp(a->o.id, b->o.id);
}

/* Finding the rank takes longer than comparing: once an object, not once a comparison. */
void plan_sort(struct rendered *r)
{
	AUTO(arena) struct arena a = {0};
	struct ranked *v = arena_array(&a, r->n + 1, sizeof(*v));

	for (size_t i = 0; i < r->n; i++)
		v[i] = (struct ranked){plan_rank(r->v[i].group, r->v[i].kind),
				       argo_wave(r->v[i].tree), r->v[i]};
	if (r->n)
		qsort(v, r->n, sizeof(*v), by_rank);
	for (size_t i = 0; i < r->n; i++)
		r->v[i] = v[i].o;
}

/* namespace_name_group_kind; a colon in a name is written as two underscores. */
int plan_entry_parse(struct arena *a, const struct json *entry, struct plan_entry *ret)
{
	struct str id = json_str(json_get(entry, STR("id"))), rest, name;
	char *out;
	size_t n = 0;

	*ret = (struct plan_entry){.id = id};
	ret->version = json_str(json_get(entry, STR("v")));
	if (!str_cut(id, '_', &ret->namespace, &rest) || !str_rcut(rest, '_', &rest, &ret->kind) ||
	    !str_rcut(rest, '_', &name, &ret->group) || !name.n || !ret->kind.n || !ret->version.n)
		return -1;
	out = arena_alloc(a, name.n + 1);
	for (size_t i = 0; i < name.n; i++) {
		bool colon = name.p[i] == '_' && i + 1 < name.n && name.p[i + 1] == '_';

		out[n++] = colon ? ':' : name.p[i];
		i += colon;
	}
	ret->name = (struct str){out, n};
	return 0;
}

bool plan_is_precious(struct str kind)
{
	return str_is(kind, "Namespace") || str_is(kind, "PersistentVolumeClaim") ||
	       str_is(kind, "PersistentVolume") || str_is(kind, "CustomResourceDefinition");
}

static int by_rank_backwards(const void *pa, const void *pb)
{
	const struct plan_entry *a = pa, *b = pb;
	int ra = plan_rank(a->group, a->kind), rb = plan_rank(b->group, b->kind);

	if (ra != rb)
		return ra > rb ? -1 : 1;
	return str_cmp(a->id, b->id);
}

/* What the inventory has and the revision hasn't. */
static size_t gone(struct arena *a, const struct rendered *now, const struct json *inventory,
		   struct plan_entry *ret)
{
	AUTO(map) struct map have = {0};
	size_t n = 0;

	for (size_t i = 0; i < now->n; i++)
		map_set(&have, now->v[i].id, &now->v[i]);
	for (size_t i = 0; i < json_len(inventory); i++) {
		if (!plan_entry_parse(a, json_item(inventory, i), &ret[n]) &&
		    !map_has(&have, ret[n].id))
			n++;
	}
	return n;
}

static void hold_all(struct plan_prune *p, struct plan_entry *all, size_t n, struct str why)
{
	p->held = all;
	p->nheld = n;
	p->why = why;
}

void plan_prune(struct arena *a, const struct rendered *now, const struct plan_prune_opts *o,
		struct plan_prune *ret)
{
	size_t total = json_len(o->inventory), n;
	struct plan_entry *all = arena_array(a, total + 1, sizeof(*all));
	bool confirmed =
		str_is(o->confirmed, "*") || (o->confirmed.n && str_eq(o->confirmed, o->revision));

	*ret = (struct plan_prune){0};
	n = gone(a, now, o->inventory, all);
	if (!n || !o->enabled)
		return;
	if (!now->n && !o->empty_ok) {
		hold_all(ret, all, n, STR("the revision declares nothing at all"));
		return;
	}
	if (!confirmed && n >= PRUNE_SHARE_MIN && n * 100 > total * PRUNE_SHARE_PERCENT) {
		hold_all(ret, all, n,
			 arena_strf(a, "%zu of %zu objects would be deleted at once", n, total));
		return;
	}
	ret->go = arena_array(a, n, sizeof(*all));
	ret->held = arena_array(a, n, sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		if (plan_is_precious(all[i].kind) && !confirmed)
			ret->held[ret->nheld++] = all[i];
		else
			ret->go[ret->ngo++] = all[i];
	}
	if (ret->nheld)
		ret->why = arena_strf(a, "%.*s %.*s is deleted only on confirmation",
				      STR_ARG(ret->held[0].kind), STR_ARG(ret->held[0].name));
	if (ret->ngo)
		qsort(ret->go, ret->ngo, sizeof(*ret->go), by_rank_backwards);
}
