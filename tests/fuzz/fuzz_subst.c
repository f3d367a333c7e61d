/* ${…}: the first line is the value of every variable, the rest the text it goes into. */
#include <assert.h>

#include "reconciler/envsubst.h"

static bool find(void *ctx, struct str name, struct str *ret, bool *sensitive)
{
	assert(envsubst_name_ok(name));
	*sensitive |= name.n == 1;
	*ret = *(struct str *)ctx;
	return name.p[0] != '_';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, value, text;
	AUTO(buf) struct buf out = {0};
	bool sensitive = false;
	struct err err = {0};

	if (n > 65536)
		return 0;
	str_cut(in, '\n', &value, &text);
	const struct envsubst e = {.find = find, .ctx = &value};

	if (!envsubst(&e, text, &out, &sensitive, &err)) {
		assert(out.n <= ENVSUBST_MAX);
		if (!envsubst_wanted(text))
			assert(str_eq(buf_view(&out), text));
	} else {
		assert(err.code == ERR_INVALID || err.code == ERR_LIMIT);
	}
	return 0;
}
