/* Parsing, building, writing, patching JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/json/index.h"
#include "lib/json/patch.h"

static struct json *parse(struct arena *a, const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static void expect_text(const struct json *v, const char *wanted)
{
	AUTO(buf) struct buf out = {0};

	json_write(v, &out);
	if (!str_is(buf_view(&out), wanted))
		fail_msg("%s instead of %s", buf_cstr(&out), wanted);
}

void test_json__what_is_read_is_written(void **state)
{
	static const char *const rows[] = {"null",
					   "true",
					   "-0",
					   "0",
					   "9223372036854775807",
					   "9223372036854775808",
					   "1.50",
					   "1e999",
					   "\"\"",
					   "[]",
					   "{}",
					   "{\"b\":1,\"a\":[{},[null]]}",
					   "\"\xc3\xa9\\n\\u0001\\\"\\\\/\"",
					   "\"\\u2028\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = {0};

		expect_text(parse(&a, rows[i]), !strcmp(rows[i], "-0") ? "0" : rows[i]);
	}
}

void test_json__escapes_are_resolved(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	expect_text(parse(&a, "\"\\u00e9\\ud83d\\ude00\\/\\b\\f\\t\""),
		    "\"\xc3\xa9\xf0\x9f\x98\x80/\\b\\f\\t\"");
	/* Half a surrogate pair is no character. */
	expect_text(parse(&a, "\"\\ud83dx\\ude00\\ud83d\\ud83d\\ude00\""),
		    "\"\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\"");
}

void test_json__refuses_what_is_none(void **state)
{
	static const char *const bad[] = {"",
					  " ",
					  "nul",
					  "truex",
					  "01",
					  "-",
					  "+1",
					  "1.",
					  ".5",
					  "1e",
					  "0x1",
					  "\"",
					  "\"\\x\"",
					  "\"\\u12g4\"",
					  "\"\n\"",
					  "\"\xff\"",
					  "\"\xed\xa0\x80\"",
					  "[",
					  "[1,]",
					  "[1 2]",
					  "[,]",
					  "{",
					  "{\"a\"}",
					  "{\"a\":}",
					  "{\"a\":1,}",
					  "{a:1}",
					  "{'a':1}",
					  "{\"a\":1,\"a\":2}",
					  "1 2",
					  "[]]",
					  "NaN",
					  "Infinity",
					  "// x\n1",
					  "\xef\xbb\xbf{}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena) struct arena a = {0};
		struct err err = {0};

		if (json_parse(&a, str_c(bad[i]), NULL, &err))
			fail_msg("took %s", bad[i]);
		assert_int_equal(err.code, ERR_PARSE);
	}
}

void test_json__bounds(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf deep = {0};
	struct json_limits few = {.nodes = 3};
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_putc(&deep, '[');
	assert_null(json_parse(&a, buf_view(&deep), NULL, &err));
	assert_non_null(strstr(err.msg, "too deeply"));
	assert_non_null(json_parse(&a, STR("[1,2]"), &few, &err));
	assert_null(json_parse(&a, STR("[1,2,3]"), &few, &err));
	assert_null(json_parse(&a, STR("{\n \"a\": x}"), NULL, &err));
	assert_non_null(strstr(err.msg, "line 2, column 7"));
}

void test_json__absent_chains(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *v = parse(&a, "{\"a\":{\"b\":[1,{\"c/d~\":2}]},\"n\":3.0}");

	(void)state;
	assert_null(json_at(v, "x", "y", "z"));
	assert_null(json_at(v, "a", "b", "c"));
	assert_null(json_item(json_at(v, "a"), 0));
	assert_int_equal(json_int(json_pointer(v, STR("/a/b/1/c~1d~0")), 0), 2);
	assert_null(json_pointer(v, STR("/a/b/01")));
	assert_null(json_pointer(v, STR("/a/b/-")));
	assert_null(json_pointer(v, STR("a")));
	assert_int_equal(json_int(json_at(v, "n"), 0), 3);
	assert_int_equal(json_len(NULL), 0);
	assert_int_equal(json_str(NULL).n, 0);
	assert_true(json_equal(json_at(v, "n"), parse(&a, "3")));
	assert_false(json_equal(v, NULL));
}

void test_json__written_text_is_always_json(void **state)
{
	static const char *const texts[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xf0\x9f\x98",
					    "ok\x80ok\xe2\x80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(arena) struct arena a = {0};
		AUTO(buf) struct buf out = {0};

		json_write_string(str_c(texts[i]), &out);
		assert_non_null(parse(&a, buf_cstr(&out)));
		assert_true(str_find(buf_view(&out), STR("\xef\xbf\xbd")) >= 0);
	}
}

static void expect_patched(const char *doc, const char *ops, const char *wanted)
{
	AUTO(arena) struct arena a = {0};
	struct json *from = parse(&a, doc), *before = json_copy(&a, from), *out;
	struct err err = {0};

	out = patch_json(&a, from, parse(&a, ops), &err);
	assert_true(json_equal(from, before));
	if (wanted && (!out || !json_equal(out, parse(&a, wanted))))
		fail_msg("%s %s: %s", doc, ops, out ? "otherwise" : err.msg);
	if (!wanted && out)
		fail_msg("%s %s was done", doc, ops);
}

void test_patch__operations(void **state)
{
	(void)state;
	expect_patched("{}", "[]", "{}");
	expect_patched("{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":null}]",
		       "{\"a\":1,\"b\":null}");
	expect_patched("{\"a\":{\"b\":1}}", "[{\"op\":\"replace\",\"path\":\"/a\"}]",
		       "{\"a\":null}");
	expect_patched("{}", "[{\"op\":\"test\",\"path\":\"/a\"}]", "{}");
	expect_patched("[1,3]", "[{\"op\":\"add\",\"path\":\"/1\",\"value\":2}]", "[1,2,3]");
	expect_patched("[1]", "[{\"op\":\"add\",\"path\":\"/-\",\"value\":[2]}]", "[1,[2]]");
	expect_patched("[1]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":2}]", NULL);
	expect_patched("[1]", "[{\"op\":\"add\",\"path\":\"/x\",\"value\":2}]", NULL);
	expect_patched("{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":2}]", NULL);
	expect_patched("{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":[5]}]", "[5]");
	expect_patched("[1,2,3]", "[{\"op\":\"remove\",\"path\":\"/0\"}]", "[2,3]");
	expect_patched("{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", NULL);
	expect_patched("{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{\"b\":2}}]",
		       "{\"a\":{\"b\":2}}");
	expect_patched("{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", "{\"a\":1}");
	expect_patched("{}", "[{\"op\":\"replace\",\"path\":\"/a/b\",\"value\":1}]", NULL);
	expect_patched("[1]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":1}]", NULL);
	expect_patched("{}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"b\":null}");
	expect_patched("{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c\"}]",
		       "{\"a\":{},\"c\":1}");
	expect_patched("[1,2,3]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/2\"}]", "[2,3,1]");
	expect_patched("{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/0\"}]",
		       "{\"a\":[[1],1]}");
	expect_patched("{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":1.0}]",
		       "{\"a\":1}");
	expect_patched("{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":\"1\"}]", NULL);
	expect_patched("[1,2]", "[{\"op\":\"add\",\"path\":\"/-1\",\"value\":3}]", "[1,2,3]");
	expect_patched("[1,2]", "[{\"op\":\"add\",\"path\":\"/-3\",\"value\":0}]", "[0,1,2]");
	expect_patched("[1,2]", "[{\"op\":\"add\",\"path\":\"/-4\",\"value\":0}]", NULL);
	expect_patched("[1,2]", "[{\"op\":\"remove\",\"path\":\"/-1\"}]", "[1]");
	expect_patched("[1,2]", "[{\"op\":\"remove\",\"path\":\"/-3\"}]", NULL);
	expect_patched("[[1],[2]]", "[{\"op\":\"replace\",\"path\":\"/-2/0\",\"value\":5}]",
		       "[[5],[2]]");
	expect_patched("{\"-1\":1}", "[{\"op\":\"remove\",\"path\":\"/-1\"}]", "{}");
	expect_patched(
		"{\"a/b\":1,\"c~\":2}",
		"[{\"op\":\"remove\",\"path\":\"/a~1b\"},{\"op\":\"remove\",\"path\":\"/c~0\"}]",
		"{}");
}

void test_patch__malformed_ones_and_growth(void **state)
{
	static const char *const bad[] = {"{}", "[1]", "[{\"op\":\"add\",\"value\":1}]",
					  "[{\"op\":\"nap\",\"path\":\"/a\"}]",
					  "[{\"op\":\"copy\",\"path\":\"/a\"}]"};
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf ops = {0};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(patch_json(&a, parse(&a, "{\"b\":1}"), parse(&a, bad[i]), &err));
	/* Doubling itself, thirty times. */
	for (int i = 0; i < 30; i++)
		buf_printf(&ops, "%s{\"op\":\"copy\",\"from\":\"\",\"path\":\"/k%d\"}",
			   i ? "," : "[", i);
	buf_putc(&ops, ']');
	assert_null(patch_json(&a, parse(&a, "{\"b\":1}"), parse(&a, buf_cstr(&ops)), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

void test_patch__merge_and_its_difference(void **state)
{
	static const char *const rows[][3] = {
		{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
		{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		 "{\"a\":{\"b\":\"d\"}}"},
		{"[\"a\"]", "{\"x\":1}", "{\"x\":1}"},
		{"{\"a\":1}", "[2]", "[2]"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
		{"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = {0};
		struct json *from = parse(&a, rows[i][0]), *to;

		to = patch_merge(&a, from, parse(&a, rows[i][1]));
		if (!json_equal(to, parse(&a, rows[i][2])))
			fail_msg("row %zu", i);
		if (i == 7 || i == 6)
			continue; /* a difference cannot say null */
		struct json *diff = patch_merge_diff(&a, from, to);
		assert_true(json_equal(diff ? patch_merge(&a, from, diff) : from, to));
	}
}

void test_index__grows_with_its_object(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_new(&a, JSON_OBJECT);
	AUTO(json_index) struct json_index x = json_index_of(o);
	AUTO(json_index) struct json_index none = json_index_of(NULL);

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct str key = arena_strf(&a, "k%llu", (unsigned long long)(i * 7919 % 1000));
		struct json *v = json_new_int(&a, i);

		assert_int_equal(json_index_get(&x, key) != NULL, i >= 1000);
		json_index_set(&a, &x, key, v);
		assert_int_equal(json_int(json_get(o, key), -1), i);
	}
	assert_int_equal(o->n, 1000);
	assert_null(json_index_get(&none, STR("k")));
}

void test_index__identity_is_equality(void **state)
{
	static const char *const values[] = {"1",
					     "1.0",
					     "10e-1",
					     "\"1\"",
					     "true",
					     "null",
					     "[1]",
					     "[1.0]",
					     "[[1]]",
					     "{\"a\":1,\"b\":2}",
					     "{\"b\":2.0,\"a\":1}",
					     "{}",
					     "[]",
					     "0.1",
					     "1e-1",
					     "\"\"",
					     "[1,2]",
					     "[12]",
					     "9223372036854775807"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		for (size_t k = 0; k < ARRAY_LEN(values); k++) {
			AUTO(arena) struct arena a = {0};
			AUTO(buf) struct buf x = {0};
			AUTO(buf) struct buf y = {0};
			struct json *v = parse(&a, values[i]), *w = parse(&a, values[k]);

			json_identity(v, &x);
			json_identity(w, &y);
			if (json_equal(v, w) != str_eq(buf_view(&x), buf_view(&y)))
				fail_msg("%s %s", values[i], values[k]);
		}
}
