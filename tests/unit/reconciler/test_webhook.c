/* Webhooks: who is believed, and who isn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/hmac.h"
#include "reconciler/webhook.h"

#define TOKEN "t0ken"
#define BODY "{\"ref\":\"refs/heads/main\"}"

static enum err_code check(const char *type, const char *header, const char *value,
			   const char *events)
{
	AUTO(arena) struct arena a = {0};
	struct http_header v[] = {{str_c(header), str_c(value)},
				  {STR("X-GitHub-Event"), STR("push")},
				  {STR("X-Gitlab-Event"), STR("Push Hook")}};
	struct http_headers h = {v, ARRAY_LEN(v)};
	struct webhook_request q = {.type = str_c(type),
				    .token = STR(TOKEN),
				    .events = json_parse(&a, str_c(events), NULL, NULL),
				    .headers = &h,
				    .body = STR(BODY)};
	struct err err = {0};
	int rc = webhook_check(&q, &err);

	assert_int_equal(rc, err.code ? -1 : 0);
	return err.code;
}

static const char *sum(const char *prefix, enum hmac_kind kind, const char *key)
{
	static char text[200];
	char hex[HMAC_HEX_MAX];

	hmac_hex(kind, str_c(key), STR(BODY), hex);
	snprintf(text, sizeof(text), "%s%s", prefix, hex);
	return text;
}

/* RFC 4231, test case 2. */
void test_webhook__hmac(void **state)
{
	char hex[HMAC_HEX_MAX];

	(void)state;
	hmac_hex(HMAC_SHA256, STR("Jefe"), STR("what do ya want for nothing?"), hex);
	assert_string_equal(hex,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_true(
		hmac_fits(HMAC_SHA256, STR("Jefe"), STR("what do ya want for nothing?"),
			  STR("5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843")));
	assert_false(hmac_fits(HMAC_SHA256, STR(""), STR("x"), str_c(hex)));
	assert_false(hmac_fits(HMAC_SHA256, STR("Jefe"), STR("x"), STR("")));
}

void test_webhook__signatures_that_fit(void **state)
{
	(void)state;
	assert_int_equal(
		check("github", "x-hub-signature-256", sum("sha256=", HMAC_SHA256, TOKEN), "[]"),
		ERR_NONE);
	assert_int_equal(check("gitlab", "X-Gitlab-Token", TOKEN, "null"), ERR_NONE);
	assert_int_equal(check("gitea", "X-Gitea-Signature", sum("", HMAC_SHA256, TOKEN), "[]"),
			 ERR_NONE);
	assert_int_equal(check("forgejo", "X-Forgejo-Signature", sum("", HMAC_SHA256, TOKEN), "[]"),
			 ERR_NONE);
	assert_int_equal(
		check("bitbucket", "X-Hub-Signature", sum("sha256=", HMAC_SHA256, TOKEN), "[]"),
		ERR_NONE);
	assert_int_equal(
		check("generic-hmac", "X-Signature", sum("sha512=", HMAC_SHA512, TOKEN), "[]"),
		ERR_NONE);
	assert_int_equal(check("generic", "X", "", "[]"), ERR_NONE);
	assert_int_equal(check("harbor", "Authorization", TOKEN, "[]"), ERR_NONE);
	assert_int_equal(check("dockerhub", "X", "", "[]"), ERR_NONE);
	assert_int_equal(check("quay", "X", "", "[]"), ERR_NONE);
	assert_int_equal(check("acr", "X", "", "[]"), ERR_NONE);
}

void test_webhook__signatures_that_do_not(void **state)
{
	static const char *const types[][2] = {
		{"github", "X-Hub-Signature-256"}, {"gitlab", "X-Gitlab-Token"},
		{"gitea", "X-Gitea-Signature"},    {"forgejo", "X-Forgejo-Signature"},
		{"bitbucket", "X-Hub-Signature"},  {"generic-hmac", "X-Signature"}};
	static const char *const bad[] = {"", "sha256=", "=", TOKEN "x", "t0ke", "sha256=00"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		for (size_t k = 0; k < ARRAY_LEN(bad); k++)
			assert_int_equal(check(types[i][0], types[i][1], bad[k], "[]"),
					 ERR_UNAUTHORIZED);
		/* Another key, and no header at all. */
		assert_int_equal(
			check(types[i][0], types[i][1], sum("sha256=", HMAC_SHA256, "other"), "[]"),
			ERR_UNAUTHORIZED);
		assert_int_equal(check(types[i][0], "X-Other", TOKEN, "[]"), ERR_UNAUTHORIZED);
	}
	assert_int_equal(check("generic-hmac", "X-Signature", sum("sha1=", HMAC_SHA1, TOKEN), "[]"),
			 ERR_UNAUTHORIZED);
	assert_int_equal(check("github", "X-Hub-Signature", sum("sha1=", HMAC_SHA1, TOKEN), "[]"),
			 ERR_UNAUTHORIZED);
	assert_int_equal(check("harbor", "Authorization", TOKEN "x", "[]"), ERR_UNAUTHORIZED);
	assert_int_equal(check("nexus", "X-Nexus-Webhook-Signature", TOKEN, "[]"), ERR_UNSUPPORTED);
	assert_int_equal(check("gcr", "Authorization", TOKEN, "[]"), ERR_UNSUPPORTED);
}

void test_webhook__only_events_that_are_wanted(void **state)
{
	(void)state;
	assert_int_equal(check("gitlab", "X-Gitlab-Token", TOKEN, "[\"Push Hook\"]"), ERR_NONE);
	assert_int_equal(check("gitlab", "X-Gitlab-Token", TOKEN, "[\"push hook\"]"), ERR_NONE);
	assert_int_equal(check("gitlab", "X-Gitlab-Token", TOKEN, "[\"Tag Push Hook\", 7]"),
			 ERR_BAD_REQUEST);
	assert_int_equal(check("cdevents", "Ce-Type", "dev.cdevents.change.merged",
			       "[\"dev.cdevents.change.merged\"]"),
			 ERR_NONE);
	assert_int_equal(check("cdevents", "Ce-Type", "dev.cdevents.build", "[\"other\"]"),
			 ERR_BAD_REQUEST);
	/* Whose signature doesn't fit is told nothing about events. */
	assert_int_equal(check("gitlab", "X-Gitlab-Token", "no", "[\"Tag Push Hook\"]"),
			 ERR_UNAUTHORIZED);
}

void test_webhook__paths_as_flux_makes_them(void **state)
{
	char path[WEBHOOK_PATH_MAX];

	(void)state;
	/* sha256 of token, name and namespace, one behind the other. */
	webhook_path(STR("a"), STR("b"), STR("c"), path);
	assert_string_equal(
		path, "/hook/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
