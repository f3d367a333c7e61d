/*
 * Reserves what the choice promised: a volume that is there is given to the claim (under its
 * revision, so that nobody else's is taken), for one that is to be made the claim is told of the
 * node. Binder and provisioner do the rest; meanwhile the pod counts on its node and nothing here
 * blocks. Must end: with all claims bound, when a promise can't be kept, or when it took too long.
 * On the loop; the wait owns its copies.
 */
#include "scheduler/volume_wait.h"

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/pvmatch.h"
#include "lib/kube/resources.h"

#define TOO_LONG (600 * NS_PER_S)

struct promise {
	struct volume_wait *w;
	char *claim, *uid; /* the claim's key and uid */
	char *volume;      /* NULL = one is to be made */
	struct client_call *call;
	uint64_t told; /* the claim's revision since it names the node; 0 = not yet */
};

struct volume_wait {
	struct client *client;
	struct sched_cache *cache;
	char *node;
	volume_wait_done *done;
	void *arg;
	struct err err; /* why it ended */
	struct loop_timer end, late;
	size_t n;
	struct promise v[];
};

static void on_end(struct loop *l UNUSED, struct loop_timer *t)
{
	struct volume_wait *w = CONTAINER_OF(t, struct volume_wait, end);

	w->done(w->arg, &w->err);
}

static void end(struct volume_wait *w)
{
	if (!loop_timer_armed(&w->end))
		loop_timer_set(w->client->loop, &w->end, 0, on_end);
}

static void on_late(struct loop *l UNUSED, struct loop_timer *t)
{
	struct volume_wait *w = CONTAINER_OF(t, struct volume_wait, late);

	err_set(&w->err, ERR_TIMEOUT, "binding volumes: timed out");
	end(w);
}

/* ---- writing ---- */

static void on_written(void *arg, const struct api_answer *a)
{
	struct promise *p = arg;
	AUTO(arena) struct arena arena = {0};
	struct json *o;

	p->call = NULL;
	if (a->err.code) {
		p->w->err = a->err;
		err_wrap(&p->w->err, "binding volumes");
		end(p->w);
		return;
	}
	o = json_parse(&arena, a->body, NULL, NULL);
	if (p->volume || str_to_u64(json_str(json_at(o, "metadata", "resourceVersion")), &p->told))
		return;
	volume_wait_look(p->w);
}

static void write_it(struct promise *p, const struct resource *r, const struct json *of,
		     struct json *patch, struct arena *a)
{
	struct json *meta = json_set_object(a, patch, "metadata");
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_PATCH,
				.resource = r,
				.namespace = meta_namespace(of),
				.name = meta_name(of),
				.patch = API_PATCH_MERGE};

	json_set_str(a, meta, "uid", meta_uid(of));
	json_set_str(a, meta, "resourceVersion",
		     json_str(json_at(of, "metadata", "resourceVersion")));
	json_write(patch, &body);
	call.body = buf_view(&body);
	p->call = client_call(p->w->client, &call, on_written, p);
}

static void give_volume(struct promise *p, const struct json *claim, const struct json *volume)
{
	AUTO(arena) struct arena a = {0};
	struct json *patch =
		json_build(&a, "{s:{s:{s:s, s:s, s:S, s:S, s:S}}}", "spec", "claimRef", "kind",
			   "PersistentVolumeClaim", "apiVersion", "v1", "namespace",
			   meta_namespace(claim), "name", meta_name(claim), "uid", meta_uid(claim));

	free(map_set(&p->w->cache->reserved, str_c(p->volume), xstrdup(p->uid)));
	if (!json_at(volume, "spec", "claimRef"))
		json_set(
			&a, patch, STR("metadata"),
			json_build(&a, "{s:{s:s}}", "annotations", ANN_BOUND_BY_CONTROLLER, "yes"));
	write_it(p, &res_persistentvolumes, volume, patch, &a);
}

static void tell_node(struct promise *p, const struct json *claim)
{
	AUTO(arena) struct arena a = {0};

	if (str_is(meta_annotation(claim, ANN_SELECTED_NODE), p->w->node)) {
		(void)!str_to_u64(json_str(json_at(claim, "metadata", "resourceVersion")),
				  &p->told);
		return;
	}
	write_it(p, &res_persistentvolumeclaims, claim,
		 json_build(&a, "{s:{s:{s:s}}}", "metadata", "annotations", ANN_SELECTED_NODE,
			    p->w->node),
		 &a);
}

/* ---- waiting ---- */

static bool check(struct promise *p, const struct sched_object *o)
{
	struct err *err = &p->w->err;

	if (!o || !str_is(o->obj->uid, p->uid)) {
		err_set(err, ERR_CONFLICT, "binding volumes: claim %s is gone", p->claim);
		return false;
	}
	if (claim_is_bound(o->tree))
		return true;
	/* The provisioner gave up, and wants another node to be chosen. */
	if (p->told && o->obj->revision >= p->told &&
	    !str_is(meta_annotation(o->tree, ANN_SELECTED_NODE), p->w->node))
		err_set(err, ERR_CONFLICT, "binding volumes: provisioning failed for PVC \"%.*s\"",
			STR_ARG(o->obj->name));
	return false;
}

void volume_wait_look(struct volume_wait *w)
{
	size_t bound = 0;

	for (size_t i = 0; i < w->n && !w->err.code; i++)
		bound += check(&w->v[i], map_get(&w->cache->claims, str_c(w->v[i].claim)));
	if (bound == w->n || w->err.code)
		end(w);
}

struct volume_wait *volume_wait_new(struct client *c, struct sched_cache *cache,
				    const struct sched_pod *pod, const struct sched_node *node,
				    volume_wait_done *done, void *arg)
{
	AUTO(arena) struct arena a = {0};
	const struct json **chosen;
	struct pod_volumes v;
	struct volume_wait *w;
	const char *why;

	pod_volumes_find(cache, pod, &a, &v);
	chosen = arena_array(&a, v.nwaiting + 1, sizeof(*chosen));
	if (!v.nwaiting || !pod_volumes_choose(cache, &v, node, chosen, &why))
		return NULL;
	w = xalloc(sizeof(*w) + v.nwaiting * sizeof(struct promise));
	*w = (struct volume_wait){.client = c, .cache = cache, .done = done, .arg = arg};
	w->node = xstrndup(node->name.p, node->name.n);
	w->n = v.nwaiting;
	for (size_t i = 0; i < w->n; i++) {
		const struct json *claim = v.waiting[i];
		struct str key = obj_key(&a, meta_namespace(claim), meta_name(claim)),
			   uid = meta_uid(claim), name = meta_name(chosen[i]);
		struct promise *p = &w->v[i];

		*p = (struct promise){.w = w};
		p->claim = xstrndup(key.p, key.n);
		p->uid = xstrndup(uid.p, uid.n);
		p->volume = name.n ? xstrndup(name.p, name.n) : NULL;
		if (p->volume)
			give_volume(p, claim, chosen[i]);
		else
			tell_node(p, claim);
	}
	loop_timer_set(c->loop, &w->late, TOO_LONG, on_late);
	return w;
}

void volume_wait_free(struct volume_wait *w)
{
	if (!w)
		return;
	loop_timer_cancel(w->client->loop, &w->end);
	loop_timer_cancel(w->client->loop, &w->late);
	for (size_t i = 0; i < w->n; i++) {
		struct promise *p = &w->v[i];

		client_call_cancel(w->client, p->call);
		if (p->volume)
			free(map_del(&w->cache->reserved, str_c(p->volume)));
		free(p->claim);
		free(p->uid);
		free(p->volume);
	}
	free(w->node);
	free(w);
}
