/*
 * Counts references from pods to Secrets, ConfigMaps, ServiceAccounts and claims, by node. A pod
 * counts from when it is bound until it is deleted; what it refers to cannot change in between, but
 * for ephemeral containers, which may not name new volumes; their environment is looked at again.
 * Pure; one thread.
 */
#include "apiserver/noderefs.h"

#include "lib/base/map.h"

#include "lib/base/pure.h"

struct noderefs {
	struct map counts; /* "node resource/namespace/name" → count */
	struct map pods;   /* uid → struct pod_refs */
};

struct pod_refs {
	struct arena a;
	struct str *keys;
	size_t n, cap;
	size_t containers; /* how many there were when it was looked at */
};

struct collect {
	struct pod_refs *to;
	struct str node, namespace, pod;
};

struct noderefs *noderefs_new(void)
{
	return xalloc(sizeof(struct noderefs));
}

static void pod_refs_free(struct pod_refs *p)
{
	arena_release(&p->a);
	free(p->keys);
	free(p);
}

void noderefs_free(struct noderefs *r)
{
	struct map_iter it = {0};

	if (!r)
		return;
	while (map_next(&r->pods, &it))
		pod_refs_free(it.value);
	map_release(&r->pods);
	map_release(&r->counts);
	free(r);
}

static struct str ref_key(struct arena *a, struct str node, struct str resource,
			  struct str namespace, struct str name)
{
	return arena_strf(a, "%.*s %.*s/%.*s/%.*s", STR_ARG(node), STR_ARG(resource),
			  STR_ARG(namespace), STR_ARG(name));
}

static void note_name(struct collect *c, const char *resource, struct str name)
{
	struct pod_refs *p = c->to;

	if (!name.n)
		return;
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 8;
		p->keys = xreallocarray(p->keys, p->cap, sizeof(*p->keys));
	}
	p->keys[p->n++] = ref_key(&p->a, c->node, str_c(resource), c->namespace, name);
}

static void note(struct collect *c, const char *resource, const struct json *name)
{
	note_name(c, resource, json_str(name));
}

static void volume(struct collect *c, const struct json *v)
{
	const struct json *sources = json_at(v, "projected", "sources");

	note(c, "secrets", json_at(v, "secret", "secretName"));
	note(c, "configmaps", json_at(v, "configMap", "name"));
	note(c, "secrets", json_at(v, "csi", "nodePublishSecretRef", "name"));
	note(c, "persistentvolumeclaims", json_at(v, "persistentVolumeClaim", "claimName"));
	if (json_at(v, "ephemeral"))
		note_name(c, "persistentvolumeclaims",
			  arena_strf(&c->to->a, "%.*s-%.*s", STR_ARG(c->pod),
				     STR_ARG(json_str(json_at(v, "name")))));
	for (size_t i = 0; i < json_len(sources); i++) {
		note(c, "secrets", json_at(json_item(sources, i), "secret", "name"));
		note(c, "configmaps", json_at(json_item(sources, i), "configMap", "name"));
	}
}

static void container(struct collect *c, const struct json *v)
{
	const struct json *env = json_at(v, "env"), *from = json_at(v, "envFrom");

	for (size_t i = 0; i < json_len(env); i++) {
		const struct json *e = json_at(json_item(env, i), "valueFrom");
		note(c, "secrets", json_at(e, "secretKeyRef", "name"));
		note(c, "configmaps", json_at(e, "configMapKeyRef", "name"));
	}
	for (size_t i = 0; i < json_len(from); i++) {
		note(c, "secrets", json_at(json_item(from, i), "secretRef", "name"));
		note(c, "configmaps", json_at(json_item(from, i), "configMapRef", "name"));
	}
}

static size_t count_containers(const struct json *spec)
{
	return json_len(json_at(spec, "ephemeralContainers"));
}

static struct pod_refs *collect(const struct obj *o, const struct json *spec)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	struct pod_refs *p = xalloc(sizeof(*p));
	struct collect c = {p, json_str(json_at(spec, "nodeName")), o->namespace, o->name};
	const struct json *volumes = json_at(spec, "volumes");
	const struct json *pulls = json_at(spec, "imagePullSecrets");

	for (size_t i = 0; i < json_len(volumes); i++)
		volume(&c, json_item(volumes, i));
	for (size_t i = 0; i < json_len(pulls); i++)
		note(&c, "secrets", json_at(json_item(pulls, i), "name"));
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct json *v = json_get(spec, str_c(lists[l]));
		for (size_t i = 0; i < json_len(v); i++)
			container(&c, json_item(v, i));
	}
	note(&c, "serviceaccounts", json_at(spec, "serviceAccountName"));
	/* Every namespace's authority, which token volumes project. */
	p->keys = xreallocarray(p->keys, p->n + 1, sizeof(*p->keys));
	p->cap = p->n + 1;
	p->keys[p->n++] =
		ref_key(&p->a, c.node, STR("configmaps"), c.namespace, STR("kube-root-ca.crt"));
	p->containers = count_containers(spec);
	return p;
}

static void count(struct noderefs *r, const struct pod_refs *p, bool up)
{
	for (size_t i = 0; i < p->n; i++) {
		uintptr_t n = (uintptr_t)map_get(&r->counts, p->keys[i]);
		if (up)
			map_set(&r->counts, p->keys[i], (void *)(n + 1));
		else if (n > 1)
			map_set(&r->counts, p->keys[i], (void *)(n - 1));
		else
			map_del(&r->counts, p->keys[i]);
	}
}

static void forget(struct noderefs *r, struct str uid)
{
	struct pod_refs *p = map_del(&r->pods, uid);

	if (!p)
		return;
	count(r, p, false);
	pod_refs_free(p);
}

void noderefs_change(struct noderefs *r, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};

	if (!new) {
		forget(r, old->uid);
		return;
	}
	/* Most writes are of pods that have no node yet. */
	if (!obj_mentions(new, "nodeName"))
		return;
	struct pod_refs *p = map_get(&r->pods, new->uid);
	const struct json *spec = json_at(obj_tree(new, &a), "spec");
	if (p && p->containers == count_containers(spec))
		return;
	if (!json_str(json_at(spec, "nodeName")).n)
		return;
	forget(r, new->uid);
	p = collect(new, spec);
	map_set(&r->pods, new->uid, p);
	count(r, p, true);
}

bool noderefs_has(const struct noderefs *r, struct str node, struct str resource,
		  struct str namespace, struct str name)
{
	AUTO(arena) struct arena a = {0};

	return map_has(&r->counts, ref_key(&a, node, resource, namespace, name));
}
