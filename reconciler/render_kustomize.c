/*
 * Kustomizations, layer by layer: what one names is gathered, generated and changed as it says,
 * and handed to the one it stands in. What has to wait until all layers are done (hashes of names,
 * references, order) is kbuild_finish.c's. Never reads outside the repository, never leaves a
 * field out silently. Pure. Memory: the render's arena.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

static int build(struct kbuild *b, const struct json *k, struct err *err);

int kbuild_blame(struct kbuild *b, const struct json *at, const struct err *why, struct err *err)
{
	uint32_t line = at ? render_line(b->r, at, 0) : 0;
	enum err_code code = why->code;

	render_fail(b->r, b->file, line, err, "%s", why->msg);
	/* An unknown kind alone makes the caller ask again; a missing file stays missing. */
	if (err && code != ERR_NOT_FOUND)
		err->code = code;
	return -1;
}

static int fail(struct kbuild *b, const struct json *at, struct err *err, const char *what)
{
	struct err why = {0};

	(void)err_set(&why, ERR_INVALID, "%s", what);
	return kbuild_blame(b, at, &why, err);
}

/* ---- resources ---- */

static int check_cycle(struct kbuild *b, const struct json *at, struct str dir, struct err *err)
{
	struct err why = {0};

	for (const struct kbuild *u = b; u; u = u->up) {
		if (!str_eq(u->dir, dir))
			continue;
		(void)err_set(&why, ERR_INVALID, "a cycle: %.*s is being built already",
			      STR_ARG(dir.n ? dir : STR("the root")));
		return kbuild_blame(b, at, &why, err);
	}
	if (b->depth >= KUSTOMIZE_DEPTH_MAX)
		return fail(b, at, err, "kustomizations nested too deep");
	return 0;
}

static void append(struct arena *a, struct klayer *to, const struct klayer *from)
{
	for (size_t i = 0; i < from->l.n; i++)
		*kres_push(a, &to->l) = from->l.v[i];
}

static struct kconfig *own_config(struct kbuild *b)
{
	if (b->to->config == b->r->defaults) {
		b->to->config = kconfig_default(b->a);
		b->to->config->vars = json_new(b->a, JSON_ARRAY);
	}
	return b->to->config;
}

/* The folder's kustomization as a layer of its own, or over the present one's resources. */
static int enter(struct kbuild *b, const struct git_file *f, struct str dir, struct klayer *to,
		 struct err *err)
{
	struct klayer below = {.config = b->r->defaults, .vars = json_new(b->a, JSON_ARRAY)};
	bool component = to == NULL;
	struct kbuild sub = {.r = b->r,
			     .a = b->a,
			     .dir = dir,
			     .file = render_file_number(b->r, f),
			     .component = component,
			     .to = component ? b->to : &below,
			     .up = b,
			     .depth = b->depth + 1};
	struct yaml_docs docs;
	struct err why = {0};

	sub.files = kbuild_files(&sub);
	if (kbuild_parse(b->r, f, &docs, err))
		return -1;
	if (docs.n != 1 || !json_is(docs.v[0], JSON_OBJECT))
		return render_fail(b->r, sub.file, 0, err, "not a kustomization");
	if (build(&sub, docs.v[0], err))
		return -1;
	if (component)
		return 0;
	append(b->a, to, &below);
	for (size_t i = 0; i < json_len(below.vars); i++)
		json_append(b->a, to->vars, json_item(below.vars, i));
	if (below.config != b->r->defaults && kconfig_join(b->a, own_config(b), below.config, &why))
		return render_fail(b->r, sub.file, 0, err, "configurations: %s", why.msg);
	return 0;
}

static bool looks_like_file(struct str name)
{
	return str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
	       str_ends(name, STR(".json"));
}

static int resource(struct kbuild *b, const struct json *entry, struct klayer *to, struct err *err)
{
	struct str name = json_str(entry);
	const struct git_file *f = NULL;
	struct err why = {0};
	char *path;

	if (!json_is(entry, JSON_STRING) || !name.n)
		return fail(b, entry, err, "the name of a file or folder is expected");
	if (kbuild_is_remote(name)) {
		(void)err_set(&why, ERR_INVALID, "%.*s: remote resources are refused",
			      STR_ARG(name));
		return kbuild_blame(b, entry, &why, err);
	}
	path = kbuild_join(b->a, b->dir, name);
	if (!path) {
		(void)err_set(&why, ERR_INVALID, "%.*s leaves the repository", STR_ARG(name));
		return kbuild_blame(b, entry, &why, err);
	}
	if (looks_like_file(name) && !kbuild_file(b->r, str_c(path), &f, &why))
		return kbuild_manifest(b->r, f, &to->l, err);
	if (looks_like_file(name) && why.code != ERR_NOT_FOUND && why.code != ERR_INVALID)
		return kbuild_blame(b, entry, &why, err);
	if (kbuild_find(b->r, str_c(path), &f, &why))
		return kbuild_blame(b, entry, &why, err);
	if (f) {
		if (check_cycle(b, entry, str_c(path), err))
			return -1;
		return enter(b, f, str_c(path), to, err);
	}
	if (kbuild_file(b->r, str_c(path), &f, &why))
		return kbuild_blame(b, entry, &why, err);
	return kbuild_manifest(b->r, f, &to->l, err);
}

int kbuild_resources(struct kbuild *b, const struct json *entries, struct klayer *to,
		     struct err *err)
{
	for (size_t i = 0; i < json_len(entries); i++) {
		if (resource(b, json_item(entries, i), to, err))
			return -1;
	}
	return 0;
}

static bool lists(const struct json *names, struct str name)
{
	for (size_t i = 0; i < json_len(names); i++) {
		if (str_eq(json_str(json_item(names, i)), name))
			return true;
	}
	return false;
}

/* One that the Kustomization itself adds, and says may not be there. */
static bool may_be_missing(const struct kbuild *b, struct str name)
{
	const struct render_opts *o = b->r->o;

	if (!o->missing_components || !str_eq(b->dir, str_c(o->path)))
		return false;
	return lists(o->components, name) || lists(json_get(o->overlay, STR("components")), name);
}

static int components(struct kbuild *b, struct err *err)
{
	const struct json *list = json_get(b->k, STR("components"));

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *entry = json_item(list, i);
		struct str name = json_str(entry);
		const struct git_file *f = NULL;
		struct err why = {0};
		char *path =
			name.n && !kbuild_is_remote(name) ? kbuild_join(b->a, b->dir, name) : NULL;

		if (!path) {
			(void)err_set(&why, ERR_INVALID,
				      "%.*s: a component is a folder of this repository",
				      STR_ARG(name));
			return kbuild_blame(b, entry, &why, err);
		}
		if (kbuild_find(b->r, str_c(path), &f, &why))
			return kbuild_blame(b, entry, &why, err);
		if (!f && may_be_missing(b, name))
			continue;
		if (!f) {
			(void)err_set(&why, ERR_INVALID, "%s has no kustomization", path);
			return kbuild_blame(b, entry, &why, err);
		}
		if (check_cycle(b, entry, str_c(path), err) || enter(b, f, str_c(path), NULL, err))
			return -1;
	}
	return 0;
}

/* ---- configurations and crds ---- */

static int config_file(struct kbuild *b, const struct json *entry, bool crd, struct err *err)
{
	uint32_t number;
	struct yaml_docs docs;
	struct err why = {0};
	struct str text;

	if (b->files.load(b->files.ctx, json_str(entry), &text, &number, &why))
		return kbuild_blame(b, entry, &why, err);
	if (yaml_parse(b->a, text, number, &b->r->out->srcs, NULL, &docs, &why))
		return render_parse_failed(b->r, number, &why, err);
	for (size_t i = 0; i < docs.n; i++) {
		if (crd ? kconfig_crd(b->a, own_config(b), docs.v[i], &why)
			: kconfig_merge(b->a, own_config(b), docs.v[i], &why))
			return render_fail(b->r, number, 0, err, "%s", why.msg);
	}
	return 0;
}

static int configurations(struct kbuild *b, struct err *err)
{
	static const char *const fields[] = {"configurations", "crds"};

	for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
		const struct json *list = json_get(b->k, str_c(fields[f]));

		for (size_t i = 0; i < json_len(list); i++) {
			if (config_file(b, json_item(list, i), f == 1, err))
				return -1;
		}
	}
	return 0;
}

/*
 * The first kustomization that says which types counts for all that comes after it, wherever it
 * stands: the outermost, else the first of those it is made of.
 */
static int openapi(struct kbuild *b, struct err *err)
{
	const struct json *said = json_get(b->k, STR("openapi")), *path;
	uint32_t number;
	struct yaml_docs docs;
	struct err why = {0};
	struct str text;

	path = json_get(said, STR("path"));
	if (!json_len(said) || b->r->types_said)
		return 0;
	if (path && json_get(said, STR("version")))
		return fail(b, said, err, "openapi: a version or a path, not both");
	b->r->types_said = true;
	if (!path)
		return 0;
	if (b->files.load(b->files.ctx, json_str(path), &text, &number, &why))
		return kbuild_blame(b, path, &why, err);
	if (yaml_parse(b->a, text, number, NULL, NULL, &docs, &why))
		return render_parse_failed(b->r, number, &why, err);
	b->r->types = ktypes_read(b->a, docs.n ? docs.v[0] : NULL, &why);
	return b->r->types ? 0 : kbuild_blame(b, path, &why, err);
}

/* ---- a layer ---- */

/* Two resources must not have one identity within a layer. */
static int check_unique(struct kbuild *b, struct err *err)
{
	AUTO(map) struct map seen = {0};
	AUTO(arena) struct arena a = {0};
	const struct kres_list *l = &b->to->l;

	for (size_t i = 0; i < l->n; i++) {
		struct kid id = kres_id(&l->v[i]);
		const struct rendered_object *o = l->v[i].origin;
		const struct kres *other;
		struct str ns = id.namespace.n ? id.namespace : STR("default"), text;

		if (kid_cluster_scoped(&id))
			ns = STR_NONE;
		text = arena_strf(&a, "%.*s/%.*s/%.*s/%.*s/%.*s", STR_ARG(id.group),
				  STR_ARG(id.version), STR_ARG(id.kind), STR_ARG(ns),
				  STR_ARG(id.name));
		other = map_set(&seen, text, &l->v[i]);
		if (!other)
			continue;
		return render_fail(b->r, o->file, o->line, err,
				   "%.*s %.*s is also declared in %.*s", STR_ARG(id.kind),
				   STR_ARG(id.name),
				   STR_ARG(rendered_place(b->a, b->r->out, other->origin)));
	}
	return 0;
}

static int gather_vars(struct kbuild *b, struct err *err)
{
	const struct json *vars = json_get(b->k, STR("vars"));
	struct err why = {0};

	for (size_t i = 0; i < json_len(vars); i++) {
		if (kustomize_bind_var(b->a, &b->to->l, json_item(vars, i), &why))
			return kbuild_blame(b, json_item(vars, i), &why, err);
		json_append(b->a, b->to->vars, json_item(vars, i));
	}
	return 0;
}

static int build(struct kbuild *b, const struct json *k, struct err *err)
{
	if (kbuild_normalize(b, k, err) || openapi(b, err) ||
	    kbuild_resources(b, json_get(b->k, STR("resources")), b->to, err) ||
	    configurations(b, err) || check_unique(b, err) || kbuild_generate(b, err) ||
	    kbuild_plugins(b, "generators", err) || components(b, err) || check_unique(b, err) ||
	    kbuild_transform(b, err) || kbuild_plugins(b, "transformers", err) ||
	    kbuild_plugins(b, "validators", err))
		return -1;
	return gather_vars(b, err);
}

int render_kustomized(struct render *r, const struct git_file *f, struct str dir,
		      const struct json *k, struct err *err)
{
	struct klayer top = {.vars = json_new(r->a, JSON_ARRAY)};
	struct kbuild b = {.r = r,
			   .a = r->a,
			   .dir = dir,
			   .file = render_file_number(r, f),
			   .to = &top,
			   .depth = r->depth + 1};
	struct yaml_docs docs;

	if (b.depth >= KUSTOMIZE_DEPTH_MAX)
		return render_fail(r, b.file, 0, err, "kustomizations nested too deep");
	if (!r->defaults)
		r->defaults = kconfig_default(r->a);
	top.config = r->defaults;
	r->types = NULL;
	r->types_said = false;
	b.files = kbuild_files(&b);
	if (!k) {
		if (kbuild_parse(r, f, &docs, err))
			return -1;
		if (docs.n != 1 || !json_is(docs.v[0], JSON_OBJECT))
			return render_fail(r, b.file, 0, err, "not a kustomization");
		k = docs.v[0];
	}
	if (!r->depth && kbuild_has_overlay(r->o))
		k = kbuild_overlay(r->a, k, r->o);
	return build(&b, k, err) || kbuild_finish(&b, err) ? -1 : 0;
}

/* ---- plain manifests under a Kustomization's own fields ---- */

/* What a kustomization of the folder would list: kustomizations below, and files outside them. */
static struct json *listing(struct render *r, const struct git_files *files, struct str dir)
{
	struct json *list = json_new(r->a, JSON_ARRAY);
	struct str skip = STR_NONE;

	for (size_t i = 0; i < files->n; i++) {
		struct str path = files->v[i].path, head = STR_NONE, tail;
		size_t from = dir.n && !str_eq(path, dir) ? dir.n + 1 : 0;

		if (skip.n && str_starts(path, skip) && path.p[skip.n] == '/')
			continue;
		for (size_t n = from; n < path.n; n++) {
			const struct git_file *f = NULL;

			if (path.p[n] != '/')
				continue;
			head = str_sub(path, 0, n);
			if (!kbuild_find(r, head, &f, NULL) && f)
				break;
			head = STR_NONE;
		}
		tail = head.n ? head : path;
		skip = head;
		json_append_str(r->a, list,
				from                                ? str_sub(tail, from, tail.n)
				: str_rcut(tail, '/', &head, &tail) ? tail
								    : path);
	}
	return list;
}

int render_overlaid(struct render *r, const struct git_files *files, struct str dir,
		    struct err *err)
{
	const struct git_file spec = {.path = STR("spec of the Kustomization")};
	struct json *k = json_new(r->a, JSON_OBJECT);
	bool one = files->n == 1 && str_eq(files->v[0].path, dir);
	struct str tail;

	json_set(r->a, k, STR("resources"), listing(r, files, one ? STR_NONE : dir));
	if (one && !str_rcut(dir, '/', &dir, &tail))
		dir = STR_NONE;
	return render_kustomized(r, &spec, dir, k, err);
}
