/* Sealed values, public key files and envelopes of encryption at rest. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "secrets/atrest.h"
#include "secrets/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, secret = {"0123456789abcdef0123456789abcdef", 32};
	struct seal_binding b = {SEAL_STRICT, STR("n"), STR("s"), STR("k")};
	struct seal_keys *k = seal_keys_new();
	struct atrest *a = atrest_from(secret, NULL);
	AUTO(buf) struct buf out = {0};
	struct seal_pub p;
	struct err err = {0};
	uint8_t id[SEAL_ID_BYTES];

	if (!a || seal_keys_add(k, secret, NULL) != 0)
		abort();
	if (seal_open(k, &b, in, &out, &err) == 0 && seal_value_id(in, id, &err) != 0)
		abort();
	buf_reset(&out);
	if (seal_pub_parse(in, &p, &err) == 0 && seal_value(&p, &b, STR("x"), &out, &err) == 0 &&
	    seal_value_id(buf_view(&out), id, &err) != 0)
		abort();
	buf_reset(&out);
	if (atrest_open(a, STR("key"), in, &out, &err) != 0 && out.n)
		abort();
	seal_keys_free(k);
	atrest_free(a);
	return 0;
}
