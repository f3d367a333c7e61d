/* Expressions of a repository or of whoever may write a CustomResourceDefinition: whatever stands
 * in them, compiling and evaluating end and stay in bounds, with and without declared names. */
#include "lib/schema/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct str text = {(const char *)data, size};
	struct err err = {0};
	int64_t budget = 20000;
	const struct json *root = json_parse(
		&a,
		STR("{\"status\":{\"n\":1,\"l\":[{\"a\":\"b\"},2,\"x\"],\"d\":1.5,\"s\":\"t\"},"
		    "\"kind\":\"X\"}"),
		NULL, NULL);
	struct cel_var self = {.name = "self", .value = root};
	struct cel_env any = {.root = root, .budget = &budget},
		       one = {.vars = &self, .nvars = 1, .budget = &budget};
	struct cel_program *p = cel_compile(&a, text, &any, CEL_WANT_ANY, &err);

	if (p)
		cel_eval_json(p, &a, &any, &err);
	p = cel_compile(&a, text, &one, CEL_WANT_ANY, &err);
	if (p)
		cel_eval_json(p, &a, &one, &err);
	arena_release(&a);
	return 0;
}
