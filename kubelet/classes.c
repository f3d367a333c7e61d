/*
 * RuntimeClasses: which handlers this node has. There is one, the runtime that it found, under its
 * own name. Followed from when a pod first names one. On the kubelet's loop.
 */
#include "kubelet/kubelet.h"
#include "lib/kube/resources.h"

static struct str class_of(const struct pod *p)
{
	return json_str(json_at(p->spec.spec, "runtimeClassName"));
}

static void wake_waiting(struct kubelet *k)
{
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (p->removed || !class_of(p).n || p->obs.sandbox.state == PART_READY)
			continue;
		pod_retry_now(&p->obs);
		pod_wake(p);
	}
}

static void on_class(void *arg, const struct obj *old UNUSED, const struct obj *new UNUSED)
{
	wake_waiting(arg);
}

static void on_progress(void *arg)
{
	wake_waiting(arg);
}

bool class_ready(struct pod *p)
{
	struct kubelet *k = p->k;
	struct informer_opts o = {.resource = &res_runtimeclasses};

	if (!class_of(p).n)
		return true;
	if (!k->classes) {
		k->classes = informer_new(k->client, &o);
		informer_on_change(k->classes, on_class, k);
		informer_on_progress(k->classes, on_progress, k);
		informer_start(k->classes);
	}
	return informer_synced(k->classes);
}

int class_check(struct pod *p, struct err *err)
{
	struct str name = class_of(p), handler;
	const struct obj *o;
	AUTO(arena) struct arena a = {0};

	if (!name.n)
		return 0;
	o = informer_get(p->k->classes, STR_NONE, name);
	if (!o)
		return err_set(err, ERR_NOT_FOUND, "RuntimeClass \"%.*s\" not found",
			       STR_ARG(name));
	handler = json_str(json_at(obj_tree(o, &a), "handler"));
	if (!handler.n || str_is(handler, p->k->rt.name))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "no runtime for \"%.*s\" is configured",
		       STR_ARG(handler));
}

void classes_stop(struct kubelet *k)
{
	informer_free(k->classes);
	k->classes = NULL;
}
