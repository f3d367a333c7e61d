/*
 * The informer: list, then watch from the list's revision, for ever. A cut resumes from the last
 * revision seen; 410 lists again, and what the list no longer holds is reported as deleted.
 *
 * Memory: objects as bytes, one map entry each. An object that is replaced stays alive until the
 * loop's next turn, since readers borrow. One loop.
 */
#include "lib/kube/informer.h"

#include <stdlib.h>

#include "lib/kube/informer-internal.h"
#include "lib/kube/workqueue.h"

static const struct backoff retry = {.base_ns = 20 * NS_PER_MS, .max_ns = 2 * NS_PER_S};

static void list_start(struct informer *i);
static void watch_start(struct informer *i);

/* ---- the graveyard: what readers may still look at ---- */

static void bury_all(struct loop *l, struct loop_timer *t)
{
	struct informer *i = CONTAINER_OF(t, struct informer, burial);

	(void)l;
	for (size_t n = 0; n < i->ndead; n++)
		obj_unref(i->dead[n]);
	i->ndead = 0;
}

static void bury(struct informer *i, const struct obj *o)
{
	if (i->ndead == i->dead_cap) {
		i->dead_cap = i->dead_cap ? 2 * i->dead_cap : 16;
		i->dead = xreallocarray(i->dead, i->dead_cap, sizeof(*i->dead));
	}
	i->dead[i->ndead++] = o;
	if (!loop_timer_armed(&i->burial))
		loop_timer_set(i->client->loop, &i->burial, 0, bury_all);
}

/* ---- the cache ---- */

static void progressed(struct informer *i)
{
	if (i->progress)
		i->progress(i->progress_arg);
}

static void changed(struct informer *i, const struct obj *old, const struct obj *new)
{
	for (size_t n = 0; n < i->nhandlers; n++)
		i->handlers[n].fn(i->handlers[n].arg, old, new);
}

static void upsert(struct informer *i, const struct obj *o)
{
	struct arena *a = &i->scratch;
	struct str key = obj_key(a, o->namespace, o->name);
	struct entry *e = map_get(&i->entries, key);
	const struct obj *old = e ? e->obj : NULL;

	if (e)
		e->round = i->round;
	if (old && o->revision <= old->revision && str_eq(old->uid, o->uid))
		return;
	if (!e) {
		e = xalloc(sizeof(*e));
		e->round = i->round;
		map_set(&i->entries, key, e);
	} else {
		informer_unindex(i, e);
		bury(i, old);
	}
	e->obj = obj_ref(o);
	informer_index(i, e);
	changed(i, old, o);
}

static void drop(struct informer *i, struct str key)
{
	struct entry *e = map_del(&i->entries, key);

	if (!e)
		return;
	informer_unindex(i, e);
	bury(i, e->obj);
	changed(i, e->obj, NULL);
	free(e);
}

/* What the last complete list did not hold is gone. */
static void sweep(struct informer *i)
{
	struct map_iter it = {0};
	struct str *gone = arena_array(&i->scratch, i->entries.n + 1, sizeof(*gone));
	size_t n = 0;

	while (map_next(&i->entries, &it))
		if (((struct entry *)it.value)->round != i->round)
			gone[n++] = arena_str(&i->scratch, it.key);
	while (n)
		drop(i, gone[--n]);
}

/* ---- list and watch ---- */

static void on_retry(struct loop *l, struct loop_timer *t)
{
	struct informer *i = CONTAINER_OF(t, struct informer, retry);

	(void)l;
	if (i->relist)
		list_start(i);
	else
		watch_start(i);
}

static void again(struct informer *i, bool relist, bool at_once)
{
	i->relist = i->relist || relist;
	if (at_once)
		i->failures = 0;
	loop_timer_set(i->client->loop, &i->retry,
		       at_once ? 0 : backoff_after(&retry, i->failures++), on_retry);
}

static void on_item(void *arg, struct obj *o)
{
	struct informer *i = arg;

	upsert(i, o);
	obj_unref(o);
}

static void on_listed(void *arg, uint64_t revision, const struct err *err)
{
	struct informer *i = arg;

	i->list = NULL;
	if (err->code != ERR_NONE) {
		again(i, true, false);
		return;
	}
	sweep(i);
	arena_reset(&i->scratch);
	i->revision = revision;
	i->relist = false;
	i->failures = 0;
	i->synced = true;
	watch_start(i);
	progressed(i);
}

static void list_start(struct informer *i)
{
	i->round++;
	i->list = (i->metadata_only ? client_list_metadata : client_list)(
		i->client, i->resource, str_c(i->namespace), i->label_selector, i->field_selector,
		on_item, on_listed, i);
}

static void on_event(void *arg, enum watch_event ev, const struct obj *o)
{
	struct informer *i = arg;

	i->heard = true;
	if (o->revision > i->revision)
		i->revision = o->revision;
	if (ev == WATCH_ADDED || ev == WATCH_MODIFIED)
		upsert(i, o);
	else if (ev == WATCH_DELETED)
		drop(i, obj_key(&i->scratch, o->namespace, o->name));
	arena_reset(&i->scratch);
	progressed(i);
}

static void on_ended(void *arg, const struct err *err)
{
	struct informer *i = arg;
	bool gone = err->code == ERR_GONE || err->code == ERR_EXPIRED;

	i->watch = NULL;
	again(i, gone, gone || (err->code == ERR_NONE && i->heard));
}

static void watch_start(struct informer *i)
{
	struct watch_call w = {.resource = i->resource,
			       .namespace = str_c(i->namespace),
			       .label_selector = i->label_selector,
			       .field_selector = i->field_selector,
			       .from = i->revision,
			       .metadata_only = i->metadata_only,
			       .event = on_event,
			       .ended = on_ended,
			       .arg = i};

	i->heard = false;
	i->watch = client_watch(i->client, &w);
}

/* ---- making ---- */

struct informer *informer_new(struct client *c, const struct informer_opts *o)
{
	struct informer *i = xalloc(sizeof(*i));

	i->client = c;
	i->resource = o->resource;
	i->metadata_only = o->metadata_only;
	i->namespace = o->namespace.n ? xstrndup(o->namespace.p, o->namespace.n) : NULL;
	i->label_selector = o->label_selector ? xstrdup(o->label_selector) : NULL;
	i->field_selector = o->field_selector ? xstrdup(o->field_selector) : NULL;
	return i;
}

void informer_free(struct informer *i)
{
	struct map_iter it = {0};

	if (!i)
		return;
	client_list_cancel(i->list);
	client_watch_cancel(i->client, i->watch);
	loop_timer_cancel(i->client->loop, &i->retry);
	loop_timer_cancel(i->client->loop, &i->burial);
	bury_all(NULL, &i->burial);
	while (map_next(&i->entries, &it)) {
		struct entry *e = it.value;

		informer_unindex(i, e);
		obj_unref(e->obj);
		free(e);
	}
	map_release(&i->entries);
	informer_indexes_release(i);
	arena_release(&i->scratch);
	free(i->dead);
	free(i->handlers);
	free(i->namespace);
	free(i->label_selector);
	free(i->field_selector);
	free(i);
}

void informer_on_change(struct informer *i, informer_fn *fn, void *arg)
{
	i->handlers = xreallocarray(i->handlers, i->nhandlers + 1, sizeof(*i->handlers));
	i->handlers[i->nhandlers++] = (struct handler){fn, arg};
}

void informer_on_progress(struct informer *i, void (*fn)(void *arg), void *arg)
{
	i->progress = fn;
	i->progress_arg = arg;
}

void informer_start(struct informer *i)
{
	if (i->started)
		return;
	i->started = true;
	list_start(i);
}

/* ---- reading ---- */

bool informer_synced(const struct informer *i)
{
	return i->synced;
}

uint64_t informer_revision(const struct informer *i)
{
	return i->revision;
}

size_t informer_count(const struct informer *i)
{
	return i->entries.n;
}

const struct resource *informer_resource(const struct informer *i)
{
	return i->resource;
}

const struct obj *informer_get(const struct informer *i, struct str namespace, struct str name)
{
	AUTO(buf) struct buf key = {0};
	const struct entry *e;

	if (namespace.n) {
		buf_str(&key, namespace);
		buf_putc(&key, '/');
	}
	buf_str(&key, name);
	e = map_get(&i->entries, buf_view(&key));
	return e ? e->obj : NULL;
}

static int obj_order(const void *a, const void *b)
{
	const struct obj *x = *(const struct obj *const *)a, *y = *(const struct obj *const *)b;
	int by_ns = str_cmp(x->namespace, y->namespace);

	return by_ns ? by_ns : str_cmp(x->name, y->name);
}

struct obj_set informer_sorted(const struct obj **v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof(*v), obj_order);
	return (struct obj_set){v, n};
}

struct obj_set informer_list(struct informer *i, struct arena *a)
{
	return informer_list_ns(i, STR_NONE, a);
}

struct obj_set informer_list_ns(struct informer *i, struct str namespace, struct arena *a)
{
	const struct obj **v = arena_array(a, i->entries.n + 1, sizeof(*v));
	struct map_iter it = {0};
	size_t n = 0;

	while (map_next(&i->entries, &it)) {
		const struct obj *o = ((struct entry *)it.value)->obj;

		if (!namespace.n || str_eq(o->namespace, namespace))
			v[n++] = o;
	}
	return informer_sorted(v, n);
}
