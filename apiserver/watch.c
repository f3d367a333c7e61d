/*
 * Watching: each table keeps a log of its last events; a watcher is a place in that log and a
 * selection. Objects are shared with the log and with the store, so an event costs each watcher
 * three pointers. Events reach watchers after the commit that made them, in its order. One thread.
 * Specification: "Efficient detection of changes" (API concepts), WatchList (KEP-3157).
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/conversion.h"
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "lib/base/log.h"

#define LOG_MAX 100000 /* events of a kind, however young */
#define BOOKMARK_EVERY (30 * NS_PER_S)
#define TICK (5 * NS_PER_S)
#define SHORT_S 30                   /* such watches end on time; others with the next tick */
#define BATCH 64                     /* events of one write */
#define EVENT_LIFE (3600 * NS_PER_S) /* of KIND_EXPIRES objects, from their last write */
#define EVENTS_EVERY (60 * NS_PER_S)

enum { EV_ADDED, EV_MODIFIED, EV_DELETED, EV_BOOKMARK }; /* rows of core.event_head */

struct watcher {
	struct list all, of_table;
	struct core *core;
	struct core_req *req;
	const struct kind *kind;
	struct table *table;
	struct selecting selecting; /* in the request's arena */
	struct str include;
	uint64_t next;     /* sequence number in the table's log */
	uint64_t revision; /* up to where it was told */
	bool short_lived;
	int64_t ends_ns; /* 0 = never */
	int64_t bookmark_ns;
	bool bookmarks, columns_sent;
	bool stalled; /* its next event's object is being converted */
};

/* ---- the log ---- */

const struct event *watch_log_at(const struct table *t, uint64_t seq)
{
	return &t->log[(t->log_head + (seq - t->log_first)) % t->log_cap];
}

static void log_pop(struct table *t)
{
	const struct event *e = watch_log_at(t, t->log_first);

	t->forgotten = e->revision;
	obj_unref(e->old);
	obj_unref(e->new);
	t->log_head = (t->log_head + 1) % t->log_cap;
	t->log_first++;
	t->log_n--;
}

/* Oldest events go when they are too many or too old, but never one that a watcher has yet to see
 * this turn. */
static void log_trim(struct core *c, struct table *t)
{
	int64_t oldest = core_now(c) - c->o.keep_events_ns;

	while (t->log_n && (t->log_n >= LOG_MAX || watch_log_at(t, t->log_first)->at_ns < oldest))
		log_pop(t);
}

static void log_grow(struct table *t)
{
	size_t cap = t->log_cap ? 2 * t->log_cap : 64;
	struct event *log = xreallocarray(NULL, cap, sizeof(*log));

	for (size_t i = 0; i < t->log_n; i++)
		log[i] = t->log[(t->log_head + i) % t->log_cap];
	free(t->log);
	t->log = log;
	t->log_head = 0;
	t->log_cap = cap;
}

void watch_log_add(struct core *c, struct table *t, const struct change *ch)
{
	log_trim(c, t);
	if (t->log_n == t->log_cap)
		log_grow(t);
	t->log[(t->log_head + t->log_n++) % t->log_cap] =
		(struct event){.revision = ch->event_new->revision,
			       .at_ns = core_now(c),
			       .old = ch->old ? obj_ref(ch->old) : NULL,
			       .new = obj_ref(ch->event_new),
			       .deleted = !ch->new};
}

void watch_log_release(struct table *t)
{
	while (t->log_n)
		log_pop(t);
	free(t->log);
}

/* ---- telling ---- */

static void watcher_free(struct watcher *w)
{
	list_remove(&w->all);
	list_remove(&w->of_table);
	free(w);
}

static void watcher_end(struct watcher *w)
{
	struct core_req *r = w->req;

	watcher_free(w);
	r->sink->stream_end(r);
}

/* False when the client is gone or cannot keep up: the watcher is freed then. */
static bool watcher_write(struct watcher *w, struct block **blocks, size_t n)
{
	bool ok = !n || !w->req->sink->stream_write(w->req, blocks, n);

	for (size_t i = 0; i < n; i++)
		block_unref(blocks[i]);
	if (!ok)
		watcher_free(w);
	return ok;
}

static size_t event_blocks(struct watcher *w, int type, const struct obj *o, struct block **out)
{
	struct core *c = w->core;
	bool whole = w->req->form == CORE_FORM_OBJECT && convert_is_plain(w->kind, o);

	out[0] = block_ref(c->event_head[type]);
	out[1] = whole ? block_ref(o->block)
		       : form_single(w->kind, w->req->form, o, w->include, !w->columns_sent,
				     core_now(c));
	out[2] = block_ref(c->event_tail);
	w->columns_sent = true;
	return 3;
}

/* An object that leaves a selection is deleted for its watcher: the last state it saw, under the
 * new revision. */
static struct obj *left_selection(const struct event *e)
{
	AUTO(arena) struct arena a = {0};
	struct json *tree = json_copy(&a, obj_tree(e->old, &a));

	json_set_str(&a, json_set_object(&a, tree, "metadata"), "resourceVersion",
		     arena_strf(&a, "%llu", (unsigned long long)e->revision));
	return obj_from_json(tree, NULL);
}

/* Whether an object is selected. 1: that can't be said before it has been converted. */
static int is_selected(struct watcher *w, const struct obj *o, bool *ret, struct err *err)
{
	const struct obj *seen;

	*ret = o && selecting_may(w->kind, &w->selecting, o);
	if (!*ret || !w->selecting.moved)
		return 0;
	if (watch_seen(w->core, w->kind, o, &seen, err))
		return -1;
	if (!seen)
		return 1;
	*ret = selecting_match(w->kind, &w->selecting, seen);
	return 0;
}

/* What an event is to the watcher, and its object, a reference; NULL = nothing. 1: see above. */
static int event_pick(struct watcher *w, const struct event *e, int *ret_type, struct obj **ret,
		      struct err *err)
{
	bool was = false, is = false;
	int rc;

	*ret = NULL;
	if (w->req->namespace.n && !str_eq(e->new->namespace, w->req->namespace))
		return 0;
	rc = is_selected(w, e->old, &was, err);
	if (!rc && !e->deleted)
		rc = is_selected(w, e->new, &is, err);
	if (rc)
		return rc;
	*ret_type = !is ? EV_DELETED : was ? EV_MODIFIED : EV_ADDED;
	if (is || (was && e->deleted))
		*ret = obj_ref(e->new);
	else if (was)
		*ret = left_selection(e);
	return 0;
}

/* An error is the last that a watcher hears. */
static void watcher_fail(struct watcher *w, const struct err *err)
{
	struct buf text = {0};
	struct block *b;

	buf_puts(&text, "{\"type\":\"ERROR\",\"object\":");
	core_status_write(err, STR_NONE, STR_NONE, STR_NONE, &text);
	text.n--; /* its newline */
	buf_puts(&text, "}\n");
	b = block_take(&text);
	if (watcher_write(w, &b, 1))
		watcher_end(w);
}

struct unseen {
	struct obj *v[BATCH];
	size_t n;
};

/* Takes the reference. */
static void unseen_add(struct watcher *w, struct unseen *u, struct obj *o)
{
	const struct obj *seen;

	if (o && u->n < ARRAY_LEN(u->v) &&
	    !watch_seen(w->core, w->kind, o, &seen, &(struct err){0}) && !seen)
		u->v[u->n++] = o;
	else
		obj_unref(o);
}

/* Has the objects of the events from the watcher's place on converted, as many as fit. */
static void watcher_stall(struct watcher *w)
{
	struct table *t = w->table;
	struct unseen u = {0};
	struct err err = {0};
	int type;

	w->stalled = true;
	for (uint64_t at = w->next; at < t->log_first + t->log_n && u.n < ARRAY_LEN(u.v); at++) {
		const struct event *e = watch_log_at(t, at);
		struct obj *o;

		if (event_pick(w, e, &type, &o, &err) == 1) {
			unseen_add(w, &u, e->old ? obj_ref(e->old) : NULL);
			o = obj_ref(e->new);
		}
		unseen_add(w, &u, o);
	}
	watch_ask(w->core, w->kind, (const struct obj *const *)u.v, u.n);
	while (u.n)
		obj_unref(u.v[--u.n]);
}

/* Adds an event's blocks; -1: the watcher waits (stalled) or can't go on (err). */
static int event_for(struct watcher *w, const struct event *e, struct block **out, size_t *n,
		     struct err *err)
{
	const struct obj *seen = NULL;
	struct obj *o;
	int type = 0, rc = event_pick(w, e, &type, &o, err);

	if (rc || !o)
		return rc ? -1 : 0;
	rc = watch_seen(w->core, w->kind, o, &seen, err) || !seen ? -1 : 0;
	if (!rc)
		*n += event_blocks(w, type, seen, out + *n);
	obj_unref(o);
	return rc;
}

/* Everything from the watcher's place to the log's end. False when it is gone. */
static bool watcher_catch_up(struct watcher *w)
{
	struct table *t = w->table;
	uint64_t end = t->log_first + t->log_n;
	struct block *blocks[3 * BATCH];
	struct err err = {0};
	size_t n = 0;

	w->stalled = false;
	if (w->next < t->log_first)
		err_set(&err, ERR_EXPIRED, "the watch fell behind");
	for (; err.code == ERR_NONE && w->next < end; w->next++) {
		const struct event *e = watch_log_at(t, w->next);

		if (e->revision <= w->revision) /* it began at a version that was still to come */
			continue;
		if (event_for(w, e, blocks, &n, &err))
			break;
		w->revision = e->revision;
		if (n + 3 > ARRAY_LEN(blocks)) {
			if (!watcher_write(w, blocks, n))
				return false;
			n = 0;
		}
	}
	if (!watcher_write(w, blocks, n))
		return false;
	if (err.code != ERR_NONE) {
		watcher_fail(w, &err);
		return false;
	}
	if (w->next < end)
		watcher_stall(w);
	return true;
}

void watch_resume(struct core *c)
{
	if (!watch_has_news(c))
		return;
	LIST_FOREACH (it, &c->watchers) {
		struct watcher *w = CONTAINER_OF(it, struct watcher, all);

		if (w->stalled)
			(void)watcher_catch_up(w);
	}
}

void watch_deliver(struct core *c, struct table *t, size_t first_new)
{
	(void)c;
	(void)first_new;
	LIST_FOREACH (it, &t->watchers) {
		struct watcher *w = CONTAINER_OF(it, struct watcher, of_table);

		if (!w->stalled)
			(void)watcher_catch_up(w);
	}
}

/* ---- bookmarks and time ---- */

static bool bookmark(struct watcher *w, uint64_t revision, bool initial_end)
{
	AUTO(arena) struct arena a = {0};
	struct buf text = {0};
	struct block *b;

	if (revision < w->revision)
		return true;
	buf_printf(&text,
		   "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\","
		   "\"metadata\":{"
		   "\"resourceVersion\":\"%llu\",\"creationTimestamp\":null",
		   w->kind->kind, w->kind->group, w->kind->group[0] ? "/" : "", w->kind->version,
		   (unsigned long long)revision);
	if (initial_end)
		buf_puts(&text, ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}");
	buf_puts(&text, "}}}\n");
	b = block_take(&text);
	w->revision = revision;
	w->bookmark_ns = core_now(w->core) + BOOKMARK_EVERY;
	return watcher_write(w, &b, 1);
}

/* When an Event was last written. Its managed fields tell, whatever times its writer wrote into
 * it: nobody can keep one for ever, or lose one that was made of old times. */
static int64_t last_written(const struct json *tree)
{
	const struct json *managed = json_at(tree, "metadata", "managedFields");
	int64_t last = 0, at;

	if (time_parse(json_str(json_at(tree, "metadata", "creationTimestamp")), &last))
		last = 0;
	for (size_t i = 0; i < json_len(managed); i++)
		if (!time_parse(json_str(json_get(json_item(managed, i), STR("time"))), &at))
			last = MAX(last, at);
	return last;
}

/* Looking at every Event takes time: not before the oldest can be due, nor all the time. */
static void expire_events(struct core *c)
{
	int64_t now = core_now(c), oldest = now;

	if (now < c->events_due)
		return;
	for (size_t i = 0; i < c->ntables; i++) {
		struct table *t = c->tables[i];

		if (!(t->kind->flags & KIND_EXPIRES))
			continue;
		for (size_t n = t->n; n-- > 0;) {
			const struct obj *o = t->rows[n];
			AUTO(arena) struct arena a = {0};
			int64_t at = MIN(last_written(obj_tree(o, &a)), now);

			if (now - at > EVENT_LIFE)
				core_remove(c, t, o, &a);
			else
				oldest = MIN(oldest, at);
		}
	}
	c->events_due = MAX(oldest + EVENT_LIFE, now + EVENTS_EVERY);
}

void watch_tick(struct core *c)
{
	int64_t now = core_now(c);
	/* Writes of this turn are neither durable nor told: no bookmark may speak of them. */
	uint64_t committed = c->o.store->ops->revision(c->o.store);

	if (now < c->next_tick)
		return;
	c->next_tick = now + TICK;
	LIST_FOREACH (it, &c->watchers) {
		struct watcher *w = CONTAINER_OF(it, struct watcher, all);

		if (w->short_lived && now < w->ends_ns)
			c->next_tick = MIN(c->next_tick, w->ends_ns);
		if (w->ends_ns && now >= w->ends_ns) {
			if (!w->bookmarks || w->stalled || bookmark(w, committed, false))
				watcher_end(w);
		} else if (w->bookmarks && !w->stalled && now >= w->bookmark_ns) {
			(void)bookmark(w, committed, false);
		}
	}
	for (size_t i = 0; i < c->ntables; i++)
		log_trim(c, c->tables[i]);
	expire_events(c);
}

/* ---- beginning ---- */

static int from_revision(struct op *op, struct table *t, uint64_t *ret, bool *ret_initial)
{
	struct str text = op_query(op, "resourceVersion");
	struct str send = op_query(op, "sendInitialEvents");

	*ret = 0;
	if (text.n && str_to_u64(text, ret))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "Invalid value: \"%.*s\": resourceVersion", (int)MIN(text.n, 50),
			       text.p);
	if (send.n && !str_is(op_query(op, "resourceVersionMatch"), "NotOlderThan"))
		return err_set(&op->err, ERR_INVALID,
			       "resourceVersionMatch: Forbidden: sendInitialEvents requires "
			       "setting resourceVersionMatch to "
			       "NotOlderThan");
	*ret_initial = send.n ? http_flag(send) : !*ret;
	if (*ret_initial || !*ret)
		return 0;
	if (*ret < t->forgotten)
		return err_set(&op->err, ERR_EXPIRED, "too old resource version: %llu (%llu)",
			       (unsigned long long)*ret, (unsigned long long)t->forgotten);
	return 0;
}

/* The log's first event after a revision. */
static uint64_t log_after(struct table *t, uint64_t revision)
{
	uint64_t lo = t->log_first, hi = t->log_first + t->log_n;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (watch_log_at(t, mid)->revision <= revision)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The objects that a watch begins with, where others must convert them. -1: parked, or op->err. */
static int initial_seen(struct op *op, const struct watcher *w, const struct obj ***ret, size_t *n)
{
	const struct table *t = w->table;
	const struct obj **v;
	size_t from, to;

	if (!conversion_asks(w->kind))
		return 0;
	table_range(t, op->req->namespace, &from, &to);
	v = arena_array(op->a, to - from + 1, sizeof(*v));
	*ret = arena_array(op->a, to - from + 1, sizeof(*v));
	for (; from < to; from++)
		v[(*n)++] = t->rows[from];
	return op_select(op, &w->selecting, v, n, *ret);
}

/* What stands committed now, as ADDED; seen: what is selected of it in the watcher's version, or
 * NULL. */
static bool send_initial(struct watcher *w, const struct obj *const *seen, size_t n_seen)
{
	const struct obj *const *v = seen ? seen : w->table->rows;
	struct block *blocks[3 * BATCH];
	size_t from = 0, to = n_seen, n = 0;

	if (!seen)
		table_range(w->table, w->req->namespace, &from, &to);
	for (; from < to; from++) {
		if (seen || selecting_match(w->kind, &w->selecting, v[from]))
			n += event_blocks(w, EV_ADDED, v[from], blocks + n);
		if (n + 3 > ARRAY_LEN(blocks)) {
			if (!watcher_write(w, blocks, n))
				return false;
			n = 0;
		}
	}
	return watcher_write(w, blocks, n);
}

static struct watcher *watcher_new(struct op *op, struct table *t)
{
	struct watcher *w = xalloc(sizeof(*w));
	struct str timeout = op_query(op, "timeoutSeconds");
	int64_t seconds = 0;

	*w = (struct watcher){.core = op->core, .req = op->req, .kind = op->kind, .table = t};
	if (selecting_parse(op, op->a, &w->selecting)) {
		free(w);
		return NULL;
	}
	if (!str_to_i64(timeout, &seconds) && seconds > 0 && seconds < 1000000)
		w->ends_ns = core_now(op->core) + seconds * NS_PER_S;
	w->short_lived = w->ends_ns && seconds <= SHORT_S;
	if (op->req->name.p) { /* watch of one object by its path */
		AUTO(buf) struct buf text = {0};

		buf_printf(&text, "metadata.name=%.*s", STR_ARG(op->req->name));
		w->selecting.has_fields = true;
		if (selector_parse_fields(op->a, arena_str(op->a, buf_view(&text)),
					  &w->selecting.fields, &op->err)) {
			free(w);
			return NULL;
		}
	}
	w->include = op_query(op, "includeObject");
	w->bookmarks = http_flag(op_query(op, "allowWatchBookmarks"));
	w->bookmark_ns = core_now(op->core) + BOOKMARK_EVERY;
	if (w->short_lived)
		op->core->next_tick = MIN(op->core->next_tick, w->ends_ns);
	list_append(&op->core->watchers, &w->all);
	list_append(&t->watchers, &w->of_table);
	return w;
}

/* Only called while nothing is uncommitted (core.c sees to that): what stands in the table is true.
 */
void core_watch(struct op *op)
{
	struct core_answer head = {.status = 200, .content_type = "application/json"};
	struct table *t = op->served->table;
	struct watcher *w;
	const struct obj **seen = NULL;
	size_t n = 0;
	struct err late = {0};
	uint64_t from;
	bool initial = false;

	/* Whoever may watch, and knows how to ask, is told in the stream that it comes too late. */
	w = from_revision(op, t, &from, &initial) && op->err.code != ERR_EXPIRED
		    ? NULL
		    : watcher_new(op, t);
	late = op->err;
	if (w && initial && initial_seen(op, w, &seen, &n)) {
		watcher_free(w);
		w = NULL;
	}
	if (!w) {
		op_answer_error(op);
		return;
	}
	w->revision = initial || !from ? op->core->revision : from;
	w->next = log_after(t, w->revision);
	op->req->sink->stream_begin(op->req, &head);
	if (late.code != ERR_NONE) {
		op->err = (struct err){0};
		watcher_fail(w, &late);
		return;
	}
	if (initial && !send_initial(w, seen, n))
		return;
	if (initial && w->bookmarks && http_flag(op_query(op, "sendInitialEvents")) &&
	    !bookmark(w, op->core->revision, true))
		return;
	(void)watcher_catch_up(w);
}

bool watch_cancel(struct core *c, struct core_req *r)
{
	LIST_FOREACH (it, &c->watchers) {
		struct watcher *w = CONTAINER_OF(it, struct watcher, all);

		if (w->req != r)
			continue;
		watcher_free(w);
		return true;
	}
	return false;
}

void watch_free_all(struct core *c)
{
	LIST_FOREACH (it, &c->watchers)
		watcher_free(CONTAINER_OF(it, struct watcher, all));
}
