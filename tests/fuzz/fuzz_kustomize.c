/*
 * A repository with kustomizations in it as somebody may push it: "=== PATH" lines divide the input
 * into files, and app/ is built. Whatever comes out, values said elsewhere are edited where they
 * are said, and what was edited must read back. Nothing is loaded outside of what was given.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/said.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FILES_MAX = 32, EDITS_MAX = 20 };

struct world {
	struct arena a;
	struct git_file files[FILES_MAX];
	size_t n;
};

/* A path that no tree of git holds. */
static bool leaves(struct str path)
{
	struct str part, rest = path;

	if (str_starts(path, STR("/")) || memchr(path.p ?: "", 0, path.n))
		return true;
	while (str_next(&rest, '/', &part)) {
		if (str_is(part, "..") || str_is(part, "."))
			return true;
	}
	return false;
}

static void split(struct world *w, struct str text)
{
	struct str line, head, rest = text;

	while (rest.n && w->n < FILES_MAX) {
		const char *from;
		ptrdiff_t next;

		if (!str_starts(rest, STR("=== ")) || !str_cut(rest, '\n', &line, &rest))
			return;
		from = rest.p;
		next = str_starts(rest, STR("=== ")) ? 0 : str_find(rest, STR("\n=== "));
		head = next < 0 ? rest : str_sub(rest, 0, (size_t)next + (next > 0));
		rest = str_sub(rest, head.n, rest.n);
		line = str_trim(str_sub(line, 4, line.n));
		if (line.n && !leaves(line))
			w->files[w->n++] = (struct git_file){.path = line, .data = {from, head.n}};
	}
}

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct world *w = ctx;
	struct git_file *v = arena_array(&w->a, FILES_MAX, sizeof(*v));
	size_t len = strlen(path);

	if (leaves(str_c(path)))
		abort();
	*ret = (struct git_files){.v = v};
	for (size_t i = 0; i < w->n; i++) {
		struct str p = w->files[i].path;

		if (!len || str_is(p, path) ||
		    (str_starts(p, str_c(path)) && p.n > len && p.p[len] == '/'))
			v[ret->n++] = w->files[i];
	}
	return ret->n ? 0 : err_set(err, ERR_NOT_FOUND, "%s is not there", path);
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	return str_is(kind, "Namespace") ? SCOPE_CLUSTER : SCOPE_NAMESPACED;
}

static void edit(struct world *w, const struct rendered *r, const struct rendered_object *o)
{
	AUTO(buf) struct buf records = {0};
	struct str rest, pointer, file, begin;
	int left = EDITS_MAX;

	said_elsewhere(r, o, &records);
	rest = buf_view(&records);
	while (left-- > 0 && str_cut(rest, '\0', &pointer, &rest) &&
	       str_cut(rest, '\0', &file, &rest) && str_cut(rest, '\0', &begin, &rest)) {
		const struct json *git = json_pointer(o->tree, pointer);
		struct said_change c = {.git = git, .to = json_new_str(&w->a, STR("new: value"))};
		struct said at;
		struct str text;
		struct yaml_docs docs;

		if (!git || !said_find(buf_view(&records), pointer, &at) || !at.file.n)
			continue;
		for (size_t i = 0; i < w->n; i++) {
			if (str_eq(w->files[i].path, at.file))
				c.original = c.current = w->files[i].data;
		}
		text = said_edit(&w->a, &at, &c, NULL);
		if (text.p && yaml_parse(&w->a, text, 0, NULL, NULL, &docs, NULL))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct world w;
	const struct render_env env = {.load = load, .scope = scope, .ctx = &w};
	const struct json *patches;
	struct render_opts o = {.path = "app", .unit_name = STR("u")};
	struct rendered out = {0};
	struct err err = {0};

	if (n > 65536)
		return 0;
	w = (struct world){0};
	split(&w, (struct str){(const char *)data, n});
	if (n % 3 == 0) {
		o.target_namespace = STR("there");
		patches = json_build(&w.a, "[{s:s,s:{s:s}}]", "patch",
				     "[{\"op\":\"add\",\"path\":\"/x\",\"value\":1}]", "target",
				     "kind", "ConfigMap");
		o.patches = patches;
	}
	if (!render(&w.a, &env, &o, &out, &err)) {
		for (size_t i = 0; i < out.n && i < 8; i++)
			edit(&w, &out, &out.v[i]);
		rendered_release(&out);
	}
	arena_release(&w.a);
	return 0;
}
