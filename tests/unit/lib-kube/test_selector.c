/* Label and field selectors, names, objects: as Kubernetes' own tests state them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/kube/obj.h"
#include "lib/kube/selector.h"

static bool matches(const char *selector, const char *labels)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct selector s;
	const struct json *l = json_parse(&a, str_c(labels), NULL, &err);

	assert_non_null(l);
	assert_int_equal(selector_parse(&a, str_c(selector), &s, &err), 0);
	return selector_match_json(&s, l);
}

void test_selector__matches_as_kubernetes(void **state)
{
	static const struct {
		const char *selector, *labels;
		bool want;
	} rows[] = {
		{"", "{}", true},
		{"a=b", "{\"a\":\"b\"}", true},
		{"a==b", "{\"a\":\"c\"}", false},
		{"a!=b", "{}", true},
		{"a!=b", "{\"a\":\"b\"}", false},
		{"a in (x, y)", "{\"a\":\"y\"}", true},
		{"a in (x,y)", "{\"a\":\"z\"}", false},
		{"a notin (x,y)", "{}", true},
		{"a notin (x,y)", "{\"a\":\"x\"}", false},
		{"a", "{\"a\":\"\"}", true},
		{"!a", "{\"a\":\"\"}", false},
		{"!a", "{}", true},
		{"a>3", "{\"a\":\"4\"}", true},
		{"a>3", "{\"a\":\"x\"}", false},
		{"a<3", "{\"a\":\"2\"}", true},
		{"a=", "{\"a\":\"\"}", true},
		{" a = b , example.com/c in (d) ", "{\"a\":\"b\",\"example.com/c\":\"d\"}", true},
		{"a=b,c", "{\"a\":\"b\"}", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(matches(rows[i].selector, rows[i].labels), rows[i].want);
}

void test_selector__refuses_what_is_none(void **state)
{
	static const char *const rows[] = {"a in", "a in (", "a in (b", "=b",    "a=b c=d", "a=b,",
					   "a>b",  "!",      "-a=b",    "a=b!c", "a in b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = {0};
		struct selector s;
		struct err err = {0};

		assert_int_equal(selector_parse(&a, str_c(rows[i]), &s, &err), -1);
		assert_int_equal(err.code, ERR_BAD_REQUEST);
		assert_true(err.msg[0]);
	}
}

void test_selector__writes_what_it_read(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct selector s, copy;

	(void)state;
	assert_int_equal(selector_parse(&a, STR("a=b,!c,d in (e,f),g!=h,i"), &s, NULL), 0);
	copy = selector_copy(&a, &s);
	selector_write(&copy, &out);
	assert_string_equal(buf_cstr(&out), "a=b,!c,d in (e,f),g!=h,i");
}

void test_selector__null_label_selector_matches_nothing_and_empty_everything(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct selector s;

	(void)state;
	assert_int_equal(selector_from_json(&a, NULL, &s, NULL), 0);
	assert_false(selector_match_json(&s, NULL));
	assert_int_equal(selector_from_json(&a, json_new(&a, JSON_OBJECT), &s, NULL), 0);
	assert_true(selector_match_json(&s, NULL));
}

static struct str field(void *arg, struct str name)
{
	(void)arg;
	return str_is(name, "spec.nodeName") ? STR("n1") : STR("");
}

void test_selector__fields(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct selector s;
	struct err err = {0};

	(void)state;
	assert_int_equal(
		selector_parse_fields(&a, STR("spec.nodeName=n1,metadata.name!=x"), &s, &err), 0);
	assert_true(selector_match_fields(&s, field, NULL));
	assert_int_equal(selector_parse_fields(&a, STR("spec.nodeName=="), &s, &err), 0);
	assert_false(selector_match_fields(&s, field, NULL));
	assert_int_equal(selector_parse_fields(&a, STR("spec"), &s, &err), -1);
}

void test_obj__header_is_read_and_bytes_stay(void **state)
{
	static const char text[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
				   "\"p\",\"namespace\":\"n\",\"uid\":\"u\",\"resourceVersion\":"
				   "\"42\",\"generation\":3,\"labels\":{\"z\":\"1\",\"a\":"
				   "\"\\u0061b\"},\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}";
	struct err err = {0};
	AUTO(obj) struct obj *o = obj_from_bytes(str_c(text), &err);

	(void)state;
	assert_non_null(o);
	assert_true(str_is(o->kind, "Pod") && str_is(o->name, "p") && str_is(o->namespace, "n") &&
		    str_is(o->uid, "u"));
	assert_int_equal(o->revision, 42);
	assert_int_equal(o->generation, 3);
	assert_true(o->deleted_ns > 0);
	assert_true(str_is(obj_label(o, STR("a")), "ab"));
	assert_true(str_is(obj_label(o, STR("z")), "1"));
	assert_null(obj_label(o, STR("q")).p);
	assert_true(str_is(o->bytes, text));
}

void test_obj__what_is_no_object_is_refused(void **state)
{
	static const char *const rows[] = {"",
					   "[]",
					   "{}",
					   "{\"kind\":\"Pod\"}",
					   "{\"metadata\":{}}",
					   "{\"kind\":\"P\",\"metadata\":[]}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};

		assert_null(obj_from_bytes(str_c(rows[i]), &err));
		assert_int_equal(err.code, ERR_PARSE);
	}
}

void test_obj__condition_moves_its_time_only_with_its_status(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_new(&a, JSON_OBJECT);

	(void)state;
	assert_true(condition_set(&a, o, "Ready", "True", "Fine", STR("m"), 0));
	assert_false(condition_set(&a, o, "Ready", "True", "Fine", STR("m"), 1000000000));
	assert_true(condition_set(&a, o, "Ready", "True", "Fine", STR("other"), 1000000000));
	assert_true(
		str_is(json_str(json_get(condition_find(o, "Ready"), STR("lastTransitionTime"))),
		       "1970-01-01T00:00:00Z"));
	assert_true(condition_set(&a, o, "Ready", "False", "Bad", STR("m"), 1000000000));
	assert_true(
		str_is(json_str(json_get(condition_find(o, "Ready"), STR("lastTransitionTime"))),
		       "1970-01-01T00:00:01Z"));
}

void test_names__as_kubernetes_checks_them(void **state)
{
	(void)state;
	assert_null(name_check_dns1123_subdomain(STR("a.b-c.1")));
	assert_non_null(name_check_dns1123_subdomain(STR("a..b")));
	assert_non_null(name_check_dns1123_subdomain(STR("A")));
	assert_non_null(name_check_dns1123_subdomain(STR("a.")));
	assert_null(name_check_dns1123_label(STR("0a")));
	assert_non_null(name_check_dns1035_label(STR("0a")));
	assert_null(name_check_qualified(STR("example.com/My_name.1")));
	assert_non_null(name_check_qualified(STR("/x")));
	assert_non_null(name_check_qualified(STR("x/")));
	assert_null(name_check_label_value(STR("")));
	assert_non_null(name_check_label_value(STR("a b")));
	assert_non_null(name_check_path_segment(STR("..")));
	assert_null(name_check_path_segment(STR("system:node:x")));
}

void test_selector__objects_are_checked(void **state)
{
	static const char *const bad[] = {
		"{\"matchLabels\":{\"a,!b\":\"c\"}}",
		"{\"matchLabels\":{\"a\":\"c,d\"}}",
		"{\"matchLabels\":{\"\":\"c\"}}",
		"{\"matchExpressions\":[{\"key\":\"a b\",\"operator\":\"Exists\"}]}",
		"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"exists\"}]}",
		"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[]}]}",
		"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]"
		"}",
		"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Gt\",\"values\":[\"x\"]}]}",
		"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"-\"]}]"
		"}"};
	AUTO(arena) struct arena a = {0};
	struct selector s;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!selector_from_json(&a, json_parse(&a, str_c(bad[i]), NULL, NULL), &s, &err))
			fail_msg("took %s", bad[i]);
}
