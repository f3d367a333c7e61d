/* Kustomizations as hostile or careless people write them, and a Kustomization's own fields over
 * them. What they build is compared with kustomize's output in test_kustomize_cases.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/render.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct world {
	struct arena a;
	struct git_file files[64];
	size_t n;
	struct rendered out;
	struct err err;
	struct render_opts opts;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct world *w = ctx;
	struct git_file *v = arena_array(&w->a, ARRAY_LEN(w->files), sizeof(*v));
	size_t n = strlen(path);

	assert_null(strstr(path, ".."));
	assert_true(path[0] != '/');
	*ret = (struct git_files){.v = v};
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
	(void)api_version;
	return str_is(kind, "Namespace") ? SCOPE_CLUSTER : SCOPE_NAMESPACED;
}

static void add(struct world *w, const char *path, const char *text)
{
	w->files[w->n++] = (struct git_file){.path = str_c(path), .data = str_c(text)};
}

static int go(struct world *w)
{
	const struct render_env env = {.load = load, .scope = scope, .ctx = w};

	w->opts.path = "app";
	return render(&w->a, &env, &w->opts, &w->out, &w->err);
}

static void end(struct world *w)
{
	rendered_release(&w->out);
	arena_release(&w->a);
}

#define CONFIG                                                                                     \
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm, namespace: ns}\ndata: {a: b}\n"

/* A kustomization of this text is refused with these words. */
static void refused(const char *text, const char *message)
{
	struct world w = {0};

	add(&w, "app/kustomization.yaml", text);
	add(&w, "app/cm.yaml", CONFIG);
	if (!go(&w))
		fail_msg("accepted: %s", text);
	if (!strstr(w.err.msg, message))
		fail_msg("'%s' is not in '%s'", message, w.err.msg);
	end(&w);
}

void test_kustomize__nothing_leaves_the_repository(void **state)
{
	(void)state;
	refused("resources:\n- ../../x\n", "app/kustomization.yaml:2: ../../x leaves the repo");
	refused("resources:\n- /etc/passwd\n", "app/kustomization.yaml:2: /etc/passwd leaves");
	refused("components:\n- ../../../x\n", "app/kustomization.yaml:2: ");
	refused("configMapGenerator:\n- name: a\n  files: [../../x]\n", "leaves the repository");
	refused("configMapGenerator:\n- name: a\n  files: [k=/etc/shadow]\n",
		"leaves the repository");
	refused("secretGenerator:\n- name: a\n  envs: [/proc/self/environ]\n",
		"leaves the repository");
	refused("patches:\n- path: ../../p.yaml\n", "leaves the repository");
	refused("configurations:\n- /c.yaml\n", "leaves the repository");
	refused("crds: [../../../c.json]\n", "leaves the repository");
	refused("openapi: {path: /o.json}\n", "leaves the repository");
	refused("replacements:\n- path: ../../r.yaml\n", "leaves the repository");
	refused("transformers:\n- ../../t.yaml\n", "leaves the repository");
	refused("resources:\n- \"a\\0b\"\n", "app/kustomization.yaml:2: ");
}

void test_kustomize__nothing_is_fetched(void **state)
{
	static const char *const remote[] = {
		"https://example.org/x.yaml", "git@example.org:a/b",      "ssh://git@host/x",
		"github.com/a/b//c?ref=main", "git::https://x.org/a.git", "file:///etc"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(remote); i++) {
		char text[200];

		snprintf(text, sizeof(text), "resources:\n- %s\n", remote[i]);
		refused(text, "app/kustomization.yaml:2: ");
		snprintf(text, sizeof(text), "components:\n- %s\n", remote[i]);
		refused(text, "app/kustomization.yaml:2: ");
		snprintf(text, sizeof(text), "patches:\n- path: %s\n", remote[i]);
		refused(text, "app/kustomization.yaml:2: ");
	}
}

void test_kustomize__no_program_is_run(void **state)
{
	(void)state;
	refused("helmCharts:\n- name: x\n", "charts are not rendered");
	refused("transformers:\n- |-\n  apiVersion: example.org/v1\n  kind: Exec\n"
		"  metadata:\n    name: x\n    annotations:\n"
		"      config.kubernetes.io/function: |\n        exec: {path: /bin/sh}\n",
		"is not built in, and no program is run");
	refused("validators:\n- |-\n  apiVersion: builtin\n  kind: Check\n  metadata:\n"
		"    name: x\n",
		"is not built in");
}

void test_kustomize__cycles_and_depth(void **state)
{
	struct world w = {0};
	char path[80], text[80];

	(void)state;
	refused("resources: [.]\n", "a cycle: app is being built already");
	refused("components: [../app]\n", "a cycle");
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "d%d/kustomization.yaml", i);
		snprintf(text, sizeof(text), "resources: [../d%d]\n", i + 1);
		add(&w, arena_cstr(&w.a, str_c(path)), arena_cstr(&w.a, str_c(text)));
	}
	add(&w, "app/kustomization.yaml", "resources: [../d0]\n");
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "nested too deep"));
	end(&w);
}

void test_kustomize__wrong_shapes_are_named(void **state)
{
	(void)state;
	refused("resources: cm.yaml\n", "app/kustomization.yaml:1: resources: a list is expected");
	refused("apiVersion: kustomize.config.k8s.io/v1\n",
		"app/kustomization.yaml:1: apiVersion must be kustomize.config.k8s.io/v1beta1");
	refused("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Component\n",
		"app/kustomization.yaml:1: apiVersion must be kustomize.config.k8s.io/v1alpha1");
	refused("reources: []\n", "app/kustomization.yaml:1: unknown field reources");
	refused("- a\n", "not a kustomization");
	refused("kind: Deployment\n", "kind must be Kustomization");
	refused("resources: [nope.yaml]\n", "app/kustomization.yaml:1: ");
	refused("resources: [cm.yaml, cm.yaml]\n",
		"app/cm.yaml:1: ConfigMap cm is also declared in app/cm.yaml:1");
	refused("resources: [cm.yaml]\nreplicas:\n- {name: x, count: many}\n",
		"app/kustomization.yaml:3: ");
	refused("resources: [cm.yaml]\nreplicas:\n- {name: x, count: 1}\n",
		"app/kustomization.yaml:3: replicas: there is no x");
	refused("resources: [cm.yaml]\npatches:\n- patch: |\n    kind: ConfigMap\n"
		"    apiVersion: v1\n    metadata: {name: other}\n",
		"app/kustomization.yaml:3: the patch is for ConfigMap other");
	refused("resources: [cm.yaml]\npatches:\n- target: {kind: ConfigMap}\n"
		"  patch: '[{\"op\": \"remove\", \"path\": \"/nothing\"}]'\n",
		"app/kustomization.yaml:3: ConfigMap cm");
	refused("resources: [cm.yaml]\npatches:\n- target: {name: '('}\n"
		"  patch: '[]'\n",
		"app/kustomization.yaml:3: ");
	refused("resources: [cm.yaml]\ncommonLabels:\n  a: 1\n", "text is expected");
	refused("resources: [cm.yaml]\nsortOptions: {order: random}\n", "order must be");
	refused("resources: [cm.yaml]\nnamespace: [a]\n", "namespace: text is expected");
	refused("configMapGenerator:\n- {name: a}\n- {name: a}\n",
		"app/kustomization.yaml:3: ConfigMap a exists");
}

/* A patch that has another shape than what it is for was meant for something else. */
void test_kustomize__patches_keep_shapes(void **state)
{
	(void)state;
	refused("resources: [cm.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: "
		"ConfigMap\n"
		"    metadata: {name: cm, namespace: ns}\n    data: {a: {b: c}}\n",
		"data: a: the patch has a map, the resource a value");
	refused("resources: [cm.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: "
		"ConfigMap\n"
		"    metadata: {name: cm, namespace: ns}\n    data: [a]\n",
		"data: the patch has a list, the resource a map");
}

void test_kustomize__what_one_could_mean_two_things_by(void **state)
{
	(void)state;
	refused("resources: [cm.yaml]\nopenapi: {version: v1.21.2, path: t.yaml}\n",
		"app/kustomization.yaml:2: openapi: a version or a path");
	refused("configMapGenerator:\n- {name: a, namespace: x}\n- {name: a, namespace: y}\n"
		"vars:\n- {name: V, objref: {apiVersion: v1, kind: ConfigMap, name: a}}\n",
		"app/kustomization.yaml:5: var V: objref is more than one resource");
	refused("resources: [cm.yaml]\ngenerators:\n- |\n  apiVersion: builtin\n"
		"  kind: IAMPolicyGenerator\n  metadata: {name: g}\n  cloud: aws\n",
		"cloud: only gke is known");
}

/* A binding of the whole cluster that doesn't say whose account it means gives it to nobody. */
void test_kustomize__a_namesake_in_another_namespace_is_not_meant(void **state)
{
	static const char binding[] =
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa}\n---\n"
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n"
		"metadata: {name: %s}\nroleRef: {kind: ClusterRole, name: view}\n"
		"subjects: [{kind: ServiceAccount, name: sa}]\n";
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [a, b]\n");
	add(&w, "app/a/kustomization.yaml", "namespace: a\nresources: [r.yaml]\n");
	add(&w, "app/b/kustomization.yaml", "namespace: b\nresources: [r.yaml]\n");
	add(&w, "app/a/r.yaml", arena_printf(&w.a, binding, "one"));
	add(&w, "app/b/r.yaml", arena_printf(&w.a, binding, "two"));
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "sa could be several ServiceAccount"));
	end(&w);
}

void test_kustomize__references_stand_in_maps_with_a_namespace_or_none(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [b.yaml]\n");
	add(&w, "app/b.yaml",
	    "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\n"
	    "subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: a, namespace: }]\n");
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "namespace of subjects[1] is blank"));
	end(&w);
	w = (struct world){0};
	add(&w, "app/kustomization.yaml", "resources: [d.yaml]\n");
	add(&w, "app/d.yaml",
	    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"
	    "spec: {template: {spec: {containers: none}}}\n");
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "leads through what is neither map nor list"));
	end(&w);
	w = (struct world){0};
	add(&w, "app/kustomization.yaml", "resources: [r.yaml]\n");
	add(&w, "app/r.yaml",
	    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n"
	    "rules: [{resources: [secrets], resourceNames: {a: b}}]\n");
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "rules/resourceNames has no name"));
	end(&w);
}

void test_kustomize__two_files_that_are_a_kustomization(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: []\n");
	add(&w, "app/kustomization.yml", "resources: []\n");
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "there are both app/kustomization.yaml and"));
	end(&w);
}

/* ---- a Kustomization's own fields ---- */

static const struct json *yaml(struct world *w, const char *text)
{
	struct yaml_docs docs;

	assert_int_equal(yaml_parse(&w->a, str_c(text), 0, NULL, NULL, &docs, NULL), 0);
	return docs.v[0];
}

static void assert_at(struct world *w, size_t i, const char *pointer, const char *want)
{
	struct str got = json_str(json_pointer(w->out.v[i].tree, str_c(pointer)));

	if (!str_is(got, want))
		fail_msg("%s is '%.*s', not '%s'", pointer, STR_ARG(got), want);
}

#define POD                                                                                        \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: x}\n"                           \
	"spec: {containers: [{name: c, image: 'a:1', envFrom: [{configMapRef: {name: cm}}]}]}\n"

static void say_all(struct world *w)
{
	w->opts.name_prefix = STR("n-");
	w->opts.name_suffix = STR("-s");
	w->opts.target_namespace = STR("there");
	w->opts.images = yaml(w, "[{name: a, newTag: '2'}]");
	w->opts.patches = yaml(w, "[{patch: '[{\"op\": \"add\", \"path\": \"/data/new\", "
				  "\"value\": \"v\"}]', target: {kind: ConfigMap}}]");
	if (go(w))
		fail_msg("%s", w->err.msg);
	assert_int_equal(w->out.n, 2);
	assert_at(w, 0, "/metadata/name", "n-cm-s");
	assert_at(w, 0, "/metadata/namespace", "there");
	assert_at(w, 0, "/data/new", "v");
	assert_at(w, 1, "/spec/containers/0/image", "a:2");
	assert_at(w, 1, "/spec/containers/0/envFrom/0/configMapRef/name", "n-cm-s");
}

void test_kustomize__own_fields_over_plain_manifests(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", CONFIG);
	add(&w, "app/sub/b.yaml", POD);
	say_all(&w);
	end(&w);
}

void test_kustomize__own_fields_over_a_kustomization_below(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/a.yaml", CONFIG);
	add(&w, "app/sub/kustomization.yaml", "resources: [deep/b.yaml]\n");
	add(&w, "app/sub/deep/b.yaml", POD);
	add(&w, "app/sub/deep/not-named.yaml", "nothing: here\n");
	say_all(&w);
	end(&w);
}

void test_kustomize__own_fields_come_last(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml",
	    "resources: [a.yaml, b.yaml]\nnamePrefix: lost-\nnamespace: lost\n"
	    "images:\n- {name: a, newTag: lost}\n");
	add(&w, "app/a.yaml", CONFIG);
	add(&w, "app/b.yaml", POD);
	say_all(&w);
	end(&w);
}

void test_kustomize__own_components(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [a.yaml]\n");
	add(&w, "app/a.yaml", CONFIG);
	add(&w, "parts/one/kustomization.yaml",
	    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
	    "labels:\n- pairs: {by: component}\n");
	w.opts.components = yaml(&w, "[../parts/one]");
	if (go(&w))
		fail_msg("%s", w.err.msg);
	assert_at(&w, 0, "/metadata/labels/by", "component");
	end(&w);
}

void test_kustomize__own_components_that_may_be_missing(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [a.yaml]\n");
	add(&w, "app/a.yaml", CONFIG);
	w.opts.overlay = yaml(&w, "{components: [../parts/none]}");
	assert_int_equal(go(&w), -1);
	w.opts.missing_components = true;
	if (go(&w))
		fail_msg("%s", w.err.msg);
	assert_int_equal(w.out.n, 1);
	end(&w);
}

void test_kustomize__a_list_that_lists_nothing(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [a.yaml]\n");
	add(&w, "app/a.yaml",
	    CONFIG "---\napiVersion: v1\nkind: List\n---\napiVersion: v1\nkind: List\nitems:\n");
	if (go(&w))
		fail_msg("%s", w.err.msg);
	assert_int_equal(w.out.n, 1);
	end(&w);
}

void test_kustomize__fields_that_disagree_are_refused(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [a.yaml]\nconfigurations: [c.yaml]\n");
	add(&w, "app/a.yaml", CONFIG);
	add(&w, "app/c.yaml", "namePrefix:\n- {path: metadata/name, kind: X, create: true}\n");
	assert_int_equal(go(&w), -1);
	assert_non_null(strstr(w.err.msg, "app/c.yaml: namePrefix: metadata/name is both"));
	end(&w);
}

/* yes, no, on and off are text in manifests, as kustomize reads them. */
void test_kustomize__words_that_were_booleans(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w, "app/kustomization.yaml", "resources: [a.yaml]\n");
	add(&w, "app/a.yaml",
	    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y, namespace: no}\n"
	    "data: {on: off}\n");
	if (go(&w))
		fail_msg("%s", w.err.msg);
	assert_at(&w, 0, "/data/on", "off");
	end(&w);
}
