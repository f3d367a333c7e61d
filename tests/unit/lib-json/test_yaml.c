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

/* As Go's writer has them, whose order counts and puts letters last. */
void test_yaml__keys_stand_in_an_order_that_counts(void **state)
{
	static const char wanted[] =
		"'-': 1\n_: 1\n\"1\": 1\n\"01\": 1\n\"9\": 1\n\"10\": 1\n"
		"Ab: 1\na: 1\na.b: 1\na_b: 1\na0: 1\na00: 1\na1: 1\na1_: 1\n"
		"a1b: 1\na01: 1\na2: 1\na10: 1\naB: 1\nab: 1\nv1: 1\nv1alpha1: 1\n"
		"v1beta1: 1\nv2: 1\nv10: 1\n\xc3\xa9: 1\n";
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct json *v = json_new(&a, JSON_OBJECT);
	struct yaml_docs docs;

	(void)state;
	assert_int_equal(yaml_parse(&a, str_c(wanted), 0, NULL, NULL, &docs, NULL), 0);
	for (size_t i = json_len(docs.v[0]); i-- > 0;)
		json_set(&a, v, json_members(docs.v[0])[i].key, json_new_int(&a, 1));
	yaml_write(v, &out);
	assert_string_equal(buf_cstr(&out), wanted);
}

/* A text, as a value, a key, in a list and below: written, then read. */
static void expect_same(struct str text)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct json *v = json_new(&a, JSON_OBJECT), *list;
	struct json *t = json_new_str(&a, text);
	struct yaml_docs docs;
	struct err err = {0};

	json_set(&a, v, text, t);
	list = json_set_array(&a, v, "list");
	json_append(&a, list, t);
	json_set(&a, json_append_object(&a, list), text, t);
	json_append(&a, json_append(&a, list, json_new(&a, JSON_ARRAY)), t);
	json_set(&a, json_set_object(&a, v, "deep"), text, list);
	yaml_write(v, &out);
	if (yaml_parse(&a, buf_view(&out), 0, NULL, NULL, &docs, &err))
		fail_msg("%s\n%s", err.msg, buf_cstr(&out));
	if (docs.n != 1 || !json_equal(v, docs.v[0]))
		fail_msg("%s", buf_cstr(&out));
	buf_reset(&out);
	yaml_write(t, &out);
	if (yaml_parse(&a, buf_view(&out), 0, NULL, NULL, &docs, &err) || !json_equal(t, docs.v[0]))
		fail_msg("alone: %s", buf_cstr(&out));
}

/* Go's readers leave underscores out of numbers, so texts that have them are quoted. */
void test_yaml__underscores_are_no_part_of_numbers(void **state)
{
	static const char text[] =
		"a: 1_000\nb: 1_0.5\nc: 1e_3\nd: ._5\ne: 1_a\nf: \"1_.5\"\ng: .9_1\n";
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct yaml_docs docs;

	(void)state;
	assert_int_equal(yaml_parse(&a, str_c(text), 0, NULL, NULL, &docs, NULL), 0);
	yaml_write(docs.v[0], &out);
	assert_string_equal(buf_cstr(&out),
			    "a: 1000\nb: 10.5\nc: 1000\nd: ._5\ne: 1_a\nf: \"1_.5\"\ng: 0.91\n");
}

void test_yaml__any_text_survives_being_written(void **state)
{
	static const char *const texts[] = {"",
					    " ",
					    "  ",
					    "x ",
					    " x",
					    "\t",
					    "\n",
					    "\n\n",
					    "a\n",
					    "a\nb",
					    "a\n\nb\n\n",
					    " a\nb",
					    "a\n b",
					    "a \nb",
					    "a\n ",
					    "a\n---\nb",
					    "---",
					    "...",
					    "--- x",
					    "-",
					    "- a",
					    "-a",
					    "?",
					    "? a",
					    ":",
					    ": a",
					    ":a",
					    "a:",
					    "a: b",
					    "a #b",
					    "a#b",
					    "#",
					    "&a",
					    "*a",
					    "!a",
					    "!!str a",
					    "|",
					    ">",
					    "%a",
					    "@a",
					    "`a",
					    "'",
					    "''",
					    "it's",
					    "\"",
					    "\\",
					    "{",
					    "}",
					    "[",
					    "]",
					    "{a: b}",
					    ",",
					    "a,b",
					    "null",
					    "Null",
					    "~",
					    "true",
					    "True",
					    "yes",
					    "No",
					    "y",
					    "N",
					    "on",
					    "OFF",
					    "<<",
					    "=",
					    "0",
					    "-0",
					    "007",
					    "0x1f",
					    "0o17",
					    "0b1",
					    "1_000",
					    "1.5",
					    ".5",
					    "5.",
					    "1e3",
					    "1e400",
					    "-1e-400",
					    ".inf",
					    "-.Inf",
					    ".nan",
					    "+1",
					    "1:30",
					    "2026-01-02",
					    "2026-01-02T03:04:05Z",
					    "12e03",
					    "1234567890123456789012345678901234567890",
					    "\xc3\xa9",
					    "\xc2\x85",
					    "a\xc2\x85\nb",
					    "\xe2\x80\xa8",
					    "a\xe2\x80\xa9\nb",
					    "\xef\xbb\xbf",
					    "\xef\xbb\xbfx",
					    "\xef\xbf\xbe",
					    "\xef\xbf\xbf",
					    "\x7f",
					    "\x01\x1b",
					    "\r\n",
					    "a\r",
					    "\xc2\xa0",
					    "\xf0\x9f\x98\x80"};
	AUTO(buf) struct buf text = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		expect_same(str_c(texts[i]));
	expect_same(STR("a\0b"));
	while (text.n < 3000) { /* readers look for a key's colon only so far */
		expect_same(buf_view(&text));
		buf_puts(&text, "key with blanks ");
		for (size_t i = 0; text.n > 500 && i < 200; i++)
			buf_putc(&text, 'x');
	}
}

void test_yaml__a_number_too_large_is_text(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct yaml_docs docs;
	struct err err = {0};

	(void)state;
	assert_int_equal(
		yaml_parse(&a, STR("- 1e400\n- -1e400\n- 1e-400\n"), 0, NULL, NULL, &docs, &err),
		0);
	assert_true(str_is(json_str(json_item(docs.v[0], 0)), "1e400"));
	assert_true(str_is(json_str(json_item(docs.v[0], 1)), "-1e400"));
	assert_int_equal(json_int(json_item(docs.v[0], 2), 1), 0);
}

void test_yaml__many_aliases_and_merges_cost_what_they_are(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct yaml_docs docs;
	struct err err = {0};

	(void)state;
	buf_puts(&text, "a:\n");
	for (int i = 0; i < 9990; i++)
		buf_printf(&text, "- &n%d 1\n", i);
	buf_puts(&text, "b: [");
	for (int i = 0; i < 200000; i++)
		buf_puts(&text, "*n0,");
	buf_puts(&text, "]\nc: &m\n");
	for (int i = 0; i < 50000; i++)
		buf_printf(&text, "  k%d: 1\n", i);
	buf_puts(&text, "d:\n  <<: *m\n");
	for (int i = 25000; i < 75000; i++)
		buf_printf(&text, "  k%d: 2\n", i);
	if (yaml_parse(&a, buf_view(&text), 0, NULL, NULL, &docs, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(json_len(json_at(docs.v[0], "b")), 200000);
	assert_int_equal(json_len(json_at(docs.v[0], "d")), 75000);
	assert_int_equal(json_int(json_at(docs.v[0], "d", "k24999"), 0), 1);
	assert_int_equal(json_int(json_at(docs.v[0], "d", "k25000"), 0), 2);
}

void test_yaml__a_merged_key_is_there_once(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct yaml_docs docs;
	struct err err = {0};

	(void)state;
	assert_int_equal(yaml_parse(&a,
				    STR("{x: &x {a: 1, b: 1}, y: &y {b: 2, c: 2}, "
					"z: {<<: [*x, *y], c: 3}}"),
				    0, NULL, NULL, &docs, &err),
			 0);
	assert_true(json_equal(json_at(docs.v[0], "z"),
			       json_build(&a, "{s:i, s:i, s:i}", "a", 1, "b", 1, "c", 3)));
	assert_int_equal(yaml_parse(&a, STR("{<<: 1}"), 0, NULL, NULL, &docs, &err), -1);
	assert_int_equal(yaml_parse(&a, STR("{<<: [[]]}"), 0, NULL, NULL, &docs, &err), -1);
	assert_int_equal(yaml_parse(&a, STR("&a [*a]"), 0, NULL, NULL, &docs, &err), -1);
	assert_non_null(strstr(err.msg, "contains itself"));
}

/* As Go's writer has it: what got long goes on below, and readers put it together again. */
void test_yaml__long_lines_go_on_below(void **state)
{
	static const char want[] =
		"a: word word word word word word word word word word word word word "
		"word word word\n  word word\nb: \"\\tx  x  x  x  x  x  x  x  x  x  x  x  "
		"x  x  x  x  x  x  x  x  x  x  x  x  x  x\n  \\ x  x\"\n";
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	AUTO(buf) struct buf words = {0};
	AUTO(buf) struct buf gaps = {0};
	struct json *v = json_new(&a, JSON_OBJECT);

	(void)state;
	for (int i = 0; i < 18; i++)
		buf_puts(&words, i ? " word" : "word");
	for (int i = 0; i < 28; i++)
		buf_puts(&gaps, i ? "  x" : "\tx");
	json_set_str(&a, v, "a", buf_view(&words));
	json_set_str(&a, v, "b", buf_view(&gaps));
	yaml_write(v, &out);
	assert_string_equal(buf_cstr(&out), want);
	expect_same(buf_view(&words));
	expect_same(buf_view(&gaps));
}

void test_yaml__texts_that_look_like_more(void **state)
{
	static const struct {
		const char *text, *written;
	} rows[] = {{"12:30", "a: \"12:30\"\n"},
		    {"-1:2:3.5", "a: \"-1:2:3.5\"\n"},
		    {"8080:80", "a: 8080:80\n"},
		    {"12:60", "a: 12:60\n"},
		    {"\n x\n", "a: |2\n\n   x\n"},
		    {"  x\ny", "a: |2-\n    x\n  y\n"},
		    {"\n", "a: |2+\n\n"},
		    {"\x01", "a: \"\\x01\"\n"},
		    {"\xf0\x9f\x98\x80", "a: \"\\U0001F600\"\n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = {0};
		AUTO(buf) struct buf out = {0};

		yaml_write(json_build(&a, "{s:s}", "a", rows[i].text), &out);
		assert_string_equal(buf_cstr(&out), rows[i].written);
		expect_same(str_c(rows[i].text));
	}
}
