/* YAML as Kubernetes reads it; hostile files; places; writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json/yaml.h"

static void reads(const char *yaml, const char *json)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	struct err err = {0};

	if (yaml_parse(&a, str_c(yaml), 0, &srcs, NULL, &docs, &err))
		fail_msg("%s: %s", yaml, err.msg);
	assert_int_equal(docs.n, 1);
	json_write(docs.v[0], &out);
	assert_string_equal(buf_cstr(&out), json);
	yaml_srcs_release(&srcs);
}

static void refuses(const char *yaml, const char *why)
{
	AUTO(arena) struct arena a = {0};
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	struct err err = {0};

	assert_int_equal(yaml_parse(&a, str_c(yaml), 0, &srcs, NULL, &docs, &err), -1);
	if (!strstr(err.msg, why))
		fail_msg("%s: \"%s\" does not say \"%s\"", yaml, err.msg, why);
	yaml_srcs_release(&srcs);
}

void test_yaml__scalars_resolve_as_in_kubernetes(void **state)
{
	static const struct {
		const char *yaml, *json;
	} rows[] = {
		{"a: yes", "{\"a\":true}"},
		{"a: Off", "{\"a\":false}"},
		{"a: 'yes'", "{\"a\":\"yes\"}"},
		{"a: ~", "{\"a\":null}"},
		{"a:", "{\"a\":null}"},
		{"a: 0644", "{\"a\":420}"},
		{"a: 0o644", "{\"a\":420}"},
		{"a: 0x1F", "{\"a\":31}"},
		{"a: 0b11", "{\"a\":3}"},
		{"a: 1_000", "{\"a\":1000}"},
		{"a: -12", "{\"a\":-12}"},
		{"a: 1.0", "{\"a\":1}"},
		{"a: 1.10", "{\"a\":1.1}"},
		{"a: 1e3", "{\"a\":1000}"},
		{"a: .5", "{\"a\":0.5}"},
		{"a: 089", "{\"a\":89}"},
		{"a: 1.2.3", "{\"a\":\"1.2.3\"}"},
		{"a: 2026-01-02", "{\"a\":\"2026-01-02\"}"},
		{"a: 100m", "{\"a\":\"100m\"}"},
		{"a: 1:30", "{\"a\":\"1:30\"}"},
		{"a: !!str 5", "{\"a\":\"5\"}"},
		{"a: !!int \"5\"", "{\"a\":5}"},
		{"a: !!binary aGk=", "{\"a\":\"hi\"}"},
		{"1: x\ntrue: y1", "{\"1\":\"x\",\"true\":\"y1\"}"},
		{"a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"},
		{"a: >-\n  x\n  y\n", "{\"a\":\"x y\"}"},
		{"- {a: [1, two]}", "[{\"a\":[1,\"two\"]}]"},
		{"# only\n---\na: 1\n---\n# nothing\n", "{\"a\":1}"},
		{"a: &x {b: 1}\nc: *x", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}"},
		{"d: &d {p: 1, q: 2}\ne:\n  <<: *d\n  q: 3",
		 "{\"d\":{\"p\":1,\"q\":2},\"e\":{\"q\":3,\"p\":1}}"},
		{"y: n", "{\"true\":false}"},
		{"{\"a\":\t1}", "{\"a\":1}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		reads(rows[i].yaml, rows[i].json);
}

void test_yaml__bad_input_names_its_place(void **state)
{
	(void)state;
	refuses("a: 1\nb: [", "line 3, column 1");
	refuses("a: 1\na: 2", "line 2, column 1: mapping key \"a\" already defined at line 1");
	refuses("a: *x", "unknown anchor 'x'");
	refuses("a: &x\n  b: *x", "contains itself");
	refuses("a: .inf", "no JSON form");
	refuses("~: 1", "a key must be text");
	refuses("[a]: 1", "a key must be text");
	refuses("a: \xff", "line 1");
	refuses("\ta: 1", "line 1");
}

void test_yaml__alias_bombs_are_refused_before_they_grow(void **state)
{
	AUTO(buf) struct buf text = {0};

	(void)state;
	buf_puts(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++)
		buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
			   i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
			   i - 1);
	refuses(buf_cstr(&text), "expands to too many values");
}

void test_yaml__depth_is_bounded(void **state)
{
	AUTO(buf) struct buf text = {0};

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_putc(&text, '[');
	refuses(buf_cstr(&text), "line 1");
}

void test_yaml__places_are_bytes(void **state)
{
	static const char text[] =
		"# ä\nspec:\n  name: \"grün\" # c\n  list:\n  - one\n  - two\nlast: x\n";
	AUTO(arena) struct arena a = {0};
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	struct err err = {0};
	const struct yaml_src *s;

	(void)state;
	assert_int_equal(yaml_parse(&a, str_c(text), 7, &srcs, NULL, &docs, &err), 0);
	s = yaml_src_of(&srcs, json_at(docs.v[0], "spec", "name"));
	assert_int_equal(s->file, 7);
	assert_int_equal(s->line, 3);
	assert_int_equal(s->style, YAML_DOUBLE);
	assert_memory_equal(text + s->begin, "\"grün\"", s->end - s->begin);
	assert_memory_equal(text + s->key_begin, "name", 4);
	s = yaml_src_of(&srcs, json_item(json_at(docs.v[0], "spec", "list"), 1));
	assert_memory_equal(text + s->begin, "two", s->end - s->begin);
	s = yaml_src_of(&srcs, json_at(docs.v[0], "spec", "list"));
	assert_memory_equal(text + s->end - 3, "two", 3);
	yaml_srcs_release(&srcs);
}

void test_yaml__many_keys_cost_what_they_are(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct yaml_docs docs;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "k%d: %d\n", i, i);
	assert_int_equal(yaml_parse(&a, buf_view(&text), 0, NULL, NULL, &docs, &err), 0);
	assert_int_equal(json_len(docs.v[0]), 100000);
}

void test_yaml__writes_what_it_would_read_back(void **state)
{
	static const char json[] =
		"{\"b\":[1,{\"x\":\"y\",\"z\":[]},[\"p\"]],\"a\":\"yes\",\"c\":{},\"d\":\"a: "
		"b\",\"e\":\"l1\\nl2\\n\",\"f\":\"\",\"g\":null,"
		"\"h\":\"-\",\"i\":\"it's\",\"j\":\"1.0\",\"k\":\"#x\",\"l\":\" "
		"lead\",\"m\":\"\\u0001\",\"n\":\"t\\n\\n\",\"o\":\"2026-01-01\"}";
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct yaml_docs docs;
	struct err err = {0};
	const struct json *v = json_parse(&a, str_c(json), NULL, &err);

	(void)state;
	yaml_write(v, &out);
	assert_int_equal(yaml_parse(&a, buf_view(&out), 0, NULL, NULL, &docs, &err), 0);
	if (!json_equal(v, docs.v[0]))
		fail_msg("%s", buf_cstr(&out));
	assert_non_null(strstr(buf_cstr(&out), "b:\n- 1\n- x: \"y\"\n  z: []\n- - p\n"));
}
