/* Alerts: which events are told, and in what words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/alert.h"

static struct arena arena;
static const struct alert_about shop = {{"kustomize.toolkit.fluxcd.io/v1", 30},
					{"Kustomization", 13},
					{"prod", 4},
					{"shop", 4},
					{"u", 1}};

static bool wants(const char *spec, bool error, const char *message)
{
	struct err err = {0};
	const struct json *v = json_parse(&arena, str_c(spec), NULL, &err),
			  *labels = json_build(&arena, "{s:s}", "team", "a");
	struct alert_event e = {.error = error, .reason = "R", .message = str_c(message)};

	assert_non_null(v);
	return alert_wants(v, STR("prod"), &shop, labels, &e);
}

#define FROM(name) "\"eventSources\":[{\"kind\":\"Kustomization\",\"name\":\"" name "\"}]"

void test_alert__who_is_told(void **state)
{
	(void)state;
	assert_true(wants("{" FROM("shop") "}", false, "m"));
	assert_true(wants("{" FROM("*") "}", false, "m"));
	assert_false(wants("{" FROM("other") "}", false, "m"));
	assert_false(wants("{\"suspend\":true," FROM("*") "}", true, "m"));
	assert_false(wants("{\"eventSources\":[{\"kind\":\"Kustomization\",\"name\":\"*\","
			   "\"namespace\":\"dev\"}]}",
			   true, "m"));
	assert_true(wants("{\"eventSources\":[{\"kind\":\"Kustomization\",\"name\":\"*\","
			  "\"matchLabels\":{\"team\":\"a\"}}]}",
			  true, "m"));
	assert_false(wants("{\"eventSources\":[{\"kind\":\"Kustomization\",\"name\":\"*\","
			   "\"matchLabels\":{\"team\":\"b\"}}]}",
			   true, "m"));
	assert_false(wants("{\"eventSeverity\":\"error\"," FROM("*") "}", false, "m"));
	assert_true(wants("{\"eventSeverity\":\"error\"," FROM("*") "}", true, "m"));
	arena_release(&arena);
}

void test_alert__expressions(void **state)
{
	(void)state;
	assert_false(wants("{\"exclusionList\":[\"time(d)? ?out\"]," FROM("*") "}", true,
			   "it timed out"));
	assert_true(wants("{\"exclusionList\":[\"^x\"]," FROM("*") "}", true, "it timed out"));
	assert_false(wants("{\"inclusionList\":[\"^x\"]," FROM("*") "}", true, "it timed out"));
	assert_true(wants("{\"inclusionList\":[\"^x\",\"out$\"]," FROM("*") "}", true, "time out"));
	/* What could take for ever, or is no expression, matches nothing. */
	assert_true(
		wants("{\"exclusionList\":[\"(a*)\\\\1\",\"a{1,99}{1,99}\",\"(\"]," FROM("*") "}",
		      true, "aaaa"));
	arena_release(&arena);
}

void test_alert__commits(void **state)
{
	(void)state;
	assert_true(str_is(alert_commit(STR("main@sha1:6dcb09b5b57875f334f61aebed695e2e4193db5e")),
			   "6dcb09b5b57875f334f61aebed695e2e4193db5e"));
	assert_null(alert_commit(STR("main@sha1:../../6dcb09b5b57875f334f61aebed695e2e419")).p);
	assert_null(alert_commit(STR("latest@sha256:00")).p);
	assert_null(alert_commit(STR_NONE).p);
}

void test_alert__words(void **state)
{
	struct alert_event e = {.error = true,
				.reason = "BuildFailed",
				.message = STR("no \"x\""),
				.revision = STR("main@sha1:ab")};
	AUTO(buf) struct buf text = {0};

	(void)state;
	json_write(alert_generic(&arena, &shop, &e, NULL, STR("s")), &text);
	assert_string_equal(
		buf_cstr(&text),
		"{\"involvedObject\":{\"apiVersion\":\"kustomize.toolkit.fluxcd.io/v1\","
		"\"kind\":\"Kustomization\",\"namespace\":\"prod\",\"name\":\"shop\",\"uid\":\"u\"}"
		","
		"\"severity\":\"error\",\"timestamp\":\"1970-01-01T00:00:00Z\","
		"\"message\":\"no \\\"x\\\"\",\"reason\":\"BuildFailed\",\"metadata\":"
		"{\"kustomize.toolkit.fluxcd.io/revision\":\"main@sha1:ab\",\"summary\":\"s\"},"
		"\"reportingController\":\"plumb-reconciler\"}");
	buf_reset(&text);
	json_write(alert_slack(&arena, &shop, &e, json_build(&arena, "{s:s}", "channel", "ops"),
			       NULL, STR_NONE),
		   &text);
	assert_non_null(strstr(buf_cstr(&text), "\"channel\":\"ops\",\"username\":\"plumb\""));
	assert_non_null(strstr(buf_cstr(&text), "\"color\":\"danger\""));
	arena_release(&arena);
}

static void unsupported(const char *spec, bool provider, const char *part)
{
	struct err err = {0};
	const struct json *v = json_parse(&arena, str_c(spec), NULL, &err);
	int rc;

	assert_non_null(v);
	rc = provider ? alert_provider_check(v, &err) : alert_check(v, &err);
	assert_int_equal(rc, part ? -1 : 0);
	if (part && !strstr(err.msg, part))
		fail_msg("%s", err.msg);
	arena_release(&arena);
}

void test_alert__what_is_not_done_is_said(void **state)
{
	(void)state;
	unsupported("{\"type\":\"slack\",\"address\":\"https://x\"}", true, NULL);
	unsupported("{\"type\":\"github\",\"secretRef\":{\"name\":\"x\"}}", true, NULL);
	unsupported("{\"type\":\"msteams\",\"address\":\"https://x\"}", true, NULL);
	unsupported("{\"type\":\"opsgenie\",\"address\":\"https://x\"}", true, "opsgenie");
	unsupported("{\"type\":\"generic\"}", true, "spec.address is missing");
	unsupported("{\"type\":\"github\",\"address\":\"x\",\"commitStatusExpr\":\"'a'\"}", true,
		    "spec.commitStatusExpr");
	unsupported("{" FROM("*") "}", false, NULL);
	unsupported("{\"eventSources\":[{\"kind\":\"HelmRelease\",\"name\":\"*\"}]}", false,
		    "spec.eventSources[0]: there are no events of HelmRelease");
	unsupported("{\"exclusionList\":[\"a\",\"b{2}\"]," FROM("*") "}", false,
		    "spec.exclusionList[1]");
	unsupported("{\"inclusionList\":[\"(\"]," FROM("*") "}", false, "spec.inclusionList[0]");
}

void test_alert__chats_are_told_the_metadata(void **state)
{
	struct alert_event e = {.reason = "R", .message = STR("m"), .revision = STR("main@sha1:0")};
	struct json *facts = json_build(&arena, "{s:s}", "env", "prod");
	struct json *v = alert_slack(&arena, &shop, &e, NULL, facts, STR("the shop"));
	AUTO(buf) struct buf out = {0};

	(void)state;
	json_write(v, &out);
	assert_non_null(strstr(buf_cstr(&out), "\"title\":\"env\",\"value\":\"prod\""));
	assert_non_null(strstr(buf_cstr(&out), "\"title\":\"summary\",\"value\":\"the shop\""));
	arena_release(&arena);
}

void test_alert__where_discord_takes_them(void **state)
{
	const struct str hook = STR("https://discord.com/api/webhooks/1/x");

	(void)state;
	assert_true(str_is(alert_address(&arena, STR("discord"), hook),
			   "https://discord.com/api/webhooks/1/x/slack"));
	assert_true(str_is(alert_address(&arena, STR("discord"), STR("https://x/slack")),
			   "https://x/slack"));
	assert_true(str_eq(alert_address(&arena, STR("slack"), hook), hook));
	arena_release(&arena);
}

void test_alert__chats_have_their_own_words(void **state)
{
	struct alert_event e = {.error = true,
				.reason = "R",
				.message = STR("it broke"),
				.revision = STR("main@sha1:0")};
	const struct alert_more more = {json_build(&arena, "{s:s}", "env", "prod"), STR("s")};
	AUTO(buf) struct buf out = {0};

	(void)state;
	json_write(alert_chat(&arena, STR("googlechat"), &shop, &e, &more), &out);
	assert_string_equal(buf_cstr(&out),
			    "{\"text\":\"[error] Kustomization/shop.prod\\nit broke\\n"
			    "revision: main@sha1:0\\nenv: prod\\nsummary: s\"}");
	buf_reset(&out);
	json_write(alert_chat(&arena, STR("lark"), &shop, &e, &more), &out);
	assert_non_null(
		strstr(buf_cstr(&out), "{\"msg_type\":\"text\",\"content\":{\"text\":\"[error]"));
	buf_reset(&out);
	json_write(alert_chat(&arena, STR("msteams"), &shop, &e, &more), &out);
	assert_non_null(strstr(buf_cstr(&out),
			       "\"contentType\":\"application/vnd.microsoft.card.adaptive\""));
	assert_non_null(strstr(buf_cstr(&out), "\"color\":\"Attention\""));
	assert_non_null(strstr(buf_cstr(&out), "{\"title\":\"env\",\"value\":\"prod\"}"));
	assert_null(alert_chat(&arena, STR("slack"), &shop, &e, &more));
	arena_release(&arena);
}
