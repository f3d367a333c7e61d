/*
 * Carrying out a webhook: GitRepositories are polled at once, without a detour over the API; pull
 * requests that came from their repository are looked at; other kinds get the annotation by which
 * Flux asks for a reconciliation. On the role's loop.
 */
#include "reconciler/trigger.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/drifts.h"
#include "reconciler/prplan.h"

#define RESOURCES_MAX 100

static void look_at(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	struct map_iter it = {0};

	source_poll(s);
	prplan_look(s);
	while (map_next(&s->r->units, &it)) {
		struct unit *u = it.value;

		if (u->drifts && unit_source(u, json_get(unit_tree(u, &a), STR("spec"))) == s)
			drift_pull_look(u->drifts);
	}
}

static bool has_labels(const struct obj *o, const struct json *wanted)
{
	struct json_member *m = json_members(wanted);

	for (size_t i = 0; m && i < json_len(wanted); i++) {
		if (!str_eq(obj_label(o, m[i].key), json_str(&m[i].value)))
			return false;
	}
	return true;
}

static void on_asked(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code)
		log_warn("a webhook names something that cannot be asked to reconcile", "error",
			 answer->err.msg);
}

static void annotate(struct reconciler *r, const struct resource *resource, struct str namespace,
		     struct str name)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	char when[TIME_TEXT_MAX];
	struct api_call call = {.verb = API_PATCH,
				.resource = resource,
				.namespace = namespace,
				.name = name,
				.patch = API_PATCH_MERGE};

	json_write(json_build(&a, "{s:{s:{s:S}}}", "metadata", "annotations", REQUESTED_AT,
			      time_format_micro(loop_wall(r->loop), when)),
		   &body);
	call.body = buf_view(&body);
	client_call(r->client, &call, on_asked, NULL);
}

/* apiVersion may be left out: Flux knows its kinds. */
static const struct resource *resource_of(struct reconciler *r, const struct json *ref)
{
	static const char *const groups[] = {
		"source.toolkit.fluxcd.io/v1", "kustomize.toolkit.fluxcd.io/v1",
		"helm.toolkit.fluxcd.io/v2", "image.toolkit.fluxcd.io/v1beta2"};
	struct str version = json_str(json_get(ref, STR("apiVersion"))),
		   kind = json_str(json_get(ref, STR("kind")));
	const struct resource *found = NULL;

	if (version.n)
		return restmap_find(r->restmap, version, kind);
	for (size_t i = 0; i < ARRAY_LEN(groups) && !found; i++)
		found = restmap_find(r->restmap, str_c(groups[i]), kind);
	return found;
}

static void trigger_sources(struct reconciler *r, const struct resource *resource,
			    const struct json *ref, struct str namespace)
{
	struct str name = json_str(json_get(ref, STR("name")));
	struct map_iter it = {0};

	while (map_next(&r->sources, &it)) {
		struct source *s = it.value;

		if (source_resource(s) == resource && str_eq(s->o->namespace, namespace) &&
		    (str_is(name, "*") ? has_labels(s->o, json_get(ref, STR("matchLabels")))
				       : str_eq(s->o->name, name)))
			look_at(s);
	}
}

static void trigger_units(struct reconciler *r, const struct json *ref, struct str namespace)
{
	struct map_iter it = {0};

	while (map_next(&r->units, &it)) {
		struct unit *u = it.value;

		if (u->o && !u->argo && str_eq(u->o->namespace, namespace) &&
		    has_labels(u->o, json_get(ref, STR("matchLabels"))))
			annotate(r, &res_kustomizations, u->o->namespace, u->o->name);
	}
}

static void trigger_one(struct reconciler *r, const struct json *ref, struct str namespace)
{
	struct str kind = json_str(json_get(ref, STR("kind"))),
		   name = json_str(json_get(ref, STR("name")));
	const struct resource *resource;

	if (str_is(kind, "GitRepository")) {
		trigger_sources(r, &res_gitrepositories, ref, namespace);
		return;
	}
	if (str_is(kind, "OCIRepository")) {
		trigger_sources(r, &res_ocirepositories, ref, namespace);
		return;
	}
	if (str_is(name, "*")) {
		if (str_is(kind, "Kustomization"))
			trigger_units(r, ref, namespace);
		else
			log_warn("a Receiver names all of a kind that nobody reconciles", "kind",
				 log_fmt("%.*s", STR_ARG(kind)));
		return;
	}
	resource = resource_of(r, ref);
	if (resource && resource->namespaced && name.n)
		annotate(r, resource, namespace, name);
	else
		log_warn("a Receiver names a kind that there isn't", "kind",
			 log_fmt("%.*s", STR_ARG(kind)));
}

void trigger(struct reconciler *r, const struct obj *receiver)
{
	AUTO(arena) struct arena a = {0};
	const struct json *list = json_at(obj_tree(receiver, &a), "spec", "resources");

	for (size_t i = 0; i < json_len(list) && i < RESOURCES_MAX; i++) {
		const struct json *ref = json_item(list, i);

		trigger_one(r, ref,
			    json_str_or(json_get(ref, STR("namespace")), receiver->namespace));
	}
}
