/*
 * What waits until all layers are done: hashes of generated names, references to names, vars,
 * objects that are for local use only, where objects came from, and their order. Then they become
 * rendered objects. Pure.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

#define LOCAL "config.kubernetes.io/local-config"
#define ORIGIN "config.kubernetes.io/origin"
#define MANAGED_BY "app.kubernetes.io/managed-by"

static void drop_local(struct kres_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct kres *r = &l->v[i];
		const struct json *v =
			json_get(json_at(r->tree, "metadata", "annotations"), STR(LOCAL));

		if (v && !str_is(json_str(v), "false"))
			*r->tree = (struct json){.type = JSON_OBJECT};
	}
	kres_remove_empty(l);
}

/* Annotations are texts, whatever YAML took them for; none are no map. */
static void settle_annotations(struct kbuild *b, struct kres *r)
{
	struct json *meta = json_get(r->tree, STR("metadata"));
	struct json *annotations = json_get(meta, STR("annotations"));
	struct json_member *m = json_members(annotations);

	if (annotations && !json_len(annotations))
		json_del(meta, STR("annotations"));
	for (size_t i = 0; m && i < json_len(annotations); i++) {
		struct json *v = &m[i].value;
		uint32_t src = v->src;

		if (json_is(v, JSON_STRING) || json_is(v, JSON_OBJECT) || json_is(v, JSON_ARRAY))
			continue;
		*v = *json_new_str(b->a, kbuild_text(b->r, v));
		v->src = src;
	}
}

/* The way from folder `dir` to a file, with "..". */
static struct str relative(struct arena *a, struct str dir, struct str path)
{
	AUTO(buf) struct buf out = {0};
	struct str head, tail, phead, ptail;

	while (dir.n) {
		if (!str_cut(dir, '/', &head, &tail))
			tail = STR_NONE;
		if (!str_cut(path, '/', &phead, &ptail) || !str_eq(head, phead))
			break;
		dir = tail;
		path = ptail;
	}
	while (dir.n) {
		buf_puts(&out, "../");
		if (!str_cut(dir, '/', &head, &tail))
			break;
		dir = tail;
	}
	buf_str(&out, path);
	return arena_str(a, buf_view(&out));
}

static void put_origin(struct kbuild *b, struct kres *r)
{
	const struct rendered_object *o = r->configured ?: r->origin;
	struct str path = relative(b->a, b->dir, b->r->out->files.v[o->file].path), text;
	struct json *meta = json_set_object(b->a, r->tree, "metadata");
	struct str kind = json_str(json_get(r->tree, STR("kind")));

	/* The one generator that isn't called by what it makes. */
	if (str_is(kind, "ServiceAccount"))
		kind = STR("IAMPolicy");
	if (!r->generated)
		text = arena_strf(b->a, "path: %.*s\n", STR_ARG(path));
	else
		text = arena_strf(b->a,
				  "configuredIn: %.*s\nconfiguredBy:\n  apiVersion: builtin\n"
				  "  kind: %.*sGenerator\n",
				  STR_ARG(path), STR_ARG(kind));
	if (r->maker.n)
		text = arena_strf(b->a, "%.*s  name: %.*s\n", STR_ARG(text), STR_ARG(r->maker));
	json_set_str(b->a, json_set_object(b->a, meta, "annotations"), ORIGIN, text);
}

static int metadata(struct kbuild *b, struct err *err)
{
	const struct json *list = json_get(b->k, STR("buildMetadata"));
	struct kres_list *l = &b->to->l;

	for (size_t i = 0; i < json_len(list); i++) {
		struct str what = json_str(json_item(list, i));
		bool origin = str_is(what, "originAnnotations");

		if (!origin && !str_is(what, "managedByLabel"))
			return render_fail(b->r, b->file, render_line(b->r, json_item(list, i), 0),
					   err, "buildMetadata: %.*s is not supported",
					   STR_ARG(what));
		for (size_t n = 0; n < l->n; n++) {
			struct json *meta = json_set_object(b->a, l->v[n].tree, "metadata");

			if (origin)
				put_origin(b, &l->v[n]);
			else
				json_set_str(b->a, json_set_object(b->a, meta, "labels"),
					     MANAGED_BY, STR("kustomize-v5.5.0"));
		}
	}
	return 0;
}

static int sort(struct kbuild *b, struct err *err)
{
	const struct json *options = json_get(b->k, STR("sortOptions"));
	struct json *legacy = json_build(b->a, "{s:s}", "order", "legacy");
	struct err why = {0};

	if (kustomize_sort(b->a, &b->to->l, options ?: legacy, &why))
		return kbuild_blame(b, options, &why, err);
	return 0;
}

int kbuild_finish(struct kbuild *b, struct err *err)
{
	struct kres_list *l = &b->to->l;
	struct err why = {0};

	kustomize_add_hashes(b->a, l);
	if (kustomize_references(b->a, l, b->to->config, &why) ||
	    kustomize_vars(b->a, l, b->to->vars, b->to->config->vars, &why))
		return kbuild_blame(b, NULL, &why, err);
	drop_local(l);
	for (size_t i = 0; i < l->n; i++)
		settle_annotations(b, &l->v[i]);
	if (metadata(b, err) || sort(b, err))
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		struct rendered_object at = *(const struct rendered_object *)l->v[i].origin;

		at.layered = true;
		at.shifted = l->v[i].patched;
		if (render_add(b->r, l->v[i].tree, &at, err))
			return -1;
	}
	return 0;
}
