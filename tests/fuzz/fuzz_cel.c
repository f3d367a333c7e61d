/* Expressions of a repository: whatever stands in them, judging ends and stays in bounds. */
#include "lib/json/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct str text = {(const char *)data, size};
	struct err err = {0};
	bool is;
	const struct json *vars = json_parse(
		&a, STR("{\"status\":{\"n\":1,\"l\":[{\"a\":\"b\"},2,\"x\"]},\"kind\":\"X\"}"),
		NULL, NULL);

	if (!cel_check(text, &err) && cel_test(&a, text, vars, &is, &err))
		is = false;
	arena_release(&a);
	return 0;
}
