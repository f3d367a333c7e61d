/* JSONPath: the steps that columns of custom resources use, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/json/jsonpath.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const char doc[] =
	"{\"spec\":{\"n\":3,\"a.b\":\"dot\",\"list\":[{\"t\":\"A\",\"s\":\"x\"},{\"t\":\"Ready\","
	"\"s\":\"True\",\"w\":5}]},\"e\":[]}";

static void finds(const char *path, const char *want)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf b = {0};
	const struct json *v = json_parse(&a, str_c(doc), NULL, NULL);
	const struct json *found = jsonpath_first(v, str_c(path));

	if (found)
		json_write(found, &b);
	assert_string_equal(found ? buf_cstr(&b) : "none", want);
}

void test_jsonpath__steps(void **state)
{
	(void)state;
	finds(".spec.n", "3");
	finds("{.spec.n}", "3");
	finds("$.spec['n']", "3");
	finds(".spec.a\\.b", "\"dot\"");
	finds(".spec['a.b']", "\"dot\"");
	finds(".spec.list[0].s", "\"x\"");
	finds(".spec.list[-1].s", "\"True\"");
	finds(".spec.list[*].w", "5");
	finds(".spec.list[7].s", "none");
	finds(".spec.list[-7].s", "none");
	finds(".e[0]", "none");
	finds(".spec.n.x", "none");
}

void test_jsonpath__filters(void **state)
{
	(void)state;
	finds(".spec.list[?(@.t==\"Ready\")].s", "\"True\"");
	finds(".spec.list[?(@.t=='Ready')].s", "\"True\"");
	finds(".spec.list[?(@.t != 'A')].s", "\"True\"");
	finds(".spec.list[?(@.w > 4)].t", "\"Ready\"");
	finds(".spec.list[?(@.w)].t", "\"Ready\"");
	finds(".spec.list[?(@.t==\"None\")].s", "none");
}

void test_jsonpath__what_is_none(void **state)
{
	static const char *const bad[] = {"",      "spec",     ".a..b", ".a[",
					  ".a[x]", ".a[?(@.b", "{",     "."};

	(void)state;
	assert_true(jsonpath_ok(STR(".a['b'][0].c")));
	for (size_t i = 0; i < ARRAY_LEN(bad) - 1; i++)
		assert_false(jsonpath_ok(str_c(bad[i])));
}
