/* Patterns of OpenAPI schemas: Go's expressions carried over to the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/pattern.h"

void test_pattern__as_go_reads_them(void **state)
{
	static const struct {
		const char *pattern, *text;
		int wanted;
	} rows[] = {{"^[a-z]+$", "abc", 1},
		    {"^[a-z]+$", "aBc", 0},
		    {"b", "abc", 1},
		    {"", "", 1},
		    {"^$", "", 1},
		    {"^$", "a", 0},
		    {"^\\d{2,3}$", "123", 1},
		    {"^\\d{2,3}$", "1", 0},
		    {"^\\w+\\s\\w+$", "a_1 b", 1},
		    {"^\\S+$", "a b", 0},
		    {"^(?:a|b)+$", "abba", 1},
		    {"^(?:a|b)+$", "abc", 0},
		    {"^a.c$", "abc", 1},
		    {"^a\\.c$", "abc", 0},
		    {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b", 1},
		    {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-", 0},
		    {"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", "1h30m", 1},
		    {"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", "1d", 0},
		    {"^[^/]+$", "a/b", 0},
		    {"^\\$\\{x\\}$", "${x}", 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int got = pattern_search(rows[i].pattern, str_c(rows[i].text));

		if (got != rows[i].wanted)
			fail_msg("'%s' in '%s': %d", rows[i].pattern, rows[i].text, got);
		assert_int_equal(pattern_matches(rows[i].pattern, str_c(rows[i].text)), got);
	}
}

void test_pattern__what_is_malformed_matches_everything(void **state)
{
	(void)state;
	assert_int_equal(pattern_search("(", STR("x")), -1);
	assert_true(pattern_matches("(", STR("x")));
}
