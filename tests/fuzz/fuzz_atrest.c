/* Rows of the store from anywhere: nobody who doesn't know the root key makes one that opens. */
#include <stdlib.h>

#include "secrets/atrest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct atrest *a;
	struct str in = {(const char *)data, size};
	AUTO(buf) struct buf plain = {0};
	AUTO(buf) struct buf sealed = {0};
	struct err err = {0};

	if (!a)
		a = atrest_from(STR("0123456789abcdef0123456789abcdef"), NULL);
	if (atrest_open(a, STR("/secrets/a/b"), in, &plain, &err) == 0 || plain.n || !err.code)
		abort();
	(void)atrest_is_old(a, in);
	if (atrest_seal(a, in, in, &sealed, &err) != 0 ||
	    atrest_open(a, in, buf_view(&sealed), &plain, &err) != 0 ||
	    !str_eq(buf_view(&plain), in))
		abort();
	return 0;
}
