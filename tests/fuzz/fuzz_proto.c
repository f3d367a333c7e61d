/*
 * Objects in the protobuf form: decoded, written as text and in the same form again without a
 * fault; what was read, written and read once is read the same from then on.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/schema/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct json *again(struct arena *a, const struct json *v)
{
	struct buf out = {0};
	struct err err = {0};
	struct json *back;

	if (proto_encode(v, &out, &err)) {
		buf_release(&out);
		return NULL;
	}
	back = proto_decode(a, arena_str(a, buf_view(&out)), &err);
	buf_release(&out);
	return back;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct err err = {0};
	struct json *v = proto_decode(&a, (struct str){(const char *)data, n}, &err), *one, *two;

	if (!v)
		return 0;
	json_write(v, &text);
	if (!json_parse(&a, buf_view(&text), NULL, &err))
		abort();
	one = again(&a, v);
	two = one ? again(&a, one) : NULL;
	if (two && !json_equal(one, two))
		abort();
	return 0;
}
