/* age files, armored and not, against an identity that is none of theirs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "secrets/age.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n};
	struct age_keys *k = age_keys_new();
	AUTO(buf) struct buf identity = {0};
	AUTO(buf) struct buf out = {0};
	struct age_recipient r;
	struct err err = {0};

	age_generate(&identity, &r);
	if (age_keys_parse(k, buf_view(&identity), NULL) != 0)
		abort();
	/* Nobody who doesn't know the identity writes a file for it. */
	if (age_decrypt(k, in, &out, &err) == 0 || out.n)
		abort();
	if (age_keys_parse(k, in, &err) == 0 && age_recipient_parse(in, &r, &err) == 0)
		abort();
	age_keys_free(k);
	return 0;
}
