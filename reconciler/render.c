/*
 * Rendering: files of a folder become a list of objects with unique identities, each labelled with
 * the unit it belongs to. Never touches files, network or the API; whatever is wrong is said with
 * the place where it stands. Memory: the caller's arena.
 */
#include "reconciler/render.h"

#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

void rendered_release(struct rendered *r)
{
	yaml_srcs_release(&r->srcs);
	*r = (struct rendered){0};
}

int render_fail(struct render *r, uint32_t file, uint32_t line, struct err *err, const char *fmt,
		...)
{
	AUTO(buf) struct buf text = {0};
	struct str path = r->out->files.v[file].path;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (line)
		return err_set(err, ERR_INVALID, "%.*s:%u: %s", STR_ARG(path), line,
			       buf_cstr(&text));
	return err_set(err, ERR_INVALID, "%.*s: %s", STR_ARG(path), buf_cstr(&text));
}

uint32_t render_line(const struct render *r, const struct json *v, uint32_t otherwise)
{
	const struct yaml_src *src = yaml_src_of(&r->out->srcs, v);

	return src ? src->line : otherwise;
}

uint32_t render_file_number(struct render *r, const struct git_file *f)
{
	struct git_files *files = &r->out->files;
	uintptr_t number = (uintptr_t)map_get(&r->numbers, f->path);

	if (number)
		return (uint32_t)(number - 1);
	if (files->n == r->files_cap) {
		size_t cap = r->files_cap ? r->files_cap * 2 : 64;
		struct git_file *v = arena_array(r->a, cap, sizeof(*v));

		if (files->n)
			memcpy(v, files->v, files->n * sizeof(*v));
		files->v = v;
		r->files_cap = cap;
	}
	files->v[files->n++] = *f;
	map_set(&r->numbers, f->path, (void *)(uintptr_t)files->n);
	return (uint32_t)files->n - 1;
}

/* ---- objects ---- */

static struct str kind_text(struct arena *a, const struct rendered_object *o)
{
	if (o->namespace.n)
		return arena_strf(a, "%.*s %.*s/%.*s", STR_ARG(o->kind), STR_ARG(o->namespace),
				  STR_ARG(o->name));
	return arena_strf(a, "%.*s %.*s", STR_ARG(o->kind), STR_ARG(o->name));
}

int render_check_shape(struct render *r, struct json *v, const struct rendered_object *o,
		       struct err *err)
{
	if (!json_is(v, JSON_OBJECT))
		return render_fail(r, o->file, o->line, err, "not an object");
	if (!json_str(json_get(v, STR("apiVersion"))).n)
		return render_fail(r, o->file, o->line, err, "no apiVersion");
	if (!json_str(json_get(v, STR("kind"))).n)
		return render_fail(r, o->file, o->line, err, "no kind");
	if (json_get(v, STR("metadata")) && !json_is(json_get(v, STR("metadata")), JSON_OBJECT))
		return render_fail(r, o->file,
				   render_line(r, json_get(v, STR("metadata")), o->line), err,
				   "metadata is not an object");
	if (r->o->hook_suffix.n)
		render_name_hook(r, v);
	if (!meta_name(v).n)
		return render_fail(r, o->file, o->line, err, "%.*s has no metadata.name%s",
				   STR_ARG(json_str(json_get(v, STR("kind")))),
				   json_at(v, "metadata", "generateName")
					   ? "; generateName cannot be applied"
					   : "");
	return 0;
}

static void object_push(struct render *r, const struct rendered_object *o)
{
	if (r->out->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct rendered_object *v = arena_array(r->a, cap, sizeof(*v));

		if (r->out->n)
			memcpy(v, r->out->v, r->out->n * sizeof(*v));
		r->out->v = v;
		r->cap = cap;
	}
	r->out->v[r->out->n++] = *o;
}

static int object_add(struct render *r, struct json *v, struct rendered_object *o, struct err *err);

static int list_add(struct render *r, struct json *list, struct rendered_object *o, struct err *err)
{
	struct json *items = json_get(list, STR("items"));

	for (size_t i = 0; i < json_len(items); i++) {
		struct rendered_object item = *o;

		item.lone = false;
		item.line = render_line(r, json_item(items, i), o->line);
		if (object_add(r, json_item(items, i), &item, err))
			return -1;
	}
	return 0;
}

static int object_add(struct render *r, struct json *v, struct rendered_object *o, struct err *err)
{
	if (json_is(v, JSON_OBJECT) && str_is(json_str(json_get(v, STR("kind"))), "List") &&
	    json_is(json_get(v, STR("items")), JSON_ARRAY))
		return list_add(r, v, o, err);
	if (r->out->n >= OBJECTS_MAX)
		return render_fail(r, o->file, o->line, err, "more than %d objects", OBJECTS_MAX);
	if (r->o->substitute && render_substitute(r, v, err))
		return -1;
	if (render_check_shape(r, v, o, err))
		return -1;
	o->tree = v;
	object_push(r, o);
	return 0;
}

/* "line L, column C: why" becomes "file:L: why". */
int render_parse_failed(struct render *r, uint32_t file, const struct err *why, struct err *err)
{
	struct str text = str_c(why->msg), number, rest;
	uint64_t line;

	if (str_starts(text, STR("line ")) &&
	    str_cut(str_sub(text, 5, text.n), ',', &number, &rest) && !str_to_u64(number, &line)) {
		struct str where, reason;

		if (str_cut(rest, ':', &where, &reason))
			return render_fail(r, file, (uint32_t)line, err, "%.*s",
					   STR_ARG(str_trim(reason)));
	}
	return render_fail(r, file, 0, err, "%s", why->msg);
}

int render_add(struct render *r, struct json *v, const struct rendered_object *at, struct err *err)
{
	struct rendered_object o = *at;

	return object_add(r, v, &o, err);
}

int render_file(struct render *r, const struct git_file *f, struct err *err)
{
	uint32_t file = render_file_number(r, f);
	struct yaml_docs docs;
	struct err why = {0};

	if (yaml_parse(r->a, f->data, file, &r->out->srcs, NULL, &docs, &why))
		return render_parse_failed(r, file, &why, err);
	if (render_decrypt(r, file, &docs, err))
		return -1;
	for (size_t i = 0; i < docs.n; i++) {
		const struct yaml_src *src = yaml_src_of(&r->out->srcs, docs.v[i]);
		struct rendered_object o = {.file = file,
					    .line = src ? src->line : 1,
					    .doc = src ? src->doc : (uint32_t)i,
					    .begin = src ? src->begin : 0,
					    .lone = true};

		if (object_add(r, docs.v[i], &o, err))
			return -1;
	}
	return 0;
}

/* ---- folders ---- */

bool render_is_kustomization(struct str name)
{
	return str_is(name, "kustomization.yaml") || str_is(name, "kustomization.yml") ||
	       str_is(name, "Kustomization");
}

/* The part of a path behind folder `dir`; STR_NONE when it isn't below. */
static struct str below(struct str path, struct str dir)
{
	if (!dir.n)
		return path;
	if (path.n <= dir.n + 1 || !str_starts(path, dir) || path.p[dir.n] != '/')
		return STR_NONE;
	return str_sub(path, dir.n + 1, path.n);
}

static int render_plain(struct render *r, const struct git_files *files, struct str dir,
			struct err *err)
{
	struct str last = STR_NONE;

	for (size_t i = 0; i < files->n; i++) {
		const struct git_file *f = &files->v[i];
		struct str rest = below(f->path, dir), head, tail, sub;

		if (!rest.n)
			continue;
		if (!str_cut(rest, '/', &head, &tail)) {
			if (render_file(r, f, err))
				return -1;
			continue;
		}
		sub = str_sub(f->path, 0, f->path.n - tail.n - 1);
		if (str_eq(sub, last))
			continue;
		last = sub;
		if (render_folder(r, files, sub, err))
			return -1;
	}
	return 0;
}

int render_folder(struct render *r, const struct git_files *files, struct str dir, struct err *err)
{
	for (size_t i = 0; i < files->n; i++) {
		struct str rest = below(files->v[i].path, dir);

		if (rest.n && render_is_kustomization(rest))
			return render_kustomized(r, &files->v[i], dir, NULL, err);
	}
	return render_plain(r, files, dir, err);
}

/* ---- what is known only when all objects are ---- */

/* A kind that a CustomResourceDefinition of this very revision brings. */
static enum render_scope scope_from_crds(const struct rendered *out, struct str group,
					 struct str kind)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct json *t = out->v[i].tree;

		if (!str_is(json_str(json_get(t, STR("kind"))), "CustomResourceDefinition") ||
		    !str_eq(json_str(json_at(t, "spec", "group")), group) ||
		    !str_eq(json_str(json_at(t, "spec", "names", "kind")), kind))
			continue;
		return str_is(json_str(json_at(t, "spec", "scope")), "Cluster") ? SCOPE_CLUSTER
										: SCOPE_NAMESPACED;
	}
	return SCOPE_UNKNOWN;
}

/* A colon, as names of RBAC objects have it, is written as two underscores. */
static struct str render_id(struct arena *a, const struct rendered_object *o)
{
	AUTO(buf) struct buf id = {0};

	buf_str(&id, o->namespace);
	buf_putc(&id, '_');
	for (size_t i = 0; i < o->name.n; i++) {
		if (o->name.p[i] == ':')
			buf_puts(&id, "__");
		else
			buf_putc(&id, o->name.p[i]);
	}
	buf_printf(&id, "_%.*s_%.*s", STR_ARG(o->group), STR_ARG(o->kind));
	return arena_str(a, buf_view(&id));
}

static int identify(struct render *r, struct rendered_object *o, struct err *err)
{
	struct json *meta = json_set_object(r->a, o->tree, "metadata");
	enum render_scope scope;

	o->api_version = json_str(json_get(o->tree, STR("apiVersion")));
	o->kind = json_str(json_get(o->tree, STR("kind")));
	api_version_split(o->api_version, &o->group, &o->version);
	scope = r->env->scope(r->env->ctx, o->api_version, o->kind);
	o->served = scope != SCOPE_UNKNOWN;
	if (scope == SCOPE_UNKNOWN)
		scope = scope_from_crds(r->out, o->group, o->kind);
	if (scope == SCOPE_UNKNOWN && (r->o->missing_ok || render_may_be_missing(r->o, o->tree)))
		scope = SCOPE_NAMESPACED;
	if (scope == SCOPE_UNKNOWN) {
		render_fail(r, o->file, render_line(r, json_get(o->tree, STR("kind")), o->line),
			    err, "the cluster has no kind %.*s in %.*s", STR_ARG(o->kind),
			    STR_ARG(o->api_version));
		err->code = ERR_NOT_FOUND;
		return -1;
	}
	if (scope == SCOPE_CLUSTER)
		json_del(meta, STR("namespace"));
	else if (r->o->target_namespace.n)
		json_set_str(r->a, meta, "namespace", r->o->target_namespace);
	else if (r->o->default_namespace.n && !meta_namespace(o->tree).n)
		json_set_str(r->a, meta, "namespace", r->o->default_namespace);
	o->name = meta_name(o->tree);
	o->namespace = meta_namespace(o->tree);
	/* As kubectl does without -n, so that manifests made for it work as they are. */
	if (scope == SCOPE_NAMESPACED && !o->namespace.n)
		o->namespace = json_str(json_set_str(r->a, meta, "namespace", STR("default")));
	o->id = render_id(r->a, o);
	return 0;
}

static int check_unique(struct render *r, size_t i, struct err *err)
{
	struct rendered_object *o = &r->out->v[i];
	uintptr_t earlier = (uintptr_t)map_get(&r->seen, o->id);

	if (!earlier) {
		map_set(&r->seen, o->id, (void *)(uintptr_t)(i + 1));
		return 0;
	}
	return render_fail(r, o->file, o->line, err, "%.*s is also declared in %.*s",
			   STR_ARG(kind_text(r->a, o)),
			   STR_ARG(rendered_place(r->a, r->out, &r->out->v[earlier - 1])));
}

/* What must not be sent: the server's own fields that an exported manifest may hold. */
static void clean(struct render *r, struct rendered_object *o)
{
	static const char *const theirs[] = {"managedFields", "resourceVersion",   "uid",
					     "generation",    "creationTimestamp", "selfLink"};
	struct json *meta = json_get(o->tree, STR("metadata"));

	for (size_t i = 0; i < ARRAY_LEN(theirs); i++)
		json_del(meta, str_c(theirs[i]));
	json_del(o->tree, STR("status"));
	if (str_is(o->kind, "Secret") && !o->group.n)
		render_secret(r->a, o->tree);
}

static int finish(struct render *r, struct err *err)
{
	const struct render_opts *o = r->o;
	struct json *owner = json_new(r->a, JSON_OBJECT);

	if (o->unit_name.n) {
		json_set_str(r->a, owner, UNIT_LABEL_NAME, o->unit_name);
		json_set_str(r->a, owner, UNIT_LABEL_NAMESPACE, o->unit_namespace);
	}
	for (size_t i = 0; i < r->out->n; i++) {
		struct rendered_object *obj = &r->out->v[i];

		if (identify(r, obj, err) || check_unique(r, i, err) ||
		    render_bind_check(r, obj, err))
			return -1;
		clean(r, obj);
		if (str_is(obj->kind, "Secret") && !obj->group.n &&
		    render_decrypt_data(r, obj, err))
			return -1;
		render_metadata(r->a, obj->tree, json_get(o->common_metadata, STR("labels")),
				json_get(o->common_metadata, STR("annotations")));
		render_metadata(r->a, obj->tree, owner, NULL);
		if (o->tracked_as.n)
			render_tracking(r->a, obj->tree, o->tracked_as);
	}
	return 0;
}

/* A kustomization at the path, else all manifests there. */
static int render_path(struct render *r, struct err *err)
{
	struct str path = str_c(r->o->path);
	struct git_files files = {0};
	const struct git_file *f;

	if (kbuild_find(r, path, &f, err))
		return -1;
	if (f)
		return render_kustomized(r, f, path, NULL, err);
	if (r->env->load(r->env->ctx, r->o->path, &files, err))
		return -1;
	if (r->o->pick && render_pick_files(r, &files, path, err))
		return -1;
	if (kbuild_has_overlay(r->o))
		return render_overlaid(r, &files, path, err);
	if (files.n == 1 && str_eq(files.v[0].path, path))
		return render_file(r, &files.v[0], err);
	return render_folder(r, &files, path, err);
}

int render(struct arena *a, const struct render_env *env, const struct render_opts *o,
	   struct rendered *ret, struct err *err)
{
	struct render r = {.a = a, .env = env, .o = o, .out = ret};
	int rc;

	*ret = (struct rendered){0};
	rc = render_path(&r, err);
	if (!rc && !o->build_only)
		rc = finish(&r, err);
	map_release(&r.seen);
	map_release(&r.loaded);
	map_release(&r.numbers);
	if (rc)
		rendered_release(ret);
	return rc;
}
