/*
 * Files of kustomizations: relative paths that never leave the repository, each file read once.
 * Nothing but blobs of the revision is ever looked at; what a path names is decided by the
 * callback that reads them. Pure. Memory: the render's arena.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

char *kbuild_join(struct arena *a, struct str dir, struct str name)
{
	struct str part, rest = name, head, tail, at = dir;

	if (!name.n || name.n > 4096 || name.p[0] == '/' || memchr(name.p, 0, name.n) ||
	    memchr(name.p, '\\', name.n))
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

bool kbuild_is_remote(struct str name)
{
	return str_find(name, STR("://")) >= 0 || str_find(name, STR("?ref=")) >= 0 ||
	       str_starts(name, STR("git@")) || str_starts(name, STR("git::")) ||
	       str_starts(name, STR("github.com/")) || str_starts(name, STR("github.com:"));
}

/* Those alone are read by the older rules of YAML. */
static bool is_kustomization(struct str path)
{
	struct str head, tail;

	return render_is_kustomization(str_rcut(path, '/', &head, &tail) ? tail : path);
}

int kbuild_file(struct render *r, struct str path, const struct git_file **ret, struct err *err)
{
	struct git_files files = {0};
	struct git_file *f = map_get(&r->loaded, path);

	*ret = f;
	if (f)
		return 0;
	if (r->env->load(r->env->ctx, arena_cstr(r->a, path), &files, err))
		return -1;
	if (files.n != 1 || !str_eq(files.v[0].path, path))
		return err_set(err, ERR_NOT_FOUND, "%.*s is a folder", STR_ARG(path));
	f = arena_dup(r->a, &files.v[0], sizeof(*f));
	map_set(&r->loaded, f->path, f);
	*ret = f;
	return 0;
}

int kbuild_find(struct render *r, struct str dir, const struct git_file **ret, struct err *err)
{
	static const char *const names[] = {"kustomization.yaml", "kustomization.yml",
					    "Kustomization"};

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str path = dir.n ? arena_strf(r->a, "%.*s/%s", STR_ARG(dir), names[i])
					: str_c(names[i]);
		const struct git_file *f;
		struct err why = {0};

		if (kbuild_file(r, path, &f, &why)) {
			if (why.code != ERR_NOT_FOUND)
				return err_set(err, why.code, "%s", why.msg);
			continue;
		}
		if (*ret)
			return err_set(err, ERR_INVALID, "there are both %.*s and %.*s",
				       STR_ARG((*ret)->path), STR_ARG(path));
		*ret = f;
	}
	return 0;
}

static int load(void *ctx, struct str path, struct str *ret, uint32_t *file_number, struct err *err)
{
	struct kbuild *b = ctx;
	const struct git_file *f;
	char *at;

	if (kbuild_is_remote(path))
		return err_set(err, ERR_INVALID, "%.*s: remote files are refused", STR_ARG(path));
	at = kbuild_join(b->a, b->dir, path);
	if (!at)
		return err_set(err, ERR_INVALID, "%.*s leaves the repository", STR_ARG(path));
	if (kbuild_file(b->r, str_c(at), &f, err))
		return -1;
	*file_number = render_file_number(b->r, f);
	return render_decrypt_bytes(b->r, f, ret, err);
}

static bool is_secret(void *ctx, uint32_t file_number, struct str text)
{
	const struct kbuild *b = ctx;

	/* What is opened lies elsewhere than the repository's bytes. */
	return text.p != b->r->out->files.v[file_number].data.p;
}

struct kfiles kbuild_files(struct kbuild *b)
{
	return (struct kfiles){.load = load, .is_secret = is_secret, .ctx = b};
}

int kbuild_parse(struct render *r, const struct git_file *f, struct yaml_docs *ret, struct err *err)
{
	const struct yaml_limits limits = {.core_booleans = !is_kustomization(f->path)};
	uint32_t file = render_file_number(r, f);
	struct err why = {0};

	if (yaml_parse(r->a, f->data, file, &r->out->srcs, &limits, ret, &why))
		return render_parse_failed(r, file, &why, err);
	return render_decrypt(r, file, ret, err);
}

static int add(struct render *r, struct json *v, const struct rendered_object *at,
	       struct kres_list *l, struct err *err);

static int add_items(struct render *r, struct json *list, const struct rendered_object *at,
		     struct kres_list *l, struct err *err)
{
	struct json *items = json_get(list, STR("items"));

	for (size_t i = 0; i < json_len(items); i++) {
		struct rendered_object item = *at;

		item.lone = false;
		item.line = render_line(r, json_item(items, i), at->line);
		if (add(r, json_item(items, i), &item, l, err))
			return -1;
	}
	return 0;
}

/* A list that lists nothing. */
static bool is_bare_list(const struct json *v)
{
	const struct json *items = json_get(v, STR("items"));

	return str_is(json_str(json_get(v, STR("kind"))), "List") &&
	       (!items || json_is(items, JSON_NULL));
}

static int add(struct render *r, struct json *v, const struct rendered_object *at,
	       struct kres_list *l, struct err *err)
{
	struct kres *res;

	if (json_is(v, JSON_OBJECT) && (!json_len(v) || is_bare_list(v)))
		return 0;
	if (json_is(v, JSON_OBJECT) && str_ends(json_str(json_get(v, STR("kind"))), STR("List")) &&
	    json_is(json_get(v, STR("items")), JSON_ARRAY))
		return add_items(r, v, at, l, err);
	if (++r->nread > OBJECTS_MAX)
		return render_fail(r, at->file, at->line, err, "more than %d objects", OBJECTS_MAX);
	if (render_check_shape(r, v, at, err))
		return -1;
	res = kres_push(r->a, l);
	res->tree = v;
	res->origin = arena_dup(r->a, at, sizeof(*at));
	return 0;
}

int kbuild_manifest(struct render *r, const struct git_file *f, struct kres_list *l,
		    struct err *err)
{
	uint32_t file = render_file_number(r, f);
	struct yaml_docs docs;

	if (kbuild_parse(r, f, &docs, err))
		return -1;
	for (size_t i = 0; i < docs.n; i++) {
		const struct yaml_src *src = yaml_src_of(&r->out->srcs, docs.v[i]);
		const struct rendered_object at = {.file = file,
						   .line = src ? src->line : 1,
						   .doc = src ? src->doc : (uint32_t)i,
						   .begin = src ? src->begin : 0,
						   .lone = true};

		if (add(r, docs.v[i], &at, l, err))
			return -1;
	}
	return 0;
}

struct str kbuild_text(struct render *r, const struct json *v)
{
	const struct yaml_src *src = yaml_src_of(&r->out->srcs, v);
	AUTO(buf) struct buf out = {0};

	if (src && src->style == YAML_PLAIN && !(v->flags & JSON_F_SENSITIVE)) {
		struct str data = r->out->files.v[src->file].data;

		/* on and off are said the older way in JSON patches; there they are true and false.
		 */
		bool old = json_is(v, JSON_BOOL) && src->begin < data.n &&
			   !strchr("tTfF", data.p[src->begin]);

		if (src->begin < src->end && src->end <= data.n && !old)
			return str_sub(data, src->begin, src->end - src->begin);
	}
	json_write(v, &out);
	return arena_str(r->a, buf_view(&out));
}
