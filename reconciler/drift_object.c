/*
 * The DriftReport: the same as the drift commit says, as an object of the API. Written when drift
 * is noticed and again when it was pushed. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/drifts.h"

static void on_deleted(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND)
		log_warn("cannot delete a DriftReport", "error", answer->err.msg);
}

static struct json *item(struct arena *a, const struct drift_note *n)
{
	char when[TIME_TEXT_MAX];
	struct str t = time_format_micro(n->at_ns, when);
	struct json *v =
		json_build(a, "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:S,s:s}", "id", n->id, "apiVersion",
			   n->api_version, "kind", n->kind, "name", n->name, "path", n->path,
			   "operation", drift_op_text(n->op), "decision",
			   n->proposed ? "proposed" : "corrected", "time", t, "file", n->place);

	if (n->namespace[0])
		json_set_str(a, v, "namespace", str_c(n->namespace));
	if (n->git[0])
		json_set_str(a, v, "gitValue", str_c(n->git));
	if (n->live[0])
		json_set_str(a, v, "liveValue", str_c(n->live));
	if (n->manager[0])
		json_set_str(a, v, "manager", str_c(n->manager));
	if (n->reason)
		json_set_str(a, v, "reason", str_c(n->reason));
	return v;
}

static struct json *status_of(const struct drifts *d, struct arena *a)
{
	struct json *o = json_new(a, JSON_OBJECT), *status = json_set_object(a, o, "status"),
		    *items = json_set_array(a, status, "items");
	int64_t now = loop_wall(d->u->r->loop);

	for (size_t i = 0; i < d->n && i < 100; i++)
		json_append(a, items, item(a, &d->v[i]));
	json_set_int(a, status, "total", (int64_t)d->n);
	if (d->commit[0])
		json_set_str(a, status, "commit", str_c(d->commit));
	if (d->problem)
		condition_set(a, o, "Pushed", "False", "PushFailed", str_c(d->problem), now);
	else if (d->commit[0])
		condition_set(a, o, "Pushed", "True", "Pushed",
			      arena_strf(a, "commit %s on branch %s", d->commit, d->branch), now);
	drift_pull_status(d, a, o);
	return o;
}

static void write_status(struct unit *u)
{
	AUTO(arena) struct arena a = {0};

	if (u->drifts)
		statusq_put(u->r->statuses, &res_driftreports, u->o, status_of(u->drifts, &a));
}

struct written {
	struct reconciler *r;
	char key[];
};

static void on_written(void *arg, const struct api_answer *answer)
{
	struct written *w = arg;
	struct unit *u = map_get(&w->r->units, str_c(w->key));

	if (answer->err.code)
		log_warn("cannot write a DriftReport", "unit", w->key, "error", answer->err.msg);
	else if (u && u->o)
		write_status(u);
	free(w);
}

void drift_object_write(struct drifts *d)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct unit *u = d->u;
	size_t n = strlen(u->key) + 1;
	struct written *w = xalloc(sizeof(*w) + n);
	struct json *o = json_build(
		&a, "{s:s,s:s,s:{s:S,s:S},s:{s:s,s:s,s:s,s:{s:s,s:s,s:S,s:S}}}", "apiVersion",
		"plumb.dev/v1", "kind", "DriftReport", "metadata", "namespace", u->o->namespace,
		"name", u->o->name, "spec", "mode", d->proposed ? "propose" : "correct", "branch",
		d->branch, "revision", u->revision ? u->revision : "", "kustomizationRef",
		"apiVersion", u->argo ? "argoproj.io/v1alpha1" : "kustomize.toolkit.fluxcd.io/v1",
		"kind", u->argo ? "Application" : "Kustomization", "namespace", u->o->namespace,
		"name", u->o->name);
	struct api_call call = {.verb = API_APPLY,
				.resource = &res_driftreports,
				.namespace = u->o->namespace,
				.name = u->o->name,
				.force = true,
				.field_manager = FIELD_MANAGER};

	w->r = u->r;
	memcpy(w->key, u->key, n);
	json_write(o, &body);
	call.body = buf_view(&body);
	client_call(u->r->client, &call, on_written, w);
}

void drift_object_delete(struct drifts *d)
{
	struct unit *u = d->u;
	struct api_call call = {.verb = API_DELETE,
				.resource = &res_driftreports,
				.namespace = u->o->namespace,
				.name = u->o->name};

	client_call(u->r->client, &call, on_deleted, NULL);
}
