/* Backups of keys from anywhere: bounded cost, no plain text from what doesn't verify. */
#include "secrets/keybackup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keybackup k = {STR("correct horse"), 1, 64};
	AUTO(buf) struct buf plain = {0};
	struct err err = {0};

	if (keybackup_open(&k, (struct str){(const char *)data, size}, &plain, &err) != 0)
		assert(err.code != ERR_NONE && plain.n == 0);
	return 0;
}
