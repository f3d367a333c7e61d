/* Order and pruning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/plan.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const struct json *inventory(struct arena *a, const char *const *ids)
{
	struct json *list = json_new(a, JSON_ARRAY);

	for (size_t i = 0; ids[i]; i++)
		json_append(a, list, json_build(a, "{s:s,s:s}", "id", ids[i], "v", "v1"));
	return list;
}

static struct plan_prune prune(struct arena *a, const char *const *have, const char *const *now,
			       const char *confirmed)
{
	struct rendered r = {.v = arena_array(a, 64, sizeof(*r.v))};
	struct plan_prune_opts o = {.inventory = inventory(a, have),
				    .revision = STR("main@sha1:1"),
				    .confirmed = str_c(confirmed),
				    .enabled = true};
	struct plan_prune p;

	for (; now[r.n]; r.n++)
		r.v[r.n].id = str_c(now[r.n]);
	plan_prune(a, &r, &o, &p);
	return p;
}

void test_plan__definitions_and_namespaces_come_first(void **state)
{
	(void)state;
	assert_true(plan_rank(STR("apiextensions.k8s.io"), STR("CustomResourceDefinition")) <
		    plan_rank(STR(""), STR("Namespace")));
	assert_true(plan_rank(STR(""), STR("Namespace")) < plan_rank(STR(""), STR("ConfigMap")));
	assert_true(plan_rank(STR(""), STR("ConfigMap")) <
		    plan_rank(STR("apps"), STR("Deployment")));
	assert_true(plan_rank(STR("apps"), STR("Deployment")) <
		    plan_rank(STR("tea.io"), STR("Cup")));
	assert_true(plan_rank(STR("tea.io"), STR("Cup")) <
		    plan_rank(STR("admissionregistration.k8s.io"),
			      STR("ValidatingWebhookConfiguration")));
}

void test_plan__entry_is_taken_apart(void **state)
{
	struct arena a = {0};
	struct plan_entry e;
	const struct json *v;

	(void)state;
	v = json_build(&a, "{s:s,s:s}", "id",
		       "_system__node-a_rbac.authorization.k8s.io_ClusterRole", "v", "v1");
	assert_int_equal(plan_entry_parse(&a, v, &e), 0);
	assert_int_equal(e.namespace.n, 0);
	assert_true(str_is(e.name, "system:node-a"));
	assert_true(str_is(e.group, "rbac.authorization.k8s.io"));
	assert_true(str_is(e.kind, "ClusterRole"));
	v = json_build(&a, "{s:s,s:s}", "id", "nonsense", "v", "v1");
	assert_int_equal(plan_entry_parse(&a, v, &e), -1);
	arena_release(&a);
}

void test_plan__what_left_is_pruned_in_reverse_order(void **state)
{
	static const char *const have[] = {"n_a__ConfigMap", "n_b_apps_Deployment",
					   "n_c__ConfigMap", "n_d__Service", NULL};
	static const char *const now[] = {"n_c__ConfigMap", NULL};
	struct arena a = {0};
	struct plan_prune p = prune(&a, have, now, NULL);

	(void)state;
	assert_int_equal(p.ngo, 3);
	assert_true(str_is(p.go[0].kind, "Deployment"));
	assert_true(str_is(p.go[2].kind, "ConfigMap"));
	assert_int_equal(p.nheld, 0);
	arena_release(&a);
}

void test_plan__an_empty_revision_prunes_nothing(void **state)
{
	static const char *const have[] = {"n_a__ConfigMap", NULL}, *const none[] = {NULL};
	struct arena a = {0};
	struct plan_prune p = prune(&a, have, none, "*");

	(void)state;
	assert_int_equal(p.ngo, 0);
	assert_int_equal(p.nheld, 1);
	assert_true(p.why.n > 0);
	arena_release(&a);
}

void test_plan__a_namespace_goes_only_on_confirmation(void **state)
{
	static const char *const have[] = {"_n__Namespace", "n_a__ConfigMap", "n_b__ConfigMap",
					   NULL};
	static const char *const now[] = {"n_b__ConfigMap", NULL};
	struct arena a = {0};
	struct plan_prune p = prune(&a, have, now, NULL);

	(void)state;
	assert_int_equal(p.ngo, 1);
	assert_int_equal(p.nheld, 1);
	p = prune(&a, have, now, "main@sha1:1");
	assert_int_equal(p.ngo, 2);
	assert_true(str_is(p.go[1].kind, "Namespace"));
	p = prune(&a, have, now, "main@sha1:2");
	assert_int_equal(p.nheld, 1);
	arena_release(&a);
}

void test_plan__most_of_an_inventory_goes_only_on_confirmation(void **state)
{
	static const char *const have[] = {"n_a__ConfigMap", "n_b__ConfigMap", "n_c__ConfigMap",
					   "n_d__ConfigMap", "n_e__ConfigMap", "n_f__ConfigMap",
					   "n_g__ConfigMap", "n_h__ConfigMap", "n_i__ConfigMap",
					   "n_j__ConfigMap", "n_k__ConfigMap", NULL};
	static const char *const now[] = {"n_k__ConfigMap", NULL};
	struct arena a = {0};
	struct plan_prune p = prune(&a, have, now, NULL);

	(void)state;
	assert_int_equal(p.ngo, 0);
	assert_int_equal(p.nheld, 10);
	assert_true(str_is(p.why, "10 of 11 objects would be deleted at once"));
	p = prune(&a, have, now, "*");
	assert_int_equal(p.ngo, 10);
	arena_release(&a);
}

static struct rendered_object declared(struct arena *a, const char *kind, const char *name,
				       const char *wave)
{
	struct json *t = json_build(a, "{s:s,s:{s:s,s:{s:s}}}", "kind", kind, "metadata", "name",
				    name, "annotations", "argocd.argoproj.io/sync-wave", wave);

	return (struct rendered_object){
		.tree = t, .kind = str_c(kind), .name = str_c(name), .id = str_c(name)};
}

void test_plan__waves_go_before_kinds(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct rendered_object v[] = {declared(&a, "Namespace", "late", "1"),
				      declared(&a, "Deployment", "first", "-2"),
				      declared(&a, "ConfigMap", "settings", "nonsense"),
				      declared(&a, "Namespace", "space", "0")};
	struct rendered r = {.v = v, .n = 4};

	(void)state;
	plan_sort(&r);
	assert_true(str_is(v[0].name, "first"));
	assert_true(str_is(v[1].name, "space"));
	assert_true(str_is(v[2].name, "settings"));
	assert_true(str_is(v[3].name, "late"));
}
