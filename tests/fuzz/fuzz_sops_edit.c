/* Editing and merging sops files that are ours to open, however they are written. */
#include <stdlib.h>

#include "secrets/sops_write.h"

/* As in tests/unit/secrets/test_age.c. */
static const char identity[] =
	"AGE-SECRET-KEY-1CRA4FSFJ88G3C0SY8MSRUD8XUS6QV82Q0EDAJZFQPXHV9FWLZVVQKD7RMW\n";
static const char recipient[] = "age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct age_keys *keys;
	struct str in = {(const char *)data, size};
	struct sops_put old = {0, STR("/stringData/password"), STR("x")},
			new = {0, STR("/stringData/other"), STR("x")};
	struct sops_policy policy = {.recipients = {STR("")}, .n = 1};
	struct sops_edit e = {.text = in, .modified = STR("2026-01-02T03:04:06Z")};
	struct buf out[4] = {{0}};
	struct err err = {0};

	if (!keys) {
		keys = age_keys_new();
		if (age_keys_parse(keys, str_c(identity), NULL) != 0)
			abort();
	}
	e.keys = keys;
	policy.recipients[0] = str_c(recipient);
	int rc[] = {sops_edit_put(&e, &old, &out[0], &err), sops_edit_put(&e, &new, &out[1], &err),
		    sops_edit_recipients(&e, &policy, &out[2], &err),
		    sops_edit_merge(&e, in, in, &out[3], &err)};
	for (size_t i = 0; i < ARRAY_LEN(rc); i++) {
		if (rc[i] != 0 && err.code == ERR_NONE)
			abort();
		buf_release(&out[i]);
	}
	return 0;
}
