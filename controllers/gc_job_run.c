/*
 * Garbage collection of one object: finds out what became of its owners (from the caches, and
 * where these don't know it, from the API server), then does what gc_core.c decides. Also serves
 * owners that wait for their dependents or let them go. Calls go out one after the other. One
 * loop.
 */
#include "controllers/gc-internal.h"

#include "lib/base/log.h"
#include "lib/base/timefmt.h"

struct gc_job {
	struct list all;
	struct gc *gc;
	struct monitor *monitor;
	struct str key; /* the queue's, borrowed */
	struct arena arena;
	const struct json *object;
	const struct json *owners;
	enum gc_owner *state;
	size_t at; /* owner that is looked at, or dependent that is let go */
	struct dependents dependents;
	struct client_call *call;
	void (*next)(struct gc_job *job); /* when the write has succeeded */
};

static void job_free(struct gc_job *j)
{
	struct gc *g = j->gc;

	client_call_cancel(g->client, j->call);
	list_remove(&j->all);
	g->running--;
	workqueue_done(g->queue, j->key);
	arena_release(&j->arena);
	free(j);
}

void gc_jobs_free(struct gc *g)
{
	LIST_FOREACH (it, &g->jobs)
		job_free(CONTAINER_OF(it, struct gc_job, all));
}

static void finish(struct gc_job *j)
{
	struct gc *g = j->gc;

	workqueue_forget(g->queue, j->key);
	job_free(j);
	gc_go(g);
}

static void retry(struct gc_job *j)
{
	struct gc *g = j->gc;

	workqueue_add_failed(g->queue, j->key);
	job_free(j);
	gc_go(g);
}

/* Nothing failed: it is not time yet. */
static void again_soon(struct gc_job *j)
{
	struct gc *g = j->gc;

	workqueue_add_after(g->queue, j->key, NS_PER_S);
	job_free(j);
	gc_go(g);
}

/* ---- writing ---- */

static void on_written(void *arg, const struct api_answer *a)
{
	struct gc_job *j = arg;

	j->call = NULL;
	if (a->err.code == ERR_NONE || a->err.code == ERR_NOT_FOUND) {
		j->next(j);
		return;
	}
	if (a->err.code != ERR_CONFLICT)
		log_warn("garbage collection failed, retrying", "object",
			 log_fmt("%s %.*s", j->monitor->resource->kind,
				 STR_ARG(meta_name(j->object))),
			 "error", a->err.msg);
	retry(j);
}

static void write_patch(struct gc_job *j, const struct dependent *on, const struct json *patch)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {
		.verb = API_PATCH,
		.patch = API_PATCH_MERGE,
		.resource = on->monitor->resource,
		.namespace = meta_namespace(on->tree),
		.name = meta_name(on->tree),
	};

	json_write(patch, &body);
	call.body = buf_view(&body);
	j->call = client_call(j->gc->client, &call, on_written, j);
}

static void write_delete(struct gc_job *j, const char *propagation)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {
		.verb = API_DELETE,
		.resource = j->monitor->resource,
		.namespace = meta_namespace(j->object),
		.name = meta_name(j->object),
	};

	json_write(json_build(&j->arena, "{s:s, s:s, s:s, s:{s:S, s:S}}", "kind", "DeleteOptions",
			      "apiVersion", "v1", "propagationPolicy", propagation, "preconditions",
			      "uid", meta_uid(j->object), "resourceVersion",
			      json_str(json_at(j->object, "metadata", "resourceVersion"))),
		   &body);
	call.body = buf_view(&body);
	j->call = client_call(j->gc->client, &call, on_written, j);
}

static struct dependent self(const struct gc_job *j)
{
	return (struct dependent){j->monitor, j->object};
}

static void drop_finalizer(struct gc_job *j, const char *name)
{
	struct dependent me = self(j);

	j->next = finish;
	write_patch(j, &me,
		    gc_patch(&j->arena, j->object, "finalizers",
			     gc_finalizers_without(&j->arena, j->object, name)));
}

/* ---- an owner that is being deleted ---- */

static void serve_foreground(struct gc_job *j)
{
	struct str uid = meta_uid(j->object);
	struct dependents d = gc_dependents(j->gc, uid, &j->arena);
	bool blocked = false;

	for (size_t i = 0; i < d.n; i++) {
		blocked |= gc_blocks(d.v[i].tree, uid);
		if (!meta_deleting(d.v[i].tree))
			gc_enqueue(d.v[i].monitor, meta_namespace(d.v[i].tree),
				   meta_name(d.v[i].tree));
	}
	/* Each of them wakes us when it goes. */
	if (blocked)
		finish(j);
	else
		drop_finalizer(j, FINALIZER_FOREGROUND);
}

static void orphan_next(struct gc_job *j)
{
	while (j->at < j->dependents.n) {
		const struct dependent *d = &j->dependents.v[j->at++];
		const struct json *rest =
			gc_owners_without(&j->arena, d->tree, meta_uid(j->object));

		if (!rest)
			continue;
		j->next = orphan_next;
		write_patch(j, d, gc_patch(&j->arena, d->tree, "ownerReferences", rest));
		return;
	}
	drop_finalizer(j, FINALIZER_ORPHAN);
}

static void serve_deletion(struct gc_job *j)
{
	bool orphan = gc_has_finalizer(j->object, FINALIZER_ORPHAN);

	if (!orphan && !gc_has_finalizer(j->object, FINALIZER_FOREGROUND)) {
		finish(j);
		return;
	}
	/* Before every kind is known we can't say that nothing depends on it. */
	if (!gc_synced(j->gc)) {
		gc_want_refresh(j->gc); /* one that never will may be gone */
		again_soon(j);
		return;
	}
	if (!orphan) {
		serve_foreground(j);
		return;
	}
	j->dependents = gc_dependents(j->gc, meta_uid(j->object), &j->arena);
	orphan_next(j);
}

/* ---- an object with owners ---- */

/*
 * Owners may wait in a circle: what depends on this object is being deleted itself and waits, so
 * this one must not hold its owner up. (Not every such sight is a circle; letting go is harmless.)
 */
static const struct json *circle(struct gc_job *j, const struct dependents *d)
{
	bool waiting = false, deleting = false;

	for (size_t i = 0; i < json_len(j->owners); i++)
		waiting |= j->state[i] == GC_OWNER_WAITING;
	for (size_t i = 0; i < d->n; i++)
		deleting |= meta_deleting(d->v[i].tree) &&
			    gc_has_finalizer(d->v[i].tree, FINALIZER_FOREGROUND);
	return waiting && deleting ? gc_owners_released(&j->arena, j->object) : NULL;
}

/* What depends on an object says something only while an owner waits for it to go; asking each time
 * that an object changes would mean reading a thousand pods at each word on their ReplicaSet. */
static struct dependents dependents_that_matter(struct gc_job *j)
{
	for (size_t i = 0; i < json_len(j->owners); i++)
		if (j->state[i] == GC_OWNER_WAITING)
			return gc_dependents(j->gc, meta_uid(j->object), &j->arena);
	return (struct dependents){0};
}

static void decide(struct gc_job *j)
{
	struct dependents on_me = dependents_that_matter(j);
	struct gc_decision d = gc_decide(&j->arena, j->object, j->state, on_me.n > 0);
	const struct json *released = circle(j, &on_me);
	struct dependent me = self(j);

	j->next = finish;
	if (d.action == GC_DELETE && released) { /* its change brings it back here */
		write_patch(j, &me, gc_patch(&j->arena, j->object, "ownerReferences", released));
		return;
	}
	switch (d.action) {
	case GC_NOTHING:
		finish(j);
		return;
	case GC_DROP_OWNERS:
		write_patch(j, &me, gc_patch(&j->arena, j->object, "ownerReferences", d.owners));
		return;
	case GC_DELETE:
		log_info("deleting what lost its owner", "kind", j->monitor->resource->kind,
			 "object", log_fmt("%.*s", STR_ARG(j->key)));
		write_delete(j, d.propagation);
		return;
	}
}

static void look_at_owners(struct gc_job *j);

static void on_owner(void *arg, const struct api_answer *a)
{
	struct gc_job *j = arg;
	struct str uid = json_str(json_at(json_item(j->owners, j->at), "uid"));
	struct err err = {0};
	struct json *owner;

	j->call = NULL;
	if (a->err.code == ERR_NOT_FOUND) {
		j->state[j->at++] = GC_OWNER_ABSENT;
		look_at_owners(j);
		return;
	}
	if (a->err.code != ERR_NONE) {
		retry(j);
		return;
	}
	owner = json_parse(&j->arena, arena_str(&j->arena, a->body), NULL, &err);
	if (!owner) {
		retry(j);
		return;
	}
	j->state[j->at++] = gc_owner_state(owner, uid);
	look_at_owners(j);
}

/* The cache may say that an owner is there; that it isn't only the API server can say. */
static bool known_from_cache(struct gc_job *j, const struct resource *r, const struct json *ref,
			     struct str namespace)
{
	struct monitor *m = gc_monitor_of(j->gc, r);
	const struct obj *o =
		m ? informer_get(m->informer, namespace, json_str(json_at(ref, "name"))) : NULL;

	if (!o || !str_eq(o->uid, json_str(json_at(ref, "uid"))))
		return false;
	j->state[j->at] = gc_owner_state(obj_tree(o, &j->arena), o->uid);
	return true;
}

static void ask(struct gc_job *j, const struct resource *r, const struct json *ref,
		struct str namespace)
{
	struct api_call call = {
		.verb = API_GET,
		.metadata_only = true,
		.resource = r,
		.namespace = namespace,
		.name = json_str(json_at(ref, "name")),
	};

	j->call = client_call(j->gc->client, &call, on_owner, j);
}

static void look_at_owners(struct gc_job *j)
{
	struct str ns = meta_namespace(j->object);

	for (; j->at < json_len(j->owners); j->at++) {
		const struct json *ref = json_item(j->owners, j->at);
		const struct resource *r =
			restmap_find(j->gc->map, json_str(json_at(ref, "apiVersion")),
				     json_str(json_at(ref, "kind")));
		struct str where = r && r->namespaced ? ns : STR_NONE;

		if (!r) {
			gc_want_refresh(j->gc);
			retry(j);
			return;
		}
		/* Such a reference can't be followed; better leave the object alone. */
		if (r->namespaced && !ns.n) {
			j->state[j->at] = GC_OWNER_SOLID;
			continue;
		}
		if (known_from_cache(j, r, ref, where))
			continue;
		ask(j, r, ref, where);
		return;
	}
	decide(j);
}

static const struct obj *find(struct gc_job *j)
{
	struct str number, rest, namespace, name;
	uint64_t at;

	str_cut(j->key, ' ', &number, &rest);
	if (str_to_u64(number, &at) != 0 || at >= j->gc->n)
		return NULL;
	obj_key_split(rest, &namespace, &name);
	j->monitor = j->gc->monitors[at];
	return informer_get(j->monitor->informer, namespace, name);
}

void gc_job_run(struct gc *g, struct str key)
{
	struct gc_job *j = xalloc(sizeof(*j));
	const struct obj *o;

	j->gc = g;
	j->key = key;
	list_append(&g->jobs, &j->all);
	g->running++;
	o = find(j);
	if (!o) {
		finish(j);
		return;
	}
	/* Copied: the object may leave the cache while calls are under way. */
	j->object = json_copy(&j->arena, obj_tree(o, &j->arena));
	if (o->deleted_ns) {
		serve_deletion(j);
		return;
	}
	j->owners = json_at(j->object, "metadata", "ownerReferences");
	j->state = arena_array(&j->arena, json_len(j->owners) + 1, sizeof(*j->state));
	if (!json_len(j->owners))
		finish(j);
	else
		look_at_owners(j);
}
