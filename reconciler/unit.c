/*
 * Units: one struct unit a Kustomization; decides when to run. Reasons: a new spec, a new revision,
 * a request, a dependency that became ready, the interval, a retry. Nothing polls. On the role's
 * loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/argo.h"
#include "reconciler/drifts.h"
#include "reconciler/engine.h"
#include "reconciler/gotk.h"
#include "reconciler/recipients.h"

#define INTERVAL_DEFAULT (600 * NS_PER_S)

static const struct backoff retry = {.base_ns = NS_PER_S, .max_ns = 60 * NS_PER_S};

const struct json *unit_tree(const struct unit *u, struct arena *a)
{
	return obj_tree(u->head, a);
}

const struct json *unit_inventory(const struct unit *u, struct arena *a)
{
	return json_at(obj_tree(u->o, a), "status", "inventory", "entries");
}

void unit_take(struct unit *u, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	/* Parsed just now, into our own arena: ours to change. */
	struct json *tree = (struct json *)obj_tree(o, &a);
	struct err err = {0};

	json_del(json_get(tree, STR("status")), STR("inventory"));
	obj_unref(u->o);
	obj_unref(u->head);
	u->o = obj_ref(o);
	if (str_is(o->kind, "Application"))
		u->head = argo_take(u, o);
	else
		u->head = obj_from_json(tree, &err);
	if (!u->head)
		panic("a Kustomization without its inventory: %s", err.msg);
}

bool unit_suspended(const struct unit *u)
{
	if (u->suspended_until)
		return loop_wall(u->r->loop) < u->suspended_until;
	return u->suspended;
}

static void read_suspension(struct unit *u, struct arena *a)
{
	const struct json *o = unit_tree(u, a);

	u->suspended = json_bool(json_at(o, "spec", "suspend"), false);
	u->suspended_until = 0;
	if (time_parse(meta_annotation(o, SUSPEND_UNTIL), &u->suspended_until))
		u->suspended_until = 0;
}

const char *unit_acts_as(const struct unit *u, struct arena *a)
{
	const struct json *spec = json_get(unit_tree(u, a), STR("spec"));
	struct str name = json_str(json_get(spec, STR("serviceAccountName")));

	/* Another cluster's credentials say who it is there. */
	if (!name.n && !json_len(json_get(spec, STR("kubeConfig"))) &&
	    !str_is(u->o->namespace, ROOT_NAMESPACE))
		name = str_c(u->r->opts.default_service_account);
	return name.n ? arena_printf(a, "system:serviceaccount:%.*s:%.*s", STR_ARG(u->o->namespace),
				     STR_ARG(name))
		      : NULL;
}

void unit_free(struct unit *u)
{
	if (!u)
		return;
	list_remove(&u->queued);
	run_cancel(u);
	loop_timer_cancel(u->r->loop, &u->timer);
	farchecks_free(u);
	drifts_free(u);
	revert_free(u);
	recipients_free(u);
	free(u->reads);
	entries_free(u);
	unit_far_free(u);
	map_release(&u->rejected);
	map_del(&u->r->units, str_c(u->key));
	obj_unref(u->o);
	obj_unref(u->head);
	free(u->key);
	free(u->revision);
	free(u->handled);
	free(u->broken);
	free(u->shared);
	free(u->shared_told);
	free(u->history);
	argo_free(u);
	free(u);
}

struct source *unit_source(const struct unit *u, const struct json *spec)
{
	const struct json *ref = json_get(spec, STR("sourceRef"));
	struct str ns = json_str_or(json_get(ref, STR("namespace")), u->o->namespace);

	if (str_is(json_str(json_get(ref, STR("kind"))), "OCIRepository"))
		return source_find_oci(u->r, ns, json_str(json_get(ref, STR("name"))));
	if (!str_is(json_str(json_get(ref, STR("kind"))), "GitRepository"))
		return NULL;
	return source_find(u->r, ns, json_str(json_get(ref, STR("name"))));
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	struct unit *u = CONTAINER_OF(t, struct unit, timer);

	(void)l;
	if (u->health_until) {
		unit_health_look(u);
		return;
	}
	unit_look(u);
}

void unit_look_after(struct unit *u, int64_t ns)
{
	if (!loop_timer_armed(&u->timer) || u->timer.at > loop_now(u->r->loop) + ns)
		loop_timer_set(u->r->loop, &u->timer, ns, on_timer);
}

/* What our own annotations say; those are no part of the generation. */
static struct json *wishes(const struct obj *o, struct arena *a)
{
	const struct json *all = json_at(obj_tree(o, a), "metadata", "annotations");
	const struct json_member *m = json_members(all);
	struct json *ours = json_new(a, JSON_OBJECT);

	for (size_t i = 0; m && i < json_len(all); i++) {
		if (str_starts(m[i].key, STR("plumb.dev/")) && !str_is(m[i].key, REJECTED_DRIFT) &&
		    !str_is(m[i].key, RECIPIENTS_PUSHED) && !str_is(m[i].key, ROLLBACK) &&
		    !str_is(m[i].key, ROLLED_BACK))
			json_add(a, ours, m[i].key, &m[i].value);
	}
	return ours;
}

static const struct json *notes(const struct obj *o, struct arena *a)
{
	return json_at(obj_tree(o, a), "metadata", "annotations");
}

void unit_changed(struct reconciler *r, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = new ? new : old;
	struct str key = unit_key_of(&a, o), asked;
	struct unit *u = map_get(&r->units, key);
	const struct json *before;
	struct obj *kept;
	bool look, was_full, is_new, was_suspended;

	if (!new) {
		gotk_condition(&(struct gotk_object){"Kustomization", o->namespace, o->name},
			       "Deleted");
		/* Nothing held it back: an Application without a finalizer, mostly. */
		if (u && r->synced) {
			drifts_goodbye(u);
			recipients_goodbye(u);
		}
		unit_free(u);
		return;
	}
	look = !u || u->o->generation != new->generation || new->deleted_ns;
	is_new = !u;
	if (!u) {
		u = xalloc(sizeof(*u));
		u->r = r;
		u->key = xstrndup(key.p, key.n);
		u->full = true;
		list_init(&u->queued);
		map_set(&r->units, key, u);
	}
	was_full = u->full;
	before = u->head ? wishes(u->head, &a) : NULL;
	kept = u->head ? obj_ref(u->head) : NULL;
	unit_take(u, new);
	drift_recall(u);
	if (before && !json_equal(before, wishes(u->head, &a)))
		u->full = look = true;
	/* Its conditions speak of them. */
	if (u->argo && kept && !json_equal(notes(kept, &a), notes(u->head, &a)))
		argo_look_later(u);
	obj_unref(kept);
	was_suspended = u->suspended;
	read_suspension(u, &a);
	look |= was_suspended && !u->suspended;
	gotk_suspended(&(struct gotk_object){"Kustomization", o->namespace, o->name},
		       unit_suspended(u));
	u->depends = json_len(json_at(unit_tree(u, &a), "spec", "dependsOn")) > 0;
	if (is_new)
		units_lacking(r);
	asked = meta_annotation(unit_tree(u, &a), REQUESTED_AT);
	if (asked.n && (!u->handled || !str_is(asked, u->handled))) {
		free(u->handled);
		u->handled = xstrndup(asked.p, asked.n);
		u->full = look = true;
	}
	revert_asked(u);
	if (u->argo && (!new->deleted_ns || argo_ends_with_hooks(u))) {
		argo_source_use(u);
		argo_finalizers_keep(u);
		look |= (u->full && !was_full) || u->argo->refresh;
	}
	if (look)
		unit_look(u);
}

void units_of_source(struct reconciler *r, const struct source *s)
{
	struct map_iter it = {0};

	while (map_next(&r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		struct unit *u = it.value;

		if (unit_source(u, json_get(unit_tree(u, &a), STR("spec"))) != s)
			continue;
		if (u->wants_revert)
			revert_asked(u);
		unit_look(u);
	}
}

/* ---- deciding ---- */

static bool source_kind_known(struct str kind)
{
	return str_is(kind, "GitRepository") || str_is(kind, "OCIRepository");
}

static void hold(struct unit *u, const char *reason, struct str message)
{
	struct unit_report rep = {.ready = "False",
				  .reason = reason,
				  .message = message,
				  .stalled = !strcmp(reason, "InvalidCELExpression")};

	unit_report(u, &rep);
}

void unit_look(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec;
	const char *reason;
	struct source *s;
	struct str missing;

	if (!u->r->synced || !u->o)
		return;
	if (u->o->deleted_ns) {
		unit_farewell(u);
		return;
	}
	if (unit_suspended(u)) {
		u->was_suspended = true;
		if (u->suspended_until)
			unit_look_after(u, u->suspended_until - loop_wall(u->r->loop));
		return;
	}
	if (u->was_suspended) {
		/* What was changed meanwhile is dealt with as if it were changed now. */
		u->was_suspended = false;
		drift_recheck(u);
	}
	unit_hold(u);
	if (u->run) {
		u->again = true;
		return;
	}
	if (u->argo && !argo_gate(u, NULL))
		return;
	spec = json_get(unit_tree(u, &a), STR("spec"));
	s = unit_source(u, spec);
	if (!s && !source_kind_known(json_str(json_at(spec, "sourceRef", "kind")))) {
		hold(u, "ArtifactFailed",
		     arena_strf(
			     &a,
			     "spec.sourceRef.kind: Plumb does not build from %.*s objects; it does "
			     "from GitRepository and OCIRepository",
			     STR_ARG(json_str(json_at(spec, "sourceRef", "kind")))));
		return;
	}
	if (!s) {
		hold(u, "ArtifactFailed",
		     arena_strf(&a, "source %.*s '%.*s' does not exist",
				STR_ARG(json_str(json_at(spec, "sourceRef", "kind"))),
				STR_ARG(json_str(json_at(spec, "sourceRef", "name")))));
		return;
	}
	if (!s->commit[0]) {
		if (s->error)
			hold(u, "ArtifactFailed", str_c(s->error));
		return;
	}
	missing = unit_missing(u, spec, &a, &reason);
	if (missing.n) {
		hold(u, reason, missing);
		return;
	}
	if (u->r->running >= RUNS_MAX) {
		if (list_empty(&u->queued))
			list_append(&u->r->queue, &u->queued);
		return;
	}
	if (u->argo && !argo_gate(u, s))
		return;
	run_begin(u);
}

static void on_dequeue(struct loop *l, struct loop_timer *t)
{
	struct reconciler *r = CONTAINER_OF(t, struct reconciler, dequeue);

	(void)l;
	while (r->running < RUNS_MAX && !list_empty(&r->queue)) {
		struct unit *u = CONTAINER_OF(r->queue.next, struct unit, queued);

		list_remove(&u->queued);
		unit_look(u);
	}
}

/* In a turn of its own: whoever ends a run still works with its unit. */
void units_dequeue(struct reconciler *r)
{
	if (r->queue.next && !list_empty(&r->queue) && !loop_timer_armed(&r->dequeue))
		loop_timer_set(r->loop, &r->dequeue, 0, on_dequeue);
}

static int64_t interval_of(struct unit *u, const char *key)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(unit_tree(u, &a), STR("spec"));
	int64_t ns;

	if (!duration_parse(json_str(json_get(spec, str_c(key))), &ns) && ns > 0)
		return ns;
	if (!duration_parse(json_str(json_get(spec, STR("interval"))), &ns) && ns > 0)
		return ns;
	return INTERVAL_DEFAULT;
}

/* One that others waited for with their pruning is done. */
static void prune_now(const struct unit *done)
{
	struct map_iter it = {0};

	while (map_next(&done->r->units, &it)) {
		struct unit *u = it.value;

		if (u->prune_later && u != done &&
		    (list_empty(&u->r->queue) || unit_waits_on(done, u, 64)))
			unit_look(u);
	}
}

void unit_ended(struct unit *u, bool ok)
{
	loop_timer_cancel(u->r->loop, &u->timer);
	if (ok) {
		u->failures = 0;
		u->full = false;
		unit_look_after(u, interval_of(u, "interval"));
		units_depending(u->r, u);
		prune_now(u);
	} else {
		int64_t pause =
			MIN(interval_of(u, "retryInterval"), backoff_after(&retry, u->failures++));

		if (u->argo)
			pause = argo_retry(u, pause);
		if (pause)
			unit_look_after(u, pause);
	}
	if (u->again) {
		u->again = false;
		unit_look(u);
	}
}
