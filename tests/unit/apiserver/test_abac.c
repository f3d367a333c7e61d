/* The ABAC policy file: what its lines allow, and that a bad line spoils the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/authz.h"

#define LINE(spec)                                                                                 \
	"{\"apiVersion\":\"abac.authorization.kubernetes.io/"                                      \
	"v1beta1\",\"kind\":\"Policy\",\"spec\":"                                                  \
	"{" spec "}}\n"

static const char file[] = "# who may what\n" LINE(
	"\"user\":\"ann\",\"namespace\":\"*\",\"resource\":\"*\",\"apiGroup\":"
	"\"*\"")
	LINE("\"user\":\"bob\",\"namespace\":\"shop\",\"resource\":\"pods\",\"readonly\":true")
		LINE("\"group\":\"ops\",\"nonResourcePath\":\"/metrics*\"") "\n" LINE(
			"\"user\":\"*\",\"nonResourcePath\":\"/version\",\"readonly\":true")
			LINE("\"namespace\":\"*\",\"resource\":\"*\",\"apiGroup\":\"*\"");

static const struct str known[] = {{"system:authenticated", 20}, {"ops", 3}};

static bool may(const struct abac *x, const char *user, size_t ngroups, const char *verb,
		const char *group, const char *resource, const char *ns)
{
	struct admission_user u = {.name = str_c(user), .groups = known, .ngroups = ngroups};
	struct authz_ask q = {.user = &u,
			      .verb = str_c(verb),
			      .group = str_c(group),
			      .resource = str_c(resource),
			      .namespace = str_c(ns)};

	if (resource[0] == '/') {
		q.path = str_c(resource);
		q.resource = STR_NONE;
	}
	return abac_allows(x, &q);
}

void test_abac__what_lines_allow(void **state)
{
	struct err err = {0};
	struct abac *x = abac_new(str_c(file), &err);

	(void)state;
	if (!x)
		fail_msg("%s", err.msg);
	assert_true(may(x, "ann", 1, "delete", "apps", "deployments", "x"));
	assert_true(may(x, "ann", 1, "list", "", "nodes", ""));
	assert_false(may(x, "ann", 1, "get", "", "/metrics", ""));
	assert_true(may(x, "bob", 1, "list", "", "pods", "shop"));
	assert_false(may(x, "bob", 1, "create", "", "pods", "shop"));
	assert_false(may(x, "bob", 1, "list", "", "pods", "other"));
	assert_false(may(x, "bob", 1, "list", "", "pods", ""));
	assert_false(may(x, "bob", 1, "list", "metrics.k8s.io", "pods", "shop"));
	assert_true(may(x, "eve", 2, "get", "", "/metrics/slis", ""));
	assert_false(may(x, "eve", 1, "get", "", "/metrics", ""));
	assert_true(may(x, "eve", 1, "get", "", "/version", ""));
	assert_false(may(x, "eve", 1, "post", "", "/version", ""));
	assert_false(may(x, "system:anonymous", 0, "get", "", "/version", ""));
	assert_false(may(x, "eve", 1, "get", "", "pods", "shop"));
	assert_false(may(NULL, "ann", 1, "get", "", "pods", "shop"));
	abac_free(x);
}

void test_abac__bad_lines_spoil_the_file(void **state)
{
	static const char *const bad[] = {
		"{\"user\":\"ann\"}",
		LINE("\"user\":\"ann\",\"readOnly\":true"),
		LINE("\"user\":7"),
		"{\"apiVersion\":\"abac.authorization.kubernetes.io/v9\",\"kind\":\"Policy\","
		"\"spec\":{}}",
		"x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		assert_null(abac_new(str_c(bad[i]), &err));
		assert_int_not_equal(err.code, ERR_NONE);
	}
}
