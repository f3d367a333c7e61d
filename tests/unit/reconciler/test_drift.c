/* What counts as drift, who did it, and what is said about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json/yaml.h"
#include "reconciler/autoscaled.h"
#include "reconciler/drifts.h"
#include "reconciler/owner.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct json *yaml(struct arena *a, const char *text)
{
	struct yaml_docs docs;
	struct err err = {0};

	if (yaml_parse(a, str_c(text), 0, NULL, NULL, &docs, &err))
		fail_msg("%s", err.msg);
	return docs.v[0];
}

static struct drift_list compare(struct arena *a, const char *git, const char *live)
{
	const struct json *declared = yaml(a, git);
	struct drift_list l;

	drift_compare(a,
		      schema_find_kind(json_str(json_get(declared, STR("apiVersion"))),
				       json_str(json_get(declared, STR("kind")))),
		      declared, live ? yaml(a, live) : NULL, NULL, &l);
	return l;
}

#define DEPLOYMENT(replicas, cpu)                                                                  \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: s}\n"               \
	"spec:\n  replicas: " replicas "\n  template:\n    spec:\n      containers:\n"             \
	"      - name: c\n        image: x\n        resources: {limits: {cpu: " cpu "}}\n"         \
	"        ports:\n        - containerPort: 80\n"

#define LIVE(replicas, cpu)                                                                        \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: s, uid: u}\n"       \
	"spec:\n  replicas: " replicas "\n  paused: true\n  template:\n    spec:\n"                \
	"      containers:\n      - name: sidecar\n        image: y\n      - name: c\n"            \
	"        image: x\n        imagePullPolicy: Always\n"                                      \
	"        resources: {limits: {cpu: " cpu "}}\n        ports:\n"                            \
	"        - containerPort: 80\n          protocol: TCP\n"

void test_drift__defaults_and_others_fields_are_none(void **state)
{
	struct arena a = {0};

	(void)state;
	assert_int_equal(compare(&a, DEPLOYMENT("2", "100m"), LIVE("2", "100m")).n, 0);
	arena_release(&a);
}

void test_drift__quantities_are_compared_by_value(void **state)
{
	struct arena a = {0};

	(void)state;
	assert_int_equal(compare(&a, DEPLOYMENT("2", "100m"), LIVE("2", "'0.1'")).n, 0);
	assert_int_equal(compare(&a, DEPLOYMENT("2", "100m"), LIVE("2", "200m")).n, 1);
	arena_release(&a);
}

void test_drift__a_declared_field_that_differs(void **state)
{
	struct arena a = {0};
	struct drift_list l = compare(&a, DEPLOYMENT("2", "1"), LIVE("5", "1"));

	(void)state;
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].op, DRIFT_CHANGED);
	assert_true(str_is(l.v[0].path, "/spec/replicas"));
	assert_int_equal(json_int(l.v[0].git, 0), 2);
	assert_int_equal(json_int(l.v[0].live, 0), 5);
	arena_release(&a);
}

void test_drift__a_field_that_is_gone(void **state)
{
	struct arena a = {0};
	struct drift_list l = compare(
		&a, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b, c: d}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n");

	(void)state;
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].op, DRIFT_REMOVED);
	assert_true(str_is(l.v[0].path, "/data/c"));
	arena_release(&a);
}

void test_drift__an_object_that_is_gone(void **state)
{
	struct arena a = {0};
	struct drift_list l = compare(
		&a, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n", NULL);

	(void)state;
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].op, DRIFT_DELETED);
	arena_release(&a);
}

void test_drift__what_the_server_writes_its_own_way(void **state)
{
	struct arena a = {0};
	const char *git = "apiVersion: tea.io/v1\nkind: Cup\nmetadata: {name: c}\n"
			  "spec: {size: Big, gone: 1}\n",
		   *live = "apiVersion: tea.io/v1\nkind: Cup\nmetadata: {name: c}\n"
			   "spec: {size: big}\n";
	struct drift_list l;

	(void)state;
	drift_compare(&a, NULL, yaml(&a, git), yaml(&a, live), yaml(&a, live), &l);
	assert_int_equal(l.n, 0);
	drift_compare(&a, NULL, yaml(&a, git), yaml(&a, live), NULL, &l);
	assert_int_equal(l.n, 2);
	arena_release(&a);
}

void test_drift__secret_values_are_not_shown(void **state)
{
	struct arena a = {0};
	const struct json *s = yaml(&a, "kind: Secret\ndata: {k: aGVsbG8=}\n");

	(void)state;
	assert_true(str_is(drift_redacted(&a, s, json_pointer(s, STR("/data/k"))), "<sensitive>"));
	arena_release(&a);
}

void test_owner__the_latest_writer_of_the_field(void **state)
{
	struct arena a = {0};
	const struct json *live = yaml(
		&a,
		"kind: Deployment\nmetadata:\n  managedFields:\n"
		"  - {manager: plumb, operation: Apply, time: '2026-01-03T00:00:00Z', fieldsV1: "
		"{'f:spec': {'f:replicas': {}}}}\n"
		"  - {manager: alice, operation: Update, time: '2026-01-01T00:00:00Z', fieldsV1: "
		"{'f:spec': {'f:replicas': {}}}}\n"
		"  - {manager: bob, operation: Update, time: '2026-01-02T00:00:00Z', fieldsV1: "
		"{'f:spec': {'f:list': {'k:{\"name\":\"c\"}': {'f:image': {}}}}}}\n"
		"spec: {replicas: 3, list: [{name: c, image: x}]}\n");
	struct owner who;

	(void)state;
	assert_true(owner_find(live, live, STR("/spec/replicas"), &who));
	assert_true(str_is(who.manager, "alice"));
	assert_true(owner_find(live, live, STR("/spec/list/0/image"), &who));
	assert_true(str_is(who.manager, "bob"));
	assert_false(owner_find(live, live, STR("/spec/other"), &who));
	arena_release(&a);
}

void test_drift__report_names_field_values_and_writer(void **state)
{
	struct drifts *d = calloc(1, sizeof(*d));
	struct drift_text t = {
		.cluster = "home", .unit = "plumb-system/root", .revision = "main@x"};
	struct buf out = {0};

	(void)state;
	d->n = 1;
	d->v[0] = (struct drift_note){.kind = (char *)"Deployment",
				      .namespace = (char *)"web",
				      .name = (char *)"front",
				      .path = (char *)"/spec/template/spec/containers/0/image",
				      .git = (char *)"\"a|b\"",
				      .live = (char *)"\"c\"",
				      .manager = (char *)"alice",
				      .place = (char *)"app/x.yaml:3",
				      .op = DRIFT_CHANGED};
	drift_message(d, &t, &out);
	assert_non_null(strstr(buf_cstr(&out), "drift: Deployment web/front: "
					       "spec.template.spec.containers[0].image \"a|b\" → "
					       "\"c\"\n"));
	assert_non_null(strstr(buf_cstr(&out), "by alice"));
	assert_non_null(strstr(buf_cstr(&out), "\nPlumb-Drift: "));
	buf_reset(&out);
	drift_markdown(d, &t, &out);
	assert_non_null(strstr(buf_cstr(&out), "`\"a\\|b\"`"));
	buf_release(&out);
	free(d);
}

/* ---- replicas that an autoscaler decides on ---- */

#define SCALED(fields)                                                                             \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: s, managedFields: " \
	"[" fields "]}\nspec: {replicas: 5, paused: true}\n"
#define BY_SCALE(who)                                                                              \
	"{manager: " who ", operation: Update, subresource: scale, fieldsV1: {'f:spec': {"         \
	"'f:replicas': {}}}}"
#define BY_US "{manager: plumb, operation: Apply, fieldsV1: {'f:spec': {'f:replicas': {}}}}"
#define GIT                                                                                        \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: s}\n"               \
	"spec: {replicas: 1, paused: true}\n"

void test_drift__an_autoscalers_replicas_are_none(void **state)
{
	struct arena a = {0};

	(void)state;
	assert_int_equal(compare(&a, GIT, SCALED("")).n, 1);
	assert_int_equal(compare(&a, GIT, SCALED(BY_SCALE("kubectl"))).n, 1);
	assert_int_equal(compare(&a, GIT, SCALED(BY_SCALE("controllers"))).n, 0);
	assert_int_equal(compare(&a, GIT, SCALED(BY_SCALE("kube-controller-manager"))).n, 0);
	arena_release(&a);
}

void test_drift__what_is_applied_leaves_them_alone(void **state)
{
	struct arena a = {0};
	const struct json *git = yaml(&a, GIT), *kept;

	(void)state;
	assert_ptr_equal(autoscaled_keep(&a, git, NULL), git);
	assert_ptr_equal(autoscaled_keep(&a, git, yaml(&a, SCALED(BY_SCALE("kubectl")))), git);
	kept = autoscaled_keep(&a, git, yaml(&a, SCALED(BY_SCALE("controllers"))));
	assert_null(json_at(kept, "spec", "replicas"));
	assert_true(json_bool(json_at(kept, "spec", "paused"), false));
	/* Leaving out what is ours would set it back to its default. */
	kept = autoscaled_keep(&a, git, yaml(&a, SCALED(BY_SCALE("controllers") "," BY_US)));
	assert_int_equal(json_int(json_at(kept, "spec", "replicas"), 0), 5);
	assert_int_equal(json_int(json_at(git, "spec", "replicas"), 0), 1);
	arena_release(&a);
}

void test_drift__whether_an_autoscaler_is_still_there(void **state)
{
	struct arena a = {0};
	const struct json *git = yaml(&a, GIT);

	(void)state;
	assert_true(autoscaled_by_any(
		yaml(&a, "items: [{spec: {scaleTargetRef: {kind: StatefulSet, name: d}}},"
			 " {spec: {scaleTargetRef: {kind: Deployment, name: d}}}]"),
		git));
	assert_false(autoscaled_by_any(
		yaml(&a, "items: [{spec: {scaleTargetRef: {kind: Deployment, name: e}}}]"), git));
	assert_false(autoscaled_by_any(yaml(&a, "items: []"), git));
	arena_release(&a);
}
