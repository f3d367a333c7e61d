/*
 * Empties Terminating namespaces and finalizes them. For each: discovery is read again (a kind
 * may be new), every namespaced kind is listed, what isn't being deleted yet is deleted; as long
 * as anything is left the namespace comes again. What is in the way is said in the Namespace's
 * conditions. Calls of one namespace go out one after the other. One loop.
 */
#include "controllers/namespace_deletion.h"

#include "controllers/common.h"
#include "lib/base/list.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"

enum { JOBS_MAX = 4 };
#define FINALIZER "kubernetes"
#define AGAIN NS_PER_S

static const struct backoff backoff = {.base_ns = 100 * NS_PER_MS, .max_ns = 30 * NS_PER_S};

struct namespace_deletion {
	struct client *client;
	struct restmap *map;
	struct informer *namespaces;
	struct workqueue *queue;
	struct list jobs;
	size_t running;
	bool started, going;
};

/* What was found of a kind and is to be deleted. */
struct victim {
	struct victim *next;
	const struct resource *resource;
	struct str name, uid;
};

/* A finalizer that objects still have, and how many. */
struct holder {
	struct holder *next;
	struct str name;
	size_t n;
};

struct job {
	struct list all;
	struct namespace_deletion *d;
	struct str name; /* the queue's key, borrowed */
	struct arena arena;
	size_t at; /* kind that is listed */
	const struct resource *resource;
	struct client_list *list;
	struct client_call *call;
	struct victim *victims;
	struct holder *holders;
	size_t left;     /* objects seen that still exist */
	size_t counted;  /* of those, named in `what` */
	struct buf what; /* for the condition */
	struct err failure;
};

static void go(struct namespace_deletion *d);

static void job_free(struct job *j)
{
	struct namespace_deletion *d = j->d;

	restmap_cancel(d->map, j);
	client_call_cancel(d->client, j->call);
	client_list_cancel(j->list);
	list_remove(&j->all);
	d->running--;
	workqueue_done(d->queue, j->name);
	buf_release(&j->what);
	arena_release(&j->arena);
	free(j);
}

/* Comes again after a while; the failure, if any, is in the log and the condition. */
static void again(struct job *j)
{
	struct namespace_deletion *d = j->d;

	if (j->failure.code != ERR_NONE)
		workqueue_add_failed(d->queue, j->name);
	else
		workqueue_add_after(d->queue, j->name, AGAIN);
	job_free(j);
	go(d);
}

static void done(struct job *j)
{
	struct namespace_deletion *d = j->d;

	workqueue_forget(d->queue, j->name);
	job_free(j);
	go(d);
}

/* ---- the end ---- */

static void on_finalized(void *arg, const struct api_answer *a)
{
	struct job *j = arg;

	j->call = NULL;
	if (a->err.code == ERR_NONE || a->err.code == ERR_NOT_FOUND) {
		log_info("namespace emptied", "namespace", log_fmt("%.*s", STR_ARG(j->name)));
		done(j);
		return;
	}
	j->failure = a->err;
	again(j);
}

static const struct json *namespace_tree(struct job *j)
{
	const struct obj *o = informer_get(j->d->namespaces, STR_NONE, j->name);

	return o ? json_copy(&j->arena, obj_tree(o, &j->arena)) : NULL;
}

static void put(struct job *j, const struct json *body, const char *subresource, api_done *fn)
{
	AUTO(buf) struct buf text = {0};
	struct api_call call = {
		.verb = API_UPDATE,
		.resource = &res_namespaces,
		.name = j->name,
		.subresource = subresource,
	};

	json_write(body, &text);
	call.body = buf_view(&text);
	j->call = client_call(j->d->client, &call, fn, j);
}

static void finalize(struct job *j)
{
	const struct json *was = namespace_tree(j);
	struct json *new, *finalizers;

	if (!was) {
		done(j);
		return;
	}
	new = json_copy(&j->arena, was);
	finalizers = json_at(new, "spec", "finalizers");
	for (size_t i = json_len(finalizers); i-- > 0;)
		if (str_is(json_str(json_item(finalizers, i)), FINALIZER))
			json_remove(finalizers, i);
	put(j, new, "finalize", on_finalized);
}

static void on_said(void *arg, const struct api_answer *a)
{
	struct job *j = arg;

	(void)a;
	j->call = NULL;
	again(j);
}

static struct str held_by(struct job *j)
{
	AUTO(buf) struct buf text = {0};

	if (!j->holders)
		return STR("All content-preserving finalizers finished");
	buf_puts(&text, "Some content in the namespace has finalizers remaining: ");
	for (const struct holder *h = j->holders; h; h = h->next)
		buf_printf(&text, "%.*s in %zu resource instances%s", STR_ARG(h->name), h->n,
			   h->next ? ", " : "");
	return arena_str(&j->arena, buf_view(&text));
}

/* Says what is in the way, when that is news. */
static void say(struct job *j)
{
	const struct json *was = namespace_tree(j);
	int64_t now = loop_wall(j->d->client->loop);
	struct json *new;
	bool changed;

	if (!was) {
		done(j);
		return;
	}
	new = json_copy(&j->arena, was);
	changed = condition_set(&j->arena, new, "NamespaceDeletionDiscoveryFailure", "False",
				"ResourcesDiscovered", STR("All resources successfully discovered"),
				now);
	changed |= condition_set(&j->arena, new, "NamespaceDeletionGroupVersionParsingFailure",
				 "False", "ParsedGroupVersions",
				 STR("All legacy kube types successfully parsed"), now);
	changed |= condition_set(
		&j->arena, new, "NamespaceDeletionContentFailure",
		j->failure.code != ERR_NONE ? "True" : "False",
		j->failure.code != ERR_NONE ? "ContentDeletionFailed" : "ContentDeleted",
		j->failure.code != ERR_NONE
			? str_c(j->failure.msg)
			: STR("All content successfully deleted, may be waiting on finalization"),
		now);
	changed |= condition_set(&j->arena, new, "NamespaceContentRemaining",
				 j->left ? "True" : "False",
				 j->left ? "SomeResourcesRemain" : "ContentRemoved",
				 j->left ? arena_strf(&j->arena, "Some resources are remaining: %s",
						      buf_cstr(&j->what))
					 : STR("All content successfully removed"),
				 now);
	changed |= condition_set(
		&j->arena, new, "NamespaceFinalizersRemaining", j->holders ? "True" : "False",
		j->holders ? "SomeFinalizersRemain" : "ContentHasNoFinalizers", held_by(j), now);
	if (changed)
		put(j, new, "status", on_said);
	else
		again(j);
}

/* ---- one kind after the other ---- */

static void next_kind(struct job *j);

static void delete_next(struct job *j);

static void on_deleted(void *arg, const struct api_answer *a)
{
	struct job *j = arg;

	j->call = NULL;
	if (a->err.code != ERR_NONE && a->err.code != ERR_NOT_FOUND &&
	    a->err.code != ERR_CONFLICT) {
		log_warn("cannot delete what is in a namespace", "namespace",
			 log_fmt("%.*s", STR_ARG(j->name)), "kind", j->resource->kind, "error",
			 a->err.msg);
		j->failure = a->err;
	}
	delete_next(j);
}

static void delete_next(struct job *j)
{
	struct victim *v = j->victims;
	AUTO(buf) struct buf body = {0};
	struct api_call call;

	if (!v) {
		next_kind(j);
		return;
	}
	j->victims = v->next;
	call = (struct api_call){
		.verb = API_DELETE,
		.resource = v->resource,
		.namespace = j->name,
		.name = v->name,
	};
	json_write(json_build(&j->arena, "{s:s, s:s, s:s, s:{s:S}}", "kind", "DeleteOptions",
			      "apiVersion", "v1", "propagationPolicy", "Background",
			      "preconditions", "uid", v->uid),
		   &body);
	call.body = buf_view(&body);
	j->call = client_call(j->d->client, &call, on_deleted, j);
}

static void note_finalizers(struct job *j, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *all = json_at(obj_tree(o, &a), "metadata", "finalizers");

	for (size_t i = 0; i < json_len(all); i++) {
		struct str name = json_str(json_item(all, i));
		struct holder *h = j->holders;

		while (h && !str_eq(h->name, name))
			h = h->next;
		if (!h) {
			h = arena_alloc(&j->arena, sizeof(*h));
			*h = (struct holder){j->holders, arena_str(&j->arena, name), 0};
			j->holders = h;
		}
		h->n++;
	}
}

static void on_item(void *arg, struct obj *o)
{
	struct job *j = arg;
	struct victim *v;

	j->left++;
	note_finalizers(j, o);
	if (!o->deleted_ns) {
		v = arena_alloc(&j->arena, sizeof(*v));
		*v = (struct victim){j->victims, j->resource, arena_str(&j->arena, o->name),
				     arena_str(&j->arena, o->uid)};
		j->victims = v;
	}
	obj_unref(o);
}

static void on_listed(void *arg, uint64_t revision UNUSED, const struct err *err)
{
	struct job *j = arg;

	j->list = NULL;
	/* A kind that can't be listed or is gone has nothing to delete. */
	if (err->code != ERR_NONE && err->code != ERR_NOT_FOUND &&
	    err->code != ERR_METHOD_NOT_ALLOWED)
		j->failure = *err;
	delete_next(j);
}

/* Events go with the rest; what only answers questions has no list. */
static bool holds_objects(const struct resource *r)
{
	static const char *const groups[] = {"authentication.k8s.io", "authorization.k8s.io",
					     "metrics.k8s.io", "events.k8s.io"};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		if (!strcmp(r->group, groups[i]))
			return false;
	return r->namespaced && strcmp(r->kind, "Binding") != 0;
}

static void next_kind(struct job *j)
{
	const struct resource *r;

	if (j->left > j->counted)
		buf_printf(&j->what, "%s%s.%s has %zu resource instances", j->what.n ? ", " : "",
			   j->resource->plural, j->resource->group, j->left - j->counted);
	j->counted = j->left;
	while ((r = restmap_at(j->d->map, j->at))) {
		j->at++;
		if (!holds_objects(r))
			continue;
		j->resource = r;
		j->list = client_list_metadata(j->d->client, r, j->name, NULL, NULL, on_item,
					       on_listed, j);
		return;
	}
	if (!j->left && j->failure.code == ERR_NONE)
		finalize(j);
	else
		say(j);
}

static void on_discovered(void *arg, const struct err *err)
{
	struct job *j = arg;

	if (err->code != ERR_NONE) {
		j->failure = *err;
		again(j);
		return;
	}
	next_kind(j);
}

/* ---- the queue ---- */

static void run(struct namespace_deletion *d, struct str key)
{
	const struct obj *o = informer_get(d->namespaces, STR_NONE, key);
	struct job *j;

	if (!o || !o->deleted_ns) {
		workqueue_done(d->queue, key);
		return;
	}
	j = xalloc(sizeof(*j));
	j->d = d;
	j->name = key;
	list_append(&d->jobs, &j->all);
	d->running++;
	restmap_refresh(d->map, on_discovered, j);
}

static void go(struct namespace_deletion *d)
{
	struct str key;

	if (d->going || !d->started)
		return;
	d->going = true;
	while (d->running < JOBS_MAX && workqueue_get(d->queue, &key))
		run(d, key);
	d->going = false;
}

static void on_ready(void *arg)
{
	go(arg);
}

static void on_namespace(void *arg, const struct obj *old UNUSED, const struct obj *new)
{
	struct namespace_deletion *d = arg;

	if (new &&new->deleted_ns)
		workqueue_add(d->queue, new->name);
}

struct namespace_deletion *namespace_deletion_new(struct client *c, struct manager *m,
						  struct restmap *map)
{
	struct namespace_deletion *d = xalloc(sizeof(*d));

	d->client = c;
	d->map = map;
	list_init(&d->jobs);
	d->queue = workqueue_new(c->loop, "namespace", backoff);
	workqueue_on_ready(d->queue, on_ready, d);
	d->namespaces = manager_informer(m, &res_namespaces, NULL);
	informer_on_change(d->namespaces, on_namespace, d);
	return d;
}

void namespace_deletion_start(struct namespace_deletion *d)
{
	d->started = true;
}

void namespace_deletion_free(struct namespace_deletion *d)
{
	if (!d)
		return;
	LIST_FOREACH (it, &d->jobs)
		job_free(CONTAINER_OF(it, struct job, all));
	workqueue_free(d->queue);
	free(d);
}

bool namespace_deletion_idle(const struct namespace_deletion *d)
{
	return !workqueue_len(d->queue) && list_empty(&d->jobs);
}
