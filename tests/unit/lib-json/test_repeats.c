/* Keys that a text says twice: refused, or the last one counts and it is known where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/json/json.h"

static void note(void *arg, struct str path)
{
	struct buf *all = arg;

	buf_printf(all, "%.*s;", STR_ARG(path));
}

static const char *repeats_of(const char *text, struct buf *written, struct buf *paths)
{
	AUTO(arena) struct arena a = {0};
	struct json_repeats r = {0};
	struct json_limits limits = {.repeats = &r};
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), &limits, &err);

	assert_non_null(v);
	assert_int_equal(err.code, ERR_NONE);
	json_write(v, written);
	json_repeats_each(v, &r, note, paths);
	return buf_cstr(paths);
}

void test_repeats__are_refused_unless_asked_for(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	(void)state;
	assert_null(json_parse(&a, STR("{\"a\":1,\"a\":2}"), NULL, &err));
	assert_string_equal(err.msg, "duplicate key \"a\"");
}

void test_repeats__the_last_one_counts_and_the_place_is_known(void **state)
{
	AUTO(buf) struct buf written = {0}, paths = {0};

	(void)state;
	assert_string_equal(
		repeats_of("{\"a\":1,\"b\":[{\"c\":{\"d\":1,\"d\":2}}],\"a\":3}", &written, &paths),
		"b[0].c.d;a;");
	assert_string_equal(buf_cstr(&written), "{\"a\":3,\"b\":[{\"c\":{\"d\":2}}]}");
}

void test_repeats__what_was_thrown_away_is_not_told_of(void **state)
{
	AUTO(buf) struct buf written = {0}, paths = {0};

	(void)state;
	assert_string_equal(repeats_of("{\"a\":{\"x\":1,\"x\":2},\"a\":3}", &written, &paths),
			    "a;");
	assert_string_equal(buf_cstr(&written), "{\"a\":3}");
}

void test_repeats__many_are_bounded(void **state)
{
	AUTO(buf) struct buf text = {0}, written = {0}, paths = {0};

	(void)state;
	buf_putc(&text, '{');
	for (int i = 0; i < 10000; i++)
		buf_printf(&text, "\"k%d\":1,", i % 100);
	buf_puts(&text, "\"end\":1}");
	repeats_of(buf_cstr(&text), &written, &paths);
	assert_int_equal(paths.n, 10 * 3 + 22 * 4);
}
