/*
 * Hooks of an Application's end: finalizers say that there are some as long as its source has them,
 * PreDelete ones run before anything is deleted, PostDelete ones when all of it is gone. They are
 * rendered for that once more, so the end waits for the source where that cannot be had, and says
 * so; whoever takes the finalizer off by hand does without them. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/argo.h"

#define ALL_WAVES INT64_MAX

static const struct backoff pauses = {.base_ns = 5 * NS_PER_S, .max_ns = 180 * NS_PER_S};

/* The name itself, or with something behind a slash. */
static bool is_of(struct str name, const char *finalizer)
{
	size_t n = strlen(finalizer);

	return str_starts(name, str_c(finalizer)) && (name.n == n || name.p[n] == '/');
}

bool argo_finalizer_is(struct str name)
{
	return is_of(name, ARGO_FINALIZER) || is_of(name, ARGO_PRE_DELETE_FINALIZER) ||
	       is_of(name, ARGO_POST_DELETE_FINALIZER);
}

bool unit_finalizer_has(const struct unit *u, const char *finalizer)
{
	AUTO(arena) struct arena a = {0};
	const struct json *list = json_at(unit_tree(u, &a), "metadata", "finalizers");

	for (size_t i = 0; i < json_len(list); i++) {
		if (is_of(json_str(json_item(list, i)), finalizer))
			return true;
	}
	return false;
}

bool argo_cascades(const struct unit *u)
{
	return unit_finalizer_has(u, ARGO_FINALIZER);
}

/* ---- as long as it lives ---- */

void argo_finalizers_keep(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct argo *g = u->argo;
	const struct json *old = json_at(unit_tree(u, &a), "metadata", "finalizers");
	struct json *list = json_new(&a, JSON_ARRAY);

	if (!g->hooks_known || u->o->deleted_ns ||
	    (unit_finalizer_has(u, ARGO_PRE_DELETE_FINALIZER) == g->pre_delete &&
	     unit_finalizer_has(u, ARGO_POST_DELETE_FINALIZER) == g->post_delete))
		return;
	for (size_t i = 0; i < json_len(old); i++) {
		struct str name = json_str(json_item(old, i));

		if (!is_of(name, ARGO_PRE_DELETE_FINALIZER) &&
		    !is_of(name, ARGO_POST_DELETE_FINALIZER))
			json_append_str(&a, list, name);
	}
	if (g->pre_delete)
		json_append_str(&a, list, STR(ARGO_PRE_DELETE_FINALIZER));
	if (g->post_delete)
		json_append_str(&a, list, STR(ARGO_POST_DELETE_FINALIZER));
	unit_finalizers_write(u, list);
}

void argo_finalizers_note(struct run *run)
{
	struct argo *g = run->u->argo;

	/* A plan for somebody else, or of another commit than the source's, changes nothing. */
	if (run->farewell || run->at_commit || (run->u->plan && run->u->plan != &g->plan))
		return;
	g->hooks_known = true;
	g->pre_delete = hooks_left(run, ARGO_PRE_DELETE, ALL_WAVES);
	g->post_delete = hooks_left(run, ARGO_POST_DELETE, ALL_WAVES);
	argo_finalizers_keep(run->u);
}

/* ---- its end ---- */

bool argo_ends_with_hooks(const struct unit *u)
{
	const struct argo *g = u->argo;

	return (!g->pre_done && unit_finalizer_has(u, ARGO_PRE_DELETE_FINALIZER)) ||
	       (!g->post_done && unit_finalizer_has(u, ARGO_POST_DELETE_FINALIZER));
}

void argo_farewell_failed(struct run *run, struct str why)
{
	struct unit *u = run->u;
	AUTO(buf) struct buf text = {0};

	/* It may be the run's. */
	buf_str(&text, why);
	log_warn("an Application cannot end", "unit", u->key, "error", text.p ? text.p : "");
	run_cancel(u);
	argo_deletion_error(u, buf_view(&text));
	unit_look_after(u, backoff_after(&pauses, u->failures++));
}

void argo_farewell_begin(struct run *run)
{
	struct unit *u = run->u;
	struct source *s = unit_source(u, run->spec);
	struct err err = {0};

	if (!s || !s->commit[0]) {
		argo_farewell_failed(
			run, arena_strf(&run->arena,
					"hooks of its end wait for the source: %s (to do without "
					"them, take off the finalizers " ARGO_PRE_DELETE_FINALIZER
					" and " ARGO_POST_DELETE_FINALIZER ")",
					u->argo->problem
						?: s && s->error ? s->error
								 : "not fetched yet"));
		return;
	}
	memcpy(run->commit, s->commit, sizeof(run->commit));
	run->revision = arena_str(&run->arena, str_c(s->revision));
	if (run_prepare(run, s, &err))
		argo_farewell_failed(run, str_c(err.msg));
	else
		run_far(run);
}

static void after_pre(struct run *run, const char *error)
{
	if (error) {
		argo_farewell_failed(run, str_c(error));
		return;
	}
	run->u->argo->pre_done = true;
	run_prune_go(run);
}

void argo_farewell_rendered(struct run *run)
{
	const struct argo *g = run->u->argo;

	if (g->pre_done || !unit_finalizer_has(run->u, ARGO_PRE_DELETE_FINALIZER))
		run_prune_go(run);
	else
		hooks_run(run, ARGO_PRE_DELETE, ALL_WAVES, after_pre);
}

static void after_post(struct run *run, const char *error)
{
	if (error) {
		argo_farewell_failed(run, str_c(error));
		return;
	}
	run->u->argo->post_done = true;
	run_farewell_end(run);
}

bool argo_farewell_hooks(struct run *run)
{
	if (run->u->argo->post_done || !hooks_left(run, ARGO_POST_DELETE, ALL_WAVES) ||
	    !unit_finalizer_has(run->u, ARGO_POST_DELETE_FINALIZER))
		return false;
	hooks_run(run, ARGO_POST_DELETE, ALL_WAVES, after_post);
	return true;
}
