/* Files that are encrypted and edited here open again, and nothing moves that needn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "secrets/sops_write.h"
#include "tests/unit/secrets/as_json.h"

static const char secret[] =
	"# who needs it\napiVersion: v1\nkind: Secret\nmetadata:\n"
	"  name: db # the name\nstringData:\n  password: correct horse # keep\n"
	"  \"user\": \"admin\"\n  port: 5432\n  on: true\n  empty: \"\"\n"
	"  cert: |\n    line one\n    line two\n\n  last: 'it''s'\n";

struct world {
	struct age_keys *keys;
	char recipient[2][100];
	struct sops_policy policy;
	struct buf out, plain;
};

static void identity(struct world *w, size_t i)
{
	struct buf text = {0};
	AUTO(buf) struct buf to = {0};
	struct age_recipient r;

	age_generate(&text, &r);
	age_recipient_write(&r, &to);
	snprintf(w->recipient[i], sizeof(w->recipient[i]), "%s", buf_cstr(&to));
	if (i == 0)
		assert_int_equal(age_keys_parse(w->keys, buf_view(&text), NULL), 0);
	buf_wipe(&text);
}

static void begin(struct world *w)
{
	*w = (struct world){.keys = age_keys_new()};
	identity(w, 0);
	identity(w, 1);
	w->policy.recipients[w->policy.n++] = str_c(w->recipient[0]);
}

static void end(struct world *w)
{
	age_keys_free(w->keys);
	buf_release(&w->out);
	buf_wipe(&w->plain);
}

static void encrypt(struct world *w, enum sops_format format, const char *text)
{
	struct sops_encrypt e = {&w->policy, format, STR("2026-01-02T03:04:05Z"), NULL};
	struct err err = {0};

	buf_reset(&w->out);
	if (sops_encrypt(&e, str_c(text), &w->out, &err) != 0)
		fail_msg("%s", err.msg);
}

/* Opens w->out into w->plain; its MAC fits. */
static const char *opened(struct world *w, enum sops_format format)
{
	struct sops_file f = {w->keys, format, buf_view(&w->out)};
	struct sops_report report;
	struct err err = {0};

	buf_reset(&w->plain);
	if (sops_open_bytes(&f, &w->plain, &report, &err) != 0)
		fail_msg("%s in\n%s", err.msg, buf_cstr(&w->out));
	if (!report.mac_ok)
		fail_msg("%s in\n%s", report.mac.msg, buf_cstr(&w->out));
	if (format == SOPS_YAML || format == SOPS_JSON)
		as_json(&w->plain);
	return buf_cstr(&w->plain);
}

static bool has(const struct world *w, const char *text)
{
	return str_find(buf_view(&w->out), str_c(text)) >= 0;
}

void test_sops_write__yaml_keeps_its_layout(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	assert_true(has(&w, "# who needs it\napiVersion: v1\nkind: Secret\n"));
	assert_true(has(&w, "  name: db # the name\n"));
	assert_true(has(&w, ",type:str] # keep\n  \"user\": \"ENC[AES256_GCM,"));
	assert_true(has(&w, ",type:int]\n"));
	assert_true(has(&w, "encrypted_regex: \"^(data|stringData)$\""));
	assert_false(has(&w, "correct") || has(&w, "line one") || has(&w, "5432"));
	assert_string_equal(
		opened(&w, SOPS_YAML),
		"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"db\"},"
		"\"stringData\":{\"password\":\"correct horse\",\"user\":\"admin\",\"port\":5432,"
		"\"on\":true,\"empty\":\"\",\"cert\":\"line one\\nline two\\n\","
		"\"last\":\"it's\"}}\n");
	end(&w);
}

void test_sops_write__several_documents_flow_and_json(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, "a: 1\nb_unencrypted: x\n---\n{c: [y, 2.5], d: {e: z}}\n");
	assert_true(has(&w, "b_unencrypted: x\n"));
	assert_string_equal(opened(&w, SOPS_YAML), "{\"a\":1,\"b_unencrypted\":\"x\"}\n---\n"
						   "{\"c\":[\"y\",2.5],\"d\":{\"e\":\"z\"}}\n");
	encrypt(&w, SOPS_JSON, "{\n\t\"a\": \"x\",\n\t\"n\": null\n}\n");
	assert_string_equal(opened(&w, SOPS_JSON), "{\"a\":\"x\",\"n\":null}\n");
	end(&w);
}

void test_sops_write__dotenv_and_binary(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_DOTENV, "# c\nA=b=c\nE=\nN=x\\ny\n");
	assert_false(has(&w, "b=c"));
	assert_string_equal(opened(&w, SOPS_DOTENV), "# c\nA=b=c\nE=\nN=x\\ny\n");
	encrypt(&w, SOPS_BINARY, "any\x01thing\n");
	assert_string_equal(opened(&w, SOPS_BINARY), "any\x01thing\n");
	end(&w);
}

/* Lines of b that a doesn't have. */
static size_t other_lines(struct str a, struct str b)
{
	struct str line;
	size_t n = 0;

	while (str_next(&b, '\n', &line))
		n += str_find(a, line) < 0;
	return n;
}

static int put(struct world *w, const char *pointer, const char *value, struct err *err)
{
	struct sops_edit e = {w->keys, buf_view(&w->out), STR("2026-02-02T03:04:05Z")};
	struct sops_put p = {0, str_c(pointer), str_c(value)};
	AUTO(buf) struct buf out = {0};

	if (sops_edit_put(&e, &p, &out, err) != 0)
		return -1;
	/* Its own, mac, and lastmodified where that is another. */
	assert_in_range(other_lines(buf_view(&w->out), buf_view(&out)), 2, 3);
	buf_reset(&w->out);
	buf_str(&w->out, buf_view(&out));
	return 0;
}

void test_sops_write__one_value_is_three_lines(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	assert_int_equal(put(&w, "/stringData/password", "battery staple", &err), 0);
	assert_true(strstr(opened(&w, SOPS_YAML), "\"password\":\"battery staple\"") != NULL);
	assert_int_equal(put(&w, "/stringData/cert", "one\ntwo\n", &err), 0);
	assert_true(strstr(opened(&w, SOPS_YAML), "\"cert\":\"one\\ntwo\\n\"") != NULL);
	assert_int_equal(put(&w, "/stringData/new", "value", &err), 0);
	assert_true(strstr(opened(&w, SOPS_YAML), "\"last\":\"it's\",\"new\":\"value\"") != NULL);
	assert_int_equal(put(&w, "/metadata/name", "x", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(put(&w, "/nowhere/name", "x", &err), -1);
	end(&w);
}

void test_sops_write__one_value_of_json(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_JSON, "{\n\t\"a\": \"one\",\n\t\"b\": {\n\t\t\"c\": \"two\"\n\t}\n}\n");
	assert_int_equal(put(&w, "/b/c", "new", &err), 0);
	/* The line before gets a comma as well. */
	struct sops_edit e = {w.keys, buf_view(&w.out), STR("2026-02-02T03:04:05Z")};
	struct sops_put p = {0, STR("/b/d"), STR("more")};
	AUTO(buf) struct buf out = {0};
	assert_int_equal(sops_edit_put(&e, &p, &out, &err), 0);
	assert_true(str_find(buf_view(&out), STR(",\n\t\t\"d\": \"ENC[")) > 0);
	buf_reset(&w.out);
	buf_str(&w.out, buf_view(&out));
	assert_string_equal(opened(&w, SOPS_JSON),
			    "{\"a\":\"one\",\"b\":{\"c\":\"new\",\"d\":\"more\"}}\n");
	assert_int_equal(put(&w, "/b", "x", &err), -1);
	assert_non_null(strstr(err.msg, "mapping"));
	end(&w);
}

static int put_dotenv(struct world *w, const char *name, const char *value, size_t lines,
		      struct err *err)
{
	struct sops_edit e = {w->keys, buf_view(&w->out), STR("2026-02-02T03:04:05Z")};
	AUTO(buf) struct buf out = {0};

	if (sops_edit_put_dotenv(&e, str_c(name), str_c(value), &out, err) != 0)
		return -1;
	assert_int_equal(other_lines(buf_view(&w->out), buf_view(&out)), lines);
	buf_reset(&w->out);
	buf_str(&w->out, buf_view(&out));
	return 0;
}

void test_sops_write__one_value_of_dotenv(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_DOTENV, "# c\nA=b\nC=d\\ne\nEMPTY=\n");
	assert_int_equal(put_dotenv(&w, "A", "one\ntwo", 3, &err), 0);
	assert_int_equal(put_dotenv(&w, "NEW", "value", 2, &err), 0);
	assert_int_equal(put_dotenv(&w, "EMPTY", "=", 2, &err), 0);
	assert_string_equal(opened(&w, SOPS_DOTENV),
			    "# c\nA=one\\ntwo\nC=d\\ne\nEMPTY==\nNEW=value\n");
	assert_int_equal(put_dotenv(&w, "C", "", 1, &err), 0);
	assert_string_equal(opened(&w, SOPS_DOTENV), "# c\nA=one\\ntwo\nC=\nEMPTY==\nNEW=value\n");
	assert_int_equal(put_dotenv(&w, "sops_mac", "x", 0, &err), -1);
	assert_int_equal(put_dotenv(&w, "X\nY", "x", 0, &err), -1);
	/* Not made good. */
	*strstr(buf_cstr(&w.out), "A=ENC") = 'B';
	assert_int_equal(put_dotenv(&w, "C", "x", 0, &err), -1);
	end(&w);
}

void test_sops_write__a_broken_mac_is_not_made_good(void **state)
{
	struct world w;
	struct err err = {0};
	char *at;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	at = strstr(buf_cstr(&w.out), "name: db");
	at[6] = 'x';
	assert_int_equal(put(&w, "/stringData/password", "y", &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	end(&w);
}

void test_sops_write__recipients_change_only_their_part(void **state)
{
	struct world w;
	struct sops_policy both;
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	both = w.policy;
	both.recipients[both.n++] = str_c(w.recipient[1]);
	struct sops_edit e = {w.keys, buf_view(&w.out), STR("")};
	if (sops_edit_recipients(&e, &both, &out, &err) != 0)
		fail_msg("%s", err.msg);
	/* Every old line is there still; what came is the new recipient. */
	assert_int_equal(other_lines(buf_view(&out), buf_view(&w.out)), 0);
	buf_reset(&w.out);
	buf_str(&w.out, buf_view(&out));
	assert_true(has(&w, w.recipient[1]));
	opened(&w, SOPS_YAML);
	end(&w);
}

void test_sops_write__config(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct sops_policy p;
	struct err err = {0};
	struct world w;
	char config[1000];

	(void)state;
	begin(&w);
	snprintf(config, sizeof(config),
		 "creation_rules:\n- path_regex: ^prod/.*\\.yaml$\n  encrypted_regex: ^data$\n"
		 "  mac_only_encrypted: true\n  age: %s, %s\n- path_regex: kms\n  kms: arn\n"
		 "- age: [%s]\n",
		 w.recipient[0], w.recipient[1], w.recipient[1]);
	assert_int_equal(sops_policy_find(&a, str_c(config), STR("prod/db.yaml"), &p, &err), 0);
	assert_int_equal(p.n, 2);
	assert_string_equal(p.rule, "encrypted_regex");
	assert_true(p.mac_only_encrypted);
	assert_int_equal(sops_policy_find(&a, str_c(config), STR("x.yaml"), &p, &err), 0);
	assert_int_equal(p.n, 1);
	assert_int_equal(sops_policy_find(&a, str_c(config), STR("kms/x.yaml"), &p, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_int_equal(sops_policy_find(&a, STR("creation_rules: []\n"), STR("x"), &p, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	end(&w);
}

/* ---- merging ---- */

static void variant(struct world *w, struct buf *ret, const char *const changes[][2])
{
	for (size_t i = 0; changes[i][0]; i++) {
		struct sops_edit e = {w->keys, buf_view(ret), STR("2026-02-02T03:04:05Z")};
		struct sops_put p = {0, str_c(changes[i][0]), str_c(changes[i][1])};
		AUTO(buf) struct buf out = {0};

		assert_int_equal(sops_edit_put(&e, &p, &out, NULL), 0);
		buf_reset(ret);
		buf_str(ret, buf_view(&out));
	}
}

static int merged(struct world *w, const char *const ours[][2], const char *const theirs[][2],
		  struct err *err)
{
	AUTO(buf) struct buf a = {0};
	AUTO(buf) struct buf b = {0};
	AUTO(buf) struct buf out = {0};
	struct str base = buf_view(&w->out);
	int rc;

	buf_str(&a, base);
	buf_str(&b, base);
	variant(w, &a, ours);
	variant(w, &b, theirs);
	struct sops_edit e = {w->keys, buf_view(&a), STR("2026-03-02T03:04:05Z")};
	rc = sops_edit_merge(&e, base, buf_view(&b), &out, err);
	buf_reset(&w->out);
	buf_str(&w->out, buf_view(&out));
	return rc;
}

void test_sops_write__merge_takes_both_sides(void **state)
{
	static const char *const ours[][2] = {
		{"/stringData/user", "root"}, {"/stringData/ours", "1"}, {NULL}};
	static const char *const theirs[][2] = {
		{"/stringData/password", "new"}, {"/stringData/theirs", "2"}, {NULL}};
	struct world w;
	struct err err = {0};
	const char *plain;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	if (merged(&w, ours, theirs, &err) != 0)
		fail_msg("%s", err.msg);
	plain = opened(&w, SOPS_YAML);
	assert_non_null(strstr(plain, "\"user\":\"root\""));
	assert_non_null(strstr(plain, "\"password\":\"new\""));
	assert_non_null(strstr(plain, "\"ours\":\"1\",\"theirs\":\"2\""));
	assert_true(has(&w, "# keep\n"));
	end(&w);
}

void test_sops_write__merge_does_not_make_a_broken_side_good(void **state)
{
	AUTO(buf) struct buf base = {0};
	AUTO(buf) struct buf out = {0};
	struct world w;
	struct err err = {0};
	char *name;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	buf_str(&base, buf_view(&w.out));
	name = strstr(buf_cstr(&w.out), "name: db");
	memcpy(name, "name: xy", 8);
	struct sops_edit e = {w.keys, buf_view(&base), STR("2026-03-02T03:04:05Z")};
	assert_int_equal(sops_edit_merge(&e, buf_view(&base), buf_view(&w.out), &out, &err), -1);
	assert_non_null(strstr(err.msg, "theirs: "));
	e.text = buf_view(&w.out);
	assert_int_equal(sops_edit_merge(&e, buf_view(&base), buf_view(&base), &out, &err), -1);
	end(&w);
}

void test_sops_write__merge_names_a_conflict(void **state)
{
	static const char *const ours[][2] = {{"/stringData/user", "root"}, {NULL}};
	static const char *const theirs[][2] = {{"/stringData/user", "toor"}, {NULL}};
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	assert_int_equal(merged(&w, ours, theirs, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.msg, "stringData:user: changed on both sides");
	end(&w);
}

void test_sops_write__merge_of_what_only_one_removed(void **state)
{
	static const char *const ours[][2] = {{"/stringData/user", "root"}, {NULL}};
	AUTO(buf) struct buf base = {0};
	AUTO(buf) struct buf longer = {0};
	AUTO(buf) struct buf out = {0};
	static const char *const gone[][2] = {{"/stringData/extra", "x"}, {NULL}};
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, secret);
	buf_str(&base, buf_view(&w.out));
	buf_str(&longer, buf_view(&w.out));
	variant(&w, &longer, gone);
	/* Base and ours have it, theirs doesn't. */
	buf_str(&out, buf_view(&longer));
	variant(&w, &out, ours);
	struct sops_edit e = {w.keys, buf_view(&out), STR("2026-03-02T03:04:05Z")};
	buf_reset(&w.out);
	if (sops_edit_merge(&e, buf_view(&longer), buf_view(&base), &w.out, &err) != 0)
		fail_msg("%s", err.msg);
	assert_null(strstr(opened(&w, SOPS_YAML), "extra"));
	assert_non_null(strstr(opened(&w, SOPS_YAML), "\"user\":\"root\""));
	end(&w);
}

/* ---- bad input ---- */

static const char small[] = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
			    "stringData:\n  one: first\n  two: second\n";

/* A file of each format, and what it says once it is open. */
static const struct sample {
	enum sops_format format;
	const char *text, *opened;
} samples[] = {
	{SOPS_YAML, small, "\"stringData\":{\"one\":\"first\",\"two\":\"second\"}"},
	{SOPS_JSON,
	 "{\"kind\": \"Secret\", \"apiVersion\": \"v1\", \"data\": {\"one\": \"first\"}}\n",
	 "\"data\":{\"one\":\"first\"}"},
	{SOPS_DOTENV, "# c\nONE=first\nTWO=second\n", "ONE=first\nTWO=second\n"},
	{SOPS_BINARY, "first\nsecond\n", "first\nsecond\n"},
};

/* What opens with a good MAC says what was encrypted; anything else is an error. */
static void judge(struct world *w, const struct sample *s)
{
	struct sops_file f = {w->keys, s->format, buf_view(&w->out)};
	struct sops_report report;
	struct err err = {0};

	buf_reset(&w->plain);
	if (sops_open_bytes(&f, &w->plain, &report, &err) != 0)
		assert_true(err.code != ERR_NONE && w->plain.n == 0);
	else if (s->format == SOPS_YAML || s->format == SOPS_JSON)
		as_json(&w->plain); /* whatever it is, it can be read */
	if (!err.code && report.mac_ok && str_find(buf_view(&w->plain), str_c(s->opened)) < 0)
		fail_msg("opened as %s from %s", buf_cstr(&w->plain), buf_cstr(&w->out));
	assert_null(strstr(err.msg, "first"));
}

static void every_change(const struct sample *s)
{
	struct world w;

	begin(&w);
	encrypt(&w, s->format, s->text);
	assert_non_null(strstr(opened(&w, s->format), s->opened));
	for (size_t bit = 0; bit < w.out.n * 8; bit++) {
		w.out.p[bit / 8] = (char)(w.out.p[bit / 8] ^ (1 << bit % 8));
		judge(&w, s);
		w.out.p[bit / 8] = (char)(w.out.p[bit / 8] ^ (1 << bit % 8));
	}
	for (size_t n = w.out.n; n-- > 0;) {
		w.out.n = n;
		judge(&w, s);
	}
	end(&w);
}

void test_sops_write__every_truncation_and_bit_flip_of_yaml(void **state)
{
	(void)state;
	every_change(&samples[0]);
}

void test_sops_write__every_truncation_and_bit_flip_of_json(void **state)
{
	(void)state;
	every_change(&samples[1]);
}

void test_sops_write__every_truncation_and_bit_flip_of_dotenv(void **state)
{
	(void)state;
	every_change(&samples[2]);
}

void test_sops_write__every_truncation_and_bit_flip_of_binary(void **state)
{
	(void)state;
	every_change(&samples[3]);
}

void test_sops_write__ini_is_refused_by_name(void **state)
{
	struct world w;
	struct sops_encrypt e = {&w.policy, sops_format_of(STR("a/b.ini")), STR(""), NULL};
	struct sops_file f = {NULL, SOPS_INI, STR("[sops]\n")};
	struct sops_report report;
	struct err err = {0};

	(void)state;
	begin(&w);
	assert_int_equal(sops_encrypt(&e, STR("[a]\nb=c\n"), &w.out, &err), -1);
	assert_non_null(strstr(err.msg, "INI"));
	f.keys = w.keys;
	assert_int_equal(sops_open_bytes(&f, &w.plain, &report, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	end(&w);
}

void test_sops_write__values_swapped_between_keys_are_refused(void **state)
{
	struct world w;
	struct sops_report report;
	struct err err = {0};
	char *one, *two, was[4];

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, small);
	one = strstr(buf_cstr(&w.out), "one: ENC");
	two = strstr(one, "two: ENC");
	memcpy(was, one, 3);
	memcpy(one, two, 3);
	memcpy(two, was, 3);
	struct sops_file f = {w.keys, SOPS_YAML, buf_view(&w.out)};
	assert_int_equal(sops_open_bytes(&f, &w.plain, &report, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	end(&w);
}
