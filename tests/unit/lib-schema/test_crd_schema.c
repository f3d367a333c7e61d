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
	check("{\"type\":\"string\",\"format\":\"byte\"}", "{\"x\":\"a\"}",
	      "x: Invalid value: \"a\": x in body must be of type byte: \"a\"");
	check("{\"type\":\"string\",\"format\":\"date-time\"}", "{\"x\":\"b\"}",
	      "x: Invalid value: \"b\": x in body must be of type date-time: \"b\"");
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
		   "s.properties[a].default: Invalid value: \"string\":  in body must be of type "
		   "integer: \"string\"");
	structural("{\"type\":\"object\",\"$ref\":\"x\"}",
		   "s.$ref: Forbidden: $ref is not supported");
}

#define A_IS(schema) "{\"type\":\"object\",\"properties\":{\"a\":" schema "}}"
#define AT_A "s.properties[a]"

void test_crd_schema__values_have_one_type(void **state)
{
	(void)state;
	structural(A_IS("{\"x-kubernetes-preserve-unknown-fields\":true,\"anyOf\":["
			"{\"type\":\"integer\"},{\"type\":\"string\"}]}"),
		   "");
	structural(A_IS("{\"type\":\"object\",\"additionalProperties\":true,\"properties\":{}}"),
		   "");
	structural(A_IS("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"
			"\"properties\":{\"b\":{\"type\":\"string\"}}}"),
		   AT_A ".additionalProperties: Forbidden: additionalProperties and properties are "
			"mutual exclusive");
	structural("{\"type\":\"object\",\"additionalProperties\":true}",
		   "s.additionalProperties: Forbidden: must not be used at the root");
	structural(A_IS("{\"type\":\"array\",\"items\":{}}"),
		   AT_A ".items.type: Required value: must not be empty for specified array items");
	structural(A_IS("{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true}"),
		   AT_A ".properties: Required value: must not be empty if "
			"x-kubernetes-embedded-resource is true without "
			"x-kubernetes-preserve-unknown-fields");
	structural("{\"type\":\"object\",\"properties\":{\"metadata\":{\"type\":\"object\","
		   "\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":9}}}}}",
		   "");
	structural(
		"{\"type\":\"object\",\"properties\":{\"metadata\":{\"type\":\"object\","
		"\"properties\":{\"labels\":{\"type\":\"object\"}}}}}",
		"s.properties[metadata]: Forbidden: must not specify anything other than name and "
		"generateName, but metadata is implicitly specified");
}

void test_crd_schema__combinations_only_limit(void **state)
{
	(void)state;
	structural("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
		   "\"oneOf\":[{\"properties\":{\"a\":{\"minLength\":1}}}]}",
		   "");
	structural("{\"type\":\"object\",\"not\":{\"properties\":{\"b\":{\"minLength\":1}}}}",
		   "s.properties[b]: Required value: because it is defined in s.not.properties[b]");
	structural(A_IS("{\"type\":\"object\",\"oneOf\":[{\"not\":{\"anyOf\":[{\"nullable\":true},"
			"{\"x-kubernetes-preserve-unknown-fields\":true}]}}]}"),
		   AT_A ".oneOf[0].not.anyOf[0].nullable: Forbidden: must be false to be "
			"structural; " AT_A ".oneOf[0].not.anyOf[1].x-kubernetes-preserve-unknown-"
			"fields: Forbidden: must be false to be structural");
	structural(A_IS("{\"type\":\"string\",\"pattern\":\"a(?=b)\"}"), AT_A
		   ".pattern: Invalid value: \"a(?=b)\": must be a valid regular expression, "
		   "but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
}

void test_crd_schema__lists_say_how_they_merge(void **state)
{
	(void)state;
	structural(A_IS("{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":"
			"{\"type\":\"object\"}}"),
		   AT_A ".items.x-kubernetes-map-type: Invalid value: \"null\": must be atomic as "
			"item of a list with x-kubernetes-list-type=set");
	structural(A_IS("{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
			"\"x-kubernetes-list-map-keys\":[\"k\"],\"items\":{\"type\":\"object\","
			"\"properties\":{\"k\":{\"type\":\"string\"}}}}"),
		   AT_A ".items.properties[k].default: Required value: this property is in "
			"x-kubernetes-list-map-keys, so it must have a default or be a required "
			"property");
	structural(A_IS("{\"type\":\"object\",\"x-kubernetes-list-type\":\"x\"}"), AT_A
		   ".type: Invalid value: \"object\": must be array if x-kubernetes-list-type is "
		   "specified; " AT_A ".x-kubernetes-list-type: Unsupported value: \"x\": "
		   "supported values: \"atomic\", \"set\", \"map\"");
	structural(A_IS("{\"type\":\"object\",\"default\":{\"b\":1}}"),
		   AT_A ".default: Invalid value: {\"b\":1}: must not have unknown fields");
	structural("{\"type\":\"object\",\"properties\":{\"metadata\":{\"type\":\"object\","
		   "\"default\":{}}}}",
		   "s.properties[metadata].default: Forbidden: must not be set in top-level "
		   "metadata");
}

void test_crd_schema__patterns_are_gos(void **state)
{
	static const char *const good[] = {"",
					   "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
					   "(?i)a|b",
					   "a{2,}",
					   "\\Q(\\E",
					   "[]a]",
					   "a{,3}",
					   "(?P<n>x)\\d+?",
					   "[[:alpha:]]*"};
	static const char *const bad[][2] = {
		{"[", "missing closing ]: `[`"},
		{"(a", "missing closing ): `(a`"},
		{"a)", "unexpected ): `a)`"},
		{"*", "missing argument to repetition operator: `*`"},
		{"a{2,1}", "invalid repeat count: `{2,1}`"},
		{"a{1001}", "invalid repeat count: `{1001}`"},
		{"\\1", "invalid escape sequence: `\\1`"},
		{"a\\", "trailing backslash at end of expression: ``"},
		{"[z-a]", "invalid character class range: `z-a`"},
		{"(?!a)", "invalid or unsupported Perl syntax: `(?!`"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(pattern_problem(&a, str_c(good[i])).n, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_string_equal(
			arena_printf(&a, "%.*s", STR_ARG(pattern_problem(&a, str_c(bad[i][0])))),
			bad[i][1]);
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
