/* What of a file is encrypted: rules about keys and comments, and Go's regular expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "secrets/sops-internal.h"
#include "secrets/sops_write.h"

static struct buf made;

/* Encrypts under a rule; NULL, or what was said against it. */
static const char *under(const char *rule, const char *value, const char *text)
{
	static struct err err;
	AUTO(buf) struct buf to = {0};
	AUTO(buf) struct buf plain = {0};
	struct buf identity = {0};
	struct age_recipient r;
	struct sops_policy policy = {.n = 1, .rule = rule, .value = str_c(value)};
	struct sops_encrypt e = {&policy, SOPS_YAML, STR("2026-01-02T03:04:05Z"), NULL};
	struct age_keys *keys = age_keys_new();
	struct sops_file f = {keys, SOPS_YAML, STR_NONE};
	struct sops_report report;
	int rc;

	age_generate(&identity, &r);
	age_recipient_write(&r, &to);
	assert_int_equal(age_keys_parse(keys, buf_view(&identity), NULL), 0);
	buf_wipe(&identity);
	policy.recipients[0] = buf_view(&to);
	buf_reset(&made);
	rc = sops_encrypt(&e, str_c(text), &made, &err);
	if (rc == 0) {
		f.bytes = buf_view(&made);
		if (sops_open_bytes(&f, &plain, &report, &err) != 0 || !report.mac_ok)
			fail_msg("%s%s in\n%s", err.msg, report.mac.msg, buf_cstr(&made));
		if (str_find(buf_view(&plain), STR("ENC[")) >= 0)
			fail_msg("%s", buf_cstr(&plain));
	}
	age_keys_free(keys);
	return rc ? err.msg : NULL;
}

static bool clear(const char *text)
{
	return str_find(buf_view(&made), str_c(text)) >= 0;
}

static void same(const char *why)
{
	if (why)
		fail_msg("%s", why);
}

void test_sops_rules__comments_say_what_is_encrypted(void **state)
{
	(void)state;
	same(under("encrypted_comment_regex", "sops:enc",
		   "a: clear1\n# more\n# sops:enc\n# still\nb: hidden1\nc: hidden2 # sops:enc\n"
		   "d:\n  # sops:enc\n  e:\n  - hidden3\n  - f: hidden4\n  g: clear2\n"
		   "h: 'clear # sops:enc'\ni: |\n  clear\n  # sops:enc\nj: clear3\n"));
	assert_false(clear("hidden"));
	assert_true(clear("clear1") && clear("clear2") && clear("clear3"));
	assert_true(clear("# sops:enc\n# still\nb: ENC[") && clear("'clear # sops:enc'"));
	/* Behind the last value, too, of a file and of a document. */
	same(under("encrypted_comment_regex", "sops:enc",
		   "a: clear1\nb: hidden1 # sops:enc\n---\nc: clear2\nd: hidden2 # sops:enc"));
	assert_false(clear("hidden"));
	assert_true(clear("clear1") && clear("clear2"));
	buf_release(&made);
}

void test_sops_rules__comments_say_what_is_not(void **state)
{
	(void)state;
	same(under("unencrypted_comment_regex", "^ public$",
		   "# public\na: clear1\nb: hidden1\nc:\n  d: clear2 # public\n  e: hidden2\n"));
	assert_false(clear("hidden"));
	assert_true(clear("clear1") && clear("clear2"));
	buf_release(&made);
}

void test_sops_rules__a_comment_that_may_be_anothers_is_refused(void **state)
{
	static const char *const texts[] = {
		"a: x\n# sops:enc\n\nb: y\n",         /* a foot or a head */
		"a:\n  b: x\n    # sops:enc\nc: y\n", /* whose? */
		"a:\n- x\n# sops:enc\n- y\n",
		"a: # sops:enc\n  b: x\n",
		"a: x\n# sops:enc\n",
		"{a: x, # sops:enc\n b: y}\n",
		"a: |\n  x\n# sops:enc\n\nb: y\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *why = under("encrypted_comment_regex", "sops:enc", texts[i]);

		if (!why)
			fail_msg("taken: %s\n%s", texts[i], buf_cstr(&made));
	}
	buf_release(&made);
}

void test_sops_rules__a_file_that_would_stay_in_clear_is_refused(void **state)
{
	(void)state;
	assert_non_null(strstr(under("encrypted_regex", "^data$", "a: b\n"), "stay in clear"));
	assert_non_null(strstr(under("encrypted_comment_regex", "x", "a: b\n"), "stay in clear"));
	assert_non_null(strstr(under("encrypted_suffix", "_enc", "a: b\n"), "encrypted_suffix"));
	buf_release(&made);
}

void test_sops_rules__regular_expressions_mean_what_they_mean_to_go(void **state)
{
	static const struct {
		const char *regex, *yes, *no;
	} cases[] = {
		{"^pass\\d+$", "pass12", "passd"},
		{"^(?:data|stringData)$", "stringData", "data2"},
		{"(?i)^DATA$", "data", "date"},
		{"^[\\w.]+$", "a_1.b", "a-b"},
		{"^a.*?b$", "axxb", "ab2"},
		{"^\\S+\\.yaml$", "x.yaml", "x yaml"},
		{"^[^\\d]$", "x", "1"},
		{"^x{2,3}$", "xx", "x"},
		{"^[[:alpha:]]$", "q", "1"},
		{"^a\\?b$", "a?b", "ab"},
	};
	static const char *const bad[] = {"\\bx",  "\\pL", "(?s)x", "(?P<n>x)",
					  "[\\D]", "a(",   "\\Qx",  "\\x41"};
	regex_t r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (sops_regex(str_c(cases[i].regex), &r, NULL) != 0)
			fail_msg("%s", cases[i].regex);
		if (regexec(&r, cases[i].yes, 0, NULL, 0) || !regexec(&r, cases[i].no, 0, NULL, 0))
			fail_msg("%s", cases[i].regex);
		regfree(&r);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sops_regex(str_c(bad[i]), &r, NULL) == 0)
			fail_msg("%s", bad[i]);
}

static enum err_code found(const char *config, struct sops_policy *ret, struct err *err)
{
	static struct arena a;

	arena_reset(&a);
	*err = (struct err){0};
	return sops_policy_find(&a, str_c(config), STR("app/db.yaml"), ret, err) ? err->code : 0;
}

void test_sops_rules__creation_rules(void **state)
{
	static const char one[] = "age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew";
	static const char *const refused[][2] = {
		{"pgp: ABCD", "pgp"},
		{"kms: arn:aws", "kms"},
		{"shamir_threshold: 2\n  age: x", "shamir"},
		{"key_groups: [{age: [a]}, {age: [b]}]", "key_groups"},
		{"key_groups: [{hc_vault: [a]}]", "hc_vault"},
		{"key_groups: [{merge: [{age: [a]}]}]", "merge"},
	};
	AUTO(arena) struct arena a = {0};
	struct sops_policy p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_int_equal(
			found(arena_printf(&a, "creation_rules:\n- %s\n", refused[i][0]), &p, &err),
			ERR_UNSUPPORTED);
		if (!strstr(err.msg, refused[i][1]))
			fail_msg("%s", err.msg);
	}
	assert_int_equal(found(arena_printf(&a,
					    "creation_rules:\n- path_regex: \\.env$\n  age: x\n- "
					    "path_regex: ^app/\\w+\\.ya?ml$\n  key_groups: [{age: "
					    "[%s]}]\n  unencrypted_comment_regex: open\n",
					    one),
			       &p, &err),
			 0);
	assert_int_equal(p.n, 1);
	assert_string_equal(p.rule, "unencrypted_comment_regex");
	assert_int_equal(found(arena_printf(&a,
					    "creation_rules:\n- age: %s\n  encrypted_suffix: a\n  "
					    "encrypted_comment_regex: b\n",
					    one),
			       &p, &err),
			 ERR_INVALID);
}
