/* Ignore rules: a line with a path, then rules. */
#include "reconciler/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, path, rules;
	struct ignore ig = {0};
	struct arena a = {0};

	if (n > 16384)
		return 0;
	str_cut(in, '\n', &path, &rules);
	if (!ignore_add(&a, &ig, STR(""), rules, NULL) && !ignore_add(&a, &ig, path, rules, NULL)) {
		ignore_verdict(&ig, path, false);
		ignore_verdict(&ig, path, true);
	}
	arena_release(&a);
	return 0;
}
