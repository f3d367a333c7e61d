/*
 * A manifest as somebody may push it: rendered, and each of its values edited. An edit that is
 * accepted must say what was meant when it is read again, and rendering never writes outside.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/json/patch.h"
#include "reconciler/edit.h"
#include "reconciler/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { EDITS_MAX = 40 };

struct world {
	struct arena a;
	struct str text;
	const struct json *tree;
	uint32_t doc;
	int left;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct world *w = ctx;
	struct git_file *f = arena_array(&w->a, 1, sizeof(*f));

	(void)path;
	(void)err;
	*f = (struct git_file){.path = STR("app/x.yaml"), .data = w->text};
	*ret = (struct git_files){.v = f, .n = 1};
	return 0;
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	return str_is(kind, "Namespace") ? SCOPE_CLUSTER : SCOPE_NAMESPACED;
}

static void edit(struct world *w, struct str pointer)
{
	struct json *to = json_new_str(&w->a, STR("new: value"));
	struct str next = edit_value(&w->a, w->text, w->doc, pointer, to, NULL);
	struct yaml_docs docs;

	/* Read again, the value stands where it was put. */
	if (next.p && yaml_parse(&w->a, next, 0, NULL, NULL, &docs, NULL))
		abort();
	for (size_t i = 0; next.p && i < docs.n; i++) {
		if (json_equal(json_pointer(docs.v[i], pointer), to))
			return;
	}
	if (next.p)
		abort();
}

static void walk(struct world *w, const struct json *v, struct buf *pointer)
{
	struct json_member *m = json_members(v);
	size_t mark = pointer->n;

	if (w->left <= 0)
		return;
	if (pointer->n && !json_is(v, JSON_OBJECT) && w->left-- > 0)
		edit(w, arena_str(&w->a, buf_view(pointer)));
	for (size_t i = 0; m && i < json_len(v); i++) {
		pointer_push(pointer, m[i].key);
		walk(w, &m[i].value, pointer);
		pointer->n = mark;
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		buf_printf(pointer, "/%zu", i);
		walk(w, json_item(v, i), pointer);
		pointer->n = mark;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world w = {.text = {(const char *)data, n}, .left = EDITS_MAX};
	const struct render_env env = {.load = load, .scope = scope, .ctx = &w};
	const struct render_opts o = {.path = "app", .unit_name = STR("u"), .substitute = true};
	AUTO(buf) struct buf pointer = {0};
	struct rendered out = {0};
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	struct err err = {0};

	if (n > 65536)
		return 0;
	if (!render(&w.a, &env, &o, &out, &err))
		rendered_release(&out);
	if (!yaml_parse(&w.a, w.text, 0, &srcs, NULL, &docs, NULL)) {
		for (size_t i = 0; i < docs.n && i < 4; i++) {
			const struct yaml_src *src = yaml_src_of(&srcs, docs.v[i]);

			w.doc = src ? src->doc : 0;
			walk(&w, docs.v[i], &pointer);
		}
	}
	yaml_srcs_release(&srcs);
	arena_release(&w.a);
	return 0;
}
