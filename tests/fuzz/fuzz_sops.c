/* SOPS files in each format, against an identity that is none of theirs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "secrets/sops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum sops_format formats[] = {SOPS_YAML, SOPS_JSON, SOPS_DOTENV, SOPS_BINARY};
	struct age_keys *k = age_keys_new();

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		struct sops_file f = {k, formats[i], {(const char *)data, n}};
		AUTO(buf) struct buf out = {0};
		struct sops_report report;
		struct err err = {0};

		if (sops_open_bytes(&f, &out, &report, &err) == 0 || out.n)
			abort();
	}
	age_keys_free(k);
	return 0;
}
