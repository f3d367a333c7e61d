/* Types as data: checking, defaulting, pruning, comparing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/schema.h"

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static const struct schema *pod(void)
{
	return schema_find_kind(STR("v1"), STR("Pod"));
}

static void same(const struct json *got, const char *want)
{
	AUTO(buf) struct buf x = {0};
	AUTO(buf) struct buf y = {0};

	json_write_sorted(got, &x);
	json_write_sorted(parse(want), &y);
	assert_string_equal(buf_cstr(&x), buf_cstr(&y));
}

static const char *problems(const char *text, bool unknown)
{
	struct schema_problems ps = {.a = &a}, un = {.a = &a};
	struct schema_problems *of = unknown ? &un : &ps;
	AUTO(buf) struct buf out = {0};

	schema_check(pod(), parse(text), &ps, &un);
	for (size_t i = 0; i < of->n; i++)
		buf_printf(&out, "%.*s|%.*s;", STR_ARG(of->v[i].field), STR_ARG(of->v[i].message));
	return arena_cstr(&a, buf_view(&out));
}

void test_schema__every_kind_is_found_by_name_too(void **state)
{
	const struct schema *s;
	size_t n = 0;

	(void)state;
	for (; (s = schema_nth(n)); n++) {
		assert_non_null(s->name);
		assert_ptr_equal(schema_find(str_c(s->name)), s);
	}
	assert_true(n > 300);
	assert_non_null(pod());
	assert_null(schema_find_kind(STR("v1"), STR("Nothing")));
	static const char *const path[] = {"spec", "containers", "image", NULL};
	assert_int_equal(schema_at(pod(), path)->type, SCHEMA_STRING);
}

void test_schema__unknown_fields_are_named_as_go_names_them(void **state)
{
	(void)state;
	assert_string_equal(problems("{\"spec\":{\"containers\":[{\"name\":\"c\",\"imag\":\"x\"}]"
				     ",\"foo\":1}}",
				     true),
			    "spec.containers[0].imag|unknown field "
			    "\"spec.containers[0].imag\";spec.foo|unknown field "
			    "\"spec.foo\";");
	arena_release(&a);
}

void test_schema__wrong_types_have_no_field_and_required_ones_do(void **state)
{
	(void)state;
	assert_true(problems("{\"spec\":{\"containers\":{}}}", false)[0] == '|');
	assert_non_null(strstr(problems("{\"spec\":{\"containers\":[{\"image\":\"x\"}]}}", false),
			       "spec.containers[0].name|Required value"));
	assert_non_null(strstr(problems("{\"spec\":{\"containers\":[{\"name\":\"c\"}],"
					"\"dnsPolicy\":\"Maybe\"}}",
					false),
			       "spec.dnsPolicy|Unsupported value: \"Maybe\": supported values: "));
	arena_release(&a);
}

void test_schema__defaults_fill_what_is_absent(void **state)
{
	struct json *v = parse("{\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{"
			       "\"containerPort\":80}]}],\"dnsPolicy\":\"None\"}}");
	const struct json *c;

	(void)state;
	schema_default(&a, pod(), v);
	c = json_item(json_at(v, "spec", "containers"), 0);
	assert_true(str_is(json_str(json_at(v, "spec", "restartPolicy")), "Always"));
	assert_true(str_is(json_str(json_at(v, "spec", "dnsPolicy")), "None"));
	assert_true(
		str_is(json_str(json_get(json_item(json_get(c, STR("ports")), 0), STR("protocol"))),
		       "TCP"));
	arena_release(&a);
}

void test_schema__pruning_leaves_what_kubernetes_would_write(void **state)
{
	struct json *v =
		parse("{\"metadata\":{\"name\":\"p\",\"annotations\":{},\"labels\":null,\"odd\":1},"
		      "\"spec\":{\"containers\":[],\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],"
		      "\"tolerations\":[],\"securityContext\":{}}}");

	(void)state;
	schema_prune(pod(), v);
	same(v, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[],\"volumes\":[{\"name\":"
		"\"v\",\"emptyDir\":{}}],\"securityContext\":{}}}");
	arena_release(&a);
}

void test_schema__equality_knows_quantities_and_absence(void **state)
{
	const struct schema *resources =
		schema_find(STR("io.k8s.api.core.v1.ResourceRequirements"));

	(void)state;
	assert_true(schema_equal(resources, parse("{\"limits\":{\"cpu\":\"1\"}}"),
				 parse("{\"limits\":{\"cpu\":\"1000m\"},\"requests\":{}}")));
	assert_false(schema_equal(resources, parse("{\"limits\":{\"cpu\":\"1\"}}"),
				  parse("{\"limits\":{\"cpu\":\"2\"}}")));
	arena_release(&a);
}
