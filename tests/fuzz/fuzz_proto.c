/* Request bodies in the protobuf form: decoded, written and read again without a fault. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/schema/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct err err = {0};
	struct json *v = proto_decode(&a, (struct str){(const char *)data, n}, &err);

	if (!v)
		return 0;
	json_write(v, &text);
	if (!json_parse(&a, buf_view(&text), NULL, &err))
		abort();
	return 0;
}
