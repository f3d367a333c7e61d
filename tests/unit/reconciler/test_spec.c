/* Every field of a Kustomization's spec is carried out or refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/schema.h"
#include "reconciler/spec.h"

static struct arena arena;

static const char *refusal(const char *text)
{
	struct err err = {0};
	struct json *spec = json_parse(&arena, str_c(text), NULL, &err);

	assert_non_null(spec);
	if (!unit_spec_check(spec, &err))
		return "";
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	return arena_printf(&arena, "%s", err.msg);
}

/* Whoever adds a field to the API has to say here what becomes of it. */
void test_spec__every_field_of_the_api(void **state)
{
	static const char *const refused[] = {"ignore"};
	const struct schema *s =
		schema_find(STR("io.fluxcd.toolkit.kustomize.v1.KustomizationSpec"));

	(void)state;
	assert_non_null(s);
	assert_true(s->nfields > 20);
	for (size_t i = 0; i < s->nfields; i++) {
		const char *name = s->fields[i].name;
		const char *said = refusal(arena_printf(&arena, "{\"%s\":[{\"a\":1}]}", name));
		bool no = false;

		for (size_t k = 0; k < ARRAY_LEN(refused); k++)
			no |= !strcmp(name, refused[k]);
		if (no)
			assert_string_equal(said,
					    arena_printf(&arena, "spec.%s is not supported", name));
		else
			assert_string_equal(said, "");
	}
	arena_release(&arena);
}

void test_spec__what_nobody_knows(void **state)
{
	static const struct {
		const char *spec, *said;
	} cases[] = {
		{"{}", ""},
		{"{\"later\":null}", ""},
		{"{\"later\":false}", ""},
		{"{\"later\":\"\"}", ""},
		{"{\"later\":[]}", ""},
		{"{\"later\":true}", "spec.later is not supported"},
		{"{\"later\":0}", "spec.later is not supported"},
		{"{\"later\":\"x\"}", "spec.later is not supported"},
		{"{\"decryption\":{\"provider\":\"sops\"}}", ""},
		{"{\"decryption\":{\"serviceAccountName\":\"x\"}}",
		 "spec.decryption.serviceAccountName is not supported, name a Secret with the keys "
		 "in secretRef"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(refusal(cases[i].spec), cases[i].said);
	arena_release(&arena);
}
