/*
 * Applications as units: what they ask for, when they run, what is refused. An Application that
 * isn't automated is compared and told of; it is applied when its `operation` says so. Never
 * writes but the removal of what was asked for and is done. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/argo_orphans.h"
#include "reconciler/argo_project.h"

static void set_text(char **slot, struct str s)
{
	char *copy = s.p ? xstrndup(s.p, s.n) : NULL;

	free(*slot);
	*slot = copy;
}

struct str unit_key_of(struct arena *a, const struct obj *o)
{
	struct str key = obj_key(a, o->namespace, o->name);

	return str_is(o->kind, "Application") ? arena_strf(a, "application/%.*s", STR_ARG(key))
					      : key;
}

const struct resource *unit_resource(const struct unit *u)
{
	return u->argo ? &res_applications : &res_kustomizations;
}

bool unit_finalizer_is(const struct unit *u, struct str name)
{
	if (!u->argo)
		return str_is(name, UNIT_FINALIZER);
	return argo_finalizer_is(name);
}

/* ---- watches ---- */

static void on_application(void *arg, const struct obj *old, const struct obj *new)
{
	unit_changed(arg, old, new);
	if (!new)
		argo_sources_sweep(arg);
	if (!new || (old && old->generation != new->generation))
		argo_projects_end(arg);
}

static void on_project(void *arg, const struct obj *old, const struct obj *new)
{
	struct reconciler *r = arg;
	struct map_iter it = {0};

	(void)old;
	(void)new;
	while (map_next(&r->units, &it)) {
		struct unit *u = it.value;

		if (u->argo && u->o && !u->o->deleted_ns) {
			u->argo->orphans_now = true;
			if (r->synced)
				argo_orphans_look(u);
			argo_look_later(u);
			unit_look(u);
		}
	}
	argo_projects_end(r);
}

static struct informer *watch(struct reconciler *r, const struct resource *res, const char *labels,
			      informer_fn *fn)
{
	struct informer_opts o = {.resource = res, .label_selector = labels};
	struct informer *i = informer_new(r->client, &o);

	informer_on_change(i, fn, r);
	return i;
}

/* A generator that does not generate says so. */
static void on_set(void *arg, const struct obj *old, const struct obj *new)
{
	static const char message[] = "ApplicationSets are stored, but not generated from: write "
				      "the Applications, or a Kustomization, into git";
	AUTO(arena) struct arena a = {0};
	struct reconciler *r = arg;
	struct json *o;

	(void)old;
	if (!new)
		return;
	o = json_copy(&a, obj_tree(new, &a));
	if (condition_set(&a, o, "ErrorOccurred", "True", "NotSupported", STR(message),
			  loop_wall(r->loop)))
		statusq_put(r->statuses, &res_applicationsets, new,
			    json_build(&a, "{s:{s:o}}", "status", "conditions",
				       json_at(o, "status", "conditions")));
}

void argo_start(struct reconciler *r, void (*progress)(void *arg))
{
	r->projects_informer = watch(r, &res_appprojects, NULL, on_project);
	r->apps_informer = watch(r, &res_applications, NULL, on_application);
	r->appsets_informer = watch(r, &res_applicationsets, NULL, on_set);
	r->repo_secrets = watch(r, &res_secrets, ARGO_SECRET_TYPE, argo_on_secret);
	informer_on_progress(r->projects_informer, progress, r);
	informer_on_progress(r->apps_informer, progress, r);
	informer_on_progress(r->repo_secrets, progress, r);
	informer_start(r->projects_informer);
	informer_start(r->apps_informer);
	informer_start(r->appsets_informer);
	informer_start(r->repo_secrets);
}

void argo_stop(struct reconciler *r)
{
	informer_free(r->appsets_informer);
	informer_free(r->apps_informer);
	informer_free(r->projects_informer);
	informer_free(r->repo_secrets);
}

bool argo_synced(const struct reconciler *r)
{
	return informer_synced(r->apps_informer) && informer_synced(r->projects_informer) &&
	       informer_synced(r->repo_secrets);
}

/* ---- what it asks for ---- */

static void on_written(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND)
		log_warn("cannot write an Application", "error", answer->err.msg);
}

static void patch(struct unit *u, const struct json *body)
{
	AUTO(buf) struct buf text = {0};
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_applications,
				.namespace = u->o->namespace,
				.name = u->o->name,
				.patch = API_PATCH_MERGE};

	json_write(body, &text);
	call.body = buf_view(&text);
	client_call(u->r->client, &call, on_written, NULL);
}

static void take_operation(struct argo *g, const struct json *app)
{
	AUTO(buf) struct buf text = {0};
	const struct json *operation = json_get(app, STR("operation"));

	if (!json_len(operation)) {
		set_text(&g->finished, STR_NONE);
		return;
	}
	json_write(operation, &text);
	if (g->operation || (g->finished && str_is(buf_view(&text), g->finished)))
		return;
	set_text(&g->operation, buf_view(&text));
	g->phase = NULL;
	g->u->full = true;
}

static void take_approval(struct argo *g, const struct json *app)
{
	struct str when = meta_annotation(app, ARGO_CONFIRMED);

	if (when.n && (!g->approved || !str_is(when, g->approved)))
		g->u->full = true;
	set_text(&g->approved, when.n ? when : STR_NONE);
}

static void take_refresh(struct argo *g, const struct json *app)
{
	AUTO(arena) struct arena a = {0};
	struct str word = meta_annotation(app, ARGO_REFRESH);
	struct json *body, *notes;

	if (!word.n)
		return;
	body = json_new(&a, JSON_OBJECT);
	notes = json_set_object(&a, json_set_object(&a, body, "metadata"), "annotations");
	json_set(&a, notes, STR(ARGO_REFRESH), json_new(&a, JSON_NULL));
	g->refresh = g->answer = g->orphans_now = true;
	argo_look_later(g->u);
	g->compared_generation = 0;
	if (str_is(word, "hard"))
		g->u->full = true;
	patch(g->u, body);
}

struct obj *argo_take(struct unit *u, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *app = obj_tree(o, &a);
	struct argo *g = u->argo;
	struct err err = {0}, why = {0};
	struct json *t;
	struct obj *ret;

	if (!g) {
		g = u->argo = xalloc(sizeof(*g));
		g->u = u;
	}
	take_operation(g, app);
	take_approval(g, app);
	take_refresh(g, app);
	set_text(&g->problem, STR_NONE);
	if (application_translate(&a, app, &t, &why)) {
		set_text(&g->problem, str_c(why.msg));
		g->unsupported = why.code == ERR_UNSUPPORTED;
	}
	g->automated = json_bool(json_at(t, "spec", "argo", "automated"), false);
	json_del(json_get(t, STR("status")), STR("inventory"));
	ret = obj_from_json(t, &err);
	if (!ret)
		panic("an Application as a Kustomization: %s", err.msg);
	return ret;
}

void argo_free(struct unit *u)
{
	struct argo *g = u->argo;

	if (!g)
		return;
	loop_timer_cancel(u->r->loop, &g->publish);
	arena_release(&g->plan.arena);
	arena_release(&g->arena);
	free(g->problem);
	free(g->operation);
	free(g->finished);
	free(g->approved);
	free(g->differs);
	free(g->error);
	free(g->error_type);
	free(g->message);
	free(g->told);
	free(g->waits);
	argo_orphans_free(u);
	free(g->history);
	free(g->held);
	free(g->strange);
	free(g);
	u->argo = NULL;
}

void argo_operation_done(struct argo *g, const char *phase, struct str message)
{
	AUTO(arena) struct arena a = {0};
	struct json *body = json_new(&a, JSON_OBJECT);

	g->phase = phase;
	g->ended = loop_wall(g->u->r->loop);
	set_text(&g->message, message);
	if (!g->operation)
		return;
	free(g->finished);
	g->finished = g->operation;
	g->operation = NULL;
	json_set(&a, body, STR("operation"), json_new(&a, JSON_NULL));
	patch(g->u, body);
}

/* ---- when it runs ---- */

static void set_error(struct argo *g, const char *type, struct str message)
{
	set_text(&g->error, message);
	set_text(&g->error_type, str_c(type));
}

static bool refuse(struct argo *g, const char *type, struct str message)
{
	set_error(g, type, message);
	g->u->ready = false;
	if (g->operation)
		argo_operation_done(g, "Error", message);
	argo_publish(g->u);
	return false;
}

static bool allowed(struct argo *g, const struct json *app, struct err *err)
{
	struct str name = json_str_or(json_at(app, "spec", "project"), STR("default"));
	AUTO(arena) struct arena a = {0};
	const struct json *project = argo_project(g->u, &a);

	if (!project && !str_is(name, "default")) {
		err_set(err, ERR_INVALID,
			"application references project %.*s which does not exist", STR_ARG(name));
		return false;
	}
	return !application_allowed(project, app, argo_scoped(g->u, project), err);
}

static void on_compared(void *arg)
{
	struct argo *g = arg;
	struct unit *u = g->u;
	const struct plan_report *p = &g->plan.report;
	AUTO(buf) struct buf out = {0};

	u->plan = NULL;
	set_text(&g->differs, STR_NONE);
	g->ndiffers = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_change *c = &p->v[i];

		if (c->action == PLAN_NONE)
			continue;
		buf_printf(&out, "%.*s/%.*s/%.*s\n", STR_ARG(c->namespace), STR_ARG(c->kind),
			   STR_ARG(c->name));
		g->ndiffers++;
	}
	set_text(&g->differs, buf_view(&out).p ? buf_view(&out) : STR(""));
	if (p->error.n)
		set_error(g, "ComparisonError", p->error);
	else
		set_error(g, NULL, STR_NONE);
	u->full = false;
	u->ready = !p->error.n && !g->ndiffers;
	arena_reset(&g->plan.arena);
	argo_orphans_look(u);
	argo_publish(u);
	unit_ended(u, !p->error.n);
	if (g->waits)
		unit_look_after(u, argo_next_minute(u));
}

static bool begin_compare(struct argo *g, const struct source *s)
{
	struct unit *u = g->u;

	if (g->compared_generation == u->o->generation && !strcmp(g->compared, s->commit) &&
	    !g->error && !g->refresh && loop_timer_armed(&u->timer))
		return false;
	g->refresh = false;
	g->compared_generation = u->o->generation;
	memcpy(g->compared, s->commit, sizeof(g->compared));
	arena_reset(&g->plan.arena);
	g->plan = (struct unitplan){.arena = g->plan.arena, .done = on_compared, .arg = g};
	u->plan = &g->plan;
	u->full = true;
	return true;
}

/* Compared as ever; what is asked for by hand is told now instead of being done some day. */
static bool wait_for_window(struct argo *g, const struct source *s, const struct err *why)
{
	set_text(&g->waits, str_c(why->msg));
	if (g->operation)
		argo_operation_done(g, "Error", str_c(why->msg));
	if (begin_compare(g, s))
		return true;
	unit_look_after(g->u, argo_next_minute(g->u));
	argo_publish(g->u);
	return false;
}

static void window_opens(struct argo *g)
{
	set_text(&g->waits, STR_NONE);
	g->u->full = true;
	argo_publish(g->u);
}

bool argo_gate(struct unit *u, const struct source *s)
{
	AUTO(arena) struct arena a = {0};
	struct argo *g = u->argo;
	struct err err = {0};

	if (!u->run)
		u->plan = NULL;
	if (g->problem)
		return refuse(g, g->unsupported ? "ComparisonError" : "InvalidSpecError",
			      str_c(g->problem));
	if (!allowed(g, obj_tree(u->o, &a), &err))
		return refuse(g, "InvalidSpecError", str_c(err.msg));
	if (!s)
		return true;
	if ((g->automated || g->operation) && argo_window(u, g->operation != NULL, &err))
		return wait_for_window(g, s, &err);
	if (g->waits)
		window_opens(g);
	if (!g->automated && !g->operation)
		return begin_compare(g, s);
	if (g->operation &&
	    json_bool(json_at(unit_tree(u, &a), "spec", "argo", "operation", "sync", "dryRun"),
		      false)) {
		argo_operation_done(g, "Succeeded", STR("dry run: see the comparison"));
		return begin_compare(g, s);
	}
	g->refresh = false;
	return true;
}
