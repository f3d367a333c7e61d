/* Expressions: what they say about an object, and what is refused rather than guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json/cel.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const char object[] =
	"{\"metadata\":{\"generation\":3,\"name\":\"x\",\"labels\":{\"a/b\":\"c\"}},"
	"\"spec\":{\"replicas\":2},\"status\":{\"observedGeneration\":3,\"phase\":\"Ready\","
	"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},"
	"{\"type\":\"Stalled\",\"status\":\"False\"}]}}";

/* 1, 0, or -1 for an error. */
static int test(const char *text)
{
	struct arena a = {0};
	bool is = false;
	struct err err = {0};
	int rc = cel_test(&a, str_c(text), json_parse(&a, str_c(object), NULL, NULL), &is, &err);

	arena_release(&a);
	return rc ? -1 : is;
}

void test_cel__fields_and_comparisons(void **state)
{
	(void)state;
	assert_int_equal(test("status.phase == 'Ready'"), 1);
	assert_int_equal(test("status.phase != \"Ready\""), 0);
	assert_int_equal(test("metadata.generation == status.observedGeneration"), 1);
	assert_int_equal(test("spec.replicas >= 2 && spec.replicas < 3"), 1);
	assert_int_equal(test("spec.replicas + 1 > 3 || !(spec.replicas == 2)"), 0);
	assert_int_equal(test("metadata.labels['a/b'] == 'c'"), 1);
	assert_int_equal(test("status.conditions[1].type == 'Stalled'"), 1);
	assert_int_equal(test("status.phase in ['Ready', 'Done']"), 1);
	assert_int_equal(test("spec.replicas == 2 ? true : false"), 1);
	assert_int_equal(test("metadata.name.startsWith('y')"), 0);
}

void test_cel__macros(void **state)
{
	(void)state;
	assert_int_equal(test("status.conditions.filter(e, e.type == 'Ready').all(e, e.status == "
			      "'True')"),
			 1);
	assert_int_equal(test("status.conditions.exists(c, c.type == 'Stalled' && c.status == "
			      "'True')"),
			 0);
	assert_int_equal(test("size(status.conditions) == 2 && status.conditions.size() == 2"), 1);
	assert_int_equal(test("status.conditions.exists_one(e, e.type == 'Ready')"), 1);
}

void test_cel__a_missing_field_is_an_error_that_and_absorbs(void **state)
{
	(void)state;
	assert_int_equal(test("status.other == 'x'"), -1);
	assert_int_equal(test("has(status.other) && status.other == 'x'"), 0);
	assert_int_equal(test("status.other == 'x' || true"), 1);
	assert_int_equal(test("has(status.phase)"), 1);
	assert_int_equal(test("status.phase"), -1);
}

void test_cel__what_is_not_understood_is_refused(void **state)
{
	static const char *const bad[] = {
		"",           "a ==", "(a",    "a.map(x, x)",       "duration('1s') > 2",
		"1.5 > 1",    "a b",  "'open", "a.filter(1, true)", "{'a': 1}",
		"a % 2 == 0", "has(a"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err = (struct err){0};
		assert_int_equal(cel_check(str_c(bad[i]), &err), -1);
		assert_true(err.msg[0]);
	}
	assert_int_equal(cel_check(STR("dep.status.x.filter(e, e.y == 1).size() > 0"), &err), 0);
}

void test_cel__depth_is_bounded(void **state)
{
	char text[2000];
	struct err err;

	(void)state;
	memset(text, '(', sizeof(text));
	assert_int_equal(cel_check((struct str){text, sizeof(text)}, &err), -1);
	memset(text, '!', sizeof(text));
	assert_int_equal(cel_check((struct str){text, sizeof(text)}, &err), -1);
}
