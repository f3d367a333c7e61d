/*
 * The core's frame: kinds and their tables, loading, the queue, the turn with its one commit, and
 * the answers that wait for it. What a request does is in core_read.c, core_write.c and others.
 * One thread; never sleeps, never looks at a clock but the one it was given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/core-internal.h"
#include "apiserver/crd.h"
#include "apiserver/quota.h"
#include "lib/base/log.h"

#define TURN_MAX 256 /* requests of one commit: bounds how long an answer waits */

int64_t core_now(const struct core *c)
{
	return c->frozen_ns ? c->frozen_ns : c->o.now(c->o.now_arg);
}

static void load_alloc(struct core *c)
{
	struct table *t = core_table(c, "", "services");

	for (size_t i = 0; t && i < t->n; i++) {
		AUTO(arena) struct arena a = {0};

		alloc_change(c->alloc, NULL, obj_tree(t->rows[i], &a));
	}
}

/* ---- what admission may read ---- */

static const struct json *reader_get(void *ctx, const char *group, const char *plural,
				     struct str namespace, struct str name, struct arena *a)
{
	struct core *c = ctx;
	struct table *t = core_table(c, group, plural);
	const struct obj *o = t ? table_get(t, namespace, name) : NULL;
	struct read_tree *slot;

	(void)a;
	if (!o)
		return NULL;
	slot = &c->read_trees[((uintptr_t)o / 64) % ARRAY_LEN(c->read_trees)];
	if (slot->obj != o)
		*slot = (struct read_tree){o, obj_tree(o, &c->turn)};
	return slot->tree;
}

static void reader_each(void *ctx, const struct admission_scan *scan, struct arena *a,
			void (*fn)(void *arg, const struct json *o), void *arg)
{
	struct table *t = core_table(ctx, scan->group, scan->plural);
	size_t from = 0, to = 0;

	if (t)
		table_range(t, scan->namespace, &from, &to);
	for (; from < to; from++)
		if (!scan->holds.n || str_find(t->rows[from]->bytes, scan->holds) >= 0)
			fn(arg, obj_tree(t->rows[from], a));
}

/* ---- making ---- */

struct core *core_new(const struct core_opts *o, struct err *err)
{
	static const char *const heads[] = {
		"{\"type\":\"ADDED\",\"object\":", "{\"type\":\"MODIFIED\",\"object\":",
		"{\"type\":\"DELETED\",\"object\":", "{\"type\":\"BOOKMARK\",\"object\":"};
	struct core *c = xalloc(sizeof(*c));

	c->o = *o;
	c->o.keep_events_ns = o->keep_events_ns ? o->keep_events_ns : 300 * NS_PER_S;
	rng_seed(&c->rng, o->seed);
	c->queue_end = &c->queue;
	c->replies_end = &c->replies;
	list_init(&c->watchers);
	list_init(&c->snapshots);
	list_init(&c->parked);
	c->reader = (struct admission_reader){.get = reader_get, .each = reader_each, .ctx = c};
	core_admit_sort(c);
	c->quotas = quota_new();
	c->reader.quota = quota_admit;
	c->comma = block_new(STR(","));
	c->event_tail = block_new(STR("}\n"));
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		c->event_head[i] = block_new(str_c(heads[i]));
	core_load_kinds(c);
	c->alloc = alloc_new(o->service_cidr ? o->service_cidr : "10.96.0.0/16", err);
	if (!c->alloc || core_load(c, err)) {
		core_free(c);
		return NULL;
	}
	load_alloc(c);
	return c;
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		obj_unref(t->rows[i]);
	watch_log_release(t);
	free(t->rows);
	if (!t->kind->crd)
		free((void *)(uintptr_t)t->kind);
	free(t);
}

static void snapshot_free(struct core *c, struct snapshot *s)
{
	list_remove(&s->all);
	c->nsnapshots--;
	for (size_t i = 0; i < s->n; i++)
		obj_unref(s->v[i]);
	free(s->v);
	free(s->namespace);
	free(s);
}

void core_free(struct core *c)
{
	if (!c)
		return;
	watch_free_all(c);
	core_park_free(c);
	core_webhooks_free(c);
	watch_conversions_free(c);
	LIST_FOREACH (it, &c->snapshots)
		snapshot_free(c, CONTAINER_OF(it, struct snapshot, all));
	for (size_t i = 0; i < c->nserved; i++) {
		const struct served *s = c->served[i];

		if (s->table->kind != s->kind && !s->kind->crd)
			free((void *)(uintptr_t)s->kind);
		free(c->served[i]);
	}
	for (size_t i = 0; i < c->ntables; i++)
		table_free(c->tables[i]);
	core_crd_free(c);
	core_reseal_free(c);
	for (size_t i = 0; i < ARRAY_LEN(c->event_head); i++)
		block_unref(c->event_head[i]);
	block_unref(c->event_tail);
	block_unref(c->comma);
	map_release(&c->by_path);
	map_release(&c->by_name);
	alloc_free(c->alloc);
	arena_release(&c->turn);
	free(c->served);
	free(c->tables);
	free(c->changes);
	free(c->kept);
	free(c->hooks);
	free(c->steps);
	quota_free(c->quotas);
	free(c);
}

/* ---- the queue ---- */

void core_submit(struct core *c, struct core_req *r)
{
	r->core_private = NULL;
	core_requeue(c, r);
}

bool core_pending(const struct core *c)
{
	return c->queue != NULL;
}

void core_cancel(struct core *c, struct core_req *r)
{
	if (watch_cancel(c, r) || core_park_cancel(c, r))
		return;
	for (struct core_req **at = &c->queue; *at; at = &(*at)->core_next) {
		if (*at != r)
			continue;
		*at = r->core_next;
		if (c->queue_end == &r->core_next)
			c->queue_end = at;
		core_park_forget(r);
		return;
	}
}

void core_on_change(struct core *c,
		    void (*fn)(void *arg, const struct kind *k, const struct obj *old,
			       const struct obj *new),
		    void *arg)
{
	c->hooks = xreallocarray(c->hooks, c->nhooks + 1, sizeof(*c->hooks));
	c->hooks[c->nhooks++] = (struct hook){fn, arg};
}

uint64_t core_revision(const struct core *c)
{
	return c->revision;
}

static const struct table *table_of(const struct core *c, const struct kind *k)
{
	if (k->stored)
		k = k->stored;
	return core_table(c, k->group, k->plural);
}

const struct obj *core_get(const struct core *c, const struct kind *k, struct str namespace,
			   struct str name)
{
	const struct table *t = table_of(c, k);

	return t ? table_get(t, namespace, name) : NULL;
}

void core_each(const struct core *c, const struct kind *k,
	       void (*fn)(void *arg, const struct obj *o), void *arg)
{
	const struct table *t = table_of(c, k);

	for (size_t i = 0; t && i < t->n; i++)
		fn(arg, t->rows[i]);
}

/* ---- one request ---- */

struct str op_query(const struct op *op, const char *name)
{
	return http_query(op->a, op->req->query, name);
}

/* Old versions are told of, so that nobody is surprised when they go. */
static void warn_of_age(struct op *op)
{
	const struct kind *k = op->kind;

	if (k->crd && crd_version(k)->deprecation)
		buf_printf(&op->warnings, "%s\n", crd_version(k)->deprecation);
	if (!k->crd && k->stored && strstr(k->version, "beta"))
		buf_printf(&op->warnings, "%s/%s %s is deprecated; use %s/%s %s\n", k->group,
			   k->version, k->kind, k->group, k->stored->version, k->kind);
	if (!strcmp(k->kind, "ComponentStatus"))
		buf_printf(&op->warnings, "%s %s is deprecated in v1.19+\n", k->version, k->kind);
	if (op->notes && op->warnings.n)
		json_set_str(op->a, op->notes, "k8s.io/deprecated", STR("true"));
}

static bool find_kind(struct op *op)
{
	const struct core_req *r = op->req;

	op->served = core_served(op->core, r->group, r->version, r->resource);
	if (!op->served) {
		err_set(&op->err, ERR_NOT_FOUND,
			"the server could not find the requested resource");
		return false;
	}
	op->kind = op->served->kind;
	warn_of_age(op);
	if ((op->kind->flags & KIND_NAMESPACED) && !r->namespace.n &&
	    (r->name.n || r->verb == CORE_CREATE)) {
		err_set(&op->err, ERR_BAD_REQUEST,
			"an empty namespace may not be set when a resource name is provided");
		return false;
	}
	return true;
}

static void carry_out(struct op *op)
{
	static void (*const verbs[])(struct op *) = {
		[CORE_GET] = core_read,      [CORE_LIST] = core_read,
		[CORE_WATCH] = core_watch,   [CORE_CREATE] = core_create,
		[CORE_UPDATE] = core_update, [CORE_PATCH] = core_patch,
		[CORE_DELETE] = core_delete, [CORE_DELETE_COLLECTION] = core_delete_collection};

	if (!find_kind(op) || options_read(op)) {
		op_answer_error(op);
		return;
	}
	if (op->req->ask) {
		core_ask(op);
		return;
	}
	if (op->req->subresource.n &&
	    !(str_is(op->req->subresource, "status") && op->kind->flags & KIND_STATUS) &&
	    core_subresource(op))
		return;
	if (op->kind->flags & KIND_NO_STORE) { /* reviews are the front's: only Bindings come */
		core_binding(op);
		return;
	}
	verbs[op->req->verb](op);
}

static void handle(struct core *c, struct core_req *r)
{
	/* The turn's arena is the core's own: what other threads made and will free is not grown
	 * here. A watch outlives the turn. */
	struct arena *a = r->verb == CORE_WATCH ? r->arena : &c->turn;
	struct op op = {.core = c, .req = r, .a = a, .problems = {.a = a}, .repeated = {.a = a}};

	op.notes = r->noted ? json_new(a, JSON_OBJECT) : NULL;
	op_begin(&op);
	carry_out(&op);
	op_end(&op);
	buf_release(&op.warnings);
}

/* ---- commit ---- */

static void change_add(struct core *c, struct table *t, const struct obj *old,
		       const struct obj *new, const struct obj *event_new)
{
	if (c->nchanges == c->changes_cap) {
		c->changes_cap = c->changes_cap ? 2 * c->changes_cap : 64;
		c->changes = xreallocarray(c->changes, c->changes_cap, sizeof(*c->changes));
	}
	c->changes[c->nchanges++] = (struct change){t, old ? obj_ref(old) : NULL,
						    new ? obj_ref(new) : NULL, obj_ref(event_new)};
	quota_change(c, t, old, new);
}

void core_keep(struct core *c, const struct obj *o)
{
	if (c->nkept == c->kept_cap) {
		c->kept_cap = c->kept_cap ? 2 * c->kept_cap : 16;
		c->kept = xreallocarray(c->kept, c->kept_cap, sizeof(*c->kept));
	}
	c->kept[c->nkept++] = o;
}

static struct obj *stamped(struct core *c, struct json *tree, struct arena *a)
{
	struct err err = {0};
	struct obj *o;

	json_set_str(a, json_set_object(a, tree, "metadata"), "resourceVersion",
		     arena_strf(a, "%llu", (unsigned long long)++c->revision));
	o = obj_from_json(tree, &err);
	if (!o)
		panic("an object of ours does not parse: %s", err.msg);
	return o;
}

const struct obj *core_put(struct core *c, struct table *t, struct json *tree, struct arena *a)
{
	struct obj *o = stamped(c, tree, a);
	const struct obj *old = table_put(t, o);

	if (t == core_table(c, "", "services"))
		alloc_change(c->alloc, old ? obj_tree(old, a) : NULL, tree);
	change_add(c, t, old, o, o);
	obj_unref(old);
	return o;
}

void core_remove(struct core *c, struct table *t, const struct obj *o, struct arena *a)
{
	struct json *tree = json_copy(a, obj_tree(o, a));
	struct obj *last = stamped(c, tree, a);
	const struct obj *old = table_del(t, o->namespace, o->name);

	if (t == core_table(c, "", "services"))
		alloc_change(c->alloc, tree, NULL);
	change_add(c, t, old, NULL, last);
	obj_unref(old);
	obj_unref(last);
}

void core_undo_to(struct core *c, size_t n)
{
	while (c->nchanges > n) {
		struct change *ch = &c->changes[--c->nchanges];
		AUTO(arena) struct arena a = {0};

		if (ch->table == core_table(c, "", "services"))
			alloc_change(c->alloc, ch->new ? obj_tree(ch->new, &a) : NULL,
				     ch->old ? obj_tree(ch->old, &a) : NULL);
		if (ch->old)
			obj_unref(table_put(ch->table, obj_ref(ch->old)));
		else
			obj_unref(table_del(ch->table, ch->new->namespace, ch->new->name));
		quota_change(c, ch->table, ch->new, ch->old);
		obj_unref(ch->old);
		obj_unref(ch->new);
		obj_unref(ch->event_new);
	}
}

static int commit(struct core *c, struct err *err)
{
	struct store_write *w = arena_array(&c->turn, 2 * c->nchanges, sizeof(*w));
	size_t n = c->nchanges;

	for (size_t i = 0; i < c->nchanges; i++) {
		const struct change *ch = &c->changes[i];
		const struct obj *o = ch->new ? ch->new : ch->old;

		w[i].key = core_store_key(&c->turn, ch->table, o);
		w[i].revision = ch->event_new->revision;
		if (ch->new &&core_store_value(c, ch->table, w[i].key, o->bytes, &w[i].value, err))
			return -1;
	}
	n += core_store_noted(c, w + n);
	return c->o.store->ops->commit(c->o.store, w, n, c->revision, err);
}

/*
 * Every answer to a write of the turn becomes the same error: what it would have said did not
 * happen. Reads, which may have seen it, are made again: a full disk keeps nobody from reading.
 */
static void fail_replies(struct core *c, const struct err *err)
{
	struct buf text = {0};
	struct block *b;
	struct reply *r = c->replies, *next;

	c->replies = NULL;
	c->replies_end = &c->replies;
	memset(c->read_trees, 0, sizeof(c->read_trees));
	core_status_write(err, STR_NONE, STR_NONE, STR_NONE, &text);
	b = block_take(&text);
	for (; r; r = next) {
		next = r->next;
		for (size_t i = 0; i < r->nblocks; i++)
			block_unref(r->blocks[i]);
		if (r->req->verb == CORE_GET || r->req->verb == CORE_LIST) {
			handle(c, r->req);
			continue;
		}
		r->next = NULL;
		*c->replies_end = r;
		c->replies_end = &r->next;
		r->blocks = arena_dup(&c->turn, &b, sizeof(struct block *));
		block_ref(b);
		r->nblocks = 1;
		r->status = err_http(err->code);
		r->warnings = STR_NONE;
	}
	block_unref(b);
}

/* Whom pods of a new namespace wait for. */
static bool is_account(const struct kind *k)
{
	return !k->group[0] && !strcmp(k->plural, "serviceaccounts");
}

static void publish(struct core *c)
{
	bool account = false;

	for (size_t i = 0; i < c->nchanges; i++) {
		struct change *ch = &c->changes[i];

		account = account || (!ch->old && is_account(ch->table->kind));
		core_crd_change(c, ch);
		watch_log_add(c, ch->table, ch);
		for (size_t h = 0; h < c->nhooks; h++)
			c->hooks[h].fn(c->hooks[h].arg, ch->table->kind, ch->old, ch->new);
	}
	core_park_wake(c, account);
}

static void release_changes(struct core *c)
{
	for (size_t i = 0; i < c->nchanges; i++) {
		obj_unref(c->changes[i].old);
		obj_unref(c->changes[i].new);
		obj_unref(c->changes[i].event_new);
	}
	c->nchanges = 0;
	while (c->nkept)
		obj_unref(c->kept[--c->nkept]);
}

static void deliver_replies(struct core *c)
{
	while (c->replies) {
		const struct reply *r = c->replies;
		const struct core_answer a = {.status = r->status,
					      .content_type = "application/json",
					      .blocks = r->blocks,
					      .nblocks = r->nblocks,
					      .warnings = r->warnings,
					      .notes = r->notes,
					      .retry_after_s = r->retry_after_s};

		c->replies = r->next;
		if (!c->replies)
			c->replies_end = &c->replies;
		r->req->sink->answer(r->req, &a);
		for (size_t i = 0; i < r->nblocks; i++)
			block_unref(r->blocks[i]);
	}
}

static void finish_turn(struct core *c, uint64_t before)
{
	struct err err = {0};

	quota_settle(c);
	if (c->nchanges && commit(c, &err)) {
		log_error("cannot commit", "error", err.msg);
		core_undo_to(c, 0);
		c->revision = before;
		fail_replies(c, &err);
	}
	publish(c);
	deliver_replies(c);
	for (size_t i = 0; i < c->nchanges; i++)
		watch_deliver(c, c->changes[i].table, 0);
	memset(c->read_trees, 0, sizeof(c->read_trees));
	release_changes(c);
	arena_reset(&c->turn);
}

/*
 * A watch shows what is committed, so it waits for the commit of the writes before it: it ends the
 * batch, and begins the next one.
 */
static bool waits_for_commit(const struct core *c)
{
	return c->nchanges && c->queue->verb == CORE_WATCH;
}

static void turn(struct core *c)
{
	uint64_t before = c->revision;

	for (int n = 0; c->queue && n < TURN_MAX && !waits_for_commit(c); n++) {
		struct core_req *r = c->queue;

		c->queue = r->core_next;
		if (!c->queue)
			c->queue_end = &c->queue;
		handle(c, r);
	}
	watch_tick(c); /* may remove expired Events: part of the same commit */
	finish_turn(c, before);
}

void core_turn(struct core *c)
{
	watch_resume(c);
	do
		turn(c);
	while (c->queue && c->queue->verb == CORE_WATCH);
}

int64_t core_due(const struct core *c)
{
	return c->queue ? core_now(c) : MIN(c->next_tick, core_park_due(c));
}
