/*
 * AppProjects in the engine: what a run declares is held against them, windows decide when one may
 * begin, and spec.syncPolicy.retry when it is tried again. Reads time zones of the system; on the
 * role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/os/zoneinfo.h"
#include "reconciler/argo.h"
#include "reconciler/argo_project.h"

#define RETRY_LIMIT 5
#define RETRY_PAUSE (5 * NS_PER_S)
#define RETRY_PAUSE_MAX (180 * NS_PER_S)

/* Where Argo CD runs, its projects serve other namespaces, too, as far as they say so. */
#define ARGO_NAMESPACE STR("argocd")

const struct json *argo_project(const struct unit *u, struct arena *a)
{
	struct str name =
		json_str_or(json_at(obj_tree(u->o, a), "spec", "project"), STR("default"));
	const struct obj *o;

	/* `plumb diff` asks what would change, not whether it may. */
	if (!u->r->projects_informer)
		return NULL;
	o = informer_get(u->r->projects_informer, u->o->namespace, name);
	if (!o && !str_is(name, "default"))
		o = informer_get(u->r->projects_informer, ARGO_NAMESPACE, name);
	return o ? obj_tree(o, a) : NULL;
}

static struct str decoded(const struct json *secret, const char *key, struct buf *out)
{
	struct str text = json_str(json_at(secret, "data", key));

	buf_reset(out);
	return !text.n || base64_decode(text, out) ? STR_NONE : buf_view(out);
}

bool argo_scoped(const struct unit *u, const struct json *project)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct obj_set all = {0};

	if (project && u->r->repo_secrets)
		all = informer_list_ns(u->r->repo_secrets, meta_namespace(project), &a);
	for (size_t i = 0; i < all.n; i++) {
		const struct json *o = obj_tree(all.v[i], &a);
		struct str server;

		if (!str_is(obj_label(all.v[i], STR(ARGO_SECRET_TYPE)), "cluster") ||
		    !str_eq(decoded(o, "project", &text), meta_name(project)))
			continue;
		server = decoded(o, "server", &text);
		if (str_ends(server, STR("/")))
			server.n--;
		if (str_is(server, ARGO_CLUSTER))
			return true;
	}
	return false;
}

/* ---- their end ---- */

static bool is_used(const struct reconciler *r, const struct obj *project)
{
	struct map_iter it = {0};

	while (map_next(&r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		const struct unit *u = it.value;
		const struct json *p = u->argo && u->o ? argo_project(u, &a) : NULL;

		if (p && str_eq(meta_name(p), project->name) &&
		    str_eq(meta_namespace(p), project->namespace))
			return true;
	}
	return false;
}

static void on_let_go(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND &&
	    answer->err.code != ERR_CONFLICT)
		log_warn("cannot let go of an AppProject", "error", answer->err.msg);
}

/* The list without Argo CD's, over the version that it was read from. */
static void let_go(struct reconciler *r, const struct obj *project)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	const struct json *old = json_at(obj_tree(project, &a), "metadata", "finalizers");
	struct json *list = json_new(&a, JSON_ARRAY);
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_appprojects,
				.namespace = project->namespace,
				.name = project->name,
				.patch = API_PATCH_MERGE};

	for (size_t i = 0; i < json_len(old); i++) {
		if (!argo_finalizer_is(json_str(json_item(old, i))))
			json_append(&a, list, json_item(old, i));
	}
	if (json_len(list) == json_len(old))
		return;
	json_write(json_build(&a, "{s:{s:s,s:o}}", "metadata", "resourceVersion",
			      arena_printf(&a, "%lu", (unsigned long)project->revision),
			      "finalizers", list),
		   &body);
	call.body = buf_view(&body);
	client_call(r->client, &call, on_let_go, NULL);
}

void argo_projects_end(struct reconciler *r)
{
	AUTO(arena) struct arena a = {0};
	struct obj_set all;

	if (!r->synced)
		return;
	all = informer_list(r->projects_informer, &a);
	for (size_t i = 0; i < all.n; i++) {
		if (all.v[i]->deleted_ns && !is_used(r, all.v[i]))
			let_go(r, all.v[i]);
	}
}

/* ---- what is declared ---- */

int argo_permits(const struct run *run, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	const struct json *project = argo_project(run->u, &a);
	struct err first = {0};
	size_t n = 0;

	for (size_t i = 0; project && i < run->rendered.n; i++) {
		const struct rendered_object *o = &run->rendered.v[i];

		const struct project_object what = {o->group, o->kind, o->namespace, o->name};

		if (project_permits(project, &what, n ? err : &first) && !n++)
			err_wrap(&first, "%.*s", STR_ARG(rendered_place(&a, &run->rendered, o)));
	}
	if (!n)
		return 0;
	if (n > 1)
		return err_set(err, first.code, "%s (and %zu more)", first.msg, n - 1);
	*err = first;
	return -1;
}

/* ---- when ---- */

static int zone(void *ctx, struct str name, int64_t at_s, int32_t *ret)
{
	const struct timezone *tz;

	(void)ctx;
	if (!zoneinfo_find(name, &tz))
		return -1;
	*ret = timezone_at(tz, at_s).offset_s;
	return 0;
}

int argo_window(const struct unit *u, bool by_hand, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	const struct json *project = argo_project(u, &a);
	const struct project_clock clock = {.now_ns = loop_wall(u->r->loop), .zone = zone};

	return project_window(project, obj_tree(u->o, &a), &clock, by_hand, err);
}

int64_t argo_next_minute(const struct unit *u)
{
	int64_t minute = 60 * NS_PER_S;

	return minute - loop_wall(u->r->loop) % minute;
}

bool argo_shut(struct unit *u)
{
	struct err err = {0};

	if (!u->argo || !argo_window(u, false, &err))
		return false;
	unit_look_after(u, argo_next_minute(u));
	return true;
}

/* ---- again ---- */

static int64_t grown(int64_t pause, int64_t factor, unsigned times, int64_t max)
{
	while (times-- && pause < max)
		pause *= MAX(factor, 1);
	return MIN(pause, max);
}

int64_t argo_retry(struct unit *u, int64_t otherwise)
{
	AUTO(arena) struct arena a = {0};
	struct argo *g = u->argo;
	const struct json *spec = json_get(unit_tree(u, &a), STR("spec"));
	const struct json *retry = json_at(spec, "argo", "retry"), *backoff;
	const struct source *s = unit_source(u, spec);
	int64_t pause, max;

	if (!json_is(retry, JSON_OBJECT) || !s)
		return otherwise;
	/* Another revision is another attempt. */
	if (strcmp(g->retried, s->commit) != 0) {
		memcpy(g->retried, s->commit, sizeof(g->retried));
		g->retries = 0;
	}
	int64_t limit = json_int(json_get(retry, STR("limit")), RETRY_LIMIT);

	if (limit >= 0 && g->retries >= limit)
		return 0;
	backoff = json_get(retry, STR("backoff"));
	if (duration_parse(json_str(json_get(backoff, STR("duration"))), &pause) || pause <= 0)
		pause = RETRY_PAUSE;
	if (duration_parse(json_str(json_get(backoff, STR("maxDuration"))), &max) || max <= 0)
		max = RETRY_PAUSE_MAX;
	return grown(pause, json_int(json_get(backoff, STR("factor")), 2),
		     (unsigned)MIN(g->retries++, 30), max);
}
