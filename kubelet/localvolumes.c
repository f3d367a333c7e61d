/*
 * The end of volumes that this node holds: once one is being deleted and nothing protects it any
 * more, its data go (unless it was to be retained), and then its finalizer. Must never remove
 * anything for a volume that is merely unknown: only a deletion that the API tells of counts, and
 * none while a pod here has the claim. On the kubelet's loop.
 */
#include <unistd.h>

#include "kubelet/claims.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/pvnames.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

#define AGAIN (2 * NS_PER_S)
#define PROTECTION "kubernetes.io/pv-protection"

struct localvolumes {
	struct kubelet *k;
	struct informer *informer;
	char *selector;
	struct loop_timer again;
	struct map calls; /* volume → struct release, while its finalizer is being taken away */
};

struct release {
	struct localvolumes *l;
	char *name;
	struct client_call *call;
};

static void look(struct localvolumes *l);

static void on_again(struct loop *loop UNUSED, struct loop_timer *t)
{
	look(CONTAINER_OF(t, struct localvolumes, again));
}

static bool has_finalizer(const struct json *volume, const char *name)
{
	const struct json *list = json_at(volume, "metadata", "finalizers");

	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), name))
			return true;
	return false;
}

static bool pod_has(struct arena *a, const struct pod *p, const struct json *ref)
{
	const struct json *list = json_at(p->spec.spec, "volumes");

	if (!str_eq(p->spec.namespace, json_str(json_at(ref, "namespace"))))
		return false;
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = claim_of(a, &p->spec, json_item(list, i));

		if (name.n && str_eq(name, json_str(json_at(ref, "name"))))
			return true;
	}
	return false;
}

static bool in_use(const struct kubelet *k, const struct json *volume)
{
	const struct json *ref = json_at(volume, "spec", "claimRef");
	AUTO(arena) struct arena a = {0};
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it))
		if (pod_has(&a, it.value, ref))
			return true;
	return false;
}

static void release_free(struct release *r)
{
	map_del(&r->l->calls, str_c(r->name));
	client_call_cancel(r->l->k->client, r->call);
	free(r->name);
	free(r);
}

static void on_released(void *arg, const struct api_answer *a)
{
	struct release *r = arg;
	struct localvolumes *l = r->l;

	r->call = NULL;
	if (a->err.code && a->err.code != ERR_NOT_FOUND) {
		log_debug("a volume's finalizer stays for now", "volume", r->name, "error",
			  a->err.msg);
		loop_timer_set(l->k->loop, &l->again, AGAIN, on_again);
	}
	release_free(r);
}

static void take_finalizer(struct localvolumes *l, const struct json *volume, struct arena *a)
{
	const struct json *had = json_at(volume, "metadata", "finalizers");
	struct json *body = json_new(a, JSON_OBJECT), *meta = json_set_object(a, body, "metadata"),
		    *left = json_set_array(a, meta, "finalizers");
	struct release *r = xalloc(sizeof(*r));
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < json_len(had); i++)
		if (!str_is(json_str(json_item(had, i)), LOCAL_FINALIZER))
			json_append(a, left, json_item(had, i));
	json_set_str(a, meta, "uid", meta_uid(volume));
	json_set_str(a, meta, "resourceVersion",
		     json_str(json_at(volume, "metadata", "resourceVersion")));
	json_write(body, &text);
	r->l = l;
	r->name = xstrndup(meta_name(volume).p, meta_name(volume).n);
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_persistentvolumes,
				.name = str_c(r->name),
				.patch = API_PATCH_MERGE,
				.body = buf_view(&text)};
	map_set(&l->calls, str_c(r->name), r);
	r->call = client_call(l->k->client, &call, on_released, r);
}

static int remove_data(struct kubelet *k, struct str name, struct err *err)
{
	AUTO(free) char *path = xasprintf("%s/%.*s", k->volumes, STR_ARG(name));
	AUTO(free) char *as = xasprintf("%.*s", STR_ARG(name));

	if (!fs_exists(path))
		return 0;
	log_info("removing a volume's data", "volume", as);
	return throw_away(k, path, as, err);
}

static void look_at(struct localvolumes *l, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *v = obj_tree(o, &a);
	struct err err = {0};
	bool keep;

	if (!o->deleted_ns || !has_finalizer(v, LOCAL_FINALIZER) || has_finalizer(v, PROTECTION) ||
	    map_has(&l->calls, o->name) || in_use(l->k, v))
		return;
	/* A name that we would not have made a folder of has none to remove. */
	keep = str_is(json_str(json_at(v, "spec", "persistentVolumeReclaimPolicy")), "Retain") ||
	       !path_part_ok(o->name) || !str_starts(o->name, STR("pvc-"));
	if (!keep && remove_data(l->k, o->name, &err)) {
		log_warn("a volume's data stay behind", "volume", log_fmt("%.*s", STR_ARG(o->name)),
			 "error", err.msg);
		loop_timer_set(l->k->loop, &l->again, AGAIN, on_again);
		return;
	}
	take_finalizer(l, v, &a);
}

static void look(struct localvolumes *l)
{
	AUTO(arena) struct arena a = {0};
	struct obj_set all = informer_list(l->informer, &a);

	/* Before the pods are known, nobody knows what they use. */
	for (size_t i = 0; l->k->synced && i < all.n; i++)
		look_at(l, all.v[i]);
}

static void on_volume(void *arg, const struct obj *old UNUSED, const struct obj *new)
{
	struct localvolumes *l = arg;

	if (!new || !new->deleted_ns)
		return;
	if (l->k->synced)
		look_at(l, new);
	else
		loop_timer_set(l->k->loop, &l->again, AGAIN, on_again);
}

void localvolumes_start(struct kubelet *k)
{
	struct localvolumes *l = xalloc(sizeof(*l));

	l->k = k;
	l->selector = xasprintf(LOCAL_NODE "=%s", k->node_name);
	struct informer_opts o = {.resource = &res_persistentvolumes,
				  .label_selector = l->selector};
	l->informer = informer_new(k->client, &o);
	informer_on_change(l->informer, on_volume, l);
	informer_start(l->informer);
	k->locals = l;
}

void localvolumes_look(struct kubelet *k)
{
	if (k->locals)
		loop_timer_set(k->loop, &k->locals->again, 0, on_again);
}

void localvolumes_stop(struct kubelet *k)
{
	struct localvolumes *l = k->locals;
	struct map_iter it = {0};

	k->locals = NULL;
	if (!l)
		return;
	loop_timer_cancel(k->loop, &l->again);
	while (map_next(&l->calls, &it))
		release_free(it.value);
	map_release(&l->calls);
	informer_free(l->informer);
	free(l->selector);
	free(l);
}
