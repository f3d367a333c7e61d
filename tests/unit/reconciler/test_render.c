/* Rendering: what becomes an object, and what is said about what doesn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kube/obj.h"
#include "reconciler/plan.h"
#include "reconciler/render.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct world {
	struct arena a;
	struct git_file files[8];
	size_t n;
	struct rendered out;
	struct err err;
	struct render_opts opts;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct world *w = ctx;
	struct git_file *v = arena_array(&w->a, 8, sizeof(*v));
	size_t n = strlen(path);

	ret->v = v;
	ret->n = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct str p = w->files[i].path;

		if (!n || str_is(p, path) || (str_starts(p, str_c(path)) && p.p[n] == '/'))
			v[ret->n++] = w->files[i];
	}
	return ret->n ? 0 : err_set(err, ERR_NOT_FOUND, "path %s is not there", path);
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	if (str_is(kind, "Namespace") || str_is(kind, "CustomResourceDefinition"))
		return SCOPE_CLUSTER;
	if (str_is(api_version, "v1") || str_is(api_version, "apps/v1"))
		return str_is(kind, "Nonsense") ? SCOPE_UNKNOWN : SCOPE_NAMESPACED;
	return SCOPE_UNKNOWN;
}

static void add(struct world *w, const char *path, const char *text)
{
	w->files[w->n++] = (struct git_file){.path = str_c(path), .data = str_c(text)};
}

static int go(struct world *w, const char *path)
{
	const struct render_env env = {.load = load, .scope = scope, .ctx = w};

	w->opts.path = path;
	return render(&w->a, &env, &w->opts, &w->out, &w->err);
}

static void end(struct world *w)
{
	rendered_release(&w->out);
	arena_release(&w->a);
}

static void assert_refused(struct world *w, const char *message)
{
	assert_int_equal(go(w, "app"), -1);
	if (!strstr(w->err.msg, message))
		fail_msg("'%s' is not in '%s'", message, w->err.msg);
	end(w);
}

#define CONFIG(name)                                                                               \
	"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " name                                \
	"\n  namespace: shop\ndata:\n  a: b\n"

void test_render__objects_of_a_folder(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", CONFIG("one") "---\n" CONFIG("two"));
	add(&w, "app/sub/b.json",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\"}}");
	w.opts.unit_name = STR("root");
	w.opts.unit_namespace = STR("plumb-system");
	assert_int_equal(go(&w, "app"), 0);
	assert_int_equal(w.out.n, 3);
	plan_sort(&w.out);
	assert_true(str_is(w.out.v[0].id, "_shop__Namespace"));
	assert_true(str_is(w.out.v[2].id, "shop_two__ConfigMap"));
	assert_int_equal(w.out.v[2].line, 9);
	assert_int_equal(w.out.v[2].doc, 1);
	assert_true(str_is(
		json_str(json_pointer(w.out.v[1].tree, STR("/metadata/labels/"
							   "kustomize.toolkit.fluxcd.io~1name"))),
		"root"));
	end(&w);
}

void test_render__yaml_error_names_file_and_line(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/extra.yaml", "a: [1\nb: 2\n");
	assert_refused(&w, "app/extra.yaml:2: ");
}

void test_render__unknown_kind(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/extra.yaml",
	    "# x\napiVersion: v1\nkind: Nonsense\nmetadata: {name: x, namespace: shop}\n");
	assert_refused(&w, "app/extra.yaml:3: the cluster has no kind Nonsense in v1");
}

void test_render__kind_of_a_definition_beside_it(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/crd.yaml",
	    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
	    "metadata: {name: cups.tea.io}\n"
	    "spec: {group: tea.io, scope: Namespaced, names: {kind: Cup}}\n");
	add(&w, "app/cup.yaml",
	    "apiVersion: tea.io/v1\nkind: Cup\nmetadata: {name: x, namespace: shop}\n");
	assert_int_equal(go(&w, "app"), 0);
	assert_false(w.out.v[1].served);
	end(&w);
}

void test_render__no_namespace(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
	assert_int_equal(go(&w, "app"), 0);
	assert_true(str_is(w.out.v[0].namespace, "default"));
	end(&w);
}

void test_render__target_namespace_leaves_cluster_kinds(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", CONFIG("one"));
	add(&w, "app/b.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
	w.opts.target_namespace = STR("other");
	assert_int_equal(go(&w, "app"), 0);
	/* As kustomize has it: the Namespace itself is renamed, and comes first. */
	assert_true(str_is(w.out.v[0].name, "other"));
	assert_int_equal(w.out.v[0].namespace.n, 0);
	assert_true(str_is(w.out.v[1].namespace, "other"));
	end(&w);
}

void test_render__same_identity_names_both_places(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", "# settings\n" CONFIG("settings"));
	add(&w, "app/extra.yaml", CONFIG("settings"));
	assert_refused(
		&w, "app/extra.yaml:1: ConfigMap shop/settings is also declared in app/a.yaml:2");
}

void test_render__alias_bomb(void **state)
{
	struct world w = {0};
	struct buf b = {0};

	(void)state;
	buf_puts(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 10; i++) {
		buf_printf(&b, "a%d: &a%d [", i, i);
		for (int n = 0; n < 9; n++)
			buf_printf(&b, "%s*a%d", n ? "," : "", i - 1);
		buf_puts(&b, "]\n");
	}
	add(&w, "app/extra.yaml", buf_cstr(&b));
	assert_refused(&w, "alias");
	buf_release(&b);
}

void test_render__shapes_that_are_no_object(void **state)
{
	struct world w = {0}, x = {0}, y = {0};

	(void)state;
	add(&w, "app/extra.yaml", "- a\n- b\n");
	assert_refused(&w, "app/extra.yaml:1: not an object");
	add(&x, "app/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n");
	assert_refused(&x, "has no metadata.name");
	add(&y, "app/extra.yaml", "kind: ConfigMap\n");
	assert_refused(&y, "no apiVersion");
}

void test_render__kustomization_names_what_counts(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml",
	    "resources: [a.yaml, ../base]\nnamespace: here\nimages:\n- name: r/x\n  newTag: '2'\n");
	add(&w, "app/a.yaml", CONFIG("one"));
	add(&w, "app/ignored.yaml", "not: an object\n");
	add(&w, "base/kustomization.yaml", "resources: [d.yaml]\n");
	add(&w, "base/d.yaml",
	    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"
	    "spec: {template: {spec: {containers: [{name: c, image: 'r/x:1'}]}}}\n");
	assert_int_equal(go(&w, "app"), 0);
	assert_int_equal(w.out.n, 2);
	assert_true(str_is(w.out.v[0].namespace, "here"));
	assert_true(str_is(json_str(json_pointer(w.out.v[1].tree,
						 STR("/spec/template/spec/containers/0/image"))),
			   "r/x:2"));
	end(&w);
}

void test_render__kustomization_refuses_what_it_cannot(void **state)
{
	struct world w = {0}, x = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: []\nhelmCharts:\n- name: x\n");
	assert_refused(&w, "app/kustomization.yaml:3: helmCharts: charts are not rendered");
	add(&x, "app/kustomization.yaml", "resources:\n- ../../etc\n");
	assert_refused(&x, "app/kustomization.yaml:2: ../../etc leaves the repository");
}

void test_render__variables(void **state)
{
	static const struct render_var vars[] = {{STR("n"), STR("3"), false},
						 {STR("who"), STR("me"), false}};
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml",
	    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: s}\n"
	    "spec:\n  replicas: ${n}\n  a: \"${n}\"\n  b: x-${who}-${other:-y}\n  c: $${who}\n");
	w.opts.substitute = true;
	w.opts.vars = vars;
	w.opts.nvars = 2;
	assert_int_equal(go(&w, "app"), 0);
	const struct json *spec = json_get(w.out.v[0].tree, STR("spec"));
	assert_int_equal(json_int(json_get(spec, STR("replicas")), 0), 3);
	assert_true(str_is(json_str(json_get(spec, STR("a"))), "3"));
	assert_true(str_is(json_str(json_get(spec, STR("b"))), "x-me-y"));
	assert_true(str_is(json_str(json_get(spec, STR("c"))), "${who}"));
	end(&w);
}

void test_render__variables_in_keys_lists_and_quotes(void **state)
{
	static const struct render_var vars[] = {{STR("k"), STR("role"), false},
						 {STR("l"), STR("[a, 2]"), false},
						 {STR("m"), STR("{x: z}"), false},
						 {STR("colon"), STR("a: b"), false},
						 {STR("pw"), STR("xyz"), true}};
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml",
	    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: s}\n"
	    "data:\n  ${k}: web\n  l: ${l}\n  q: '${l}'\n  m: ${m}\n  c: ${colon}\n"
	    "  p: a-${pw}\n  d: x $$ y\n");
	w.opts.substitute = true;
	w.opts.vars = vars;
	w.opts.nvars = ARRAY_LEN(vars);
	assert_int_equal(go(&w, "app"), 0);
	const struct json *data = json_get(w.out.v[0].tree, STR("data"));
	assert_true(str_is(json_str(json_get(data, STR("role"))), "web"));
	assert_int_equal(json_int(json_item(json_get(data, STR("l")), 1), 0), 2);
	assert_true(str_is(json_str(json_get(data, STR("q"))), "[a, 2]"));
	assert_true(str_is(json_str(json_at(data, "m", "x")), "z"));
	assert_true(str_is(json_str(json_get(data, STR("c"))), "a: b"));
	assert_true(str_is(json_str(json_get(data, STR("p"))), "a-xyz"));
	assert_true(json_get(data, STR("p"))->flags & JSON_F_SENSITIVE);
	assert_true(str_is(json_str(json_get(data, STR("d"))), "x $ y"));
	end(&w);
}

void test_render__variable_that_makes_a_key_twice(void **state)
{
	static const struct render_var vars[] = {{STR("k"), STR("a"), false}};
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml",
	    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\ndata:\n  a: x\n  ${k}: y\n");
	w.opts.substitute = true;
	w.opts.vars = vars;
	w.opts.nvars = 1;
	assert_refused(&w, "app/a.yaml:6: ${k} becomes a key that is there already");
}

void test_render__variable_that_is_not_set(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${x}\n");
	w.opts.substitute = true;
	assert_refused(&w, "app/a.yaml:4: variable x is not set");
}

void test_render__secret_text_becomes_data(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml",
	    "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\n"
	    "stringData: {k: hello}\n");
	assert_int_equal(go(&w, "app"), 0);
	assert_true(str_is(json_str(json_pointer(w.out.v[0].tree, STR("/data/k"))), "aGVsbG8="));
	assert_null(json_get(w.out.v[0].tree, STR("stringData")));
	end(&w);
}

void test_render__place_of_a_field(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml",
	    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: s}\n"
	    "spec:\n  replcas: 2\n  template:\n    spec:\n      containers:\n        - name: c\n"
	    "          image: 3\n");
	assert_int_equal(go(&w, "app"), 0);
	struct str field =
		message_field(STR("strict decoding error: unknown field \"spec.replcas\""));
	assert_true(str_is(field, "spec.replcas"));
	assert_true(str_is(rendered_field_place(&w.a, &w.out, &w.out.v[0], field), "app/a.yaml:5"));
	assert_true(
		str_is(rendered_field_place(&w.a, &w.out, &w.out.v[0],
					    STR("spec.template.spec.containers[name=\"c\"].image")),
		       "app/a.yaml:10"));
	assert_true(str_is(rendered_field_place(&w.a, &w.out, &w.out.v[0],
						STR("spec.template.spec.containers[0].image")),
			   "app/a.yaml:10"));
	end(&w);
}

static struct json *words(struct world *w, const char *one, const char *two)
{
	struct json *list = json_new(&w->a, JSON_ARRAY);

	json_append(&w->a, list, json_new_str(&w->a, str_c(one)));
	if (two)
		json_append(&w->a, list, json_new_str(&w->a, str_c(two)));
	return list;
}

static void missing_component(struct world *w)
{
	add(w, "app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
	add(w, "app/kustomization.yaml", "resources: [a.yaml]\n");
	add(w, "extra/kustomization.yaml",
	    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: {x: "
	    "there}\n");
	w->opts.unit_namespace = STR("n");
	w->opts.components = words(w, "../gone", "../extra");
}

void test_render__components_that_are_missing(void **state)
{
	struct world w = {0};

	(void)state;
	missing_component(&w);
	assert_refused(&w, "has no kustomization");
}

void test_render__components_that_may_be_missing(void **state)
{
	struct world w = {0};

	(void)state;
	missing_component(&w);
	w.opts.missing_components = true;
	assert_int_equal(go(&w, "app"), 0);
	assert_int_equal(w.out.n, 1);
	assert_true(str_is(meta_annotation(w.out.v[0].tree, "x"), "there"));
	end(&w);
}

void test_render__build_metadata_of_the_unit(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
	w.opts.unit_namespace = STR("n");
	w.opts.build_metadata = words(&w, "originAnnotations", NULL);
	assert_int_equal(go(&w, "app"), 0);
	assert_int_equal(w.out.n, 1);
	assert_non_null(
		json_at(w.out.v[0].tree, "metadata", "annotations", "config.kubernetes.io/origin"));
	end(&w);
}
