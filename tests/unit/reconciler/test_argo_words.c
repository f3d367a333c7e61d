/* Argo CD's words on objects and projects: hooks, options, what is nobody's, what has no effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kube/obj.h"
#include "reconciler/application.h"
#include "reconciler/argo_project.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct json *object(struct arena *a, const char *key, const char *value)
{
	return json_build(a, "{s:s,s:s,s:{s:s,s:s,s:{s:s}}}", "apiVersion", "v1", "kind",
			  "ConfigMap", "metadata", "name", "x", "namespace", "shop", "annotations",
			  key, value);
}

void test_argo_words__hooks_and_their_phases(void **state)
{
	static const struct {
		const char *key, *value;
		unsigned phases;
		const char *strange;
	} cases[] = {
		{ARGO_HOOK, "PreSync", ARGO_IS_HOOK | 1u << ARGO_PRE, ""},
		{ARGO_HOOK, "PreSync, PostSync", ARGO_IS_HOOK | 1u << ARGO_PRE | 1u << ARGO_POST,
		 ""},
		{ARGO_HOOK, "PreDelete,PostDelete",
		 ARGO_IS_HOOK | 1u << ARGO_PRE_DELETE | 1u << ARGO_POST_DELETE, ""},
		{ARGO_HOOK, "Skip", ARGO_IS_HOOK, ""},
		{ARGO_HOOK, "Sync,Skip", ARGO_IS_HOOK, ""},
		{ARGO_HOOK, "presync", ARGO_IS_HOOK, "presync"},
		{"helm.sh/hook", "pre-install,pre-upgrade", ARGO_IS_HOOK | 1u << ARGO_PRE, ""},
		{"helm.sh/hook", "post-upgrade", ARGO_IS_HOOK | 1u << ARGO_POST, ""},
		{"helm.sh/hook", "pre-delete", ARGO_IS_HOOK | 1u << ARGO_PRE_DELETE, ""},
		{"helm.sh/hook", "test", ARGO_IS_HOOK, ""},
		{"helm.sh/hook", "crd-install", 0, ""},
		{"helm.sh/hook", "sometimes", ARGO_IS_HOOK, "sometimes"},
		{"app", "x", 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena) struct arena a = {0};
		struct str strange;
		unsigned phases =
			argo_hook_phases(object(&a, cases[i].key, cases[i].value), &strange);

		if (phases != cases[i].phases || !str_eq(strange, str_c(cases[i].strange)))
			fail_msg("%s: %x, '%.*s'", cases[i].value, phases, STR_ARG(strange));
	}
}

void test_argo_words__when_hooks_go(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = object(&a, ARGO_HOOK_DELETE, "HookSucceeded,HookFailed"),
		    *helm = object(&a, "helm.sh/hook", "post-install"),
		    *notes = json_at(helm, "metadata", "annotations");

	(void)state;
	assert_true(argo_hook_goes(o, "HookSucceeded"));
	assert_true(argo_hook_goes(o, "HookFailed"));
	assert_false(argo_hook_goes(o, "BeforeHookCreation"));
	assert_true(argo_hook_goes(helm, "BeforeHookCreation"));
	assert_false(argo_hook_goes(helm, "HookSucceeded"));
	json_set_str(&a, notes, "helm.sh/hook-delete-policy", STR("hook-succeeded"));
	json_set_str(&a, notes, "helm.sh/hook-weight", STR("-3"));
	assert_true(argo_hook_goes(helm, "HookSucceeded"));
	assert_false(argo_hook_goes(helm, "BeforeHookCreation"));
	assert_int_equal(argo_hook_wave(helm), -3);
	json_set_str(&a, notes, ARGO_WAVE, STR("2"));
	assert_int_equal(argo_hook_wave(helm), 2);
}

void test_argo_words__options_are_known_or_told(void **state)
{
	static const char *const good[] = {"Prune=false",
					   "Prune=confirm",
					   "Delete=confirm",
					   "PrunePropagationPolicy=orphan",
					   "ServerSideApply=true",
					   "ClientSideApplyMigration=false",
					   "SkipDryRunOnMissingResource=true"};
	static const char *const bad[] = {"Prune",
					  "Prune=maybe",
					  "prune=false",
					  "Validate=confirm",
					  "PrunePropagationPolicy=true",
					  "Magic=true",
					  ""};
	AUTO(arena) struct arena a = {0};
	struct json *o = object(&a, ARGO_OPTIONS, "Prune=false, Delete=flase,Force=true");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(argo_option_known(str_c(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(argo_option_known(str_c(bad[i])));
	assert_true(str_is(argo_option_strange(o), "Delete=flase"));
	assert_true(str_is(argo_option_value(o, "Force"), "true"));
	assert_false(argo_option_value(o, "Replace").n);
}

void test_argo_words__projects_serve_namespaces(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *p =
		json_build(&a, "{s:{s:s,s:s},s:{s:[s,s]}}", "metadata", "name", "team", "namespace",
			   "argocd", "spec", "sourceNamespaces", "team-*", "/^x.*$/");

	(void)state;
	assert_true(project_serves(p, STR("argocd")));
	assert_true(project_serves(p, STR("team-a")));
	assert_false(project_serves(p, STR("other")));
	assert_false(project_serves(p, STR("xyz")));
}

void test_argo_words__clusters_of_a_project(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *p = json_build(&a, "{s:{s:s,s:s},s:{s:b,s:[s],s:[{s:s,s:s}]}}", "metadata",
				    "name", "team", "namespace", "argocd", "spec",
				    "permitOnlyProjectScopedClusters", true, "sourceRepos", "*",
				    "destinations", "server", "*", "namespace", "*");
	struct json *app = json_build(&a, "{s:{s:s,s:s},s:{s:{s:s},s:{s:s}}}", "metadata", "name",
				      "web", "namespace", "argocd", "spec", "source", "repoURL",
				      "https://git.example/x", "destination", "namespace", "shop");
	struct err err = {0};

	(void)state;
	assert_int_equal(application_allowed(p, app, false, &err), -1);
	assert_non_null(strstr(err.msg, "permitOnlyProjectScopedClusters"));
	assert_int_equal(application_allowed(p, app, true, &err), 0);
}

void test_argo_words__what_may_be_nobodys(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *rules = json_build(&a, "{s:[{s:s,s:s,s:s}]}", "ignore", "group", "", "kind",
					"ConfigMap", "name", "leader-*");
	struct json *o = object(&a, "a", "b");
	const struct str none = STR_NONE, map = STR("ConfigMap");

	(void)state;
	assert_false(project_orphan_known(rules, none, map, o));
	json_set_str(&a, json_get(o, STR("metadata")), "name", STR("leader-x"));
	assert_true(project_orphan_known(rules, none, map, o));
	assert_false(project_orphan_known(rules, none, STR("Secret"), o));
	assert_false(project_orphan_known(rules, STR("x.io"), map, o));
	json_set_str(&a, json_get(o, STR("metadata")), "name", STR("kube-root-ca.crt"));
	assert_true(project_orphan_known(rules, none, map, o));
	json_set_str(&a, json_get(o, STR("metadata")), "name", STR("default"));
	assert_true(project_orphan_known(rules, none, STR("ServiceAccount"), o));
	assert_false(project_orphan_known(rules, none, STR("Secret"), o));
}

void test_argo_words__what_has_no_effect_is_told(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *list = json_new(&a, JSON_ARRAY);
	struct json *app = object(&a, "notifications.argoproj.io/subscribe.on-sync.slack", "ops");
	struct json *p = json_build(&a, "{s:{s:s},s:{s:[{s:s}]}}", "metadata", "name", "team",
				    "spec", "roles", "name", "ci");

	(void)state;
	application_unheeded(&a, object(&a, "app", "x"), list);
	assert_int_equal(json_len(list), 0);
	application_unheeded(&a, app, list);
	project_unheeded(&a, p, list);
	assert_int_equal(json_len(list), 2);
	assert_non_null(
		strstr(arena_cstr(&a, json_str(json_get(json_item(list, 1), STR("message")))),
		       "spec.roles grants nothing"));
}
