/*
 * Where a pod's claims let it go: what is bound already holds it to the volume's nodes; what waits
 * for its first pod gets, on the node that is looked at, an available volume or a new one. Must
 * never promise one volume to two claims. Pure; the cache owns the objects.
 * Specification: pkg/scheduler/framework/plugins/volumebinding.
 */
#include "lib/kube/pvmatch.h"
#include "scheduler/core.h"

#include "lib/base/pure.h"

static void object_free(struct sched_object *o)
{
	if (!o)
		return;
	obj_unref(o->obj);
	arena_release(&o->arena);
	free(o);
}

void sched_object_set(struct map *m, struct str key, const struct obj *o)
{
	struct sched_object *new = o ? xalloc(sizeof(*new)) : NULL;

	if (!new) {
		object_free(map_del(m, key));
		return;
	}
	new->obj = obj_ref((struct obj *)(uintptr_t)o);
	new->tree = obj_tree(o, &new->arena);
	object_free(map_set(m, key, new));
}

const struct json *sched_object_get(const struct map *m, struct str key)
{
	const struct sched_object *o = map_get(m, key);

	return o ? o->tree : NULL;
}

void sched_objects_release(struct sched_cache *c)
{
	struct map *const all[] = {&c->claims, &c->volumes, &c->classes, &c->budgets,
				   &c->namespaces};
	struct map_iter it = {0};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		it = (struct map_iter){0};
		while (map_next(all[i], &it))
			object_free(it.value);
		map_release(all[i]);
	}
	it = (struct map_iter){0};
	while (map_next(&c->reserved, &it))
		free(it.value);
	map_release(&c->reserved);
	map_release(&c->claim_users);
}

/* ---- what the claims say ---- */

static bool only_one_pod(const struct json *claim)
{
	const struct json *modes = json_at(claim, "spec", "accessModes");

	for (size_t i = 0; i < json_len(modes); i++)
		if (str_is(json_str(json_item(modes, i)), "ReadWriteOncePod"))
			return true;
	return false;
}

static const char *find_one(const struct sched_cache *c, struct str key, struct arena *a,
			    struct pod_volumes *ret)
{
	const struct json *claim = sched_object_get(&c->claims, key);
	struct str ns, name, volume = json_str(json_at(claim, "spec", "volumeName"));

	obj_key_split(key, &ns, &name);
	if (!claim)
		return arena_printf(a, "persistentvolumeclaim \"%.*s\" not found", STR_ARG(name));
	if (json_str(json_at(claim, "metadata", "deletionTimestamp")).n)
		return arena_printf(a, "persistentvolumeclaim \"%.*s\" is being deleted",
				    STR_ARG(name));
	if (str_is(json_str(json_at(claim, "status", "phase")), "Lost"))
		return arena_printf(a,
				    "persistentvolumeclaim \"%.*s\" bound to non-existent "
				    "persistentvolume \"%.*s\"",
				    STR_ARG(name), STR_ARG(volume));
	if (only_one_pod(claim) && map_has(&c->claim_users, key))
		return "node has pod using PersistentVolumeClaim with the same name and "
		       "ReadWriteOncePod access mode";
	if (claim_is_bound(claim))
		ret->bound[ret->nbound++] = sched_object_get(&c->volumes, volume);
	else if (!volume.n && class_waits(sched_object_get(&c->classes, volume_class(claim))))
		ret->waiting[ret->nwaiting++] = claim;
	else
		return "pod has unbound immediate PersistentVolumeClaims";
	return NULL;
}

void pod_volumes_find(const struct sched_cache *c, const struct sched_pod *p, struct arena *a,
		      struct pod_volumes *ret)
{
	*ret = (struct pod_volumes){0};
	ret->waiting = arena_array(a, p->nclaims + 1, sizeof(*ret->waiting));
	ret->bound = arena_array(a, p->nclaims + 1, sizeof(*ret->bound));
	for (size_t i = 0; i < p->nclaims && !ret->refused; i++)
		ret->refused = find_one(c, p->claims[i], a, ret);
}

/* ---- on a node ---- */

static struct str label_of(const void *ctx, struct str key)
{
	return sched_node_label(ctx, key);
}

struct choice {
	const struct sched_cache *c;
	const struct json *claim;
	const struct json **chosen;
	size_t n;
};

static bool taken(void *arg, const struct json *volume)
{
	const struct choice *ch = arg;
	const char *by = map_get(&ch->c->reserved, meta_name(volume));

	for (size_t i = 0; i < ch->n; i++)
		if (ch->chosen[i] == volume)
			return true;
	return by && !str_is(meta_uid(ch->claim), by);
}

static const struct json **all_volumes(const struct sched_cache *c, struct arena *a)
{
	const struct json **v = arena_array(a, c->volumes.n + 1, sizeof(*v));
	struct map_iter it = {0};
	size_t n = 0;

	while (map_next(&c->volumes, &it))
		v[n++] = ((const struct sched_object *)it.value)->tree;
	return v;
}

static bool has_value(const struct json *values, struct str s)
{
	for (size_t i = 0; i < json_len(values); i++)
		if (str_eq(json_str(json_item(values, i)), s))
			return true;
	return false;
}

static bool topology_holds(const struct json *term, const struct sched_node *n)
{
	const struct json *list = json_at(term, "matchLabelExpressions");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i);
		struct str have = sched_node_label(n, json_str(json_at(e, "key")));

		if (!have.p || !has_value(json_at(e, "values"), have))
			return false;
	}
	return true;
}

static bool can_be_made(const struct json *class, const struct sched_node *n)
{
	const struct json *terms = json_at(class, "allowedTopologies");

	if (str_is(json_str(json_at(class, "provisioner")), NO_PROVISIONER))
		return false;
	for (size_t i = 0; i < json_len(terms); i++)
		if (topology_holds(json_item(terms, i), n))
			return true;
	return !json_len(terms);
}

static const char *choose_one(struct choice *ch, const struct volume_search *s,
			      const struct sched_node *n)
{
	struct str said = meta_annotation(ch->claim, ANN_SELECTED_NODE);
	const struct json *class = sched_object_get(&ch->c->classes, volume_class(ch->claim));

	ch->chosen[ch->n] = NULL;
	if (said.n && !str_eq(said, n->name))
		return "node(s) didn't find available persistent volumes to bind";
	if (!said.n)
		ch->chosen[ch->n] = volume_for(s, ch->claim);
	if (!ch->chosen[ch->n] && !can_be_made(class, n))
		return "node(s) didn't find available persistent volumes to bind";
	ch->n++;
	return NULL;
}

bool pod_volumes_choose(const struct sched_cache *c, const struct pod_volumes *v,
			const struct sched_node *n, const struct json **chosen,
			const char **ret_why)
{
	struct node_facts facts = {n->name, label_of, n};
	struct choice ch = {.c = c, .chosen = chosen};
	AUTO(arena) struct arena a = {0};
	struct volume_search s = {.n = v->nwaiting ? c->volumes.n : 0,
				  .v = v->nwaiting ? all_volumes(c, &a) : NULL,
				  .node = &facts,
				  .taken = taken,
				  .arg = &ch};

	for (size_t i = 0; i < v->nbound; i++) {
		*ret_why = v->bound[i] ? "node(s) had volume node affinity conflict"
				       : "node(s) unavailable due to one or more pvc(s) bound to "
					 "non-existent pv(s)";
		if (!v->bound[i] || !volume_reaches(v->bound[i], &facts))
			return false;
	}
	for (size_t i = 0; i < v->nwaiting; i++) {
		ch.claim = v->waiting[i];
		*ret_why = choose_one(&ch, &s, n);
		if (*ret_why)
			return false;
	}
	return true;
}
