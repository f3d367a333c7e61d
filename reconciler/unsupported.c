/*
 * Flux' kinds that Plumb stores and does nothing with: each object says so itself, so that nobody
 * waits for it. On the role's loop.
 */
#include "reconciler/unsupported.h"

#include <stdlib.h>

#include "lib/kube/resources.h"

#define REASON "NotSupported"

static const struct {
	const struct resource *resource;
	const char *message;
} kinds[] = {
	{&res_helmreleases, "Plumb does not install Helm charts: commit the rendered manifests "
			    "(helm template) and apply them with a Kustomization"},
	{&res_helmrepositories, "Plumb does not fetch Helm repositories"},
	{&res_helmcharts, "Plumb does not fetch Helm charts"},
	{&res_buckets, "Plumb does not fetch buckets: use a GitRepository or an OCIRepository"},
	{&res_imagerepositories, "Plumb does not scan image repositories"},
	{&res_imagepolicies, "Plumb does not choose images"},
	{&res_imageupdateautomations, "Plumb does not commit image updates"},
};

struct unsupported {
	struct reconciler *r;
	struct watch {
		struct unsupported *u;
		size_t kind;
		struct informer *informer;
	} watches[ARRAY_LEN(kinds)];
};

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	struct watch *w = arg;
	struct reconciler *r = w->u->r;
	struct str message = str_c(kinds[w->kind].message);
	int64_t now = loop_wall(r->loop);
	struct str asked;
	struct json *o, *patch;
	bool changed;

	(void)old;
	if (!new || new->deleted_ns)
		return;
	o = json_copy(&a, obj_tree(new, &a));
	json_set_object(&a, o, "status");
	asked = meta_annotation(o, REQUESTED_AT);
	changed = condition_set(&a, o, "Ready", "False", REASON, message, now);
	changed |= condition_set(&a, o, "Stalled", "True", REASON, message, now);
	changed |= json_int(json_at(o, "status", "observedGeneration"), 0) != new->generation;
	changed |=
		asked.n && !str_eq(asked, json_str(json_at(o, "status", "lastHandledReconcileAt")));
	if (!changed)
		return;
	patch = json_build(&a, "{s:o,s:I}", "conditions", json_at(o, "status", "conditions"),
			   "observedGeneration", new->generation);
	if (asked.n)
		json_set_str(&a, patch, "lastHandledReconcileAt", asked);
	statusq_put(r->statuses, kinds[w->kind].resource, new,
		    json_build(&a, "{s:o}", "status", patch));
}

struct unsupported *unsupported_start(struct reconciler *r)
{
	struct unsupported *u = xalloc(sizeof(*u));

	u->r = r;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct informer_opts o = {.resource = kinds[i].resource};
		struct watch *w = &u->watches[i];

		*w = (struct watch){.u = u, .kind = i, .informer = informer_new(r->client, &o)};
		informer_on_change(w->informer, on_change, w);
		informer_start(w->informer);
	}
	return u;
}

void unsupported_stop(struct unsupported *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		informer_free(u->watches[i].informer);
	free(u);
}
