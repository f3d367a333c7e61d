/*
 * Hooks: objects that a sync makes, waits for and forgets, one after the other by wave, kind and
 * name. Each has a limit of time and ends early when a newer revision arrives, so that no sync is
 * ever stuck on a Job. What is gone before its end was seen has failed. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/sensitive.h"

#define PAUSE (100 * NS_PER_MS)
#define PATIENCE (1800 * NS_PER_S)

static void next(struct run *run);
static void look(struct run *run);

static const struct run_hook *current(const struct run *run)
{
	return &run->hooks[run->hook.i];
}

static const struct json *tree_of(const struct run *run)
{
	return current(run)->o.tree;
}

static bool policy(const struct run *run, const char *word)
{
	return argo_hook_goes(tree_of(run), word);
}

static struct api_call call_of(struct run *run, enum api_verb verb)
{
	const struct rendered_object *o = &current(run)->o;

	return (struct api_call){.verb = verb,
				 .resource = restmap_find(run->r->restmap, o->api_version, o->kind),
				 .namespace = o->namespace,
				 .name = o->name};
}

static void delete (struct run *run, void (*done)(struct run *, size_t, const struct api_answer *))
{
	struct api_call call = call_of(run, API_DELETE);

	call.body = STR("{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":"
			"\"Background\"}");
	run_call_as(run, &call, 0, done);
}

/* ---- its end ---- */

static void record(struct run *run, const char *phase, struct str message)
{
	struct argo *g = run->u->argo;
	const struct rendered_object *o = &current(run)->o;
	struct json *r;

	if (!g->hooks)
		g->hooks = json_new(&g->arena, JSON_ARRAY);
	r = json_append(&g->arena, g->hooks,
			json_build(&g->arena, "{s:S,s:S,s:S,s:S,s:S,s:s,s:s,s:s,s:S}", "group",
				   o->group, "version", o->version, "kind", o->kind, "namespace",
				   o->namespace, "name", o->name, "hookType",
				   argo_phase_name(current(run)->phase), "hookPhase", phase,
				   "syncPhase", argo_phase_name(current(run)->phase), "message",
				   message));
	(void)r;
}

static void on_forgotten(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	next(run);
}

/* error NULL = it did what it had to */
static void ended(struct run *run, struct str error)
{
	struct run_hook *h = &run->hooks[run->hook.i];

	h->done = true;
	record(run, error.p ? "Failed" : "Succeeded", error.p ? error : STR("done"));
	log_info("hook", "unit", run->u->key, "object", log_fmt("%.*s", STR_ARG(h->o.id)), "phase",
		 argo_phase_name(h->phase), "result", error.p ? "failed" : "succeeded");
	if (error.p)
		run->hook.error = arena_printf(&run->arena, "%s hook %.*s %.*s: %.*s",
					       argo_phase_name(h->phase), STR_ARG(h->o.kind),
					       STR_ARG(h->o.name), STR_ARG(error));
	if (policy(run, error.p ? "HookFailed" : "HookSucceeded"))
		delete (run, on_forgotten);
	else
		next(run);
}

static bool condition_is(const struct json *o, const char *type)
{
	return str_is(json_str(json_get(condition_find(o, type), STR("status"))), "True");
}

/* 1 done, -1 failed, 0 not yet */
static int judge(const struct json *live, struct arena *a, struct str *why)
{
	struct str kind = json_str(json_get(live, STR("kind")));
	struct str phase = json_str(json_at(live, "status", "phase"));
	struct health_result h;

	if (str_is(kind, "Job")) {
		*why = json_str(json_get(condition_find(live, "Failed"), STR("message")));
		if (condition_is(live, "Failed"))
			return -1;
		return condition_is(live, "Complete") ? 1 : 0;
	}
	if (str_is(kind, "Pod")) {
		*why = json_str_or(json_at(live, "status", "message"), STR("the pod failed"));
		return str_is(phase, "Succeeded") ? 1 : str_is(phase, "Failed") ? -1 : 0;
	}
	h = health_of(live, a);
	*why = h.message;
	return h.state == HEALTH_CURRENT ? 1 : h.state == HEALTH_FAILED ? -1 : 0;
}

static bool superseded(const struct run *run)
{
	const struct source *s = unit_source(run->u, run->spec);

	/* Who goes goes by what it was. */
	if (run->farewell)
		return false;
	return run->u->o->generation != run->generation ||
	       (s && !run->at_commit && strcmp(s->commit, run->commit) != 0);
}

static void on_pause(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	look(run);
}

static void on_looked(struct run *run, size_t i, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct str why = STR_NONE;
	const struct json *live;
	int how;

	(void)i;
	if (answer->err.code == ERR_NOT_FOUND) {
		ended(run, STR("it is gone before its end was seen: a short "
			       "ttlSecondsAfterFinished, or somebody's hand"));
		return;
	}
	live = answer->err.code ? NULL : json_parse(&a, answer->body, NULL, NULL);
	how = live ? judge(live, &a, &why) : 0;
	if (how)
		ended(run, how > 0 ? STR_NONE
			   : why.n ? arena_str(&run->arena, why)
				   : STR("failed"));
	else if (superseded(run))
		ended(run, STR("not waited for any longer: there is a newer revision"));
	else if (loop_now(run->r->loop) > run->hook.until)
		ended(run, STR("not done in time (annotation plumb.dev/timeout of the "
			       "Application)"));
	else {
		const struct rendered_object *o = &current(run)->o;

		argo_waits(run->u,
			   arena_strf(&a, "waiting for completion of hook %.*s/%.*s/%.*s",
				      STR_ARG(o->group), STR_ARG(o->kind), STR_ARG(o->name)));
		run_later(run, PAUSE, 0, on_pause);
	}
}

static void look(struct run *run)
{
	struct api_call call = call_of(run, API_GET);

	run_call_as(run, &call, 0, on_looked);
}

/* ---- its begin ---- */

static void on_made(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	if (answer->err.code)
		ended(run, sensitive_scrub(&run->arena, tree_of(run),
					   arena_str(&run->arena, str_c(answer->err.msg))));
	else
		look(run);
}

static void make(struct run *run)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = call_of(run, API_APPLY);

	json_write(tree_of(run), &body);
	call.body = buf_view(&body);
	call.query = "fieldValidation=Strict";
	call.force = true;
	call.field_manager = FIELD_MANAGER;
	run_call_as(run, &call, 0, on_made);
}

static void on_cleared(struct run *run, size_t i, const struct api_answer *answer);

static void on_clear_pause(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	delete (run, on_cleared);
}

static void on_cleared(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	if (answer->err.code == ERR_NOT_FOUND)
		make(run);
	else if (answer->err.code)
		ended(run, arena_strf(&run->arena, "the old one cannot be deleted: %s",
				      answer->err.msg));
	else if (loop_now(run->r->loop) > run->hook.until)
		ended(run, STR("the old one does not go"));
	else
		run_later(run, PAUSE, 0, on_clear_pause);
}

static void begin(struct run *run)
{
	int64_t limit;

	if (duration_parse(json_str(json_get(run->spec, STR("timeout"))), &limit) || limit <= 0)
		limit = PATIENCE;
	run->hook.until = loop_now(run->r->loop) + limit;
	if (!call_of(run, API_GET).resource)
		ended(run, STR("the cluster does not serve this kind"));
	else if (policy(run, "BeforeHookCreation"))
		delete (run, on_cleared);
	else
		make(run);
}

/* Hooks are sorted: the next of this phase that isn't done. */
static void next(struct run *run)
{
	for (size_t i = 0; !run->hook.error && i < run->nhooks; i++) {
		const struct run_hook *h = &run->hooks[i];

		if (h->done || h->phase != run->hook.phase || h->wave >= run->hook.below)
			continue;
		run->hook.i = i;
		begin(run);
		return;
	}
	run->hook.then(run, run->hook.error);
}

bool hooks_left(const struct run *run, enum argo_phase phase, int64_t below)
{
	for (size_t i = 0; i < run->nhooks; i++) {
		const struct run_hook *h = &run->hooks[i];

		if (!h->done && h->phase == phase && h->wave < below)
			return true;
	}
	return false;
}

void hooks_run(struct run *run, enum argo_phase phase, int64_t below,
	       void (*then)(struct run *run, const char *error))
{
	run->hook.phase = phase;
	run->hook.below = below;
	run->hook.then = then;
	run->hook.error = NULL;
	next(run);
}
