/* What is secret stays known, and stays out of messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/sensitive.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct json *object(struct arena *a)
{
	struct json *o = json_parse(
		a,
		STR("{\"kind\":\"ConfigMap\",\"data\":{\"a/b\":\"open\",\"c\":\"hunter2\"},"
		    "\"list\":[1,987654]}"),
		NULL, NULL);

	json_at(o, "data", "c")->flags |= JSON_F_SENSITIVE;
	json_item(json_get(o, STR("list")), 1)->flags |= JSON_F_SENSITIVE;
	return o;
}

void test_sensitive__survives_bytes(void **state)
{
	struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf paths = {0};
	struct json *o = object(&a), *again;

	(void)state;
	sensitive_paths(o, &paths);
	json_write(o, &text);
	again = json_parse(&a, buf_view(&text), NULL, NULL);
	sensitive_mark(again, buf_view(&paths));
	assert_true(json_at(again, "data", "c")->flags & JSON_F_SENSITIVE);
	assert_true(json_item(json_get(again, STR("list")), 1)->flags & JSON_F_SENSITIVE);
	assert_false(json_at(again, "data", "a/b")->flags & JSON_F_SENSITIVE);
	arena_release(&a);
}

void test_sensitive__is_taken_out_of_messages(void **state)
{
	struct arena a = {0};
	struct str s =
		sensitive_scrub(&a, object(&a), STR("open: \"hunter2\" and hunter2 but 987654"));

	(void)state;
	assert_true(str_is(s, "open: \"<sensitive>\" and <sensitive> but <sensitive>"));
	arena_release(&a);
}

void test_sensitive__all_of_a_secret_is(void **state)
{
	struct arena a = {0};
	const struct json *o = json_parse(
		&a, STR("{\"kind\":\"Secret\",\"data\":{\"k\":\"aHVudGVyMg==\"}}"), NULL, NULL);

	(void)state;
	assert_true(str_is(sensitive_scrub(&a, o, STR("bad: aHVudGVyMg==!")), "bad: <sensitive>!"));
	assert_true(str_is(sensitive_scrub(&a, o, STR("bad: hunter2!")), "bad: <sensitive>!"));
	assert_true(
		str_is(sensitive_scrub(&a, o, STR("it said \"aHVudG")), "it said \"<sensitive>"));
	arena_release(&a);
}

void test_sensitive__as_others_would_write_it(void **state)
{
	struct arena a = {0};
	struct json *o = json_parse(
		&a,
		STR("{\"metadata\":{\"name\":\"x-secret\"},\"k\":\"first line\\nsecond line\"}"),
		NULL, NULL);

	(void)state;
	json_get(o, STR("k"))->flags |= JSON_F_SENSITIVE;
	assert_true(str_is(sensitive_scrub(&a, o, STR("no: {\"k\":\"first line\\nsecond line\"}")),
			   "no: {\"k\":\"<sensitive>\"}"));
	assert_true(
		str_is(sensitive_scrub(&a, o, STR("line 2: second line")), "line 2: <sensitive>"));
	assert_true(str_is(sensitive_name(o), "x-secret"));
	json_at(o, "metadata", "name")->flags |= JSON_F_SENSITIVE;
	assert_true(str_is(sensitive_name(o), "<sensitive>"));
	arena_release(&a);
}
