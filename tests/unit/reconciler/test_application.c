/* Applications, read as the engine's own words, and Argo CD's words on objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"
#include "reconciler/application.h"
#include "reconciler/argo_project.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct json *app(struct arena *a, const char *spec)
{
	char *text = arena_printf(
		a,
		"{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"Application\",\"metadata\":"
		"{\"name\":\"shop\",\"namespace\":\"argocd\"},\"spec\":%s}",
		spec);
	struct json *v = json_parse(a, str_c(text), NULL, NULL);

	assert_non_null(v);
	return v;
}

#define SOURCE "\"source\":{\"repoURL\":\"https://git.example/x.git\",\"path\":\"app\""
#define DEST                                                                                       \
	"\"destination\":{\"server\":\"https://kubernetes.default.svc\",\"namespace\":\"shop\"}"

static void refused(const char *spec, const char *why)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct json *t = NULL;

	assert_int_equal(application_translate(&a, app(&a, spec), &t, &err), -1);
	assert_non_null(t);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not speak of %s", err.msg, why);
}

static struct json *taken(struct arena *a, const char *spec)
{
	struct err err = {0};
	struct json *t = NULL;

	if (application_translate(a, app(a, spec), &t, &err))
		fail_msg("%s", err.msg);
	return t;
}

void test_application__policy_becomes_modes(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *t;

	(void)state;
	t = taken(&a, "{" SOURCE "}," DEST "}");
	assert_false(json_bool(json_at(t, "spec", "argo", "automated"), true));
	assert_false(json_bool(json_at(t, "spec", "prune"), true));
	assert_true(str_is(meta_annotation(t, "plumb.dev/drift"), "propose"));
	t = taken(&a, "{" SOURCE "}," DEST
		      ",\"syncPolicy\":{\"automated\":{\"prune\":true,\"selfHeal\":true}}}");
	assert_true(json_bool(json_at(t, "spec", "argo", "automated"), false));
	assert_true(json_bool(json_at(t, "spec", "prune"), false));
	assert_true(str_is(meta_annotation(t, "plumb.dev/drift"), "correct"));
	t = taken(&a, "{" SOURCE "}," DEST
		      ",\"syncPolicy\":{\"automated\":{\"enabled\":false,\"selfHeal\":true}}}");
	assert_false(json_bool(json_at(t, "spec", "argo", "automated"), true));
	assert_true(str_is(meta_annotation(t, "plumb.dev/drift"), "propose"));
}

void test_application__options_of_the_policy_and_of_the_operation(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = app(&a, "{" SOURCE "}," DEST
				 ",\"syncPolicy\":{\"syncOptions\":[\"CreateNamespace=true\","
				 "\"Validate=false\"]}}"),
		    *t;
	struct err err = {0};

	(void)state;
	json_set(&a, o, STR("operation"),
		 json_build(&a, "{s:{s:b,s:[s]}}", "sync", "prune", true, "syncOptions",
			    "Validate=true"));
	assert_int_equal(application_translate(&a, o, &t, &err), 0);
	assert_true(
		str_is(json_str(json_at(t, "spec", "argo", "options", "CreateNamespace")), "true"));
	assert_true(str_is(json_str(json_at(t, "spec", "argo", "options", "Validate")), "true"));
	assert_true(json_bool(json_at(t, "spec", "prune"), false));
	assert_null(json_get(t, STR("operation")));
}

void test_application__one_source_for_the_same_repository_and_revision(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *one = taken(&a, "{" SOURCE "}," DEST "}");
	struct json *two =
		taken(&a, "{\"source\":{\"repoURL\":\"https://git.example/x.git\"}," DEST "}");
	struct json *tag = taken(&a, "{" SOURCE ",\"targetRevision\":\"v1\"}," DEST "}");

	(void)state;
	assert_true(
		json_equal(json_at(one, "spec", "sourceRef"), json_at(two, "spec", "sourceRef")));
	assert_false(
		json_equal(json_at(one, "spec", "sourceRef"), json_at(tag, "spec", "sourceRef")));
}

void test_application__revisions_are_told_apart(void **state)
{
	static const struct {
		const char *revision, *member;
	} cases[] = {
		{"HEAD", "any"},          {"main", "any"},
		{"v1.2.3", "any"},        {"1.2.3", "any"},
		{"release-1.x", "any"},   {"^1.2", "semver"},
		{"1.2.*", "semver"},      {"1.x", "semver"},
		{"refs/heads/x", "name"}, {"0123456789012345678901234567890123456789", "commit"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena) struct arena a = {0};
		char *spec = arena_printf(&a, "{" SOURCE ",\"targetRevision\":\"%s\"}," DEST "}",
					  cases[i].revision);
		struct json *r = application_repository(&a, taken(&a, spec));

		if (!str_is(json_str(json_at(r, "spec", "ref", cases[i].member)),
			    cases[i].revision))
			fail_msg("%s is no %s", cases[i].revision, cases[i].member);
	}
}

void test_application__short_ssh_addresses(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *r = application_repository(
		&a,
		taken(&a, "{\"source\":{\"repoURL\":\"git@example.org:team/x.git\"}," DEST "}"));

	(void)state;
	assert_true(
		str_is(json_str(json_at(r, "spec", "url")), "ssh://git@example.org/team/x.git"));
}

void test_application__what_cannot_be_done_is_refused_by_name(void **state)
{
	(void)state;
	refused("{" SOURCE ",\"helm\":{\"releaseName\":\"x\"}}," DEST "}", "helm");
	refused("{" SOURCE ",\"chart\":\"redis\"}," DEST "}", "chart");
	refused("{" SOURCE ",\"plugin\":{\"name\":\"x\"}}," DEST "}", "plugin");
	refused("{" SOURCE ",\"directory\":{\"jsonnet\":{\"libs\":[\"x\"]}}}," DEST "}", "sonnet");
	refused("{\"sources\":[{\"repoURL\":\"a\"},{\"repoURL\":\"b\"}]," DEST "}",
		"several sources");
	refused("{" SOURCE "},\"destination\":{\"server\":\"https://1.2.3.4\"}}",
		"another cluster");
	refused("{" SOURCE "},\"destination\":{\"name\":\"east\"}}", "another cluster");
	refused("{" SOURCE "},\"destination\":{}}", "required");
	refused("{" SOURCE "}," DEST ",\"syncPolicy\":{\"syncOptions\":[\"Wish=true\"]}}", "Wish");
	refused("{" SOURCE "}," DEST ",\"ignoreDifferences\":[{\"kind\":\"Deployment\","
		"\"jqPathExpressions\":[\".spec.template.spec.containers[]|select(.x)\"]}]}",
		"jqPathExpressions");
}

void test_application__kustomize_fields_become_an_overlay(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_at(
		taken(&a, "{" SOURCE
			  ",\"kustomize\":{\"namePrefix\":\"p-\",\"images\":[\"nginx=reg:5000/"
			  "mine:1@sha256:ab\",\"busybox:2\"],\"replicas\":[{\"name\":\"web\","
			  "\"count\":\"3\"}],\"commonLabels\":{\"a\":\"b\"}}}," DEST "}"),
		"spec", "argo", "overlay");
	const struct json *images = json_get(o, STR("images")), *one = json_item(images, 0);

	(void)state;
	assert_true(str_is(json_str(json_get(o, STR("namePrefix"))), "p-"));
	assert_true(str_is(json_str(json_get(one, STR("name"))), "nginx"));
	assert_true(str_is(json_str(json_get(one, STR("newName"))), "reg:5000/mine"));
	assert_true(str_is(json_str(json_get(one, STR("newTag"))), "1"));
	assert_true(str_is(json_str(json_get(one, STR("digest"))), "sha256:ab"));
	one = json_item(images, 1);
	assert_true(str_is(json_str(json_get(one, STR("name"))), "busybox"));
	assert_null(json_get(one, STR("newName")));
	assert_true(str_is(json_str(json_get(one, STR("newTag"))), "2"));
	assert_int_equal(
		json_int(json_get(json_item(json_get(o, STR("replicas")), 0), STR("count")), 0), 3);
	assert_true(str_is(json_str(json_at(o, "commonLabels", "a")), "b"));
}

void test_application__plain_jq_paths_are_pointers(void **state)
{
	AUTO(arena) struct arena a = {0};
	const struct json *ignore = json_at(
		taken(&a, "{" SOURCE "}," DEST
			  ",\"ignoreDifferences\":[{\"group\":\"apps\",\"kind\":\"Deployment\","
			  "\"jqPathExpressions\":[\".spec.template.spec.containers[0].image\","
			  "\".metadata.annotations[\\\"x.io/y\\\"]\"],"
			  "\"managedFieldsManagers\":[\"hpa\"]}]}"),
		"spec", "argo", "ignore");
	const struct json *d = json_build(&a, "{s:s,s:s,s:{s:s}}", "apiVersion", "apps/v1", "kind",
					  "Deployment", "metadata", "name", "web");
	const struct json *s = json_build(&a, "{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind",
					  "Service", "metadata", "name", "web");
	struct str image = STR("/spec/template/spec/containers/0/image");

	(void)state;
	assert_true(argo_ignores(ignore, d, image, STR("x")));
	assert_false(argo_ignores(ignore, s, image, STR("x")));
	assert_true(argo_ignores(ignore, d, STR("/metadata/annotations/x.io~1y"), STR_NONE));
	assert_false(argo_ignores(ignore, d, STR("/spec/replicas"), STR("x")));
	assert_true(argo_ignores(ignore, d, STR("/spec/replicas"), STR("hpa")));
	assert_false(argo_ignores(ignore, d, STR(""), STR("x")));
}

void test_application__ignored_values_are_kept_as_they_are_live(void **state)
{
	AUTO(arena) struct arena a = {0};
	const struct json *ignore =
		json_build(&a, "[{s:s,s:s,s:[s,s]}]", "group", "apps", "kind", "Deployment",
			   "jsonPointers", "/spec/replicas", "/spec/paused");
	struct json *d = json_build(&a, "{s:s,s:s,s:{s:s},s:{s:i,s:b,s:i}}", "apiVersion",
				    "apps/v1", "kind", "Deployment", "metadata", "name", "web",
				    "spec", "replicas", 1, "paused", true, "other", 5);
	const struct json *live =
		json_build(&a, "{s:{s:i,s:i}}", "spec", "replicas", 4, "other", 6);

	(void)state;
	assert_true(argo_keep_ignored(&a, ignore, d, live));
	assert_int_equal(json_int(json_at(d, "spec", "replicas"), 0), 4);
	assert_null(json_at(d, "spec", "paused"));
	assert_int_equal(json_int(json_at(d, "spec", "other"), 0), 5);
	assert_false(argo_keep_ignored(&a, ignore, d, live));
}

void test_application__patterns(void **state)
{
	(void)state;
	assert_true(argo_glob(STR("*.yaml"), STR("a.yaml"), false));
	assert_true(argo_glob(STR("*.yaml"), STR("b/a.yaml"), false));
	assert_false(argo_glob(STR("*.yaml"), STR("b/a.yaml"), true));
	assert_true(argo_glob(STR("**/a.yaml"), STR("b/c/a.yaml"), true));
	assert_true(argo_glob(STR("{a,b/*}.yaml"), STR("b/x.yaml"), false));
	assert_false(argo_glob(STR("{a,b/*}.yaml"), STR("c/x.yaml"), false));
	assert_true(argo_glob(STR("v[0-9]?"), STR("v12"), false));
	assert_false(argo_glob(STR("v[!0-9]"), STR("v1"), false));
	assert_false(argo_glob(STR("v[0-9"), STR("v1"), false));
	/* Ends, whatever it is asked. */
	assert_false(argo_glob(STR("*a*a*a*a*a*a*a*a*a*a*a*b"),
			       STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
			       false));
}

void test_application__projects_limit_sources_and_destinations(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct json *o = app(&a, "{" SOURCE "}," DEST "}");
	struct json *p =
		json_build(&a, "{s:{s:s,s:s},s:{s:[s],s:[{s:s,s:s}]}}", "metadata", "name", "team",
			   "namespace", "argocd", "spec", "sourceRepos", "https://git.example/*",
			   "destinations", "server", "*", "namespace", "sh*");

	(void)state;
	assert_int_equal(application_allowed(p, o, false, &err), 0);
	assert_int_equal(application_allowed(NULL, o, false, &err), 0);
	json_set_str(&a, json_item(json_at(p, "spec", "destinations"), 0), "namespace", STR("x"));
	assert_int_equal(application_allowed(p, o, false, &err), -1);
	assert_non_null(strstr(err.msg, "not permitted in project 'team'"));
	json_set(&a, json_get(p, STR("spec")), STR("sourceRepos"),
		 json_build(&a, "[s,s]", "*", "!https://git.example/x*"));
	assert_int_equal(application_allowed(p, o, false, &err), -1);
	assert_non_null(strstr(err.msg, "repo"));
}

static int permits(const struct json *p, struct str group, struct str kind, struct str ns,
		   struct err *err)
{
	const struct project_object o = {group, kind, ns, STR("web-1")};

	return project_permits(p, &o, err);
}

void test_application__projects_limit_kinds(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct json *p = json_build(&a, "{s:{s:s},s:{s:[{s:s,s:s}]}}", "metadata", "name", "team",
				    "spec", "destinations", "server", "*", "namespace", "shop");
	struct json *spec = json_get(p, STR("spec"));
	const struct str none = STR_NONE, ns = STR("shop");

	(void)state;
	assert_int_equal(permits(NULL, none, STR("Namespace"), none, &err), 0);
	/* Nothing of the cluster's, all of a namespace's, unless it is said. */
	assert_int_equal(permits(p, none, STR("Namespace"), none, &err), -1);
	assert_string_equal(err.msg, "resource :Namespace is not permitted in project team");
	assert_int_equal(permits(p, none, STR("Secret"), ns, &err), 0);
	assert_int_equal(permits(p, none, STR("Secret"), STR("other"), &err), -1);
	json_set(&a, spec, STR("clusterResourceWhitelist"),
		 json_build(&a, "[{s:s,s:s}]", "group", "", "kind", "Name*"));
	json_set(&a, spec, STR("namespaceResourceBlacklist"),
		 json_build(&a, "[{s:s,s:s}]", "group", "*", "kind", "Secret"));
	assert_int_equal(permits(p, none, STR("Namespace"), none, &err), 0);
	assert_int_equal(permits(p, STR("x.io"), STR("Namespace"), none, &err), -1);
	assert_int_equal(permits(p, none, STR("Secret"), ns, &err), -1);
	assert_int_equal(permits(p, STR("apps"), STR("Deployment"), ns, &err), 0);
	/* … by name, too. */
	json_set(&a, spec, STR("clusterResourceWhitelist"),
		 json_build(&a, "[{s:s,s:s,s:s}]", "group", "", "kind", "Namespace", "name",
			    "team-*"));
	assert_int_equal(permits(p, none, STR("Namespace"), none, &err), -1);
	json_set_str(&a, json_item(json_get(spec, STR("clusterResourceWhitelist")), 0), "name",
		     STR("web-*"));
	assert_int_equal(permits(p, none, STR("Namespace"), none, &err), 0);
	json_set(&a, spec, STR("namespaceResourceWhitelist"), json_new(&a, JSON_ARRAY));
	assert_int_equal(permits(p, STR("apps"), STR("Deployment"), ns, &err), -1);
}

static int two_hours(void *ctx, struct str zone, int64_t at_s, int32_t *ret)
{
	(void)ctx;
	(void)at_s;
	*ret = 7200;
	return str_is(zone, "Here/There") ? 0 : -1;
}

/* Whether it may be synced at that hour of 5 March 2026 (UTC), by itself and by hand. */
static int window(struct arena *a, const struct json *windows, int hour, bool by_hand)
{
	struct json *o = app(a, "{" SOURCE "}," DEST "}");
	struct json *p = json_build(a, "{s:{s:s},s:{}}", "metadata", "name", "team", "spec");
	const struct project_clock clock = {
		.now_ns = (1772668800 + hour * INT64_C(3600)) * NS_PER_S, .zone = two_hours};
	struct err err = {0};

	json_set(a, json_get(p, STR("spec")), STR("syncWindows"), windows);
	if (!project_window(p, o, &clock, by_hand, &err))
		return 1;
	return err.code == ERR_FORBIDDEN ? 0 : -1;
}

static struct json *windows(struct arena *a, const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s", err.msg);
	return v;
}

void test_application__sync_windows(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *night = windows(&a, "[{\"kind\":\"allow\",\"schedule\":\"0 22 * * *\","
					 "\"duration\":\"4h\",\"applications\":[\"*\"]}]");
	struct json *noon = windows(&a, "[{\"kind\":\"deny\",\"schedule\":\"0 12 * * *\","
					"\"duration\":\"1h\",\"namespaces\":[\"*\"],"
					"\"manualSync\":true}]");

	(void)state;
	assert_int_equal(window(&a, night, 21, false), 0);
	assert_int_equal(window(&a, night, 21, true), 0);
	assert_int_equal(window(&a, night, 22, false), 1);
	assert_int_equal(window(&a, night, 1, false), 1);
	assert_int_equal(window(&a, night, 2, false), 0);
	assert_int_equal(window(&a, noon, 11, false), 1);
	assert_int_equal(window(&a, noon, 12, false), 0);
	assert_int_equal(window(&a, noon, 12, true), 1);
	assert_int_equal(window(&a, noon, 13, false), 1);
	/* Nothing that concerns it. */
	json_set(&a, json_item(night, 0), STR("applications"), json_build(&a, "[s]", "other-*"));
	assert_int_equal(window(&a, night, 21, false), 1);
	/* In another place's hours; one that isn't known shuts. */
	json_set_str(&a, json_item(noon, 0), "timeZone", STR("Here/There"));
	assert_int_equal(window(&a, noon, 10, false), 0);
	assert_int_equal(window(&a, noon, 12, false), 1);
	json_set_str(&a, json_item(noon, 0), "timeZone", STR("Nowhere"));
	assert_int_equal(window(&a, noon, 20, false), -1);
	json_set_str(&a, json_item(noon, 0), "timeZone", STR("UTC"));
	json_set_str(&a, json_item(noon, 0), "schedule", STR("at noon"));
	assert_int_equal(window(&a, noon, 20, false), -1);
}

void test_application__words_on_objects(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_build(&a, "{s:s,s:s,s:{s:s,s:s,s:{s:s,s:s,s:s}}}", "apiVersion",
				    "batch/v1", "kind", "Job", "metadata", "name", "migrate",
				    "namespace", "shop", "annotations", ARGO_HOOK, "PreSync, Sync",
				    ARGO_WAVE, "-5", ARGO_OPTIONS, "Prune=false,Replace=true");

	(void)state;
	assert_int_equal(argo_hook_phases(o, NULL),
			 ARGO_IS_HOOK | 1u << ARGO_PRE | 1u << ARGO_SYNC);
	assert_int_equal(argo_wave(o), -5);
	assert_true(argo_option(o, "Replace=true"));
	assert_false(argo_option(o, "Replace"));
	assert_true(str_is(argo_tracking(&a, STR("shop"), o), "shop:batch/Job:shop/migrate"));
	json_set_str(&a, json_at(o, "metadata", "annotations"), ARGO_WAVE, STR("99999999999"));
	assert_int_equal(argo_wave(o), 0);
}

void test_application__components_that_may_be_missing(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *t = taken(&a, "{" SOURCE ",\"kustomize\":{\"components\":[\"../x\"],"
				   "\"ignoreMissingComponents\":true}}," DEST "}");

	(void)state;
	assert_true(json_bool(json_at(t, "spec", "ignoreMissingComponents"), false));
	t = taken(&a, "{" SOURCE ",\"kustomize\":{\"components\":[\"../x\"]}}," DEST "}");
	assert_false(json_bool(json_at(t, "spec", "ignoreMissingComponents"), true));
}

/* As Argo CD has it: `sources` stand instead of `source`. */
void test_application__sources_come_before_source(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *t =
		taken(&a, "{" SOURCE "},\"sources\":[{\"repoURL\":\"https://git.example/y\","
			  "\"path\":\"other\"}]," DEST "}");

	(void)state;
	assert_true(str_is(json_str(json_at(t, "spec", "path")), "other"));
}

/* What a project demands and nobody would see to forbids, it does not pass. */
void test_application__demands_of_projects(void **state)
{
	static const char *const demands[] = {
		"{\"metadata\":{\"namespace\":\"argocd\"},\"spec\":{\"sourceRepos\":[\"*\"],"
		"\"destinations\":[{\"server\":\"*\","
		"\"namespace\":\"*\"}],"
		"\"signatureKeys\":[{\"keyID\":\"4AEE18F83AFDEB23\"}]}}",
		"{\"metadata\":{\"namespace\":\"argocd\"},\"spec\":{\"sourceRepos\":[\"*\"],"
		"\"destinations\":[{\"server\":\"*\","
		"\"namespace\":\"*\"}],"
		"\"destinationServiceAccounts\":[{\"server\":\"*\",\"defaultServiceAccount\":\"x\"}"
		"]}}"};
	AUTO(arena) struct arena a = {0};
	struct json *o = app(&a, "{" SOURCE "}," DEST "}");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(demands); i++) {
		struct err err = {0};
		struct json *p = json_parse(&a, str_c(demands[i]), NULL, NULL);

		assert_non_null(p);
		assert_int_equal(application_allowed(p, o, false, &err), -1);
		assert_non_null(
			strstr(err.msg, i ? "destinationServiceAccounts" : "signatureKeys"));
	}
}
