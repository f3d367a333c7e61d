/*
 * From claims to volumes: claim → spec.volumeName → PersistentVolume, each an object that this
 * node may read because a pod of its own needs it. Must never use a volume that another claim has.
 * On the kubelet's loop; the list is the pod's.
 */
#include "kubelet/claims.h"

#include <sys/stat.h>

#include "lib/kube/pvmatch.h"
#include "lib/kube/resources.h"

struct claims {
	size_t n;
	struct claim {
		char *name;
		char *volume; /* followed as well; NULL = it has none yet */
	} v[];
};

struct str claim_of(struct arena *a, const struct pod_spec *pod, const struct json *volume)
{
	if (json_at(volume, "ephemeral"))
		return arena_strf(a, "%.*s-%.*s", STR_ARG(pod->name),
				  STR_ARG(json_str(json_at(volume, "name"))));
	return json_str(json_at(volume, "persistentVolumeClaim", "claimName"));
}

static const struct obj *get_claim(const struct pod *p, struct str name)
{
	const struct obj *o;

	return refs_get(p->k->refs, REF_CLAIM, p->spec.namespace, name, &o) ? o : NULL;
}

static const struct obj *get_volume(const struct pod *p, struct str name)
{
	const struct obj *o;

	return refs_get(p->k->refs, REF_VOLUME, STR_NONE, name, &o) ? o : NULL;
}

static void follow_volume(struct pod *p, struct claim *c)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = get_claim(p, str_c(c->name));
	struct str name = o ? json_str(json_at(obj_tree(o, &a), "spec", "volumeName")) : STR_NONE;

	if (!o || str_is(name, c->volume))
		return;
	if (c->volume)
		refs_drop(p->k->refs, REF_VOLUME, STR_NONE, str_c(c->volume));
	free(c->volume);
	c->volume = NULL;
	if (!path_part_ok(name))
		return;
	c->volume = xstrndup(name.p, name.n);
	refs_use(p->k->refs, REF_VOLUME, STR_NONE, name);
}

void claims_start(struct pod *p)
{
	const struct json *list = json_at(p->spec.spec, "volumes");
	AUTO(arena) struct arena a = {0};

	p->claims = xalloc(sizeof(*p->claims) + json_len(list) * sizeof(struct claim));
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = claim_of(&a, &p->spec, json_item(list, i));

		if (!name.n)
			continue;
		p->claims->v[p->claims->n].name = xstrndup(name.p, name.n);
		refs_use(p->k->refs, REF_CLAIM, p->spec.namespace, name);
		follow_volume(p, &p->claims->v[p->claims->n++]);
	}
}

void claims_free(struct pod *p)
{
	for (size_t i = 0; p->claims && i < p->claims->n; i++) {
		struct claim *c = &p->claims->v[i];

		refs_drop(p->k->refs, REF_CLAIM, p->spec.namespace, str_c(c->name));
		if (c->volume)
			refs_drop(p->k->refs, REF_VOLUME, STR_NONE, str_c(c->volume));
		free(c->name);
		free(c->volume);
	}
	free(p->claims);
	p->claims = NULL;
}

bool claims_ready(const struct pod *p)
{
	const struct obj *o;

	for (size_t i = 0; i < p->claims->n; i++) {
		const struct claim *c = &p->claims->v[i];

		if (!refs_get(p->k->refs, REF_CLAIM, p->spec.namespace, str_c(c->name), &o) ||
		    (c->volume &&
		     !refs_get(p->k->refs, REF_VOLUME, STR_NONE, str_c(c->volume), &o)))
			return false;
	}
	return true;
}

bool claims_changed(struct pod *p, enum ref_kind kind, struct str ns, struct str name)
{
	bool hit = false;

	if (kind == REF_CLAIM && !str_eq(ns, p->spec.namespace))
		return false;
	for (size_t i = 0; i < p->claims->n; i++) {
		struct claim *c = &p->claims->v[i];

		if (!str_is(name, kind == REF_CLAIM ? c->name : c->volume))
			continue;
		hit = true;
		if (kind == REF_CLAIM)
			follow_volume(p, c);
	}
	return hit;
}

/* ---- for setting it up ---- */

static int check_here(const struct pod *p, const struct json *volume, struct err *err)
{
	const struct obj *o = informer_get(p->k->nodes, STR_NONE, str_c(p->k->node_name));
	AUTO(arena) struct arena a = {0};
	struct node_facts facts;

	if (!o)
		return 0;
	facts = node_facts_of(obj_tree(o, &a));
	if (volume_reaches(volume, &facts))
		return 0;
	return err_set(err, ERR_INVALID,
		       "NodeAffinity check failed for volume \"%.*s\": no matching "
		       "NodeSelectorTerms",
		       STR_ARG(meta_name(volume)));
}

/* After a kubelet's restart: a pod that runs keeps its volume, whatever becomes of the claim. */
static bool had_before(const struct pod *p, const struct json *volume)
{
	AUTO(free)
	char *path =
		xasprintf("%s/volumes/%.*s", p->dir, STR_ARG(json_str(json_at(volume, "name"))));
	struct stat st;

	return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

static int check_claim(const struct json *claim, struct str name, bool had, struct err *err)
{
	if (!claim)
		return err_set(err, ERR_NOT_FOUND, "persistentvolumeclaim \"%.*s\" not found",
			       STR_ARG(name));
	if (!had && json_str(json_at(claim, "metadata", "deletionTimestamp")).n)
		return err_set(err, ERR_INVALID,
			       "can't start pod because PVC %.*s/%.*s is being deleted",
			       STR_ARG(meta_namespace(claim)), STR_ARG(name));
	if (!claim_is_bound(claim))
		return err_set(err, ERR_INVALID, "PVC %.*s/%.*s is not bound",
			       STR_ARG(meta_namespace(claim)), STR_ARG(name));
	return 0;
}

static int check_volume(const struct json *volume, const struct json *claim, struct err *err)
{
	struct str name = json_str(json_at(claim, "spec", "volumeName"));

	if (!volume)
		return err_set(err, ERR_NOT_FOUND, "persistentvolume \"%.*s\" not found",
			       STR_ARG(name));
	if (!volume_is_for(volume, claim))
		return err_set(err, ERR_INVALID, "PV %.*s is not bound to claim %.*s",
			       STR_ARG(name), STR_ARG(meta_name(claim)));
	return 0;
}

/* Of an ephemeral volume: the claim must be this pod's, not one that happens to bear the name. */
static int check_ephemeral(const struct pod *p, const struct json *claim, struct err *err)
{
	if (str_eq(json_str(json_get(meta_controller(claim), STR("uid"))), p->spec.uid))
		return 0;
	return err_set(err, ERR_INVALID, "PVC %.*s was not created for the pod",
		       STR_ARG(meta_name(claim)));
}

int claims_volume(void *arg, const struct json *volume, struct persistent *ret, struct err *err)
{
	struct pod *p = arg;
	struct str name = claim_of(&p->arena, &p->spec, volume), pv;
	const struct obj *o = get_claim(p, name);
	const struct json *claim = o ? obj_tree(o, &p->arena) : NULL;

	if (check_claim(claim, name, had_before(p, volume), err))
		return -1;
	if (json_at(volume, "ephemeral") && check_ephemeral(p, claim, err))
		return -1;
	pv = json_str(json_at(claim, "spec", "volumeName"));
	o = get_volume(p, pv);
	ret->volume = o ? obj_tree(o, &p->arena) : NULL;
	ret->ours = p->k->volumes;
	return check_volume(ret->volume, claim, err) || check_here(p, ret->volume, err) ? -1 : 0;
}
