/*
 * One informer an object, filtered by its name, shared by the pods that use it. Must never list a
 * whole namespace: a node may see what its pods see. Freed in a later turn, since a use may end
 * inside an informer's own callback.
 */
#include "kubelet/refs.h"

#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/kube/resources.h"

struct ref {
	struct refs *owner;
	struct informer *informer;
	char *selector, *ns, *name, *key;
	enum ref_kind kind;
	unsigned uses;
	bool told;
	struct list node;
};

struct refs {
	struct client *client;
	struct map map;
	struct list all;
	struct list dead;
	struct loop_timer burial;
	void (*changed)(void *arg, enum ref_kind kind, struct str ns, struct str name);
	void *arg;
};

static const struct resource *resource_of(enum ref_kind kind)
{
	static const struct resource *const resources[] = {
		[REF_CONFIGMAP] = &res_configmaps,
		[REF_SECRET] = &res_secrets,
		[REF_CLAIM] = &res_persistentvolumeclaims,
		[REF_VOLUME] = &res_persistentvolumes,
	};

	return resources[kind];
}

static char *key_of(enum ref_kind kind, struct str ns, struct str name)
{
	return xasprintf("%d/%.*s/%.*s", (int)kind, STR_ARG(ns), STR_ARG(name));
}

static void ref_free(struct ref *f)
{
	list_remove(&f->node);
	informer_free(f->informer);
	free(f->selector);
	free(f->ns);
	free(f->name);
	free(f->key);
	free(f);
}

struct refs *
refs_new(struct client *c,
	 void (*changed)(void *arg, enum ref_kind kind, struct str ns, struct str name), void *arg)
{
	struct refs *r = xalloc(sizeof(*r));

	*r = (struct refs){.client = c, .changed = changed, .arg = arg};
	list_init(&r->all);
	list_init(&r->dead);
	return r;
}

void refs_free(struct refs *r)
{
	if (!r)
		return;
	LIST_FOREACH (n, &r->all)
		ref_free(CONTAINER_OF(n, struct ref, node));
	LIST_FOREACH (n, &r->dead)
		ref_free(CONTAINER_OF(n, struct ref, node));
	loop_timer_cancel(r->client->loop, &r->burial);
	map_release(&r->map);
	free(r);
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	struct ref *f = arg;

	(void)old, (void)new;
	f->told = informer_synced(f->informer);
	if (f->uses)
		f->owner->changed(f->owner->arg, f->kind, str_c(f->ns), str_c(f->name));
}

/* Absence is news too, once. */
static void on_progress(void *arg)
{
	struct ref *f = arg;

	if (f->told || !informer_synced(f->informer))
		return;
	on_change(f, NULL, NULL);
}

void refs_use(struct refs *r, enum ref_kind kind, struct str ns, struct str name)
{
	AUTO(free) char *key = key_of(kind, ns, name);
	struct ref *f = map_get(&r->map, str_c(key));

	if (f) {
		f->uses++;
		return;
	}
	f = xalloc(sizeof(*f));
	*f = (struct ref){.owner = r, .kind = kind, .uses = 1};
	f->ns = xstrndup(ns.p, ns.n);
	f->name = xstrndup(name.p, name.n);
	f->key = xstrdup(key);
	f->selector = xasprintf("metadata.name=%s", f->name);
	struct informer_opts o = {.resource = resource_of(kind),
				  .namespace = str_c(f->ns),
				  .field_selector = f->selector};
	f->informer = informer_new(r->client, &o);
	informer_on_change(f->informer, on_change, f);
	informer_on_progress(f->informer, on_progress, f);
	list_append(&r->all, &f->node);
	map_set(&r->map, str_c(key), f);
	informer_start(f->informer);
}

static void bury(struct loop *l, struct loop_timer *t)
{
	struct refs *r = CONTAINER_OF(t, struct refs, burial);

	(void)l;
	LIST_FOREACH (n, &r->dead)
		ref_free(CONTAINER_OF(n, struct ref, node));
}

void refs_drop(struct refs *r, enum ref_kind kind, struct str ns, struct str name)
{
	AUTO(free) char *key = key_of(kind, ns, name);
	struct ref *f = map_get(&r->map, str_c(key));

	if (!f || --f->uses)
		return;
	map_del(&r->map, str_c(key));
	list_remove(&f->node);
	list_append(&r->dead, &f->node);
	loop_timer_set(r->client->loop, &r->burial, 0, bury);
}

bool refs_get(struct refs *r, enum ref_kind kind, struct str ns, struct str name,
	      const struct obj **ret)
{
	AUTO(free) char *key = key_of(kind, ns, name);
	struct ref *f = map_get(&r->map, str_c(key));

	*ret = f ? informer_get(f->informer, ns, name) : NULL;
	return f && informer_synced(f->informer);
}
