/*
 * The end of a run: what the inventory has and the revision hasn't is deleted, within the brakes of
 * plan_prune, and only when the live object still says that it is this unit's. What cannot be
 * deleted stays in the inventory.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "reconciler/argo.h"

static void next(struct run *run);

const struct resource *plan_resource(struct run *run, const struct plan_entry *e)
{
	struct str version = e->group.n ? arena_strf(&run->arena, "%.*s/%.*s", STR_ARG(e->group),
						     STR_ARG(e->version))
					: e->version;

	return restmap_find(unit_there(run->u)->restmap, version, e->kind);
}

static void append(struct arena *a, struct json *list, struct str id, struct str version)
{
	json_append(a, list, json_build(a, "{s:S,s:S}", "id", id, "v", version));
}

const struct json *run_inventory(struct run *run, bool with_old)
{
	AUTO(map) struct map have = {0};
	struct arena *a = &run->arena;
	struct json *list = json_new(a, JSON_ARRAY);
	const struct json *old = unit_inventory(run->u, a);

	for (size_t i = 0; i < run->n; i++) {
		const struct run_item *item = &run->items[i];

		map_set(&have, item->o->id, run);
		if (!item->adopted)
			append(a, list, item->o->id, item->o->version);
	}
	for (size_t i = 0; i < run->prune.nheld; i++)
		append(a, list, run->prune.held[i].id, run->prune.held[i].version);
	for (size_t i = 0; with_old && i < json_len(old); i++) {
		const struct json *e = json_item(old, i);

		if (!map_has(&have, json_str(json_get(e, STR("id")))))
			json_append(a, list, e);
	}
	return list;
}

static bool is_ours(struct run *run, const struct json *live)
{
	return str_eq(meta_label(live, UNIT_LABEL_NAME), run->opts.unit_name) &&
	       str_eq(meta_label(live, UNIT_LABEL_NAMESPACE), run->opts.unit_namespace) &&
	       !object_says(live, UNIT_PRUNE, "disabled") &&
	       !object_says(live, UNIT_RECONCILE, "disabled") &&
	       (run->u->argo || !argo_option(live, run->farewell ? "Delete=false" : "Prune=false"));
}

/* An Application's that stays: it is told of, and looked at again by the next run. */
static bool held(struct run *run, const struct plan_entry *e, const struct json *live)
{
	const char *why = run->u->argo ? argo_keeps(run, live) : NULL;
	struct plan_entry *h;

	if (!why)
		return false;
	/* Its end is what the object is to survive. */
	if (run->farewell && !strcmp(why, "Delete=false"))
		return true;
	h = &run->prune.held[run->prune.nheld++];
	*h = *e;
	h->no_difference = argo_extraneous(live);
	h->unapproved = str_find(str_c(why), STR("confirm")) >= 0;
	run->prune.why =
		arena_strf(&run->arena, "%.*s %.*s: %s", STR_ARG(e->kind), STR_ARG(e->name), why);
	return true;
}

static void on_deleted(struct run *run, size_t i, const struct api_answer *answer)
{
	const struct plan_entry *e = &run->prune.go[i];

	if (answer->err.code && answer->err.code != ERR_NOT_FOUND) {
		run->prune.held[run->prune.nheld++] = *e;
		run->prune.go[i].stays = true;
		run->prune_failed = true;
		run->prune.why =
			arena_strf(&run->arena, "%.*s: %s", STR_ARG(e->id), answer->err.msg);
	} else {
		log_info("pruned", "unit", run->u->key, "object", log_fmt("%.*s", STR_ARG(e->id)));
	}
	run->next++;
	next(run);
}

/* Another unit declares it now: it moves, and must not be gone in between. */
static bool claimed(const struct run *run, struct str id)
{
	struct map_iter it = {0};

	while (map_next(&run->r->units, &it)) {
		const struct unit *u = it.value;

		if (u == run->u)
			continue;
		if (map_has(&u->entries, id))
			return true;
		for (size_t i = 0; u->run && i < u->run->n; i++) {
			if (str_eq(u->run->items[i].o->id, id))
				return true;
		}
	}
	return false;
}

static void on_live(struct run *run, size_t i, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	const struct plan_entry *e = &run->prune.go[i];
	const struct json *live =
		answer->err.code ? NULL : json_parse(&a, answer->body, NULL, NULL);
	struct api_call call = {.verb = API_DELETE,
				.resource = plan_resource(run, e),
				.namespace = e->namespace,
				.name = e->name};

	if (!live || !is_ours(run, live) || claimed(run, e->id) || held(run, e, live)) {
		run->prune.go[i].stays = true;
		run->next++;
		next(run);
		return;
	}
	if (run->u->argo && argo_prunes_later(run, live))
		return;
	if (run->wave_error) {
		run_fail(run, "HealthCheckFailed", str_c(run->wave_error));
		return;
	}
	json_write(json_build(&a, "{s:s,s:s,s:s,s:{s:S}}", "apiVersion", "v1", "kind",
			      "DeleteOptions", "propagationPolicy", argo_propagation(run),
			      "preconditions", "uid", meta_uid(live)),
		   &body);
	call.body = buf_view(&body);
	run_call_as(run, &call, i, on_deleted);
}

/* Entries that left the revision are no longer watched over, before they go. */
static void forget(struct run *run)
{
	AUTO(map) struct map have = {0};
	struct map_iter it = {0};

	for (size_t i = 0; i < run->n; i++)
		map_set(&have, run->items[i].o->id, run);
	while (map_next(&run->u->entries, &it)) {
		struct entry *e = it.value;

		if (!map_has(&have, str_c(e->id)))
			entry_drop(run->u, e);
	}
}

static void next(struct run *run)
{
	while (run->next < run->prune.ngo) {
		const struct plan_entry *e = &run->prune.go[run->next];
		struct api_call call = {.verb = API_GET,
					.resource = plan_resource(run, e),
					.namespace = e->namespace,
					.name = e->name};

		if (call.resource) {
			run_call_as(run, &call, run->next, on_live);
			return;
		}
		run->next++;
	}
	if (run->farewell)
		run_farewell_end(run);
	else if (run->prune_failed)
		run_fail(run, "PruneFailed", run->prune.why);
	else if (run->prune.nheld)
		run_succeed(run,
			    arena_strf(&run->arena,
				       "Applied revision: %.*s; %zu objects are not pruned: "
				       "%.*s%s",
				       STR_ARG(run->revision), run->prune.nheld,
				       STR_ARG(run->prune.why),
				       run->u->argo ? "" : " (annotate with " PRUNE_CONFIRM ")"));
	else
		run_succeed(run, arena_strf(&run->arena, "Applied revision: %.*s",
					    STR_ARG(run->revision)));
}

void run_prune_next(struct run *run)
{
	next(run);
}

void run_prune_go(struct run *run)
{
	run->phase = RUN_PRUNE;
	run->next = 0;
	next(run);
}

/* Those that wait for us haven't rendered this revision yet, and may declare what goes here. */
static const struct unit *behind_us(const struct run *run)
{
	const struct source *s = unit_source(run->u, run->spec);
	struct map_iter it = {0};

	while (map_next(&run->r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		const struct unit *u = it.value;

		if (u == run->u || u->run || unit_suspended(u) || u->o->deleted_ns ||
		    !strcmp(u->commit, run->commit))
			continue;
		if (unit_source(u, json_get(unit_tree(u, &a), STR("spec"))) == s &&
		    (!list_empty(&u->queued) || unit_waits_on(u, run->u, 64)))
			return u;
	}
	return NULL;
}

static bool hold_for_others(struct run *run)
{
	struct plan_prune *p = &run->prune;
	const struct unit *u = behind_us(run);

	if (!u)
		return false;
	for (size_t i = 0; i < p->ngo; i++)
		p->held[p->nheld++] = p->go[i];
	p->ngo = 0;
	p->why = arena_strf(&run->arena, "%s, which is still to come, may declare them", u->key);
	return true;
}

void run_prune(struct run *run)
{
	/* A copy: the cache may replace the object before all is deleted. */
	const struct json *o = json_copy(&run->arena, unit_tree(run->u, &run->arena));
	/* A copy of this too. */
	const struct json *entries = json_copy(&run->arena, unit_inventory(run->u, &run->arena));
	struct plan_prune_opts opts = {.inventory = entries,
				       .revision = run->revision,
				       .confirmed = meta_annotation(o, PRUNE_CONFIRM),
				       .enabled =
					       json_bool(json_get(run->spec, STR("prune")), false)};

	if (run->u->argo)
		argo_prune_opts(run, &opts);
	plan_prune(&run->arena, &run->rendered, &opts, &run->prune);
	run->u->prune_later = run->prune.ngo && hold_for_others(run);
	forget(run);
	run_prune_go(run);
}
