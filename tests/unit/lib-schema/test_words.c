/* Descriptions: every type and field has one, in a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/schema.h"

static void is_sentence(const char *type, const char *field, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (!text)
		fail_msg("nothing is said of %s.%s", type, field);
	if (n < 3 || text[n - 1] != '.' || text[0] == ' ')
		fail_msg("%s.%s: \"%s\" is no sentence", type, field, text);
}

void test_words__every_type_and_field_is_described_in_a_sentence(void **state)
{
	const struct schema *s;

	(void)state;
	for (size_t n = 0; (s = schema_nth(n)); n++) {
		is_sentence(s->name, "", s->description);
		for (size_t i = 0; i < s->nfields; i++)
			is_sentence(s->name, s->fields[i].name, s->fields[i].description);
	}
}

void test_words__a_type_of_another_version_says_the_same(void **state)
{
	static const char *const path[] = {"spec", "jobTemplate", NULL};
	const struct schema *now = schema_find_kind(STR("batch/v1"), STR("CronJob")),
			    *old = schema_find_kind(STR("batch/v1beta1"), STR("CronJob"));

	(void)state;
	assert_string_equal(schema_at(now, path)->description, schema_at(old, path)->description);
}
