/*
 * The controller runtime: shared informers feed keys into each controller's queue; a key is
 * reconciled over a view of the caches, and its plan is handed to job.c. One loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"
#include "lib/kube/manager-internal.h"

#define WORKERS 16 /* keys of one controller whose writes may be under way at once */
#define BATCH 100  /* keys before the loop gets its turn */

static const struct backoff retry = {.base_ns = 5 * NS_PER_MS, .max_ns = 30 * NS_PER_S};

struct manager *manager_new(struct client *c, uint64_t seed)
{
	struct manager *m = xalloc(sizeof(*m));

	m->client = c;
	m->seed = seed;
	list_init(&m->jobs);
	return m;
}

/* ---- informers ---- */

static bool selects_same(const char *a, const char *b)
{
	return (!a && !b) || (a && b && !strcmp(a, b));
}

static void on_progress(void *arg)
{
	struct manager *m = ((struct shared *)arg)->manager;

	LIST_FOREACH (it, &m->jobs)
		job_recheck(CONTAINER_OF(it, struct job, all));
	for (size_t n = 0; n < m->nrunners; n++)
		runner_go(m->runners[n]);
}

struct informer *manager_informer(struct manager *m, const struct resource *r,
				  const char *field_selector)
{
	struct informer_opts opts = {.resource = r, .field_selector = field_selector};
	struct shared *s;

	for (size_t n = 0; n < m->ninformers; n++)
		if (informer_resource(m->informers[n]->informer) == r &&
		    selects_same(m->informers[n]->field_selector, field_selector))
			return m->informers[n]->informer;
	s = xalloc(sizeof(*s));
	s->manager = m;
	s->field_selector = field_selector ? xstrdup(field_selector) : NULL;
	s->informer = informer_new(m->client, &opts);
	informer_on_progress(s->informer, on_progress, s);
	m->informers = xreallocarray(m->informers, m->ninformers + 1, sizeof(struct shared *));
	m->informers[m->ninformers++] = s;
	if (m->started)
		informer_start(s->informer);
	return s->informer;
}

struct informer *manager_informer_at(const struct manager *m, size_t n)
{
	for (size_t i = 0; i < m->ninformers; i++)
		if (!m->informers[i]->field_selector && n-- == 0)
			return m->informers[i]->informer;
	return NULL;
}

bool manager_synced(const struct manager *m)
{
	for (size_t n = 0; n < m->ninformers; n++)
		if (!informer_synced(m->informers[n]->informer))
			return false;
	return m->started;
}

struct informer *runner_informer(const struct runner *r, const struct resource *resource)
{
	for (size_t n = 0; r->controller->watches[n].resource; n++)
		if (r->controller->watches[n].resource == resource)
			return r->informers[n];
	panic("controller %s reads %s without watching it", r->controller->name, resource->plural);
}

/* ---- what reconcile functions see ---- */

/* A plan is applied over many turns, in which its objects may leave the cache; trees point into
 * their objects, so the job keeps these. */
static const struct json *pinned_tree(const struct view *v, const struct obj *o)
{
	struct job *job = ((const struct view_source *)v->ctx)->job;

	if (job && job->npins == job->pins_cap) {
		job->pins_cap = job->pins_cap ? 2 * job->pins_cap : 16;
		job->pins = xreallocarray(job->pins, job->pins_cap, sizeof(*job->pins));
	}
	if (job)
		job->pins[job->npins++] = obj_ref(o);
	return obj_tree(o, v->arena);
}

static struct informer *source_informer(const struct view *v, const struct resource *r)
{
	return runner_informer(((const struct view_source *)v->ctx)->runner, r);
}

static const struct json *view_get_cached(const struct view *v, const struct resource *r,
					  struct str namespace, struct str name)
{
	const struct obj *o = informer_get(source_informer(v, r), namespace, name);

	return o ? pinned_tree(v, o) : NULL;
}

static struct json_set_view view_list_cached(const struct view *v, const struct resource *r,
					     struct str namespace, const char *index,
					     struct str value)
{
	struct informer *i = source_informer(v, r);
	struct obj_set set = index ? informer_by_index(i, index, value, v->arena)
				   : informer_list_ns(i, namespace, v->arena);
	const struct json **trees = arena_array(v->arena, set.n + 1, sizeof(*trees));

	for (size_t n = 0; n < set.n; n++)
		trees[n] = pinned_tree(v, set.v[n]);
	return (struct json_set_view){trees, set.n};
}

const struct view_ops manager_view_ops = {.get = view_get_cached, .list = view_list_cached};

/* ---- keys ---- */

static void put_key(void *ctx, struct str key)
{
	workqueue_add(((struct runner *)ctx)->queue, key);
}

/* Owners that are gone themselves make nothing more: what follows them isn't counted. */
static void count_gone(void *ctx, struct str key)
{
	struct runner *r = ctx;
	struct str namespace, name;

	obj_key_split(key, &namespace, &name);
	if (informer_get(r->informers[0], namespace, name))
		map_set(&r->gone, key, (void *)((uintptr_t)map_get(&r->gone, key) + (uintptr_t)1));
}

static void note_gone(const struct subscription *s, const struct view *v, const struct obj *old)
{
	if (!s->runner->controller->counts_gone)
		return;
	if (s->watch->map_view)
		s->watch->map_view(v, old, count_gone, s->runner);
	else if (s->watch->map)
		s->watch->map(old, v->arena, count_gone, s->runner);
	else
		map_del(&s->runner->gone, obj_key(v->arena, old->namespace, old->name));
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	const struct subscription *s = arg;
	AUTO(arena) struct arena a = {0};
	const struct obj *both[] = {old, new};
	struct view_source source = {s->runner, NULL};
	struct view v = {
		.arena = &a, .ops = &manager_view_ops, .ctx = &source, .config = s->runner->config};

	if (old && !new)
		note_gone(s, &v, old);
	for (size_t n = 0; n < ARRAY_LEN(both); n++) {
		if (!both[n])
			continue;
		if (s->watch->map_view)
			s->watch->map_view(&v, both[n], put_key, s->runner);
		else if (s->watch->map)
			s->watch->map(both[n], &a, put_key, s->runner);
		else
			put_key(s->runner, obj_key(&a, both[n]->namespace, both[n]->name));
	}
}

static void on_ready(void *arg)
{
	runner_go(arg);
}

/* Every object of the first watch that maps to its own key. */
static void on_resync(struct loop *l, struct loop_timer *t)
{
	struct runner *r = CONTAINER_OF(t, struct runner, resync);
	AUTO(arena) struct arena a = {0};
	struct obj_set all = informer_list(r->informers[0], &a);

	for (size_t n = 0; n < all.n; n++)
		workqueue_add(r->queue, obj_key(&a, all.v[n]->namespace, all.v[n]->name));
	loop_timer_set(l, t, r->controller->resync_ns, on_resync);
}

/* ---- controllers ---- */

static size_t watch_count(const struct controller *c)
{
	size_t n = 0;

	while (c->watches[n].resource)
		n++;
	return n;
}

static void add_indexes(struct runner *r)
{
	for (const struct controller_index *x = r->controller->indexes; x && x->resource; x++)
		informer_add_index(runner_informer(r, x->resource), x->name, x->fn);
}

void manager_add(struct manager *m, const struct controller *c, const void *config)
{
	struct runner *r = xalloc(sizeof(*r));
	size_t n = watch_count(c);
	char *component =
		c->component ? xstrdup(c->component) : xasprintf("%s-controller", c->name);

	*r = (struct runner){.manager = m, .controller = c, .config = config};
	r->queue = workqueue_new(m->client->loop, c->name, retry);
	workqueue_on_ready(r->queue, on_ready, r);
	r->recorder = recorder_new(m->client, component, NULL);
	free(component);
	r->informers = xreallocarray(NULL, n + 1, sizeof(struct informer *));
	r->subscriptions = xreallocarray(NULL, n + 1, sizeof(struct subscription));
	for (size_t i = 0; i < n; i++) {
		r->subscriptions[i] = (struct subscription){r, &c->watches[i]};
		r->informers[i] =
			manager_informer(m, c->watches[i].resource, c->watches[i].field_selector);
		informer_on_change(r->informers[i], on_change, &r->subscriptions[i]);
	}
	add_indexes(r);
	m->runners = xreallocarray(m->runners, m->nrunners + 1, sizeof(struct runner *));
	m->runners[m->nrunners++] = r;
	if (c->resync_ns)
		loop_timer_set(m->client->loop, &r->resync, c->resync_ns, on_resync);
}

void manager_start(struct manager *m)
{
	m->started = true;
	for (size_t n = 0; n < m->ninformers; n++)
		informer_start(m->informers[n]->informer);
}

void manager_stop(struct manager *m)
{
	m->stopped = true;
}

bool manager_idle(const struct manager *m)
{
	for (size_t n = 0; n < m->nrunners; n++)
		if (workqueue_len(m->runners[n]->queue))
			return false;
	return list_empty(&m->jobs);
}

static void failed_release(struct runner *r)
{
	struct map_iter it = {0};

	while (map_next(&r->failed, &it))
		free(it.value);
	map_release(&r->failed);
}

void manager_free(struct manager *m)
{
	if (!m)
		return;
	LIST_FOREACH (it, &m->jobs)
		job_free(CONTAINER_OF(it, struct job, all));
	for (size_t n = 0; n < m->ninformers; n++) {
		informer_free(m->informers[n]->informer);
		free(m->informers[n]->field_selector);
		free(m->informers[n]);
	}
	for (size_t n = 0; n < m->nrunners; n++) {
		struct runner *r = m->runners[n];

		loop_timer_cancel(m->client->loop, &r->resync);
		loop_timer_cancel(m->client->loop, &r->more);
		workqueue_free(r->queue);
		recorder_free(r->recorder);
		failed_release(r);
		map_release(&r->gone);
		free(r->informers);
		free(r->subscriptions);
		free(r);
	}
	free(m->informers);
	free(m->runners);
	free(m);
}

/* ---- working ---- */

static bool runner_synced(const struct runner *r)
{
	for (size_t n = 0; r->controller->watches[n].resource; n++)
		if (!informer_synced(r->informers[n]))
			return false;
	return true;
}

void runner_failed(struct runner *r, struct str key, const struct err *err)
{
	struct err *copy = err ? xalloc(sizeof(*copy)) : NULL;

	if (err) {
		*copy = *err;
		free(map_set(&r->failed, key, copy));
	} else {
		free(map_del(&r->failed, key));
	}
}

static void reconcile(struct runner *r, struct str key)
{
	struct job *job = xalloc(sizeof(*job));
	struct view_source source = {r, job};
	struct view v = {.ops = &manager_view_ops, .ctx = &source, .config = r->config};
	struct err err = {0};
	struct str namespace, name;

	job->runner = r;
	job->key = key;
	list_init(&job->calls);
	list_append(&r->manager->jobs, &job->all);
	r->running++;
	rng_seed(&job->rng,
		 r->manager->seed ^ str_fnv32(key) ^ (uint64_t)loop_wall(r->manager->client->loop));
	v.arena = job->plan.a = &job->arena;
	v.rng = &job->rng;
	v.failed = map_get(&r->failed, key);
	v.gone = (uint32_t)(uintptr_t)map_get(&r->gone, key);
	v.now_ns = loop_wall(r->manager->client->loop);
	obj_key_split(key, &namespace, &name);
	if (r->controller->reconcile(&v, namespace, name, &job->plan, &err)) {
		log_warn("cannot reconcile", "controller", r->controller->name, "key",
			 log_fmt("%.*s", STR_ARG(key)), "error", err.msg);
		runner_failed(r, key, &err);
		workqueue_add_failed(r->queue, key);
		job_free(job);
		return;
	}
	job_apply(job);
}

static void on_more(struct loop *l, struct loop_timer *t)
{
	(void)l;
	runner_go(CONTAINER_OF(t, struct runner, more));
}

/* Jobs that need no write end within reconcile() and come back here: the outermost call
 * goes on. */
void runner_go(struct runner *r)
{
	struct str key;
	size_t n = 0;

	if (r->going || !runner_synced(r))
		return;
	r->going = true;
	while (!r->manager->stopped && r->running < WORKERS && n++ < BATCH &&
	       workqueue_get(r->queue, &key))
		reconcile(r, key);
	r->going = false;
	if (n > BATCH)
		loop_timer_set(r->manager->client->loop, &r->more, 0, on_more);
}
