/* Edits in place: the one value changes, everything around it stays byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/edit.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const char manifest[] = "# settings of the shop\n"
			       "apiVersion: v1\n"
			       "kind: ConfigMap\n"
			       "metadata:\n"
			       "  name: settings # keep this name\n"
			       "data:\n"
			       "  # the colour\n"
			       "  colour: blue   # of the sea — ü\n"
			       "  'quoted': 'it''s'\n"
			       "  double: \"a\\tb\"  # tab\n"
			       "\n"
			       "  text: |\n"
			       "    one\n"
			       "    two\n"
			       "\n"
			       "  last: x\n"
			       "---\n"
			       "# the second\n"
			       "kind: Deployment\n"
			       "spec:\n"
			       "  replicas: 2 # two are enough\n"
			       "  list: [a, b]\n"
			       "  items:\n"
			       "    - name: c\n"
			       "      image: \"shop:1\" # image\n";

/* Expects `manifest` with `from` replaced by `to`. */
static void check(uint32_t doc, const char *pointer, const struct json *value, const char *from,
		  const char *to)
{
	struct arena a = {0};
	struct err err = {0};
	struct str got = edit_value(&a, str_c(manifest), doc, str_c(pointer), value, &err);
	const char *at = strstr(manifest, from);
	struct buf want = {0};

	if (!got.p)
		fail_msg("%s: %s", pointer, err.msg);
	assert_non_null(at);
	buf_put(&want, manifest, (size_t)(at - manifest));
	buf_puts(&want, to);
	buf_puts(&want, at + strlen(from));
	assert_string_equal(arena_cstr(&a, got), buf_cstr(&want));
	buf_release(&want);
	arena_release(&a);
}

static void check_text(uint32_t doc, const char *pointer, const char *value, const char *from,
		       const char *to)
{
	struct arena a = {0};

	check(doc, pointer, json_new_str(&a, str_c(value)), from, to);
	arena_release(&a);
}

void test_edit__plain_scalar_keeps_its_comment(void **state)
{
	(void)state;
	check_text(0, "/data/colour", "pink", "colour: blue   #", "colour: pink   #");
}

void test_edit__a_number(void **state)
{
	struct arena a = {0};

	(void)state;
	check(1, "/spec/replicas", json_new_int(&a, 50), "replicas: 2 #", "replicas: 50 #");
	arena_release(&a);
}

void test_edit__text_that_looks_like_something_else_is_quoted(void **state)
{
	(void)state;
	check_text(0, "/data/colour", "true", "colour: blue", "colour: \"true\"");
	check_text(0, "/data/colour", "3", "colour: blue", "colour: \"3\"");
	check_text(0, "/data/colour", "a: b", "colour: blue", "colour: \"a: b\"");
	check_text(0, "/data/colour", "", "colour: blue", "colour: \"\"");
	check_text(0, "/data/colour", "x #y", "colour: blue", "colour: \"x #y\"");
}

void test_edit__quotes_stay_as_they_were(void **state)
{
	(void)state;
	check_text(0, "/data/quoted", "isn't", "'it''s'", "'isn''t'");
	check_text(0, "/data/double", "c\"d", "\"a\\tb\"", "\"c\\\"d\"");
	check_text(1, "/spec/items/0/image", "shop:2", "\"shop:1\"", "\"shop:2\"");
}

void test_edit__literal_block(void **state)
{
	(void)state;
	check_text(0, "/data/text", "three\nfour\nfive\n", "    one\n    two\n",
		   "    three\n    four\n    five\n");
	check_text(0, "/data/text", "three", "|\n    one\n    two\n", "|-\n    three\n");
}

void test_edit__flow_list(void **state)
{
	struct arena a = {0};
	struct json *list = json_build(&a, "[s,s,s]", "a", "b", "c");

	(void)state;
	check(1, "/spec/list", list, "[a, b]", "[\"a\",\"b\",\"c\"]");
	arena_release(&a);
}

void test_edit__removing_a_key(void **state)
{
	(void)state;
	check(0, "/data/double", NULL, "  double: \"a\\tb\"  # tab\n", "");
	check(0, "/data/text", NULL, "  text: |\n    one\n    two\n", "");
	check(0, "/data/last", NULL, "  last: x\n", "");
}

void test_edit__removing_a_document(void **state)
{
	struct arena a = {0};
	struct err err = {0};
	struct str got;
	const char *second = strstr(manifest, "---\n");

	(void)state;
	got = edit_value(&a, str_c(manifest), 0, STR(""), NULL, &err);
	assert_string_equal(arena_cstr(&a, got), second + 4);
	got = edit_value(&a, str_c(manifest), 1, STR(""), NULL, &err);
	assert_int_equal(got.n, (size_t)(second - manifest));
	assert_memory_equal(got.p, manifest, got.n);
	got = edit_value(&a, STR("---\na: 1\n"), 0, STR(""), NULL, &err);
	assert_non_null(got.p);
	assert_int_equal(got.n, 0);
	arena_release(&a);
}

void test_edit__what_cannot_be_done_safely_is_refused(void **state)
{
	struct arena a = {0};
	struct err err = {0};
	struct json *v = json_new_str(&a, STR("z"));

	(void)state;
	assert_null(edit_value(&a, STR("a: &x 1\nb: *x\n"), 0, STR("/b"), v, &err).p);
	assert_null(edit_value(&a, STR("a: &x 1\nb: *x\n"), 0, STR("/a"), v, &err).p);
	assert_null(edit_value(&a, STR("a: >\n  x\n  y\n"), 0, STR("/a"), v, &err).p);
	assert_null(edit_value(&a, STR("a: {b: 1, c: 2}\n"), 0, STR("/a/b"), NULL, &err).p);
	assert_null(edit_value(&a, STR("a:\n- 1\n- 2\n"), 0, STR("/a/0"), NULL, &err).p);
	assert_null(edit_value(&a, STR("a: 1\n"), 0, STR("/b"), v, &err).p);
	assert_null(edit_value(&a, STR("a: [\n 1, # one\n 2]\n"), 0, STR("/a"),
			       json_build(&a, "[i]", 3), &err)
			    .p);
	arena_release(&a);
}

void test_edit__carriage_returns_stay(void **state)
{
	struct arena a = {0};
	struct err err = {0};
	struct str got = edit_value(&a, STR("a: 1\r\nb: x # y\r\n"), 0, STR("/b"),
				    json_new_str(&a, STR("z")), &err);

	(void)state;
	assert_string_equal(arena_cstr(&a, got), "a: 1\r\nb: z # y\r\n");
	arena_release(&a);
}
