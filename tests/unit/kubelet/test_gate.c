/* Who may ask a node what: which right a request needs, and what reviews' answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kubelet/gate_core.h"

static const char *verb(const char *method, const char *path)
{
	return gate_verb(str_c(method), str_c(path));
}

void test_gate__paths_are_rights(void **state)
{
	(void)state;
	assert_string_equal(gate_subresource(STR("/metrics")), "metrics");
	assert_string_equal(gate_subresource(STR("/metrics/cadvisor")), "metrics");
	assert_string_equal(gate_subresource(STR("/metricsx")), "proxy");
	assert_string_equal(gate_subresource(STR("/stats/summary")), "stats");
	assert_string_equal(gate_subresource(STR("/logs/")), "log");
	assert_string_equal(gate_subresource(STR("/pods")), "proxy");
	assert_string_equal(gate_subresource(STR("/containerLogs/a/b/c")), "proxy");
	assert_string_equal(gate_subresource(STR("/exec/a/b/c")), "proxy");
}

void test_gate__a_way_into_a_container_is_no_look(void **state)
{
	(void)state;
	assert_string_equal(verb("GET", "/pods"), "get");
	assert_string_equal(verb("POST", "/pods"), "create");
	assert_string_equal(verb("GET", "/exec/a/b/c"), "create");
	assert_string_equal(verb("GET", "/attach/a/b/c"), "create");
	assert_string_equal(verb("POST", "/portForward/a/b"), "create");
	assert_null(verb("BREW", "/pods"));
}

void test_gate__bearer(void **state)
{
	(void)state;
	assert_true(str_is(gate_bearer(STR("Bearer abc ")), "abc"));
	assert_true(str_is(gate_bearer(STR("bearer abc")), "abc"));
	assert_int_equal(gate_bearer(STR("Bearer ")).n, 0);
	assert_int_equal(gate_bearer(STR("Basic abc")).n, 0);
	assert_int_equal(gate_bearer(STR_NONE).n, 0);
}

void test_gate__a_user_goes_on_as_he_is(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct json *user = gate_token_user(
		&a, STR("{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"u\","
			"\"uid\":\"1\",\"groups\":[\"g\"],\"extra\":{\"k\":[\"v\"]}}}}"));

	(void)state;
	assert_non_null(user);
	gate_access_review(&a, user, "n1", "get", "metrics", &out);
	assert_true(str_is(buf_view(&out),
			   "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":"
			   "\"SubjectAccessReview\",\"spec\":{\"user\":\"u\",\"groups\":[\"g\"],"
			   "\"extra\":{\"k\":[\"v\"]},\"uid\":\"1\",\"resourceAttributes\":{"
			   "\"verb\":\"get\",\"version\":\"v1\",\"resource\":\"nodes\","
			   "\"subresource\":\"metrics\",\"name\":\"n1\"}}}"));
	static const char *const groups[] = {"a", "b", NULL};
	out.n = 0;
	json_write(gate_certificate_user(&a, "me", groups), &out);
	assert_true(str_is(buf_view(&out),
			   "{\"user\":\"me\",\"groups\":[\"a\",\"b\",\"system:authenticated\"]}"));
}

void test_gate__what_is_no_yes_is_a_no(void **state)
{
	AUTO(arena) struct arena a = {0};
	static const char *const nobody[] = {
		"",
		"{}",
		"nonsense",
		"{\"status\":{\"authenticated\":false,\"user\":{\"username\":\"u\"}}}",
		"{\"status\":{\"authenticated\":true,\"user\":{}}}",
		"{\"status\":{\"authenticated\":\"true\",\"user\":{\"username\":\"u\"}}}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		assert_null(gate_token_user(&a, str_c(nobody[i])));
	assert_true(gate_allowed(STR("{\"status\":{\"allowed\":true}}")));
	assert_false(gate_allowed(STR("{\"status\":{\"allowed\":true,\"denied\":true}}")));
	assert_false(gate_allowed(STR("{\"status\":{\"allowed\":1}}")));
	assert_false(gate_allowed(STR("")));
	assert_false(gate_allowed(STR("{\"status\":{\"denied\":true}}")));
}
