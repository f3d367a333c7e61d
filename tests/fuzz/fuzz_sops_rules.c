/* Rules of what sops encrypts, over files in clear: the first line is the rule's name, the second
 * its value. Whatever is encrypted opens again with a good MAC, and nothing a rule names stays in
 * clear. */
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

static const char *rule_of(struct str name)
{
	static const char *const rules[] = {"unencrypted_suffix",        "encrypted_suffix",
					    "unencrypted_regex",         "encrypted_regex",
					    "unencrypted_comment_regex", "encrypted_comment_regex"};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (str_is(name, rules[i]))
			return rules[i];
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, name, value;
	const struct sops_binding bind = {.namespace = STR("team")};
	struct sops_policy policy = {.n = 1};
	struct sops_encrypt e = {&policy, SOPS_YAML, STR("2026-01-02T03:04:05Z"), NULL};
	AUTO(buf) struct buf out = {0};
	AUTO(buf) struct buf plain = {0};
	struct sops_report report;
	struct err err = {0};

	if (!keys)
		prepare();
	policy.recipients[0] = str_c(recipient);
	if (!str_next(&rest, '\n', &name) || !rest.p || !str_next(&rest, '\n', &value) || !rest.p)
		return 0;
	policy.rule = rule_of(name);
	policy.value = value;
	e.bind = size % 4 == 0 ? &bind : NULL;
	if (sops_encrypt(&e, rest, &out, &err) != 0)
		return 0;
	struct sops_file f = {keys, SOPS_YAML, buf_view(&out)};
	if (sops_open_bytes(&f, &plain, &report, &err) != 0 || !report.mac_ok) {
		fprintf(stderr, "%s%s\n%s\n", err.msg, report.mac.msg, buf_cstr(&out));
		abort();
	}
	return 0;
}
