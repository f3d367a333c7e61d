/*
 * The end of a Kustomization: a finalizer holds it until what it made is pruned, as its
 * deletionPolicy says. Namespaces, volumes and definitions stay unless the policy is Delete or
 * somebody confirmed: whoever takes a file out of git may not have thought of what hangs on it.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/drifts.h"
#include "reconciler/recipients.h"

#define WAIT_PAUSE (200 * NS_PER_MS)

static void look_for(struct run *run, size_t i);

static bool holds(const struct unit *u, const struct json *o)
{
	const struct json *list = json_at(o, "metadata", "finalizers");

	for (size_t i = 0; i < json_len(list); i++) {
		if (unit_finalizer_is(u, json_str(json_item(list, i))))
			return true;
	}
	return false;
}

static void on_written(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND &&
	    answer->err.code != ERR_CONFLICT)
		log_warn("cannot write a Kustomization's finalizer", "error", answer->err.msg);
}

void unit_finalizers_write(struct unit *u, struct json *list)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	const char *version = arena_printf(&a, "%lu", (unsigned long)u->o->revision);
	struct api_call call = {.verb = API_PATCH,
				.resource = unit_resource(u),
				.namespace = u->o->namespace,
				.name = u->o->name,
				.patch = API_PATCH_MERGE};

	json_write(json_build(&a, "{s:{s:s,s:o}}", "metadata", "resourceVersion", version,
			      "finalizers", list),
		   &body);
	call.body = buf_view(&body);
	client_call(u->r->client, &call, on_written, NULL);
}

static void write_finalizers(struct unit *u, bool hold)
{
	AUTO(arena) struct arena a = {0};
	const struct json *old = json_at(unit_tree(u, &a), "metadata", "finalizers");
	struct json *list = json_new(&a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(old); i++) {
		if (!unit_finalizer_is(u, json_str(json_item(old, i))))
			json_append(&a, list, json_item(old, i));
	}
	if (hold)
		json_append_str(&a, list, STR(UNIT_FINALIZER));
	unit_finalizers_write(u, list);
}

void unit_hold(struct unit *u)
{
	AUTO(arena) struct arena a = {0};

	/* Whoever writes an Application says whether its objects go with it. */
	if (!u->argo && !holds(u, unit_tree(u, &a)))
		write_finalizers(u, true);
}

static bool prunes(const struct unit *u, const struct json *spec)
{
	struct str policy = json_str(json_get(spec, STR("deletionPolicy")));

	if (u->argo && !argo_cascades(u))
		return false;
	/* Argo CD's annotation that suspends speaks of reconciling alone. */
	if ((!u->argo && json_bool(json_get(spec, STR("suspend")), false)) ||
	    str_is(policy, "Orphan"))
		return false;
	if (str_is(policy, "Delete") || str_is(policy, "WaitForTermination"))
		return true;
	return json_bool(json_get(spec, STR("prune")), false);
}

static bool said_so(const struct run *run, const struct json *o)
{
	struct str policy = json_str(json_get(run->spec, STR("deletionPolicy")));

	return meta_annotation(o, PRUNE_CONFIRM).n || str_is(policy, "Delete") ||
	       str_is(policy, "WaitForTermination");
}

/* ---- WaitForTermination: until all of it is really gone, or time is up ---- */

static void on_pause(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)answer;
	look_for(run, i);
}

static void on_looked(struct run *run, size_t i, const struct api_answer *answer)
{
	if (answer->err.code == ERR_NOT_FOUND)
		look_for(run, i + 1);
	else if (loop_now(run->r->loop) < run->patience)
		run_later(run, WAIT_PAUSE, i, on_pause);
	else
		look_for(run, run->prune.ngo);
}

static void look_for(struct run *run, size_t i)
{
	for (; i < run->prune.ngo; i++) {
		const struct plan_entry *e = &run->prune.go[i];
		struct api_call call = {.verb = API_GET,
					.resource = plan_resource(run, e),
					.namespace = e->namespace,
					.name = e->name};

		if (call.resource && !e->stays) {
			run_call_as(run, &call, i, on_looked);
			return;
		}
	}
	run->patience = 0;
	run_farewell_end(run);
}

static bool waits(const struct run *run)
{
	return str_is(json_str(json_get(run->spec, STR("deletionPolicy"))), "WaitForTermination");
}

/* All of it was asked for, and some waits for a word. */
static bool unapproved(const struct run *run)
{
	for (size_t i = 0; i < run->prune.nheld; i++) {
		if (run->prune.held[i].unapproved)
			return true;
	}
	return false;
}

static void tell_left(const struct run *run)
{
	AUTO(arena) struct arena a = {0};

	if (run->prune.nheld)
		recorder_event(run->r->recorder, unit_tree(run->u, &a), "Warning", "PruneFailed",
			       "%zu objects are left: %.*s", run->prune.nheld,
			       STR_ARG(run->prune.why));
}

void run_farewell_end(struct run *run)
{
	struct unit *u = run->u;

	if (waits(run) && loop_now(u->r->loop) < run->patience) {
		look_for(run, 0);
		return;
	}
	if (unapproved(run)) {
		argo_deletion_error(u, run->prune.why);
		run_cancel(u);
		return;
	}
	if (u->argo && argo_farewell_hooks(run))
		return;
	tell_left(run);
	run_cancel(u);
	write_finalizers(u, false);
}

static void plan(struct run *run, const struct json *o)
{
	const struct json *entries = unit_inventory(run->u, &run->arena);
	/* A revision that declares one object which isn't in the inventory: all else is to go. */
	struct rendered_object other = {.id = STR("*")};
	const struct rendered none = {.v = &other, .n = 1};
	struct plan_prune_opts opts = {
		.inventory = entries, .confirmed = STR("*"), .enabled = true};
	struct plan_prune *p = &run->prune;
	size_t n = 0;

	plan_prune(&run->arena, &none, &opts, p);
	if (said_so(run, o))
		return;
	for (size_t i = 0; i < p->ngo; i++) {
		if (plan_is_precious(p->go[i].kind))
			p->held[p->nheld++] = p->go[i];
		else
			p->go[n++] = p->go[i];
	}
	p->ngo = n;
	p->why = STR("Namespaces, volumes and definitions are deleted only on confirmation");
}

void unit_farewell(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct json *o = unit_tree(u, &a);
	struct run *run;
	bool all, hooks;

	if (!holds(u, o) || (u->run && u->run->farewell))
		return;
	if (argo_stays(u)) {
		argo_deletion_error(u,
				    STR("Delete=confirm waits for the annotation " ARGO_CONFIRMED));
		return;
	}
	run_cancel(u);
	loop_timer_cancel(u->r->loop, &u->timer);
	u->health_until = 0;
	/* From now on nothing is put back, nor proposed. */
	entries_free(u);
	drifts_goodbye(u);
	recipients_goodbye(u);
	all = prunes(u, json_get(o, STR("spec")));
	hooks = u->argo && argo_ends_with_hooks(u);
	if (!all && !hooks) {
		write_finalizers(u, false);
		return;
	}
	run = u->run = xalloc(sizeof(*run));
	run->u = u;
	run->r = u->r;
	u->r->running++;
	run->farewell = true;
	run->patience = loop_now(u->r->loop) + unit_timeout(json_get(o, STR("spec")));
	o = json_copy(&run->arena, o);
	run->spec = json_get(o, STR("spec"));
	run->as = unit_acts_as(u, &run->arena);
	run->opts.unit_name = meta_name(o);
	run->opts.unit_namespace = meta_namespace(o);
	run->approved = u->argo && meta_annotation(o, ARGO_CONFIRMED).n;
	run->generation = u->o->generation;
	run->last_hooks = hooks;
	if (all)
		plan(run, o);
	if (hooks)
		argo_farewell_begin(run);
	else
		run_far(run);
}
