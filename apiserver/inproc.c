/*
 * An API client in the same process as the core: requests are submitted as structures, answers and
 * events come back as loop timers, so that nothing is ever called from inside a caller. With faults
 * it is the simulation's network: late, cut, losing answers. One loop.
 */
#include "apiserver/inproc.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/kube/client-internal.h"

struct inproc {
	struct core *core;
	struct loop *loop;
	struct inproc_faults faults;
	struct loop_timer turn;
};

struct inproc_client {
	struct client client;
	struct inproc *inproc;
	struct str user;
	struct str groups[8];
	size_t ngroups;
	struct arena arena;
	char *agent;
};

/* ---- the core's turns ---- */

static void on_turn(struct loop *l, struct loop_timer *t);

static void schedule(struct inproc *i)
{
	int64_t due = core_due(i->core), now = loop_wall(i->loop);

	if (core_pending(i->core))
		loop_timer_set(i->loop, &i->turn, 0, on_turn);
	else if (due)
		loop_timer_set(i->loop, &i->turn, MAX(due - now, 1), on_turn);
}

static void on_turn(struct loop *l, struct loop_timer *t)
{
	struct inproc *i = CONTAINER_OF(t, struct inproc, turn);

	(void)l;
	core_turn(i->core);
	schedule(i);
}

struct inproc *inproc_new(struct core *c, struct loop *l, const struct inproc_faults *f)
{
	struct inproc *i = xalloc(sizeof(*i));

	i->core = c;
	i->loop = l;
	if (f)
		i->faults = *f;
	schedule(i);
	return i;
}

void inproc_free(struct inproc *i)
{
	if (!i)
		return;
	loop_timer_cancel(i->loop, &i->turn);
	free(i);
}

static int64_t delay(struct inproc *i, bool watch)
{
	return i->faults.delay ? i->faults.delay(i->faults.arg, watch) : 0;
}

static void submit(struct inproc *i, struct core_req *r)
{
	core_submit(i->core, r);
	if (!loop_timer_armed(&i->turn) || i->turn.at > loop_now(i->loop))
		loop_timer_set(i->loop, &i->turn, 0, on_turn);
}

static void fill(struct core_req *r, const struct inproc_client *c, const struct resource *res,
		 struct arena *a)
{
	r->group = str_c(res->group);
	r->version = str_c(res->version);
	r->resource = str_c(res->plural);
	r->user = (struct admission_user){
		.name = c->user, .groups = c->groups, .ngroups = c->ngroups};
	r->user_agent = str_c(c->agent);
	r->arena = a;
}

/* ---- calls ---- */

struct client_call {
	struct core_req req;
	struct arena arena;
	struct inproc *inproc;
	api_done *done;
	void *arg;
	struct buf body;
	int status;
	bool answered, cancelled;
	struct loop_timer timer;
};

static void call_free(struct client_call *call)
{
	buf_release(&call->body);
	arena_release(&call->arena);
	free(call);
}

static void call_deliver(struct loop *l, struct loop_timer *t)
{
	struct client_call *call = CONTAINER_OF(t, struct client_call, timer);
	struct inproc *i = call->inproc;
	struct api_answer a = {.status = call->status, .body = buf_view(&call->body)};

	(void)l;
	if (i->faults.lose_answer && i->faults.lose_answer(i->faults.arg)) {
		a = (struct api_answer){.status = 0};
		err_set(&a.err, ERR_IO, "connection lost");
	} else if (a.status / 100 != 2) {
		client_answer_error(a.status, a.body, &a.err);
	}
	call->done(call->arg, &a);
	call_free(call);
}

static void on_answer(struct core_req *r, const struct core_answer *a)
{
	struct client_call *call = CONTAINER_OF(r, struct client_call, req);

	if (call->cancelled) {
		call_free(call);
		return;
	}
	call->answered = true;
	call->status = a->status;
	for (size_t n = 0; n < a->nblocks; n++)
		buf_str(&call->body, a->blocks[n]->data);
	loop_timer_set(call->inproc->loop, &call->timer, delay(call->inproc, false), call_deliver);
}

static const struct core_sink call_sink = {.answer = on_answer};

/* The core has begun or not: either way the answer is thrown away when it comes. */
static void inproc_call_cancel(struct client *c, struct client_call *call)
{
	(void)c;
	if (call->answered) {
		loop_timer_cancel(call->inproc->loop, &call->timer);
		call_free(call);
		return;
	}
	core_cancel(call->inproc->core, &call->req);
	call_free(call);
}

static void describe(struct core_req *r, const struct api_call *call, const char *manager,
		     struct arena *a)
{
	static const struct {
		enum core_verb verb;
		const char *type;
	} rows[] = {[API_GET] = {CORE_GET, NULL},
		    [API_LIST] = {CORE_LIST, NULL},
		    [API_CREATE] = {CORE_CREATE, "application/json"},
		    [API_UPDATE] = {CORE_UPDATE, "application/json"},
		    [API_PATCH] = {CORE_PATCH, NULL},
		    [API_APPLY] = {CORE_PATCH, "application/apply-patch+yaml"},
		    [API_DELETE] = {CORE_DELETE, "application/json"}};
	static const char *const patches[] = {[API_PATCH_MERGE] = "application/merge-patch+json",
					      [API_PATCH_STRATEGIC] =
						      "application/strategic-merge-patch+json",
					      [API_PATCH_JSON] = "application/json-patch+json"};
	AUTO(buf) struct buf path = {0};
	struct str query;

	client_path(call, manager, &path);
	str_cut(buf_view(&path), '?', &(struct str){0}, &query);
	r->query = arena_str(a, query);
	r->verb = rows[call->verb].verb;
	r->content_type =
		str_c(call->verb == API_PATCH ? patches[call->patch] : rows[call->verb].type);
	if (call->resource->namespaced)
		r->namespace = arena_str(a, call->namespace);
	r->name = call->name.n ? arena_str(a, call->name) : STR_NONE;
	r->subresource = call->subresource ? arena_str(a, str_c(call->subresource)) : STR_NONE;
	r->body = arena_str(a, call->body);
}

static struct client_call *inproc_call(struct client *base, const struct api_call *api,
				       api_done *done, void *arg)
{
	struct inproc_client *c = CONTAINER_OF(base, struct inproc_client, client);
	struct client_call *call = xalloc(sizeof(*call));

	call->inproc = c->inproc;
	call->done = done;
	call->arg = arg;
	call->req.sink = &call_sink;
	fill(&call->req, c, api->resource, &call->arena);
	describe(&call->req, api, base->field_manager, &call->arena);
	submit(c->inproc, &call->req);
	return call;
}

/* ---- watches ---- */

struct delivery {
	struct list all;
	struct buf line; /* one event */
	int64_t at_ns;
};

struct client_watch {
	struct core_req req;
	struct arena arena;
	struct inproc *inproc;
	struct watch_call w;
	struct list deliveries;  /* on their way, in order */
	struct loop_timer timer; /* for the first of them */
	struct err end;
	bool streaming, ending, dead, in_callback;
};

static void delivery_free(struct delivery *d)
{
	list_remove(&d->all);
	buf_release(&d->line);
	free(d);
}

static void watch_free(struct client_watch *w)
{
	LIST_FOREACH (it, &w->deliveries)
		delivery_free(CONTAINER_OF(it, struct delivery, all));
	loop_timer_cancel(w->inproc->loop, &w->timer);
	arena_release(&w->arena);
	free(w);
}

static enum watch_event type_of(struct str line)
{
	static const char *const heads[] = {[WATCH_ADDED] = "{\"type\":\"ADDED\"",
					    [WATCH_MODIFIED] = "{\"type\":\"MODIFIED\"",
					    [WATCH_DELETED] = "{\"type\":\"DELETED\"",
					    [WATCH_BOOKMARK] = "{\"type\":\"BOOKMARK\""};
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(heads) && !str_starts(line, str_c(heads[i])))
		i++;
	return (enum watch_event)i;
}

static void hand_over(struct client_watch *w, struct str line)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct obj *o =
		obj_from_json(json_get(json_parse(&a, line, NULL, &err), STR("object")), &err);

	if (!o)
		panic("a watch event that is none: %s", err.msg);
	w->w.event(w->w.arg, type_of(line), o);
	obj_unref(o);
}

static void watch_over(struct client_watch *w)
{
	struct watch_call call = w->w;
	struct err err = w->end;

	watch_free(w);
	call.ended(call.arg, &err);
}

static void watch_next(struct client_watch *w);

static void on_delivery(struct loop *l, struct loop_timer *t)
{
	struct client_watch *w = CONTAINER_OF(t, struct client_watch, timer);
	struct inproc *i = w->inproc;

	(void)l;
	w->in_callback = true;
	if (w->streaming && i->faults.cut && i->faults.cut(i->faults.arg)) {
		core_cancel(i->core, &w->req);
		w->streaming = false;
		w->ending = true;
		LIST_FOREACH (it, &w->deliveries)
			delivery_free(CONTAINER_OF(it, struct delivery, all));
		err_set(&w->end, ERR_IO, "connection lost");
	} else if (!list_empty(&w->deliveries)) {
		struct delivery *d = CONTAINER_OF(w->deliveries.next, struct delivery, all);

		hand_over(w, buf_view(&d->line));
		delivery_free(d);
	}
	w->in_callback = false;
	if (w->dead)
		watch_free(w);
	else
		watch_next(w);
}

static void watch_next(struct client_watch *w)
{
	int64_t now = loop_now(w->inproc->loop);

	if (!list_empty(&w->deliveries)) {
		const struct delivery *d = CONTAINER_OF(w->deliveries.next, struct delivery, all);

		loop_timer_set(w->inproc->loop, &w->timer, MAX(d->at_ns - now, 0), on_delivery);
	} else if (w->ending) {
		watch_over(w);
	}
}

static void on_watch_answer(struct core_req *r, const struct core_answer *a)
{
	struct client_watch *w = CONTAINER_OF(r, struct client_watch, req);
	AUTO(buf) struct buf body = {0};

	for (size_t n = 0; n < a->nblocks; n++)
		buf_str(&body, a->blocks[n]->data);
	client_answer_error(a->status, buf_view(&body), &w->end);
	w->ending = true;
	loop_timer_set(w->inproc->loop, &w->timer, delay(w->inproc, false), on_delivery);
}

static void on_begin(struct core_req *r, const struct core_answer *head)
{
	(void)head;
	CONTAINER_OF(r, struct client_watch, req)->streaming = true;
}

/* Blocks hold whole lines between them. */
static int on_write(struct core_req *r, struct block *const *blocks, size_t n)
{
	struct client_watch *w = CONTAINER_OF(r, struct client_watch, req);
	AUTO(buf) struct buf text = {0};
	struct str rest, line;
	int64_t now = loop_now(w->inproc->loop), last = now;

	for (size_t i = 0; i < n; i++)
		buf_str(&text, blocks[i]->data);
	if (!list_empty(&w->deliveries))
		last = CONTAINER_OF(w->deliveries.prev, struct delivery, all)->at_ns;
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		struct delivery *d;

		if (!line.n)
			continue;
		d = xalloc(sizeof(*d));
		buf_str(&d->line, line);
		last = d->at_ns = MAX(now + delay(w->inproc, true), last); /* late, but in order */
		list_append(&w->deliveries, &d->all);
	}
	if (!w->in_callback && !loop_timer_armed(&w->timer))
		watch_next(w);
	return 0;
}

static void on_end(struct core_req *r)
{
	struct client_watch *w = CONTAINER_OF(r, struct client_watch, req);

	w->streaming = false;
	w->ending = true;
	if (!loop_timer_armed(&w->timer))
		loop_timer_set(w->inproc->loop, &w->timer, 0, on_delivery);
}

static const struct core_sink watch_sink = {.answer = on_watch_answer,
					    .stream_begin = on_begin,
					    .stream_write = on_write,
					    .stream_end = on_end};

static struct client_watch *inproc_watch(struct client *base, const struct watch_call *call)
{
	struct inproc_client *c = CONTAINER_OF(base, struct inproc_client, client);
	struct client_watch *w = xalloc(sizeof(*w));
	AUTO(buf) struct buf path = {0};
	struct str query;

	w->inproc = c->inproc;
	w->w = *call;
	list_init(&w->deliveries);
	fill(&w->req, c, call->resource, &w->arena);
	w->req.sink = &watch_sink;
	w->req.verb = CORE_WATCH;
	w->req.namespace = arena_str(&w->arena, call->namespace);
	client_watch_path(call, &path);
	str_cut(buf_view(&path), '?', &(struct str){0}, &query);
	w->req.query = arena_str(&w->arena, query);
	submit(c->inproc, &w->req);
	return w;
}

static void inproc_watch_cancel(struct client *c, struct client_watch *w)
{
	(void)c;
	if (w->dead)
		return;
	w->dead = true;
	if (!w->ending)
		core_cancel(w->inproc->core, &w->req);
	if (!w->in_callback)
		watch_free(w);
}

/* ---- making ---- */

static void inproc_client_free(struct client *base)
{
	struct inproc_client *c = CONTAINER_OF(base, struct inproc_client, client);

	arena_release(&c->arena);
	free(c->agent);
	free(c);
}

static const struct client_ops inproc_ops = {.call = inproc_call,
					     .call_cancel = inproc_call_cancel,
					     .watch = inproc_watch,
					     .watch_cancel = inproc_watch_cancel,
					     .free = inproc_client_free};

struct client *inproc_client(struct inproc *i, const char *user, const char *const *groups,
			     const char *field_manager)
{
	struct inproc_client *c = xalloc(sizeof(*c));

	c->client = (struct client){
		.ops = &inproc_ops, .loop = i->loop, .field_manager = field_manager};
	c->inproc = i;
	c->user = arena_str(&c->arena, str_c(user));
	c->agent = xasprintf("%s/%s", field_manager ? field_manager : "plumb", PLUMB_VERSION);
	for (; groups && groups[c->ngroups] && c->ngroups < ARRAY_LEN(c->groups); c->ngroups++)
		c->groups[c->ngroups] = arena_str(&c->arena, str_c(groups[c->ngroups]));
	return &c->client;
}
