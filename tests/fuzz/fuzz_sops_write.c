/* Files in clear that are to be encrypted, and .sops.yaml, from anywhere: what comes out opens. */
#include <stdio.h>
#include <stdlib.h>

#include "secrets/sops_bind.h"

static struct age_keys *keys;
static char recipient[100];

static void prepare(void)
{
	struct buf text = {0};
	AUTO(buf) struct buf to = {0};
	struct age_recipient r;

	keys = age_keys_new();
	age_generate(&text, &r);
	age_recipient_write(&r, &to);
	snprintf(recipient, sizeof(recipient), "%s", buf_cstr(&to));
	if (age_keys_parse(keys, buf_view(&text), NULL) != 0)
		abort();
	buf_wipe(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	AUTO(arena) struct arena a = {0};
	struct sops_policy policy, found;
	const struct sops_binding bind = {.namespace = STR("team")};
	struct err err = {0};

	if (!keys)
		prepare();
	policy = (struct sops_policy){.recipients = {str_c(recipient)}, .n = 1};
	for (int format = SOPS_YAML; format <= SOPS_BINARY; format++) {
		struct sops_encrypt e = {&policy, (enum sops_format)format,
					 STR("2026-01-02T03:04:05Z"), in.n % 2 ? &bind : NULL};
		AUTO(buf) struct buf out = {0};
		AUTO(buf) struct buf plain = {0};
		struct sops_report report;

		if (sops_encrypt(&e, in, &out, &err) != 0)
			continue;
		struct sops_file f = {keys, (enum sops_format)format, buf_view(&out)};
		struct sops_edit edit = {keys, buf_view(&out), STR("2026-01-02T03:04:06Z")};
		struct sops_put put = {0, STR("/stringData/a"), STR("x")};
		AUTO(buf) struct buf edited = {0};

		if (sops_open_bytes(&f, &plain, &report, &err) == 0 && format == SOPS_BINARY &&
		    (!report.mac_ok || !str_eq(buf_view(&plain), in)) && str_is_utf8(in))
			abort();
		if (sops_edit_put(&edit, &put, &edited, &err) != 0)
			continue;
	}
	if (sops_policy_find(&a, in, STR("app/db.yaml"), &found, &err) != 0 && err.code == ERR_NONE)
		abort();
	return 0;
}
