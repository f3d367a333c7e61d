/*
 * Garbage collection: the kinds that are looked at (one informer each, with an index from owner
 * to owned) and the queue of objects to look into. An object comes up when it appears or changes
 * with owners, when an owner of it goes, and when it is being deleted itself. One loop.
 *
 * Kinds that neither own nor are owned are left out: each costs a connection and a cache.
 */
#include "controllers/gc-internal.h"

#include "lib/base/log.h"
#include "lib/base/timefmt.h"

enum { JOBS_MAX = 16, JOBS_A_TURN = 64 };
#define REFRESH_EVERY (5 * NS_PER_S)
#define PATIENCE (30 * NS_PER_S)

static const struct backoff retry = {.base_ns = 50 * NS_PER_MS, .max_ns = 60 * NS_PER_S};

static bool left_out(const struct resource *r)
{
	static const char *const groups[] = {
		"authentication.k8s.io", "authorization.k8s.io",         "events.k8s.io",
		"metrics.k8s.io",        "flowcontrol.apiserver.k8s.io", "apiregistration.k8s.io",
		"node.k8s.io",
	};
	static const char *const kinds[] = {"Event", "ComponentStatus", "Binding"};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		if (!strcmp(r->group, groups[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(r->kind, kinds[i]))
			return true;
	return false;
}

static void index_owners(const struct obj *o, struct arena *a,
			 void (*put)(void *ctx, struct str value), void *ctx)
{
	const struct json *owners;

	/* Most objects have none; that needs no parsing. */
	if (!obj_mentions(o, "ownerReferences"))
		return;
	owners = json_at(obj_tree(o, a), "metadata", "ownerReferences");
	for (size_t i = 0; i < json_len(owners); i++)
		put(ctx, json_str(json_at(json_item(owners, i), "uid")));
}

/* ---- the queue: "number-of-monitor key" ---- */

void gc_enqueue(struct monitor *m, struct str namespace, struct str name)
{
	AUTO(arena) struct arena a = {0};
	struct str key = obj_key(&a, namespace, name);

	workqueue_add(m->gc->queue, arena_strf(&a, "%zu %.*s", m->at, STR_ARG(key)));
}

static void on_work(struct loop *l, struct loop_timer *t)
{
	(void)l;
	gc_go(CONTAINER_OF(t, struct gc, work));
}

void gc_go(struct gc *g)
{
	struct str key;
	size_t n = 0;

	if (g->going || !g->started)
		return;
	g->going = true;
	while (g->running < JOBS_MAX && n < JOBS_A_TURN && workqueue_get(g->queue, &key)) {
		gc_job_run(g, key);
		n++;
	}
	g->going = false;
	if (n == JOBS_A_TURN)
		loop_timer_set(g->client->loop, &g->work, 0, on_work);
}

static void on_ready(void *arg)
{
	gc_go(arg);
}

/* ---- changes ---- */

struct monitor *gc_monitor_of(struct gc *g, const struct resource *r)
{
	for (size_t i = 0; i < g->n; i++)
		if (!g->monitors[i]->gone && (g->monitors[i]->resource == r ||
					      (!strcmp(g->monitors[i]->resource->kind, r->kind) &&
					       !strcmp(g->monitors[i]->resource->group, r->group))))
			return g->monitors[i];
	return NULL;
}

struct dependents gc_dependents(struct gc *g, struct str uid, struct arena *a)
{
	struct dependents d = {0};
	size_t cap = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (g->monitors[i]->gone)
			continue;
		struct obj_set set =
			informer_by_index(g->monitors[i]->informer, INDEX_OWNERS, uid, a);

		for (size_t j = 0; j < set.n; j++) {
			if (d.n == cap) {
				struct dependent *grown;

				cap = cap ? cap * 2 : 16;
				grown = arena_array(a, cap, sizeof(*grown));
				if (d.n)
					memcpy(grown, d.v, d.n * sizeof(*grown));
				d.v = grown;
			}
			d.v[d.n++] = (struct dependent){g->monitors[i],
							json_copy(a, obj_tree(set.v[j], a))};
		}
	}
	return d;
}

/* An owner that waits to be deleted looks again when something about what it owns changes. */
static void wake_owners(struct monitor *m, const struct obj *o, struct arena *a)
{
	const struct json *owners;

	if (!obj_mentions(o, "ownerReferences"))
		return;
	owners = json_at(obj_tree(o, a), "metadata", "ownerReferences");
	for (size_t i = 0; i < json_len(owners); i++) {
		const struct json *ref = json_item(owners, i);
		const struct resource *r =
			restmap_find(m->gc->map, json_str(json_at(ref, "apiVersion")),
				     json_str(json_at(ref, "kind")));
		struct monitor *of = r ? gc_monitor_of(m->gc, r) : NULL;
		struct str ns = r && r->namespaced ? o->namespace : STR_NONE;
		const struct obj *owner =
			of ? informer_get(of->informer, ns, json_str(json_at(ref, "name"))) : NULL;

		if (owner && owner->deleted_ns)
			gc_enqueue(of, owner->namespace, owner->name);
	}
}

static void on_gone(struct monitor *m, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct gc *g = m->gc;

	for (size_t i = 0; i < g->n; i++) {
		struct obj_set set =
			informer_by_index(g->monitors[i]->informer, INDEX_OWNERS, o->uid, &a);

		for (size_t j = 0; j < set.n; j++)
			gc_enqueue(g->monitors[i], set.v[j]->namespace, set.v[j]->name);
	}
	wake_owners(m, o, &a);
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	struct monitor *m = arg;

	if (old && (!new || !str_eq(old->uid, new->uid)))
		on_gone(m, old);
	if (!new)
		return;
	if (old)
		wake_owners(m, old, &a);
	if (new->deleted_ns || obj_mentions(new, "ownerReferences")) {
		gc_enqueue(m, new->namespace, new->name);
		wake_owners(m, new, &a);
	}
	if (!strcmp(m->resource->kind, "CustomResourceDefinition") &&
	    (!old || old->generation != new->generation))
		gc_want_refresh(m->gc);
}

/* ---- kinds ---- */

/* What controllers watch whole anyway is shared; of the rest the metadata are enough. */
static struct monitor *monitor_add(struct gc *g, const struct resource *r, struct informer *shared)
{
	struct monitor *m = xalloc(sizeof(*m));
	struct informer_opts o = {.resource = r, .metadata_only = true};

	*m = (struct monitor){.gc = g,
			      .at = g->n,
			      .resource = r,
			      .shared = shared != NULL,
			      .since_ns = loop_now(g->client->loop)};
	m->informer = shared ? shared : informer_new(g->client, &o);
	informer_add_index(m->informer, INDEX_OWNERS, index_owners);
	informer_on_change(m->informer, on_change, m);
	g->monitors = xreallocarray(g->monitors, g->n + 1, sizeof(struct monitor *));
	g->monitors[g->n++] = m;
	return m;
}

/* As Kubernetes: what depends on something and is of a kind that can't be listed is not seen. */
static bool given_up(struct monitor *m)
{
	if (m->shared || loop_now(m->gc->client->loop) - m->since_ns < PATIENCE)
		return false;
	if (!m->missed)
		log_warn("garbage is collected without a kind that can't be listed", "kind",
			 m->resource->kind, "group", m->resource->group);
	m->missed = true;
	return true;
}

bool gc_synced(struct gc *g)
{
	if (!restmap_ready(g->map))
		return false;
	for (size_t i = 0; i < g->n; i++)
		if (!g->monitors[i]->gone && !informer_synced(g->monitors[i]->informer) &&
		    !given_up(g->monitors[i]))
			return false;
	return true;
}

static void on_refresh(struct loop *l, struct loop_timer *t);

/*
 * No longer served, and either never seen or served in another version now. (What was seen may only
 * be out of reach for a while, as an extension's kinds are.)
 */
static bool is_gone(const struct gc *g, const struct monitor *m)
{
	const struct resource *r;

	if (m->shared || restmap_served(g->map, m->resource))
		return false;
	if (!informer_synced(m->informer))
		return true;
	for (size_t i = 0; (r = restmap_at(g->map, i)); i++)
		if (!strcmp(r->kind, m->resource->kind) && !strcmp(r->group, m->resource->group) &&
		    restmap_served(g->map, r))
			return true;
	return false;
}

static void on_discovered(void *arg, const struct err *err)
{
	struct gc *g = arg;
	const struct resource *r;

	g->refreshing = false;
	g->refreshed_ns = loop_now(g->client->loop);
	if (err->code != ERR_NONE) {
		log_warn("cannot read discovery, retrying in 5 s", "error", err->msg);
		loop_timer_set(g->client->loop, &g->refresh, 5 * NS_PER_S, on_refresh);
		return;
	}
	for (size_t i = 0; i < g->n; i++)
		g->monitors[i]->gone = is_gone(g, g->monitors[i]);
	for (size_t i = 0; (r = restmap_at(g->map, i)); i++) {
		if (!left_out(r) && restmap_served(g->map, r) && !gc_monitor_of(g, r))
			informer_start(monitor_add(g, r, NULL)->informer);
	}
	gc_go(g);
}

static void on_refresh(struct loop *l, struct loop_timer *t)
{
	struct gc *g = CONTAINER_OF(t, struct gc, refresh);

	(void)l;
	g->refreshing = true;
	restmap_refresh(g->map, on_discovered, g);
}

void gc_want_refresh(struct gc *g)
{
	int64_t due = g->refreshed_ns + REFRESH_EVERY - loop_now(g->client->loop);

	if (!g->refreshing && !loop_timer_armed(&g->refresh))
		loop_timer_set(g->client->loop, &g->refresh, MAX(due, NS_PER_S), on_refresh);
}

struct gc *gc_new(struct client *c, struct manager *m, struct restmap *map)
{
	struct gc *g = xalloc(sizeof(*g));
	struct informer *i;

	g->client = c;
	g->manager = m;
	g->map = map;
	list_init(&g->jobs);
	g->queue = workqueue_new(c->loop, "garbage-collector", retry);
	workqueue_on_ready(g->queue, on_ready, g);
	for (size_t n = 0; (i = manager_informer_at(m, n)); n++)
		if (!left_out(informer_resource(i)) && !gc_monitor_of(g, informer_resource(i)))
			monitor_add(g, informer_resource(i), i);
	return g;
}

void gc_start(struct gc *g)
{
	g->started = true;
	loop_timer_set(g->client->loop, &g->refresh, 0, on_refresh);
}

void gc_free(struct gc *g)
{
	if (!g)
		return;
	gc_jobs_free(g);
	restmap_cancel(g->map, g);
	loop_timer_cancel(g->client->loop, &g->refresh);
	loop_timer_cancel(g->client->loop, &g->work);
	for (size_t i = 0; i < g->n; i++) {
		if (!g->monitors[i]->shared)
			informer_free(g->monitors[i]->informer);
		free(g->monitors[i]);
	}
	free(g->monitors);
	workqueue_free(g->queue);
	free(g);
}

bool gc_idle(const struct gc *g)
{
	return !workqueue_len(g->queue) && list_empty(&g->jobs);
}
