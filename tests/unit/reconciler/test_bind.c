/* What sops encrypted for one object opens in no other, whatever a kustomization does to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "reconciler/render.h"
#include "secrets/age.h"
#include "secrets/sops_bind.h"

static const char plain[] =
	"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n"
	"stringData:\n  password: hunter-two-two\n";
static const char config[] = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: "
			     "shop}\ndata: {open: x}\n";

struct world {
	struct arena a;
	struct age_keys *keys;
	struct git_file files[2];
	size_t n;
	struct rendered out;
	struct render_opts opts;
	struct err err;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct world *w = ctx;

	(void)err;
	*ret = (struct git_files){.v = w->files, .n = w->n};
	for (size_t i = 0; i < w->n; i++)
		if (str_is(w->files[i].path, path))
			*ret = (struct git_files){.v = &w->files[i], .n = 1};
	return 0;
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	(void)kind;
	return SCOPE_NAMESPACED;
}

/* One file with what is bound, another with a ConfigMap. */
static void begin(struct world *w, bool bind)
{
	struct buf identity = {0};
	AUTO(buf) struct buf to = {0};
	AUTO(buf) struct buf out = {0};
	struct age_recipient r;
	struct sops_policy policy = {.n = 1};
	struct sops_binding none = {.kind = STR_NONE};
	struct sops_encrypt e = {&policy, SOPS_YAML, STR("2026-01-02T03:04:05Z"),
				 bind ? &none : NULL};

	*w = (struct world){.keys = age_keys_new(), .n = 2};
	age_generate(&identity, &r);
	age_recipient_write(&r, &to);
	assert_int_equal(age_keys_parse(w->keys, buf_view(&identity), NULL), 0);
	buf_wipe(&identity);
	policy.recipients[0] = buf_view(&to);
	assert_int_equal(sops_encrypt(&e, STR(plain), &out, NULL), 0);
	w->files[0] = (struct git_file){.path = STR("app/c.yaml"), .data = STR(config)};
	w->files[1] = (struct git_file){.path = STR("app/db.yaml"),
					.data = arena_str(&w->a, buf_view(&out))};
	w->opts.path = "app";
	w->opts.keys = w->keys;
}

static int build(struct world *w)
{
	const struct render_env env = {.load = load, .scope = scope, .ctx = w};

	return render(&w->a, &env, &w->opts, &w->out, &w->err);
}

static void end(struct world *w)
{
	rendered_release(&w->out);
	age_keys_free(w->keys);
	arena_release(&w->a);
}

static void refused(struct world *w, const char *why)
{
	if (build(w) == 0)
		fail_msg("built, though: %s", why);
	if (!strstr(w->err.msg, why) || strstr(w->err.msg, "hunter"))
		fail_msg("%s", w->err.msg);
	end(w);
}

static struct json *tree(struct world *w, const char *text)
{
	return json_parse(&w->a, str_c(text), NULL, NULL);
}

void test_bind__at_home_it_opens_and_the_binding_is_gone(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true);
	w.opts.must_bind = true;
	if (build(&w) != 0)
		fail_msg("%s", w.err.msg);
	assert_int_equal(w.out.n, 2);
	assert_null(json_at(w.out.v[1].tree, "metadata", "annotations"));
	assert_non_null(json_at(w.out.v[1].tree, "data", "password"));
	end(&w);
}

void test_bind__another_namespace_is_refused(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true);
	w.opts.target_namespace = STR("thief");
	refused(&w, "Secret thief/db holds what app/db.yaml encrypts for Secret shop/db only");
}

void test_bind__another_name_is_refused(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true);
	w.opts.name_prefix = STR("my-");
	refused(&w, "Secret shop/my-db holds");
}

void test_bind__a_patch_that_renames_it_or_takes_the_annotation_off(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true);
	w.opts.patches =
		tree(&w, "[{\"target\":{\"kind\":\"Secret\"},\"patch\":\"[{op: replace, path: "
			 "/metadata/name, value: mine}]\"}]");
	refused(&w, "Secret shop/mine holds");
	begin(&w, true);
	w.opts.patches =
		tree(&w, "[{\"target\":{\"kind\":\"Secret\"},\"patch\":\"[{op: move, from: "
			 "/stringData/password, path: /stringData/public}]\"}]");
	refused(&w, "key public holds what");
	begin(&w, true);
	w.opts.patches =
		tree(&w, "[{\"target\":{\"kind\":\"Secret\"},\"patch\":\"[{op: move, from: "
			 "/stringData/password, path: /metadata/name}]\"}]");
	assert_int_equal(build(&w), -1);
	end(&w);
}

void test_bind__a_replacement_takes_it_nowhere(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true);
	w.opts.overlay =
		tree(&w, "{\"replacements\":[{\"source\":{\"kind\":\"Secret\",\"fieldPath\":"
			 "\"stringData.password\"},\"targets\":[{\"select\":{\"kind\":"
			 "\"ConfigMap\"},\"fieldPaths\":[\"data.open\"]}]}]}");
	refused(&w, "ConfigMap shop/c holds what app/db.yaml");
	/* Nor a part of it, nor into the middle of something else. */
	begin(&w, true);
	w.opts.overlay =
		tree(&w, "{\"replacements\":[{\"source\":{\"kind\":\"Secret\",\"fieldPath\":"
			 "\"stringData.password\",\"options\":{\"delimiter\":\"-\",\"index\":1}},"
			 "\"targets\":[{\"select\":{\"kind\":\"ConfigMap\"},\"fieldPaths\":"
			 "[\"data.open\"],\"options\":{\"delimiter\":\"x\",\"index\":1}}]}]}");
	refused(&w, "ConfigMap shop/c holds what app/db.yaml");
}

void test_bind__without_one_all_of_it_passes_unless_it_must_be(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false);
	w.opts.name_prefix = STR("my-");
	assert_int_equal(build(&w), 0);
	end(&w);
	begin(&w, false);
	w.opts.must_bind = true;
	refused(&w, "bound to no object");
}

void test_bind__in_clear_it_proves_nothing(void **state)
{
	struct world w;
	AUTO(buf) struct buf text = {0};
	ptrdiff_t at, to;
	struct str data;

	(void)state;
	begin(&w, true);
	data = w.files[1].data;
	at = str_find(data, STR("bound-to: \"")) + 11;
	to = at + str_find(str_sub(data, (size_t)at, data.n), STR("\""));
	buf_str(&text, str_sub(data, 0, (size_t)at));
	buf_puts(&text, "Secret/thief/db:password");
	buf_str(&text, str_sub(data, (size_t)to, data.n));
	w.files[1].data = arena_str(&w.a, buf_view(&text));
	refused(&w, "is in clear");
}

void test_bind__no_generator_and_no_patch_takes_the_whole_file(void **state)
{
	static const char *const overlays[] = {
		"{\"configMapGenerator\":[{\"name\":\"mine\",\"files\":[\"db.yaml\"]}]}",
		"{\"secretGenerator\":[{\"name\":\"mine\",\"files\":[\"db.yaml\"]}]}",
		"{\"patches\":[{\"path\":\"db.yaml\",\"target\":{\"kind\":\"ConfigMap\"}}]}",
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(overlays); i++) {
		begin(&w, true);
		w.opts.overlay = tree(&w, overlays[i]);
		refused(&w, "bound to its object");
	}
}

/* Wherever an encrypted file goes, no report shows what it says. */
void test_bind__what_was_encrypted_is_flagged_in_generators_and_patches(void **state)
{
	static const char *const overlays[] = {
		"{\"configMapGenerator\":[{\"name\":\"mine\",\"files\":[\"x=db.yaml\"],"
		"\"literals\":[\"open=y\"],"
		"\"options\":{\"disableNameSuffixHash\":true}}]}",
		"{\"patches\":[{\"path\":\"db.yaml\",\"target\":{\"kind\":\"ConfigMap\",\"name\":"
		"\"c\"}}]}",
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(overlays); i++) {
		const struct json *o = NULL, *v;

		begin(&w, false);
		w.opts.overlay = tree(&w, overlays[i]);
		if (build(&w) != 0)
			fail_msg("%s", w.err.msg);
		for (size_t j = 0; j < w.out.n; j++)
			if (str_is(w.out.v[j].name, i ? "db" : "mine") ||
			    (i && str_is(w.out.v[j].kind, "ConfigMap")))
				o = w.out.v[j].tree;
		assert_non_null(o);
		v = i ? json_at(o, "stringData", "password") : json_at(o, "data", "x");
		if (i && !v)
			v = json_at(o, "data", "password");
		assert_non_null(v);
		assert_true(v->flags & JSON_F_SENSITIVE);
		if (!i)
			assert_false(json_at(o, "data", "open")->flags & JSON_F_SENSITIVE);
		end(&w);
	}
}

void test_bind__no_secrets_data_takes_the_whole_file(void **state)
{
	struct world w;
	AUTO(buf) struct buf coded = {0};

	(void)state;
	begin(&w, true);
	base64_encode(w.files[1].data, &coded);
	w.files[0].data =
		arena_strf(&w.a,
			   "apiVersion: v1\nkind: Secret\nmetadata: {name: mine, namespace: "
			   "thief}\ndata:\n  x.yaml: %s\n",
			   buf_cstr(&coded));
	w.n = 1;
	refused(&w, "bound to its object");
}
