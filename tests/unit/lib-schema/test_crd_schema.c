/* Types out of CustomResourceDefinitions, and which schemas are structural. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/schema/crd_schema.h"
#include "lib/schema/pattern.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

/* Of the schema of one field, x. */
static const struct schema *of(const char *x)
{
	return crd_schema_build(
		&a, parse(arena_printf(&a, "{\"type\":\"object\",\"properties\":{\"x\":%s}}", x)),
		false);
}

static void check(const char *x, const char *object, const char *want)
{
	struct schema_problems ps = {.a = &a};
	AUTO(buf) struct buf b = {0};

	schema_check(of(x), parse(object), &ps, NULL);
	for (size_t i = 0; i < ps.n; i++)
		buf_printf(&b, "%s%.*s: %.*s", i ? "; " : "", STR_ARG(ps.v[i].field),
			   STR_ARG(ps.v[i].message));
	assert_string_equal(buf_cstr(&b), want);
}

static void becomes(const char *x, const char *object, const char *want)
{
	const struct schema *s = of(x);
	struct json *v = json_copy(&a, parse(object));
	AUTO(buf) struct buf got = {0};

	schema_prune(s, v);
	crd_schema_drop_nulls(s, v);
	schema_default(&a, s, v);
	json_write_sorted(v, &got);
	assert_string_equal(buf_cstr(&got), want);
}

void test_crd_schema__checks(void **state)
{
	(void)state;
	check("{\"type\":\"integer\",\"minimum\":2}", "{\"x\":1}",
	      "x: Invalid value: 1: x in body should be greater than or equal to 2");
	check("{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}", "{\"x\":\"c\"}",
	      "x: Unsupported value: \"c\": supported values: \"a\", \"b\"");
	check("{\"x-kubernetes-int-or-string\":true}", "{\"x\":\"c\"}", "");
	check("{\"type\":\"string\"}", "{\"x\":1}",
	      "x: Invalid value: \"integer\": x in body must be of type string: \"integer\"");
	check("{\"type\":\"string\",\"nullable\":true}", "{\"x\":null}", "");
	check("{\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"string\"}}",
	      "{\"x\":[\"a\",\"b\"]}", "x: Too many: 2: must have at most 1 items");
	check("{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
	      "\"x-kubernetes-list-map-keys\":[\"k\"],\"items\":{\"type\":\"object\","
	      "\"required\":[\"k\"],\"properties\":{\"k\":{\"type\":\"string\"}}}}",
	      "{\"x\":[{\"k\":\"1\"},{}]}", "x[1].k: Required value");
	check("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},"
	      "\"b\":{\"type\":\"string\"}},\"oneOf\":[{\"required\":[\"a\"]},"
	      "{\"required\":[\"b\"]}]}",
	      "{\"x\":{\"a\":\"1\"}}", "");
	check("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
	      "{\"x\":{\"a\":1}}", "");
	check("{\"type\":\"string\",\"pattern\":\"^\\\\d+$\"}", "{\"x\":\"a\"}",
	      "x: Invalid value: \"a\": x in body should match '^\\d+$'");
}

void test_crd_schema__prunes_and_defaults(void **state)
{
	(void)state;
	becomes("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\","
		"\"default\":\"d\"}}}",
		"{\"x\":{\"b\":1},\"y\":2}", "{\"x\":{\"a\":\"d\"}}");
	becomes("{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}",
		"{\"x\":{\"b\":1}}", "{\"x\":{\"b\":1}}");
	becomes("{\"type\":\"string\"}", "{\"x\":null}", "{}");
	becomes("{\"type\":\"string\",\"default\":\"d\"}", "{\"x\":null}", "{\"x\":\"d\"}");
	becomes("{\"type\":\"string\",\"nullable\":true,\"default\":\"d\"}", "{\"x\":null}",
		"{\"x\":null}");
	becomes("{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true,\"properties\":{}}",
		"{\"x\":{\"kind\":\"A\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\"},"
		"\"z\":1}}",
		"{\"x\":{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"name\":\"n\"}}}");
	becomes("{\"type\":\"object\",\"additionalProperties\":true}", "{\"x\":{\"b\":{\"c\":1}}}",
		"{\"x\":{\"b\":{\"c\":1}}}");
}

static void structural(const char *schema, const char *want)
{
	struct schema_problems ps = {.a = &a};
	AUTO(buf) struct buf b = {0};

	crd_schema_check(parse(schema), STR("s"), &ps);
	for (size_t i = 0; i < ps.n; i++)
		buf_printf(&b, "%s%.*s: %.*s", i ? "; " : "", STR_ARG(ps.v[i].field),
			   STR_ARG(ps.v[i].message));
	assert_string_equal(buf_cstr(&b), want);
}

void test_crd_schema__structural(void **state)
{
	(void)state;
	structural("{\"type\":\"object\"}", "");
	structural("{\"type\":\"object\",\"properties\":{\"a\":{}}}",
		   "s.properties[a].type: Required value: must not be empty for specified object "
		   "fields");
	structural("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
		   "s.type: Invalid value: \"array\": must be object at the root");
	structural("{\"type\":\"object\",\"anyOf\":[{\"type\":\"object\"}]}",
		   "s.anyOf[0].type: Forbidden: must be empty to be structural");
	structural("{\"type\":\"object\",\"properties\":{\"a\":{"
		   "\"x-kubernetes-int-or-string\":true,\"anyOf\":[{\"type\":\"integer\"},"
		   "{\"type\":\"string\"}]}}}",
		   "");
	structural("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\"}}}",
		   "s.properties[a].items: Required value: must be specified");
	structural("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\","
		   "\"default\":\"x\"}}}",
		   "s.properties[a].default: Invalid value: \"string\": default in body must be of "
		   "type integer: \"string\"");
	structural("{\"type\":\"object\",\"$ref\":\"x\"}",
		   "s.$ref: Forbidden: must be empty to be structural");
}

void test_crd_schema__patterns(void **state)
{
	(void)state;
	assert_true(pattern_matches("^(?:a|b)+?$", STR("ab")));
	assert_false(pattern_matches("^(?:a|b)+?$", STR("abc")));
	assert_true(pattern_matches("^[\\w.-]+@[^\\s]+$", STR("a.b-c@d")));
	assert_false(pattern_matches("^[\\w.-]+@[^\\s]+$", STR("a b@d")));
	assert_true(pattern_matches("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", STR("1m30.5s")));
	assert_false(pattern_matches("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", STR("1x")));
	assert_true(pattern_matches("(?i)^abc$", STR("ABC")));
	assert_true(pattern_matches("^[^]]{2,}\\/$", STR("xx/")));
	assert_true(pattern_matches("^$|b", STR_NONE));
	/* What cannot be carried over, and what would grow, lets everything pass. */
	assert_true(pattern_matches("\\p{Greek}", STR("x")));
	assert_true(pattern_matches("(((a{900}){900}){900})", STR("x")));
	assert_true(pattern_matches("[", STR("x")));
	assert_true(pattern_matches("\\", STR("x")));
	arena_release(&a);
}
