/*
 * The writing part of a run. First every changed object goes through the server's dry run: one that
 * is refused ends the run, and nothing was changed. Then they are applied in order of rank, those
 * of one rank side by side. Never applies anything that the dry run of this revision refused.
 */
#include <string.h>

#include "lib/base/fault.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/autoscaled.h"
#include "reconciler/sensitive.h"

#define STRICT "fieldValidation=Strict"
#define KINDS_WAIT (15 * NS_PER_S)
#define MOVES_MAX 20 /* of an object between reading and writing it */
#define KINDS_PAUSE (100 * NS_PER_MS)
#define HELD (3 * NS_PER_S)

static void pump(struct run *run);

/* ---- one object ---- */

static const struct resource *resource_of(struct run *run, const struct rendered_object *o)
{
	return restmap_find(unit_there(run->u)->restmap, o->api_version, o->kind);
}

static void send(struct run *run, size_t i, const struct json *tree, bool dry,
		 void (*done)(struct run *, size_t, const struct api_answer *))
{
	AUTO(buf) struct buf body = {0};
	const struct rendered_object *o = run->items[i].o;
	struct api_call call = {.verb = API_APPLY,
				.resource = resource_of(run, o),
				.namespace = meta_namespace(tree),
				.name = o->name,
				.query = dry ? "dryRun=All&" STRICT : STRICT,
				.force = true,
				.field_manager = FIELD_MANAGER};

	if (argo_run_option(run, o->tree, "Validate=false"))
		call.query = dry ? "dryRun=All" : NULL;
	json_write(tree, &body);
	call.body = buf_view(&body);
	run_call_as(run, &call, i, done);
}

/* "app/x.yaml:12: Deployment shop/front: what the server said". */
static struct str explain(struct run *run, const struct run_item *item)
{
	struct arena *a = &run->arena;
	const struct rendered_object *o = item->o;
	struct str message = str_c(item->err.msg), field = message_field(message), place;

	message = sensitive_scrub(a, o->tree, message);
	place = field.n ? rendered_field_place(a, &run->rendered, o, field)
			: rendered_place(a, &run->rendered, o);
	return arena_strf(a, "%.*s: %.*s %.*s%s%.*s: %.*s%s", STR_ARG(place), STR_ARG(o->kind),
			  STR_ARG(o->namespace), o->namespace.n ? "/" : "",
			  STR_ARG(sensitive_name(o->tree)), STR_ARG(message), item->hint ?: "");
}

static bool over(struct run *run)
{
	if (!run->failed || run->inflight)
		return false;
	for (size_t i = 0; i < run->n; i++) {
		if (run->items[i].err.code) {
			run_fail(run, "ReconciliationFailed", explain(run, &run->items[i]));
			return true;
		}
	}
	return false;
}

static void failed(struct run *run, size_t i, const struct err *err)
{
	run->items[i].err = *err;
	/* A plan tells of all that is refused. */
	run->failed = !run->u->plan;
}

void run_item_failed(struct run *run, size_t i, const struct err *err)
{
	failed(run, i, err);
	pump(run);
}

bool object_says(const struct json *tree, const char *key, const char *value)
{
	return str_ieq(meta_annotation(tree, key), str_c(value)) ||
	       str_ieq(meta_label(tree, key), str_c(value));
}

/* What the manifest itself asks to be left alone, whatever is live. */
static bool is_left_alone(const struct json *tree)
{
	return object_says(tree, UNIT_RECONCILE, "disabled") ||
	       object_says(tree, UNIT_SSA, "Ignore");
}

/* ---- dry run ---- */

static bool declares_namespace(const struct run *run, struct str name)
{
	for (size_t i = 0; i < run->n; i++) {
		const struct rendered_object *o = run->items[i].o;

		if (!o->group.n && str_is(o->kind, "Namespace") && str_eq(o->name, name))
			return true;
	}
	return argo_makes_namespace(run, name);
}

/* While nobody was looking, somebody may have: what the dry run would change back is drift. */
static void note_past_drift(struct run *run, struct run_item *item, const struct json *live)
{
	AUTO(arena) struct arena a = {0};
	const struct rendered_object *o = item->o;
	struct entry *e;
	struct drift_list l;

	drift_compare(&a, schema_find_kind(o->api_version, o->kind), o->tree, live,
		      item->dry ? obj_tree(item->dry, &a) : NULL, &l);
	e = l.n ? entry_set(run->u, &run->rendered, o) : map_get(&run->u->entries, o->id);
	if (!e)
		return;
	entry_looked(e, live, &l);
	if (l.n)
		drift_decide(e, o->tree, &l);
}

/* What is written is written over this: an edit in between is drift like any other, and would be
 * lost without a word. */
static void look_back(struct run *run, struct run_item *item, const struct json *live)
{
	struct str revision = json_str(json_at(live, "metadata", "resourceVersion"));

	item->looked = revision.n ? arena_cstr(&run->arena, revision) : NULL;
	note_past_drift(run, item, live);
}

/* The field's owner stays when its autoscaler goes: git's number counts again then. */
static void on_autoscalers(struct run *run, size_t i, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct run_item *item = &run->items[i];
	const struct json *list =
		answer->err.code ? NULL : json_parse(&a, answer->body, NULL, NULL);

	if (list && !autoscaled_by_any(list, item->o->tree))
		item->scaled = NULL;
	pump(run);
}

static void find_autoscaler(struct run *run, size_t i)
{
	struct api_call list = {.verb = API_LIST,
				.resource = &res_horizontalpodautoscalers,
				.namespace = run->items[i].o->namespace};

	run_call_as(run, &list, i, on_autoscalers);
}

static void on_live(struct run *run, size_t i, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct run_item *item = &run->items[i];
	const struct json *live =
		answer->err.code ? NULL : json_parse(&a, answer->body, NULL, NULL);

	if (autoscaled(live)) {
		item->scaled = json_copy(&run->arena, live);
		find_autoscaler(run, i);
	}
	if (run->u->plan)
		item->live = live ? json_copy(&run->arena, live) : NULL;
	else if (!item->listed)
		item->adopted = live && !meta_label(live, UNIT_LABEL_NAME).n;
	else if (run->resumed && (live || answer->err.code == ERR_NOT_FOUND))
		look_back(run, item, live);
	pump(run);
}

static void on_dry(struct run *run, size_t i, const struct api_answer *answer);

/* Where the namespace comes with this revision, the content is tried in the unit's own one. */
static void dry_elsewhere(struct run *run, size_t i)
{
	struct json *tree = json_copy(&run->arena, run->items[i].o->tree);

	run->items[i].elsewhere = true;
	json_set_str(&run->arena, json_get(tree, STR("metadata")), "namespace",
		     run->opts.unit_namespace);
	send(run, i, tree, true, on_dry);
}

/* It is there already, and either the manifest or somebody's hand says to keep it as it is. */
static bool live_is_kept(struct run_item *item, struct str merged)
{
	AUTO(arena) struct arena a = {0};

	if (object_says(item->o->tree, UNIT_SSA, "IfNotPresent"))
		return true;
	/* Mostly the word isn't there at all. */
	item->kept = str_find(merged, STR(UNIT_RECONCILE)) >= 0 &&
		     object_says(json_parse(&a, merged, NULL, NULL), UNIT_RECONCILE, "disabled");
	return item->kept;
}

/* there: the dry run found an object. */
static bool wants_live(const struct run *run, const struct run_item *item, bool there)
{
	bool here = there && !item->elsewhere;

	if (here && json_at(item->o->tree, "spec", "replicas"))
		return true; /* an autoscaler may have decided on them */
	return item->listed && !run->u->plan ? run->resumed : here;
}

static void on_dry(struct run *run, size_t i, const struct api_answer *answer)
{
	struct run_item *item = &run->items[i];
	struct entry *e = map_get(&run->u->entries, item->o->id);
	struct api_call get = {.verb = API_GET,
			       .resource = resource_of(run, item->o),
			       .namespace = item->o->namespace,
			       .name = item->o->name};

	if (answer->err.code == ERR_NOT_FOUND && item->o->namespace.n && !item->elsewhere &&
	    declares_namespace(run, item->o->namespace)) {
		dry_elsewhere(run, i);
		return;
	}
	if (answer->status == 200 && e)
		e->frozen_gone = false; /* somebody made it again */
	if (answer->err.code) {
		if (!run_recreates(run, i, &answer->err))
			failed(run, i, &answer->err);
	} else if (answer->status == 200 && !item->elsewhere && live_is_kept(item, answer->body)) {
		item->skip = true;
	} else if (wants_live(run, item, answer->status == 200)) {
		item->dry = obj_from_bytes(answer->body, NULL);
		run_call_as(run, &get, i, on_live);
	}
	pump(run);
}

/* ---- apply ---- */

static void on_moved(struct run *run, size_t i, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct run_item *item = &run->items[i];

	if (answer->err.code)
		failed(run, i, &answer->err);
	else {
		look_back(run, item, json_parse(&a, answer->body, NULL, NULL));
		run_apply_item(run, i);
	}
	pump(run);
}

/* Somebody wrote after the values were read that wait for a decision: theirs are read again, or
 * the older ones would be put back as if they were meant. */
static bool moved(struct run *run, size_t i, const struct api_answer *answer)
{
	struct run_item *item = &run->items[i];
	struct api_call get = {.verb = API_GET,
			       .resource = resource_of(run, item->o),
			       .namespace = item->o->namespace,
			       .name = item->o->name};

	if (answer->err.code != ERR_CONFLICT || (!item->entry->nfrozen && !item->looked) ||
	    item->moves++ == MOVES_MAX)
		return false;
	run_call_as(run, &get, i, on_moved);
	return true;
}

static void on_applied(struct run *run, size_t i, const struct api_answer *answer)
{
	struct run_item *item = &run->items[i];

	if (run_waits_for_end(run, i, answer) || moved(run, i, answer))
		return;
	if (answer->err.code) {
		failed(run, i, &answer->err);
	} else {
		entry_accept(item->entry, answer->body);
		item->entry->gone = false;
		item->entry->overlaid = item->entry->nfrozen > 0;
	}
	pump(run);
}

static void on_kinds(struct loop *l, struct loop_timer *t)
{
	(void)l;
	pump(CONTAINER_OF(t, struct run, soon));
}

static void on_discovery(void *arg, const struct err *err)
{
	(void)arg;
	if (err->code)
		log_warn("cannot read what kinds there are", "error", err->msg);
}

/* A kind that a definition of this revision makes takes a moment to be served. */
static bool kind_ready(struct run *run, size_t i)
{
	struct err err = {0};
	int64_t now = loop_now(run->r->loop);

	if (resource_of(run, run->items[i].o))
		return true;
	if (!run->kinds_until)
		run->kinds_until = now + KINDS_WAIT;
	if (now > run->kinds_until) {
		err_set(&err, ERR_NOT_FOUND, "the cluster does not serve this kind");
		failed(run, i, &err);
		return false;
	}
	restmap_refresh(unit_there(run->u)->restmap, on_discovery, NULL);
	loop_timer_set(run->r->loop, &run->soon, KINDS_PAUSE, on_kinds);
	return false;
}

void run_apply_item(struct run *run, size_t i)
{
	struct run_item *item = &run->items[i];

	struct json *tree =
		entry_overlay(item->entry, &run->arena,
			      autoscaled_keep(&run->arena, item->o->tree, item->scaled));

	if (argo_run_option(run, item->o->tree, "RespectIgnoreDifferences=true"))
		tree = argo_respect(item->entry, &run->arena, json_copy(&run->arena, tree));
	/* What is frozen says so itself. Whoever never stops writing isn't waited for. */
	if (item->looked && !item->entry->nfrozen && item->moves < MOVES_MAX) {
		tree = json_copy(&run->arena, tree);
		json_set_str(&run->arena, json_get(tree, STR("metadata")), "resourceVersion",
			     str_c(item->looked));
	}
	send(run, i, tree, false, on_applied);
}

static void apply_one(struct run *run, size_t i)
{
	struct run_item *item = &run->items[i];
	struct entry *old = map_get(&run->u->entries, item->o->id);

	if (item->skip) {
		/* Not ours to watch over, but for the hand that may let go of it. */
		if (item->kept)
			entry_set(run->u, &run->rendered, item->o)->kept = true;
		else if (old)
			entry_drop(run->u, old);
		return;
	}
	if (!item->changed && old && old->resource) {
		entry_touch(old, &run->rendered, item->o);
		item->entry = old;
		return;
	}
	item->entry = entry_set(run->u, &run->rendered, item->o);
	item->entry->adopted |= item->adopted;
	if (item->entry->resource)
		kindwatch_get(unit_there(run->u), item->entry->resource);
	if (item->recreate)
		run_recreate(run, i);
	else if (item->changed && !item->entry->frozen_gone)
		run_apply_item(run, i);
}

/* ---- moving on ---- */

static bool skip(const struct run *run, size_t i)
{
	const struct run_item *item = &run->items[i];

	return run->phase == RUN_DRY && (!item->changed || !item->o->served || item->skip);
}

static bool may_start(struct run *run, size_t i)
{
	if (run->inflight >= IN_FLIGHT_MAX)
		return false;
	if (run->phase == RUN_DRY)
		return true;
	if (i && run->items[i].wave != run->items[i - 1].wave) {
		if (!run_wave_ready(run, i))
			return false;
	} else if (run->inflight && i && run->items[i].rank != run->items[i - 1].rank) {
		return false;
	}
	return kind_ready(run, i);
}

static void apply_begin(struct run *run)
{
	struct unit_report rep = {.ready = run->u->ready ? "True" : "Unknown",
				  .reason =
					  run->u->ready ? "ReconciliationSucceeded" : "Progressing",
				  .message = STR("applying"),
				  .attempted = run->revision,
				  .partial = true};

	/* Before anything is made, so that nothing is forgotten when we end halfway. */
	rep.inventory = run_inventory(run, true);
	if (run->u->ready)
		rep.message =
			arena_strf(&run->arena, "Applied revision: %s", run->u->revision ?: "none");
	unit_report(run->u, &rep);
	run->phase = RUN_APPLY;
	run->next = 0;
	if (run->u->argo)
		argo_before_apply(run);
	else
		pump(run);
}

void run_apply(struct run *run)
{
	pump(run);
}

void run_pump(struct run *run)
{
	pump(run);
}

static void on_held(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	apply_begin(run);
}

/* For tests: what happens between the first look after a restart and what follows from it. */
static bool is_held(struct run *run)
{
	if (!fault_armed || !run->resumed ||
	    !fault_hit(arena_printf(&run->arena, "reconciler.looked/%s", run->u->key)))
		return false;
	log_info("held by a fault point", "unit", run->u->key);
	run_later(run, HELD, 0, on_held);
	return true;
}

static void pump(struct run *run)
{
	while (!run->failed && run->next < run->n) {
		size_t i = run->next;

		if (skip(run, i)) {
			run->next++;
			continue;
		}
		if (!may_start(run, i))
			break;
		run->next++;
		if (run->phase == RUN_DRY)
			send(run, i, run->items[i].o->tree, true, on_dry);
		else
			apply_one(run, i);
	}
	if (run->wave_error && !run->inflight && !run->fail_reason) {
		run_fail(run, "HealthCheckFailed", str_c(run->wave_error));
		return;
	}
	if (over(run) || run->inflight || run->next < run->n)
		return;
	if (run->u->plan)
		run_plan_ready(run);
	else if (run->phase == RUN_DRY && !is_held(run))
		apply_begin(run);
	else if (run->phase == RUN_DRY)
		return;
	else if (run->u->argo)
		argo_after_apply(run);
	else
		run_prune(run);
}

static bool has_changed(struct run *run, const struct rendered_object *o)
{
	AUTO(buf) struct buf text = {0};
	struct entry *e = map_get(&run->u->entries, o->id);

	if (run->u->full || !e || !e->accepted)
		return true;
	json_write(o->tree, &text);
	return text.n != e->nbytes || memcmp(text.p, e->bytes, text.n) != 0;
}

/* The first run after a start, of what was applied before: revision and spec are the same. */
static bool resumed(struct run *run)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = run->u;
	const struct json *status = json_get(unit_tree(u, &a), STR("status"));

	if (u->revision ||
	    !str_eq(json_str(json_get(status, STR("lastAppliedRevision"))), run->revision) ||
	    json_int(json_get(status, STR("observedGeneration")), 0) != run->generation)
		return false;
	u->revision = xstrndup(run->revision.p, run->revision.n);
	memcpy(u->commit, run->commit, sizeof(u->commit));
	return true;
}

void run_dry(struct run *run)
{
	AUTO(arena) struct arena a = {0};
	AUTO(map) struct map listed = {0};
	const struct json *old = unit_inventory(run->u, &a);

	run->resumed = resumed(run);
	for (size_t i = 0; i < json_len(old); i++)
		map_set(&listed, json_str(json_get(json_item(old, i), STR("id"))), run);
	for (size_t i = 0; i < run->n; i++) {
		struct run_item *item = &run->items[i];
		struct entry *e = map_get(&run->u->entries, item->o->id);

		item->listed = map_has(&listed, item->o->id);
		item->adopted = e && e->adopted;
		item->skip = is_left_alone(item->o->tree);
		item->changed = has_changed(run, item->o);
	}
	run->phase = RUN_DRY;
	run->next = 0;
	pump(run);
}
