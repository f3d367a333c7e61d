/*
 * An observer lists pods and watches on from there, through every cut. What it is told must be
 * what was committed: each change once, in order, none left out, and in the end the same state.
 */
#include <stdlib.h>

#include "lib/base/map.h"
#include "tests/sim/world.h"

struct observer {
	struct world *w;
	struct client *client;
	struct client_list *list;
	struct client_watch *watch;
	struct loop_timer retry;
	struct map state;  /* key → revision */
	uint64_t revision; /* of the last event or list */
	size_t at;         /* next of world.pod_revisions */
	bool listed, skipped;
};

static void begin_list(struct observer *o);
static void begin_watch(struct observer *o);

static void on_retry(struct loop *l, struct loop_timer *t)
{
	struct observer *o = CONTAINER_OF(t, struct observer, retry);

	(void)l;
	if (o->listed)
		begin_watch(o);
	else
		begin_list(o);
}

/* The committed change that this event must be: the next one after what was seen. */
static void expect(struct observer *o, uint64_t revision)
{
	struct world *w = o->w;

	if (o->at >= w->npod_revisions)
		world_wrong(w, "an observer saw revision %llu, which nobody committed",
			    (unsigned long long)revision);
	else if (w->pod_revisions[o->at] != revision)
		world_wrong(w, "an observer saw revision %llu where %llu was committed",
			    (unsigned long long)revision,
			    (unsigned long long)w->pod_revisions[o->at]);
	o->at++;
}

static void on_event(void *arg, enum watch_event ev, const struct obj *obj)
{
	struct observer *o = arg;
	AUTO(arena) struct arena a = {0};
	struct str key = obj_key(&a, obj->namespace, obj->name);

	if (obj->revision <= o->revision && ev != WATCH_BOOKMARK)
		world_wrong(o->w, "an observer was taken back from %llu to %llu",
			    (unsigned long long)o->revision, (unsigned long long)obj->revision);
	if (o->w->plant && str_is(str_c(o->w->plant), "skip-event") && !o->skipped &&
	    ev == WATCH_MODIFIED) {
		o->skipped = o->w->planted = true;
		return;
	}
	o->revision = MAX(o->revision, obj->revision);
	if (ev == WATCH_BOOKMARK)
		return;
	if (ev == WATCH_DELETED) {
		map_del(&o->state, key);
		return;
	}
	expect(o, obj->revision);
	map_set(&o->state, key, (void *)(uintptr_t)obj->revision);
}

static void on_ended(void *arg, const struct err *err)
{
	struct observer *o = arg;

	o->watch = NULL;
	if (err->code == ERR_GONE || err->code == ERR_EXPIRED)
		o->listed = false;
	loop_timer_set(o->w->loop, &o->retry, 50 * NS_PER_MS, on_retry);
}

static void begin_watch(struct observer *o)
{
	struct watch_call w = {.resource = &res_pods,
			       .from = o->revision,
			       .event = on_event,
			       .ended = on_ended,
			       .arg = o};

	o->watch = client_watch(o->client, &w);
}

static void on_item(void *arg, struct obj *obj)
{
	struct observer *o = arg;
	AUTO(arena) struct arena a = {0};

	map_set(&o->state, obj_key(&a, obj->namespace, obj->name),
		(void *)(uintptr_t)obj->revision);
	obj_unref(obj);
}

static void on_listed(void *arg, uint64_t revision, const struct err *err)
{
	struct observer *o = arg;

	o->list = NULL;
	o->listed = err->code == ERR_NONE;
	if (!o->listed) {
		loop_timer_set(o->w->loop, &o->retry, 50 * NS_PER_MS, on_retry);
		return;
	}
	o->revision = revision;
	for (o->at = 0; o->at < o->w->npod_revisions && o->w->pod_revisions[o->at] <= revision;)
		o->at++;
	begin_watch(o);
}

static void begin_list(struct observer *o)
{
	map_release(&o->state);
	o->list = client_list(o->client, &res_pods, STR_NONE, NULL, NULL, on_item, on_listed, o);
}

struct observer *observer_new(struct world *w)
{
	struct observer *o = xalloc(sizeof(*o));

	o->w = w;
	o->client = inproc_client(w->net, "observer", NULL, "observer");
	begin_list(o);
	return o;
}

void observer_free(struct observer *o)
{
	if (!o)
		return;
	client_list_cancel(o->list);
	client_watch_cancel(o->client, o->watch);
	loop_timer_cancel(o->w->loop, &o->retry);
	client_free(o->client);
	map_release(&o->state);
	free(o);
}

struct comparing {
	struct observer *o;
	size_t n;
};

static void compare(void *arg, const struct obj *obj)
{
	struct comparing *c = arg;
	AUTO(arena) struct arena a = {0};
	uint64_t seen =
		(uint64_t)(uintptr_t)map_get(&c->o->state, obj_key(&a, obj->namespace, obj->name));

	c->n++;
	if (seen != obj->revision)
		world_wrong(c->o->w, "an observer holds %.*s at revision %llu, not %llu",
			    STR_ARG(obj->name), (unsigned long long)seen,
			    (unsigned long long)obj->revision);
}

void observer_check(struct observer *o)
{
	struct comparing c = {.o = o};
	const struct kind *pods = core_kind_find(o->w->core, STR(""), STR("v1"), STR("pods"));

	core_each(o->w->core, pods, compare, &c);
	if (c.n != o->state.n)
		world_wrong(o->w, "an observer holds %zu pods, there are %zu", o->state.n, c.n);
	if (o->at != o->w->npod_revisions)
		world_wrong(o->w, "an observer missed %zu changes", o->w->npod_revisions - o->at);
}
