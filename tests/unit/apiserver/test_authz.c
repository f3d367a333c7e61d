/* RBAC: what rules allow, to whom, where; and that nothing is allowed by accident. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/authz.h"
#include "apiserver/noderefs.h"
#include "lib/json/json.h"

static void role(struct authz *z, const char *ns, const char *name, const char *rules)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct json *o = json_parse(&a, arena_strf(&a, "{\"rules\":%s}", rules), NULL, &err);

	assert_non_null(o);
	authz_role(z, str_c(ns), str_c(name), o);
}

static void bind(struct authz *z, const char *ns, const char *name, const char *ref,
		 const char *subjects)
{
	AUTO(arena) struct arena a = {0};
	bool cluster = ref[0] == '*';
	struct json *o = json_parse(
		&a,
		arena_strf(&a, "{\"roleRef\":{\"kind\":\"%s\",\"name\":\"%s\"},\"subjects\":%s}",
			   cluster ? "ClusterRole" : "Role", ref + cluster, subjects),
		NULL, NULL);

	assert_non_null(o);
	authz_binding(z, str_c(ns), str_c(name), o);
}

static const struct str devs[] = {{"devs", 4}, {"system:authenticated", 20}};
static const struct admission_user alice = {
	.name = {"alice", 5}, .groups = devs, .ngroups = ARRAY_LEN(devs)};
static const struct admission_user bob = {.name = {"bob", 3}};

static bool may(struct authz *z, const struct admission_user *u, const char *verb,
		const char *group, const char *resource, const char *ns, const char *name)
{
	struct authz_ask q = {.user = u,
			      .verb = str_c(verb),
			      .group = str_c(group),
			      .namespace = str_c(ns),
			      .name = str_c(name)};

	str_cut(str_c(resource), '/', &q.resource, &q.subresource);
	return authz_allows(z, &q, NULL);
}

void test_authz__nothing_is_allowed_by_default(void **state)
{
	struct authz *z = authz_new();

	(void)state;
	assert_false(may(z, &alice, "get", "", "pods", "default", "x"));
	role(z, NULL, "everything",
	     "[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]}]");
	assert_false(may(z, &alice, "get", "", "pods", "default", "x"));
	/* A binding to a role that isn't there gives nothing. */
	bind(z, NULL, "b", "*absent", "[{\"kind\":\"User\",\"name\":\"alice\"}]");
	assert_false(may(z, &alice, "get", "", "pods", "default", "x"));
	authz_free(z);
}

void test_authz__masters_may_everything(void **state)
{
	static const struct str g[] = {{"system:masters", 14}};
	struct admission_user root = {.name = {"root", 4}, .groups = g, .ngroups = 1};
	struct authz *z = authz_new();

	(void)state;
	assert_true(may(z, &root, "delete", "apps", "deployments", "x", "y"));
	authz_free(z);
}

void test_authz__namespaces_are_walls(void **state)
{
	struct authz *z = authz_new();

	(void)state;
	role(z, NULL, "view",
	     "[{\"verbs\":[\"get\",\"list\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]");
	role(z, "prod", "local",
	     "[{\"verbs\":[\"delete\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]");
	bind(z, "prod", "a", "*view", "[{\"kind\":\"User\",\"name\":\"alice\"}]");
	bind(z, "prod", "b", "local", "[{\"kind\":\"Group\",\"name\":\"devs\"}]");
	assert_true(may(z, &alice, "get", "", "pods", "prod", "x"));
	assert_true(may(z, &alice, "delete", "", "pods", "prod", "x"));
	assert_false(may(z, &alice, "get", "", "pods", "default", "x"));
	assert_false(may(z, &alice, "list", "", "pods", NULL, NULL));
	assert_false(may(z, &alice, "create", "", "pods", "prod", NULL));
	assert_false(may(z, &bob, "get", "", "pods", "prod", "x"));
	/* A Role of another namespace with the same name isn't meant. */
	bind(z, "test", "b", "local", "[{\"kind\":\"Group\",\"name\":\"devs\"}]");
	assert_false(may(z, &alice, "delete", "", "pods", "test", "x"));
	bind(z, NULL, "c", "*view", "[{\"kind\":\"User\",\"name\":\"bob\"}]");
	assert_true(may(z, &bob, "list", "", "pods", NULL, NULL));
	assert_true(may(z, &bob, "get", "", "pods", "prod", "x"));
	authz_free(z);
}

void test_authz__subresources_and_names(void **state)
{
	struct authz *z = authz_new();

	(void)state;
	role(z, NULL, "r",
	     "[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods/log\",\"*/"
	     "status\"]},"
	     "{\"verbs\":[\"update\"],\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],"
	     "\"resourceNames\":[\"one\"]}]");
	bind(z, NULL, "b", "*r", "[{\"kind\":\"User\",\"name\":\"alice\"}]");
	assert_true(may(z, &alice, "get", "", "pods/log", "d", "x"));
	assert_true(may(z, &alice, "get", "", "nodes/status", NULL, "n"));
	assert_false(may(z, &alice, "get", "", "pods", "d", "x"));
	assert_false(may(z, &alice, "get", "", "pods/exec", "d", "x"));
	assert_false(may(z, &alice, "get", "apps", "deployments/status", "d", "x"));
	assert_true(may(z, &alice, "update", "", "configmaps", "d", "one"));
	assert_false(may(z, &alice, "update", "", "configmaps", "d", "two"));
	assert_false(may(z, &alice, "update", "", "configmaps", "d", NULL));
	authz_free(z);
}

void test_authz__changes_take_effect(void **state)
{
	struct authz *z = authz_new();

	(void)state;
	role(z, NULL, "r", "[{\"verbs\":[\"get\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]}]");
	bind(z, NULL, "b", "*r",
	     "[{\"kind\":\"User\",\"name\":\"alice\"},{\"kind\":\"User\",\"name\":\"bob\"}]");
	assert_true(may(z, &bob, "get", "", "pods", "d", "x"));
	bind(z, NULL, "b", "*r", "[{\"kind\":\"User\",\"name\":\"alice\"}]");
	assert_false(may(z, &bob, "get", "", "pods", "d", "x"));
	assert_true(may(z, &alice, "get", "", "pods", "d", "x"));
	role(z, NULL, "r", "[]");
	assert_false(may(z, &alice, "get", "", "pods", "d", "x"));
	role(z, NULL, "r", "[{\"verbs\":[\"get\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]}]");
	authz_binding(z, STR_NONE, STR("b"), NULL);
	assert_false(may(z, &alice, "get", "", "pods", "d", "x"));
	authz_role(z, STR_NONE, STR("r"), NULL);
	authz_role(z, STR_NONE, STR("r"), NULL);
	authz_free(z);
}

void test_authz__service_accounts(void **state)
{
	struct admission_user sa = {.name = {"system:serviceaccount:ci:bot", 28}};
	struct authz *z = authz_new();

	(void)state;
	role(z, "d", "r", "[{\"verbs\":[\"*\"],\"apiGroups\":[\"apps\"],\"resources\":[\"*\"]}]");
	bind(z, "d", "b", "r",
	     "[{\"kind\":\"ServiceAccount\",\"name\":\"bot\",\"namespace\":\"ci\"}]");
	assert_true(may(z, &sa, "patch", "apps", "deployments", "d", "x"));
	assert_false(may(z, &sa, "patch", "", "secrets", "d", "x"));
	authz_free(z);
}

static void assert_why(struct authz *z, const struct admission_user *u, const char *want)
{
	AUTO(buf) struct buf why = {0};
	struct authz_ask q = {
		.user = u, .verb = STR("get"), .resource = STR("pods"), .namespace = STR("d")};

	assert_true(authz_allows(z, &q, &why));
	assert_string_equal(buf_cstr(&why), want);
}

void test_authz__says_what_allows_it(void **state)
{
	struct admission_user sa = {.name = {"system:serviceaccount:ci:bot", 28}};
	struct authz *z = authz_new();
	struct authz_ask q = {
		.user = &bob, .verb = STR("get"), .resource = STR("pods"), .namespace = STR("d")};

	(void)state;
	role(z, "", "see", "[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]");
	role(z, "d", "r", "[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]}]");
	assert_true(authz_role_allows(z, STR("see"), &q)); /* whoever is bound to it */
	assert_false(authz_role_allows(z, STR("r"), &q));
	bind(z, "", "all", "*see", "[{\"kind\":\"Group\",\"name\":\"devs\"}]");
	bind(z, "d", "b", "r",
	     "[{\"kind\":\"ServiceAccount\",\"name\":\"bot\",\"namespace\":\"ci\"},"
	     "{\"kind\":\"User\",\"name\":\"bob\"}]");
	assert_why(z, &alice,
		   "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"see\" to Group "
		   "\"devs\"");
	assert_why(
		z, &sa,
		"RBAC: allowed by RoleBinding \"b/d\" of Role \"r\" to ServiceAccount \"bot/ci\"");
	assert_why(z, &bob, "RBAC: allowed by RoleBinding \"b/d\" of Role \"r\" to User \"bob\"");
	authz_free(z);
}

void test_authz__paths(void **state)
{
	struct authz *z = authz_new();
	struct authz_ask q = {.user = &alice, .verb = STR("get"), .path = STR("/apis/apps/v1")};

	(void)state;
	role(z, NULL, "r",
	     "[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/apis/*\",\"/version\"]}]");
	bind(z, NULL, "b", "*r", "[{\"kind\":\"Group\",\"name\":\"system:authenticated\"}]");
	assert_true(authz_allows(z, &q, NULL));
	q.path = STR("/apis");
	assert_false(authz_allows(z, &q, NULL));
	q.path = STR("/version");
	assert_true(authz_allows(z, &q, NULL));
	q.verb = STR("post");
	assert_false(authz_allows(z, &q, NULL));
	/* Paths give no resources, and rights to resources give no paths. */
	assert_false(may(z, &alice, "get", "", "pods", "d", "x"));
	authz_free(z);
}

static void count_rules(void *arg, const struct authz_rule *r)
{
	(void)r;
	++*(int *)arg;
}

void test_authz__rules_are_listed(void **state)
{
	struct authz *z = authz_new();
	int n = 0;

	(void)state;
	role(z, NULL, "r", "[{\"verbs\":[\"get\"]},{\"verbs\":[\"list\"]}]");
	bind(z, "a", "b", "*r", "[{\"kind\":\"User\",\"name\":\"alice\"}]");
	authz_each_rule(z, &alice, STR("a"), count_rules, &n);
	assert_int_equal(n, 2);
	authz_each_rule(z, &alice, STR("other"), count_rules, &n);
	assert_int_equal(n, 2);
	authz_free(z);
}

void test_authz__aggregated_roles(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct authz *z = authz_new();
	const char *view = "{\"metadata\":{\"labels\":{\"to-edit\":\"true\"}},\"rules\":[{"
			   "\"verbs\":[\"get\"],\"apiGroups\":[\"x\"],\"resources\":[\"apes\"]}]}";
	const char *edit = "{\"metadata\":{},\"aggregationRule\":{\"clusterRoleSelectors\":[{"
			   "\"matchLabels\":{\"to-edit\":\"true\"}}]},\"rules\":null}";

	(void)state;
	authz_role(z, STR_NONE, STR("edit"), json_parse(&a, str_c(edit), NULL, NULL));
	bind(z, "d", "b", "*edit", "[{\"kind\":\"User\",\"name\":\"alice\"}]");
	assert_false(may(z, &alice, "get", "x", "apes", "d", "y"));
	authz_role(z, STR("d"), STR("view"), json_parse(&a, str_c(view), NULL, NULL));
	assert_false(may(z, &alice, "get", "x", "apes", "d", "y"));
	authz_role(z, STR_NONE, STR("view"), json_parse(&a, str_c(view), NULL, NULL));
	assert_true(may(z, &alice, "get", "x", "apes", "d", "y"));
	assert_false(may(z, &alice, "get", "x", "apes", "other", "y"));
	authz_free(z);
}

static struct obj *pod(const char *spec)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct obj *o = obj_from_bytes(
		arena_strf(&a,
			   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\","
			   "\"namespace\":\"d\",\"uid\":\"u1\"},\"spec\":%s}",
			   spec),
		&err);

	assert_non_null(o);
	return o;
}

void test_noderefs__claims_by_name_and_by_volume(void **state)
{
	struct noderefs *r = noderefs_new();
	struct obj *o =
		pod("{\"nodeName\":\"n1\",\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":"
		    "{\"claimName\":\"c\"}},{\"name\":\"w\",\"ephemeral\":{}}]}");
	struct str kind = STR("persistentvolumeclaims");

	(void)state;
	noderefs_change(r, NULL, o);
	assert_true(noderefs_has(r, STR("n1"), kind, STR("d"), STR("c")));
	assert_true(noderefs_has(r, STR("n1"), kind, STR("d"), STR("p-w")));
	assert_false(noderefs_has(r, STR("n1"), kind, STR("d"), STR("w")));
	assert_false(noderefs_has(r, STR("n2"), kind, STR("d"), STR("c")));
	noderefs_change(r, o, NULL);
	assert_false(noderefs_has(r, STR("n1"), kind, STR("d"), STR("c")));
	obj_unref(o);
	noderefs_free(r);
}

void test_noderefs__only_what_its_pods_name(void **state)
{
	struct noderefs *r = noderefs_new();
	struct obj *waiting = pod("{\"volumes\":[{\"secret\":{\"secretName\":\"s\"}}]}");
	struct obj *bound =
		pod("{\"nodeName\":\"n1\",\"volumes\":[{\"secret\":{\"secretName\":\"s\"}},"
		    "{\"projected\":{\"sources\":[{\"configMap\":{\"name\":\"c\"}}]}}],"
		    "\"containers\":[{\"envFrom\":[{\"secretRef\":{\"name\":\"e\"}}]}]}");

	(void)state;
	noderefs_change(r, NULL, waiting);
	assert_false(noderefs_has(r, STR("n1"), STR("secrets"), STR("d"), STR("s")));
	noderefs_change(r, waiting, bound);
	assert_true(noderefs_has(r, STR("n1"), STR("secrets"), STR("d"), STR("s")));
	assert_true(noderefs_has(r, STR("n1"), STR("secrets"), STR("d"), STR("e")));
	assert_true(noderefs_has(r, STR("n1"), STR("configmaps"), STR("d"), STR("c")));
	assert_false(noderefs_has(r, STR("n2"), STR("secrets"), STR("d"), STR("s")));
	assert_false(noderefs_has(r, STR("n1"), STR("secrets"), STR("other"), STR("s")));
	noderefs_change(r, bound, bound);
	noderefs_change(r, bound, NULL);
	assert_false(noderefs_has(r, STR("n1"), STR("secrets"), STR("d"), STR("s")));
	obj_unref(waiting);
	obj_unref(bound);
	noderefs_free(r);
}
