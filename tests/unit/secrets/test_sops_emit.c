/* What an opened file is printed like: what sops prints of it, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json/yaml.h"
#include "secrets/sops_emit.h"
#include "secrets/sops_write.h"

/* Encrypts and opens again; what came out stays until the next call. */
static struct buf made, plain;

static const char *through(enum sops_format format, const char *text, const char *rule)
{
	struct buf identity = {0};
	AUTO(buf) struct buf to = {0};
	struct age_recipient r;
	struct sops_policy policy = {.n = 1, .rule = rule, .value = STR("x$")};
	struct sops_encrypt e = {&policy, format, STR("2026-01-02T03:04:05Z"), NULL};
	struct age_keys *keys = age_keys_new();
	struct sops_file f = {keys, format, STR_NONE};
	struct sops_report report;
	struct err err = {0};

	age_generate(&identity, &r);
	age_recipient_write(&r, &to);
	assert_int_equal(age_keys_parse(keys, buf_view(&identity), NULL), 0);
	buf_wipe(&identity);
	policy.recipients[0] = buf_view(&to);
	buf_reset(&made);
	buf_reset(&plain);
	if (sops_encrypt(&e, str_c(text), &made, &err) != 0)
		fail_msg("%s", err.msg);
	f.bytes = buf_view(&made);
	if (sops_open_bytes(&f, &plain, &report, &err) != 0 || !report.mac_ok)
		fail_msg("%s%s in\n%s", err.msg, report.mac.msg, buf_cstr(&made));
	age_keys_free(keys);
	return buf_cstr(&plain);
}

static void over(void)
{
	buf_wipe(&plain);
	buf_release(&made);
}

static const char written[] = "# head\n"
			      "kind: Secret # says what\n"
			      "metadata: {name: a, labels: {x: \"1\"}}\n"
			      "stringData:\n"
			      "    # about plain\n"
			      "    plain: text\n"
			      "    quoted: \"yes\"\n"
			      "    number: \"12\"\n"
			      "    day: \"2020-01-01\"\n"
			      "    space: \" x \"\n"
			      "    hash: \"a #b\"\n"
			      "    colon: \"a: b\"\n"
			      "    dash: \"- a\"\n"
			      "    pem: |\n"
			      "        -----BEGIN-----\n"
			      "        AAAA\n"
			      "        -----END-----\n"
			      "    cut: \"one\\ntwo\"\n"
			      "    gaps: \"x\\n\\n\"\n"
			      "    indented: \" a\\nb\"\n"
			      "    tab: \"a\\tb\"\n"
			      "    odd: \"a \\nb\"\n"
			      "    empty: \"\"\n"
			      "    none:\n"
			      "    # the end\n"
			      "list:\n"
			      "    - a # first\n"
			      "    - - 1\n"
			      "      - 1.50\n"
			      "    - b: true\n"
			      "      c: 1e9\n";
static const char printed[] = "# head\n"
			      "# says what\n"
			      "kind: Secret\n"
			      "metadata:\n"
			      "    name: a\n"
			      "    labels:\n"
			      "        x: \"1\"\n"
			      "stringData:\n"
			      "    # about plain\n"
			      "    plain: text\n"
			      "    quoted: \"yes\"\n"
			      "    number: \"12\"\n"
			      "    day: \"2020-01-01\"\n"
			      "    space: ' x '\n"
			      "    hash: 'a #b'\n"
			      "    colon: 'a: b'\n"
			      "    dash: '- a'\n"
			      "    pem: |\n"
			      "        -----BEGIN-----\n"
			      "        AAAA\n"
			      "        -----END-----\n"
			      "    cut: |-\n"
			      "        one\n"
			      "        two\n"
			      "    gaps: |+\n"
			      "        x\n"
			      "\n"
			      "    indented: |4-\n"
			      "         a\n"
			      "        b\n"
			      "    tab: \"a\\tb\"\n"
			      "    odd: \"a \\nb\"\n"
			      "    empty: \"\"\n"
			      "    none: null\n"
			      "    # the end\n"
			      "list:\n"
			      "    # first\n"
			      "    - a\n"
			      "    - - 1\n"
			      "      - 1.5\n"
			      "    - b: true\n"
			      "      c: 1e+09\n";

void test_sops_emit__yaml_is_what_sops_prints(void **state)
{
	(void)state;
	assert_string_equal(through(SOPS_YAML, written, NULL), printed);
	/* What stays in clear is printed anew, too; and printed text stays as it is. */
	assert_string_equal(through(SOPS_YAML, written, "encrypted_regex"), printed);
	assert_string_equal(through(SOPS_YAML, printed, NULL), printed);
	over();
}

void test_sops_emit__documents_keys_and_comments_at_their_ends(void **state)
{
	(void)state;
	assert_string_equal(
		through(SOPS_YAML,
			"a:\n    b:\n        c: 1\n        # of b\n# of d\nd: 2\n# end\n---\n"
			"# second\nyes: {}\n\"1\": []\n2: x\n'a: b': y\n? " /* 129 long */
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n: z\n",
			NULL),
		"a:\n    b:\n        c: 1\n        # of b\n# of d\nd: 2\n# end\n---\n"
		"# second\n\"yes\": {}\n\"1\": []\n2: x\n'a: b': \"y\"\n? "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n: z\n");
	over();
}

void test_sops_emit__json_is_what_sops_prints(void **state)
{
	(void)state;
	assert_string_equal(
		through(SOPS_JSON,
			"{\"a\": \"<&>\\u2028\", \"n\": 1, \"f\": 1.50, \"big\": 1e21,"
			"\"l\":[true, null, []], \"o\": {}, \"u\": \"\\u00e9\\u0001\\b\"}",
			NULL),
		"{\n\t\"a\": \"\\u003c\\u0026\\u003e\\u2028\",\n\t\"n\": 1,\n\t\"f\": 1.5,\n"
		"\t\"big\": 1e+21,\n\t\"l\": [\n\t\ttrue,\n\t\tnull,\n\t\t[]\n\t],\n\t\"o\": {},\n"
		"\t\"u\": \"\xC3\xA9\\u0001\\b\"\n}\n");
	over();
}

/* ---- strings ---- */

static const char *string(const char *s)
{
	static struct buf out;

	buf_reset(&out);
	sops_yaml_string(str_c(s), &(struct sops_lines){4, 4}, &out);
	return buf_cstr(&out);
}

void test_sops_emit__strings_are_quoted_where_they_would_be_something_else(void **state)
{
	static const char *const quoted[] = {"y",
					     "No",
					     "on",
					     "true",
					     "False",
					     "null",
					     "~",
					     "",
					     "1",
					     "-1",
					     "0x1F",
					     "0o17",
					     "017",
					     "08",
					     "1_000",
					     "0b1",
					     "1.5",
					     ".5",
					     "5.",
					     "1e3",
					     "-.5e-2",
					     "+1",
					     ".inf",
					     "-.INF",
					     ".nan",
					     "12:30",
					     "1:2:3",
					     "2020-01-01",
					     "2020-1-2",
					     "2001-12-14t21:59:43.10-05:00",
					     "2001-12-14 21:59:43",
					     "18446744073709551615",
					     "99999999999999999999"};
	static const char *const clear[] = {"x",          "yes!",       "1x",    "0x",
					    "0b2",        "1.2.3",      "_1",    "-",
					    "+",          "tr ue",      "a:b",   "a#b",
					    "2020-13-01", "2020-02-30", "12:60", "http://a/b?c=d&e",
					    "e3",         "0x1p4"};
	char want[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
		snprintf(want, sizeof(want), "\"%s\"", quoted[i]);
		assert_string_equal(string(quoted[i]), want);
	}
	for (size_t i = 0; i < ARRAY_LEN(clear); i++)
		if (strcmp(clear[i], "-") != 0)
			assert_string_equal(string(clear[i]), clear[i]);
	assert_string_equal(string("-"), "'-'");
	assert_string_equal(string("it's: so"), "'it''s: so'");
	assert_string_equal(string("@x"), "'@x'");
	assert_string_equal(string("x "), "'x '");
	assert_string_equal(string("--- x"), "'--- x'");
	assert_string_equal(string("a\tb"), "\"a\\tb\"");
	assert_string_equal(string("\xC2\x85"), "\"\\N\"");
	assert_string_equal(string("\xF0\x9F\x98\x80"), "\"\\U0001F600\"");
	assert_string_equal(string("\xFF"), "!!binary /w==");
	string("");
}

/* ---- any text ---- */

static unsigned dice(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % n;
}

static struct str any_text(unsigned *seed, char text[64])
{
	static const char *const parts[] = {"a",
					    "b c",
					    "\n",
					    "\n\n",
					    "\t",
					    " ",
					    "  ",
					    "#",
					    ": ",
					    ":",
					    "-",
					    "- ",
					    "\"",
					    "'",
					    "\\",
					    "{",
					    "]",
					    ",",
					    "&",
					    "*",
					    "!",
					    "|",
					    ">",
					    "%",
					    "@",
					    "`",
					    "?",
					    "---",
					    "1",
					    ".",
					    "e",
					    "_",
					    "0x",
					    "~",
					    "\xC3\xA9",
					    "\r",
					    "\x01",
					    "\x7F",
					    "\xE2\x80\xA8",
					    "\xEF\xBB\xBF",
					    "\xF0\x9F\x98\x80",
					    "\xC2\xA0"};
	unsigned n = dice(seed, 7);

	text[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		const char *p = parts[dice(seed, ARRAY_LEN(parts))];

		memcpy(text + strlen(text), p, strlen(p) + 1);
	}
	return str_c(text);
}

/* Whatever a value is, who reads the file reads that value. */
void test_sops_emit__any_text_is_read_back(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		AUTO(arena) struct arena a = {0};
		AUTO(buf) struct buf file = {0};
		struct yaml_docs docs;
		struct err err = {0};
		char text[64];
		struct str s = any_text(&seed, text);

		buf_puts(&file, "a:\n    b: ");
		sops_yaml_string(s, &(struct sops_lines){8, 4}, &file);
		if (!file.n || file.p[file.n - 1] != '\n')
			buf_putc(&file, '\n');
		buf_puts(&file, "    c:\n        - ");
		sops_yaml_string(s, &(struct sops_lines){10, 2}, &file);
		if (yaml_parse(&a, buf_view(&file), 0, NULL, NULL, &docs, &err) != 0)
			fail_msg("%s in\n%s", err.msg, buf_cstr(&file));
		if (!str_eq(json_str(json_at(docs.v[0], "a", "b")), s) ||
		    !str_eq(json_str(json_item(json_at(docs.v[0], "a", "c"), 0)), s))
			fail_msg("not read back:\n%s", buf_cstr(&file));
	}
}
