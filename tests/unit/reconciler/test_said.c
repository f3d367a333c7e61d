/* Drift of a value that an overlay says is edited in the overlay, and exactly there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/said.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define KUSTOMIZATION                                                                              \
	"# the shop in production\n"                                                               \
	"resources: [../base]\n"                                                                   \
	"replicas:\n"                                                                              \
	"- name: web\n"                                                                            \
	"  count: 3 # enough\n"                                                                    \
	"images:\n"                                                                                \
	"- name: nginx\n"                                                                          \
	"  newTag: '1.26'\n"                                                                       \
	"labels:\n"                                                                                \
	"- pairs: {tier: front}\n"                                                                 \
	"patches:\n"                                                                               \
	"- path: patch.yaml\n"                                                                     \
	"- patch: |\n"                                                                             \
	"    apiVersion: apps/v1\n"                                                                \
	"    kind: Deployment\n"                                                                   \
	"    metadata: {name: web}\n"                                                              \
	"    spec:\n"                                                                              \
	"      minReadySeconds: 5 # inline\n"                                                      \
	"namePrefix: p-\n"
#define BASE                                                                                       \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n"     \
	"  revisionHistoryLimit: 4\n  template:\n    spec:\n      containers:\n"                   \
	"      - name: web\n        image: nginx:1.25\n        args: [-a]\n"
#define PATCH                                                                                      \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  paused: true\n"    \
	"  template:\n    spec:\n      containers:\n      - name: side\n        image: side:2\n"   \
	"      - name: web\n        args: [-b]\n"

static const struct git_file files[] = {
	{.path = {"app/kustomization.yaml", 22},
	 .data = {KUSTOMIZATION, sizeof(KUSTOMIZATION) - 1}},
	{.path = {"app/patch.yaml", 14}, .data = {PATCH, sizeof(PATCH) - 1}},
	{.path = {"base/d.yaml", 11}, .data = {BASE, sizeof(BASE) - 1}},
	{.path = {"base/kustomization.yaml", 23}, .data = {"resources: [d.yaml]\n", 20}},
};

struct world {
	struct arena a;
	struct rendered out;
	struct buf records;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (!str_is(files[i].path, path))
			continue;
		*ret = (struct git_files){.v = (struct git_file *)&files[i], .n = 1};
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "%s is not there", path);
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	(void)kind;
	return SCOPE_NAMESPACED;
}

static void start(struct world *w)
{
	const struct render_env env = {.load = load, .scope = scope};
	const struct render_opts o = {.path = "app", .build_only = true};
	struct err err = {0};

	if (render(&w->a, &env, &o, &w->out, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(w->out.n, 1);
	said_elsewhere(&w->out, &w->out.v[0], &w->records);
}

static void end(struct world *w)
{
	rendered_release(&w->out);
	buf_release(&w->records);
	arena_release(&w->a);
}

/* The new text of the file that says the value at `pointer`, when it is to be `to` (as JSON). */
static struct str edited(struct world *w, const char *pointer, const char *to, const char *where)
{
	struct said at;
	struct err err = {0};
	struct said_change c = {.git = json_pointer(w->out.v[0].tree, str_c(pointer)),
				.to = json_parse(&w->a, str_c(to), NULL, NULL)};
	struct str ret;

	assert_true(said_find(buf_view(&w->records), str_c(pointer), &at));
	assert_true(str_is(at.file, where));
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (str_eq(files[i].path, at.file))
			c.original = c.current = files[i].data;
	}
	ret = said_edit(&w->a, &at, &c, &err);
	if (!ret.p)
		fail_msg("%s: %s", pointer, err.msg);
	return ret;
}

/* Only `was` became `now`. */
static void assert_edit(struct str text, const char *before, const char *was, const char *now)
{
	const char *at = strstr(before, was);
	AUTO(buf) struct buf want = {0};

	assert_non_null(at);
	buf_put(&want, before, (size_t)(at - before));
	buf_puts(&want, now);
	buf_puts(&want, at + strlen(was));
	assert_string_equal(text.p, buf_cstr(&want));
}

void test_said__replicas_of_an_overlay(void **state)
{
	struct world w = {0};

	(void)state;
	start(&w);
	assert_edit(edited(&w, "/spec/replicas", "7", "app/kustomization.yaml"), KUSTOMIZATION,
		    "count: 3", "count: 7");
	end(&w);
}

void test_said__tag_of_an_image(void **state)
{
	struct world w = {0};

	(void)state;
	start(&w);
	assert_edit(edited(&w, "/spec/template/spec/containers/1/image", "\"nginx:1.27\"",
			   "app/kustomization.yaml"),
		    KUSTOMIZATION, "'1.26'", "'1.27'");
	end(&w);
}

void test_said__another_image_is_no_tag(void **state)
{
	struct world w = {0};
	struct said at;
	struct err err = {0};
	struct said_change c = {.original = STR(KUSTOMIZATION), .current = STR(KUSTOMIZATION)};

	(void)state;
	start(&w);
	c.git = json_pointer(w.out.v[0].tree, STR("/spec/template/spec/containers/1/image"));
	c.to = json_new_str(&w.a, STR("apache:2"));
	assert_true(said_find(buf_view(&w.records), STR("/spec/template/spec/containers/1/image"),
			      &at));
	assert_null(said_edit(&w.a, &at, &c, &err).p);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	end(&w);
}

void test_said__patch_file(void **state)
{
	struct world w = {0};

	(void)state;
	start(&w);
	assert_edit(edited(&w, "/spec/paused", "false", "app/patch.yaml"), PATCH, "paused: true",
		    "paused: false");
	assert_edit(edited(&w, "/spec/template/spec/containers/0/image", "\"side:3\"",
			   "app/patch.yaml"),
		    PATCH, "side:2", "side:3");
	assert_edit(
		edited(&w, "/spec/template/spec/containers/1/args/0", "\"-c\"", "app/patch.yaml"),
		PATCH, "[-b]", "[-c]");
	end(&w);
}

void test_said__patch_within_the_kustomization(void **state)
{
	struct world w = {0};
	struct str place;

	(void)state;
	start(&w);
	assert_edit(edited(&w, "/spec/minReadySeconds", "9", "app/kustomization.yaml"),
		    KUSTOMIZATION, "minReadySeconds: 5 #", "minReadySeconds: 9 #");
	place = rendered_field_place(&w.a, &w.out, &w.out.v[0], STR("spec.minReadySeconds"));
	assert_true(str_is(place, "app/kustomization.yaml:18"));
	end(&w);
}

void test_said__label_of_an_overlay(void **state)
{
	struct world w = {0};

	(void)state;
	start(&w);
	assert_edit(edited(&w, "/metadata/labels/tier", "\"back\"", "app/kustomization.yaml"),
		    KUSTOMIZATION, "{tier: front}", "{tier: back}");
	end(&w);
}

void test_said__base_behind_shifted_lists(void **state)
{
	struct world w = {0};

	(void)state;
	start(&w);
	assert_edit(edited(&w, "/spec/revisionHistoryLimit", "2", "base/d.yaml"), BASE,
		    "revisionHistoryLimit: 4", "revisionHistoryLimit: 2");
	end(&w);
}

void test_said__made_by_nobody(void **state)
{
	struct world w = {0};
	struct said at;

	(void)state;
	start(&w);
	assert_true(said_find(buf_view(&w.records), STR("/metadata/name"), &at));
	assert_int_equal(at.file.n, 0);
	assert_false(said_find(buf_view(&w.records), STR("/spec/nothing"), &at));
	end(&w);
}
