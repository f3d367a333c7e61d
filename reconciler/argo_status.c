/*
 * What an Application says of itself, in Argo CD's words: sync, health, resources, conditions,
 * operationState, history. Put together from what the unit knows whenever that may have changed,
 * and written only when it says something new. Never shows a value of an object. On the role's
 * loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/argo_orphans.h"
#include "reconciler/argo_status.h"
#include "reconciler/sensitive.h"

#define PUBLISH_AFTER (100 * NS_PER_MS)
#define RESULTS_MAX 500

static void put_time(struct arena *a, struct json *o, const char *key, int64_t ns)
{
	char text[TIME_TEXT_MAX];

	if (ns)
		json_set_str(a, o, key, time_format(ns, text));
}

/* ---- the whole ---- */

static struct str commit_of(const struct unit *u)
{
	const struct argo *g = u->argo;

	return str_c(g->automated || !g->compared[0] ? u->commit : g->compared);
}

static void put_condition(struct telling *w, struct json *list, struct str type, const char *text)
{
	const struct json *old = json_at(w->t, "status", "conditions"), *same = NULL;
	struct json *c = json_append(w->a, list,
				     json_build(w->a, "{s:S,s:s}", "type", type, "message", text));

	for (size_t i = 0; i < json_len(old); i++) {
		const struct json *o = json_item(old, i);

		if (str_eq(json_str(json_get(o, STR("type"))), type) &&
		    str_is(json_str(json_get(o, STR("message"))), text))
			same = o;
	}
	if (same)
		json_set(w->a, c, STR("lastTransitionTime"),
			 json_get(same, STR("lastTransitionTime")));
	else
		put_time(w->a, c, "lastTransitionTime", loop_wall(w->u->r->loop));
}

static void put_conditions(struct telling *w, struct json *status)
{
	const struct argo *g = w->g;
	struct json *list = json_set_array(w->a, status, "conditions");
	const struct json *warnings;

	if (g->error)
		put_condition(w, list,
			      g->error_type ? str_c(g->error_type) : STR("ComparisonError"),
			      g->error);
	if (g->waits)
		put_condition(w, list, STR("SyncWindow"), g->waits);
	warnings = argo_warnings(w->u, w->a);
	for (size_t i = 0; i < json_len(warnings); i++) {
		const struct json *o = json_item(warnings, i);

		put_condition(w, list, json_str(json_get(o, STR("type"))),
			      arena_cstr(w->a, json_str(json_get(o, STR("message")))));
	}
}

static struct json *source_of(struct telling *w)
{
	const struct json *s = json_at(w->t, "spec", "argo", "source");

	return s ? json_copy(w->a, s) : json_new(w->a, JSON_OBJECT);
}

static void put_sync(struct telling *w, struct json *status)
{
	const struct json *app = obj_tree(w->u->o, w->a);
	const struct argo *g = w->g;
	bool unknown = g->error && g->error_type && strcmp(g->error_type, "SyncError") != 0;
	const char *word = unknown ? "Unknown"
			   : w->out || g->unpruned || (g->automated && !w->u->ready && g->error) ||
					   (g->automated && !w->u->commit[0])
				   ? "OutOfSync"
				   : "Synced";
	struct json *sync;

	if (!unknown && !w->u->commit[0] && !g->compared[0])
		word = "Unknown";
	sync = json_set_object(w->a, status, "sync");
	json_set_str(w->a, sync, "status", str_c(word));
	if (commit_of(w->u).n)
		json_set_str(w->a, sync, "revision", commit_of(w->u));
	json_set(w->a, sync, STR("comparedTo"),
		 json_build(w->a, "{s:o,s:o}", "source", source_of(w), "destination",
			    json_at(app, "spec", "destination") ?: json_new(w->a, JSON_OBJECT)));
}

static void put_health(struct telling *w, struct json *status)
{
	const struct json *old = json_at(w->t, "status", "health");
	struct json *h = json_set_object(w->a, status, "health");
	bool known = w->u->entries.n > 0;
	const char *word = known                    ? argo_healths[w->worst]
			   : json_len(w->resources) ? "Missing"
			   : w->u->commit[0]        ? "Healthy"
						    : "Unknown";

	json_set_str(w->a, h, "status", str_c(word));
	if (known && w->worst && w->why.n)
		json_set_str(w->a, h, "message", w->why);
	else
		json_set(w->a, h, STR("message"), json_new(w->a, JSON_NULL));
	if (str_is(json_str(json_get(old, STR("status"))), word))
		json_set(w->a, h, STR("lastTransitionTime"),
			 json_get(old, STR("lastTransitionTime")) ?: json_new(w->a, JSON_NULL));
	else
		put_time(w->a, h, "lastTransitionTime", loop_wall(w->u->r->loop));
}

static struct json *operation_of(struct telling *w)
{
	const struct argo *g = w->g;
	const char *text = g->operation ?: g->finished;
	const struct json *o = g->by_hand && text
				       ? json_parse(w->a, arena_str(w->a, str_c(text)), NULL, NULL)
				       : NULL;

	if (o)
		return json_copy(w->a, o);
	return json_build(w->a, "{s:{s:S,s:b},s:{s:b}}", "sync", "revision", str_c(w->u->commit),
			  "prune", json_bool(json_at(w->t, "spec", "argo", "prune"), false),
			  "initiatedBy", "automated", true);
}

/* Who asked for it, as far as the operation says. */
static const struct json *initiator(struct telling *w)
{
	const struct json *said = json_get(operation_of(w), STR("initiatedBy"));

	return json_is(said, JSON_OBJECT) ? said : json_new(w->a, JSON_OBJECT);
}

/* What the sync did with each object that it touched, hooks behind. */
static struct json *results_of(struct telling *w)
{
	const struct argo *g = w->g;
	struct json *list = g->results ? json_copy(w->a, g->results) : json_new(w->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(g->hooks); i++)
		json_append(w->a, list, json_item(g->hooks, i));
	return list;
}

static void put_operation(struct telling *w, struct json *status)
{
	const struct argo *g = w->g;
	struct json *s, *result;

	if (!g->phase)
		return;
	s = json_set_object(w->a, status, "operationState");
	json_set(w->a, s, STR("operation"), operation_of(w));
	json_set_str(w->a, s, "phase", str_c(g->phase));
	json_set_str(w->a, s, "message", g->message ? str_c(g->message) : STR(""));
	put_time(w->a, s, "startedAt", g->started);
	if (strcmp(g->phase, "Running") != 0)
		put_time(w->a, s, "finishedAt", g->ended);
	else
		json_set(w->a, s, STR("finishedAt"), json_new(w->a, JSON_NULL));
	result = json_set_object(w->a, s, "syncResult");
	json_set_str(w->a, result, "revision", str_c(w->u->commit));
	json_set(w->a, result, STR("source"), source_of(w));
	json_set(w->a, result, STR("resources"), results_of(w));
}

static struct json *tell_all(struct telling *w)
{
	struct json *status = json_new(w->a, JSON_OBJECT), *summary;
	bool kustomize = json_len(json_at(w->t, "spec", "argo", "overlay")) || w->g->kustomized;

	argo_add_resources(w);
	json_set(w->a, status, STR("resources"), w->resources);
	put_conditions(w, status);
	put_sync(w, status);
	put_health(w, status);
	put_operation(w, status);
	json_set_str(w->a, status, "sourceType", kustomize ? STR("Kustomize") : STR("Directory"));
	summary = json_set_object(w->a, status, "summary");
	json_set(w->a, summary, STR("images"), w->images);
	return status;
}

static void put_history(struct telling *w, struct json *status, const struct json *add)
{
	const struct json *old =
		w->g->history ? json_parse(w->a, arena_str(w->a, str_c(w->g->history)), NULL, NULL)
			      : json_at(w->t, "status", "history");
	int64_t max = json_int(json_at(obj_tree(w->u->o, w->a), "spec", "revisionHistoryLimit"),
			       APP_HISTORY);
	struct json *list = old ? json_copy(w->a, old) : json_new(w->a, JSON_ARRAY), *last;
	struct buf text = {0};

	if (!add)
		return;
	last = json_item(list, json_len(list) - 1);
	if (last && str_eq(json_str(json_get(last, STR("revision"))), str_c(w->u->commit)) &&
	    json_equal(json_get(last, STR("source")), json_get(add, STR("source"))))
		return;
	last = json_append(w->a, list, add);
	json_set_int(
		w->a, last, "id",
		json_len(list) > 1
			? json_int(json_get(json_item(list, json_len(list) - 2), STR("id")), 0) + 1
			: 0);
	while (json_len(list) > (size_t)MAX(max, (int64_t)0))
		json_remove(list, 0);
	json_set(w->a, status, STR("history"), list);
	json_write(list, &text);
	free(w->g->history);
	w->g->history = buf_take(&text);
}

/* Somebody asked for a look, and it was taken: the answer is when that was. */
static bool answers(struct telling *w)
{
	const struct source *s = unit_source(w->u, json_get(w->t, STR("spec")));

	if (!w->g->answer)
		return false;
	if (w->u->run || (s && (s->helper || s->secrets || s->apptoken))) {
		argo_look_later(w->u);
		return false;
	}
	w->g->answer = false;
	return true;
}

/* `more` goes along, but is no reason to write. */
static void put(struct telling *w, struct json *status, const struct json *more, bool always)
{
	const struct json_member *m = json_members(more);
	AUTO(buf) struct buf text = {0};
	struct argo *g = w->g;

	always |= answers(w);
	json_write(status, &text);
	if (!always && g->told && str_is(buf_view(&text), g->told))
		return;
	free(g->told);
	g->told = buf_take(&text);
	for (size_t i = 0; m && i < json_len(more); i++)
		json_set(w->a, status, m[i].key, &m[i].value);
	put_time(w->a, status, "reconciledAt", loop_wall(w->u->r->loop));
	statusq_put(w->u->r->statuses, &res_applications, w->u->o,
		    json_build(w->a, "{s:o}", "status", status));
}

static void begin(struct telling *w, struct unit *u, struct arena *a)
{
	*w = (struct telling){.u = u, .g = u->argo, .a = a, .t = unit_tree(u, a)};
}

void argo_deletion_error(struct unit *u, struct str why)
{
	struct argo *g = u->argo;

	if (!g)
		return;
	free(g->error);
	free(g->error_type);
	g->error = xstrndup(why.p ? why.p : "", why.n);
	g->error_type = xstrdup("DeletionError");
	argo_publish(u);
}

void argo_publish(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	struct json *status;
	struct telling w;

	loop_timer_cancel(u->r->loop, &u->argo->publish);
	if (!u->o)
		return;
	begin(&w, u, &a);
	if (u->o->deleted_ns) {
		/* Nothing else is looked at any more. */
		status = json_new(&a, JSON_OBJECT);
		put_conditions(&w, status);
		put(&w, status, NULL, false);
		return;
	}
	put(&w, tell_all(&w), NULL, false);
}

static void on_publish(struct loop *l, struct loop_timer *t)
{
	struct argo *g = CONTAINER_OF(t, struct argo, publish);

	(void)l;
	argo_publish(g->u);
}

void argo_waits(struct unit *u, struct str what)
{
	struct argo *g = u->argo;

	if (!g || !g->phase || strcmp(g->phase, "Running") != 0 ||
	    (g->message && str_is(what, g->message)))
		return;
	free(g->message);
	g->message = xstrndup(what.p, what.n);
	argo_look_later(u);
}

void argo_look_later(struct unit *u)
{
	if (!loop_timer_armed(&u->argo->publish))
		loop_timer_set(u->r->loop, &u->argo->publish, PUBLISH_AFTER, on_publish);
}

/* ---- reports of runs ---- */

static const char *condition_of(const char *reason)
{
	static const char *const of_sync[] = {"ReconciliationFailed", "PruneFailed",
					      "HealthCheckFailed", "SyncFailed"};

	for (size_t i = 0; i < ARRAY_LEN(of_sync); i++) {
		if (!strcmp(reason, of_sync[i]))
			return "SyncError";
	}
	return "ComparisonError";
}

static void take(struct argo *g, const struct unit_report *rep)
{
	bool bad = !strcmp(rep->ready, "False");

	free(g->error);
	free(g->error_type);
	g->error = bad ? xstrndup(rep->message.p, rep->message.n) : NULL;
	g->error_type = bad ? xstrdup(condition_of(rep->reason)) : NULL;
	if (rep->partial || !rep->ended)
		return;
	free(g->differs);
	g->differs = NULL;
	/* A failure in the middle doesn't know what is left. */
	if (!bad && g->u->run)
		argo_note_held(g->u->run);
	if (!g->worked && !g->operation && (!bad || strcmp(g->error_type, "SyncError") != 0))
		return;
	g->by_hand = g->operation != NULL;
	argo_operation_done(g, bad ? "Failed" : "Succeeded",
			    bad || g->unpruned ? rep->message
					       : STR("successfully synced (all tasks run)"));
}

static void add_result(struct argo *g, const struct plan_entry *e, const char *status,
		       struct str message)
{
	if (json_len(g->results) < RESULTS_MAX)
		json_append(&g->arena, g->results,
			    json_build(&g->arena, "{s:S,s:S,s:S,s:S,s:S,s:s,s:S,s:s}", "group",
				       e->group, "version", e->version, "kind", e->kind,
				       "namespace", e->namespace, "name", e->name, "status", status,
				       "message", message, "syncPhase", "Sync"));
}

static void note_results(const struct run *run)
{
	struct argo *g = run->u->argo;

	g->results = json_new(&g->arena, JSON_ARRAY);
	for (size_t i = 0; i < run->n; i++) {
		const struct run_item *item = &run->items[i];
		const struct rendered_object *o = item->o;
		struct plan_entry e = {.group = o->group,
				       .version = o->version,
				       .kind = o->kind,
				       .namespace = o->namespace,
				       .name = o->name};
		bool applied = item->entry && item->entry->accepted;

		if (item->err.code)
			add_result(g, &e, "SyncFailed",
				   sensitive_scrub(&g->arena, o->tree, str_c(item->err.msg)));
		else if (item->changed && !item->skip && applied)
			add_result(g, &e, "Synced",
				   arena_strf(&g->arena, "%.*s/%.*s applied", STR_ARG(o->kind),
					      STR_ARG(o->name)));
	}
	for (size_t i = 0; i < run->prune.ngo; i++) {
		if (run->phase == RUN_PRUNE && !run->prune.go[i].stays && i < run->next)
			add_result(g, &run->prune.go[i], "Pruned", STR("pruned"));
	}
	for (size_t i = 0; i < run->prune.nheld; i++)
		add_result(g, &run->prune.held[i], "PruneSkipped",
			   arena_str(&g->arena, run->prune.why));
}

/* What is kept for the engine itself; true when it must be written. */
static bool keep(struct unit *u, const struct unit_report *rep, struct arena *a, struct json *more)
{
	const struct json *old = json_get(unit_tree(u, a), STR("status"));
	bool news = false;

	if (rep->inventory && !json_equal(unit_inventory(u, a), rep->inventory)) {
		json_set(a, more, STR("inventory"),
			 json_build(a, "{s:o}", "entries", rep->inventory));
		news = true;
	}
	if (!rep->ended || strcmp(rep->ready, "True") != 0)
		return news;
	json_set_int(a, more, "observedGeneration", u->o->generation);
	if (rep->applied.p)
		json_set_str(a, more, "lastAppliedRevision", rep->applied);
	return news || json_int(json_get(old, STR("observedGeneration")), 0) != u->o->generation ||
	       !str_eq(json_str(json_get(old, STR("lastAppliedRevision"))), rep->applied);
}

void argo_report(struct unit *u, const struct unit_report *rep)
{
	AUTO(arena) struct arena a = {0};
	struct json *status, *entry = NULL, *more = json_new(&a, JSON_OBJECT);
	struct argo *g = u->argo;
	struct telling w;
	bool done, write;

	if (rep->ended && g->worked && u->run)
		note_results(u->run);
	take(g, rep);
	begin(&w, u, &a);
	status = tell_all(&w);
	done = rep->ended && !strcmp(rep->ready, "True");
	write = keep(u, rep, &a, more);
	if (done && g->worked) {
		entry = json_build(&a, "{s:s,s:o,s:o}", "revision", u->commit, "source",
				   source_of(&w), "initiatedBy", initiator(&w));
		put_time(&a, entry, "deployStartedAt", g->started);
		put_time(&a, entry, "deployedAt", loop_wall(u->r->loop));
	}
	put_history(&w, more, entry);
	put(&w, status, more, write || entry);
	if (!rep->ended)
		return;
	g->worked = false;
	argo_orphans_look(u);
}
