/*
 * kustomization.yaml: what it names is rendered, then changed as it says. A field that isn't
 * understood is refused by name: leaving out half of what somebody wrote would apply something
 * that nobody wanted. Pure.
 */
#include <string.h>

#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

static const char *const known[] = {"apiVersion", "kind",   "metadata",          "resources",
				    "namespace",  "images", "commonAnnotations", "labels"};

static int check_fields(struct render *r, uint32_t file, const struct json *k, struct err *err)
{
	struct json_member *m = json_members(k);

	for (size_t i = 0; i < json_len(k); i++) {
		bool found = false;

		for (size_t n = 0; n < ARRAY_LEN(known); n++)
			found |= str_is(m[i].key, known[n]);
		if (!found)
			return render_fail(r, file, render_line(r, &m[i].value, 0), err,
					   "field %.*s of a kustomization is not supported",
					   STR_ARG(m[i].key));
	}
	return 0;
}

/* dir + "/" + name, with ".." taken away; NULL when it leaves the root. */
static char *join(struct arena *a, struct str dir, struct str name)
{
	struct str part, rest = name, head, tail, at = arena_str(a, dir);

	if (!name.n || name.p[0] == '/' || memchr(name.p, 0, name.n))
		return NULL;
	while (str_next(&rest, '/', &part)) {
		if (!part.n || str_is(part, "."))
			continue;
		if (!str_is(part, "..")) {
			at = at.n ? arena_strf(a, "%.*s/%.*s", STR_ARG(at), STR_ARG(part)) : part;
			continue;
		}
		if (!at.n)
			return NULL;
		at = str_rcut(at, '/', &head, &tail) ? head : STR_NONE;
	}
	return arena_cstr(a, at);
}

static int resource(struct render *r, uint32_t file, struct str dir, const struct json *entry,
		    struct err *err)
{
	struct str name = json_str(entry);
	uint32_t line = render_line(r, entry, 0);
	struct git_files files = {0};
	struct err why = {0};
	char *path;

	if (str_find(name, STR("://")) >= 0 || str_starts(name, STR("git@")))
		return render_fail(r, file, line, err, "%.*s: remote resources are refused",
				   STR_ARG(name));
	path = join(r->a, dir, name);
	if (!path)
		return render_fail(r, file, line, err, "%.*s leaves the repository", STR_ARG(name));
	if (r->env->load(r->env->ctx, path, &files, &why))
		return render_fail(r, file, line, err, "%s", why.msg);
	if (files.n == 1 && str_is(files.v[0].path, path))
		return render_file(r, &files.v[0], err);
	return render_folder(r, &files, str_c(path), err);
}

static void transform(struct render *r, const struct json *k, struct rendered_object *o)
{
	struct str ns = json_str(json_get(k, STR("namespace")));
	struct str version = json_str(json_get(o->tree, STR("apiVersion"))),
		   kind = json_str(json_get(o->tree, STR("kind")));
	const struct json *labels = json_get(k, STR("labels"));

	if (ns.n && r->env->scope(r->env->ctx, version, kind) != SCOPE_CLUSTER)
		json_set_str(r->a, json_set_object(r->a, o->tree, "metadata"), "namespace", ns);
	render_images(r->a, o->tree, json_get(k, STR("images")));
	render_metadata(r->a, o->tree, NULL, json_get(k, STR("commonAnnotations")));
	for (size_t i = 0; i < json_len(labels); i++)
		render_metadata(r->a, o->tree, json_get(json_item(labels, i), STR("pairs")), NULL);
}

static int check_labels(struct render *r, uint32_t file, const struct json *labels, struct err *err)
{
	for (size_t i = 0; i < json_len(labels); i++) {
		const struct json *v = json_item(labels, i);

		if (json_bool(json_get(v, STR("includeSelectors")), false) ||
		    json_bool(json_get(v, STR("includeTemplates")), false) ||
		    json_get(v, STR("fields")))
			return render_fail(r, file, render_line(r, v, 0), err,
					   "labels of a kustomization are supported without "
					   "includeSelectors, includeTemplates and fields");
	}
	return 0;
}

int render_kustomization(struct render *r, const struct git_file *f, struct str dir,
			 struct err *err)
{
	uint32_t file = render_file_number(r, f);
	const struct json *resources;
	size_t first = r->out->n;
	struct yaml_docs docs;
	struct err why = {0};

	if (yaml_parse(r->a, f->data, file, &r->out->srcs, NULL, &docs, &why))
		return render_fail(r, file, 0, err, "%s", why.msg);
	if (docs.n != 1 || !json_is(docs.v[0], JSON_OBJECT))
		return render_fail(r, file, 0, err, "not a kustomization");
	if (check_fields(r, file, docs.v[0], err) ||
	    check_labels(r, file, json_get(docs.v[0], STR("labels")), err))
		return -1;
	if (r->depth >= KUSTOMIZE_DEPTH_MAX)
		return render_fail(r, file, 0, err, "kustomizations nested deeper than %d",
				   KUSTOMIZE_DEPTH_MAX);
	r->depth++;
	resources = json_get(docs.v[0], STR("resources"));
	for (size_t i = 0; i < json_len(resources); i++) {
		if (resource(r, file, dir, json_item(resources, i), err))
			return -1;
	}
	r->depth--;
	for (size_t i = first; i < r->out->n; i++)
		transform(r, docs.v[0], &r->out->v[i]);
	return 0;
}
