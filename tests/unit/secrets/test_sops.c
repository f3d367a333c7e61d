/*
 * SOPS files, made here by a small writer of the published format: what is whole opens, with every
 * type and rule; what was edited, moved or damaged is refused or reported.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "lib/base/codec.h"
#include "secrets/sops-internal.h"
#include "secrets/sops.h"
#include "tests/unit/secrets/as_json.h"

static const char identity[] =
	"AGE-SECRET-KEY-1CRA4FSFJ88G3C0SY8MSRUD8XUS6QV82Q0EDAJZFQPXHV9FWLZVVQKD7RMW\n";
static const char recipient[] = "age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew";
static const char data_key[] = "an AES key of 32 bytes for tests";
#define MODIFIED "2026-01-02T03:04:05Z"

static void put_base64(struct buf *out, const char *name, const void *p, size_t n)
{
	buf_puts(out, name);
	base64_encode((struct str){p, n}, out);
}

/* "ENC[…]"; the ring is big enough for one file. */
static const char *enc(const char *plain, const char *aad, const char *type)
{
	static char ring[8][1024];
	static unsigned next;
	char *ret = ring[next++ % 8];
	uint8_t iv[32], tag[16], data[256];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	AUTO(buf) struct buf out = {0};
	int n = (int)strlen(plain), m;

	random_bytes(iv, sizeof(iv));
	EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, NULL, NULL);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, sizeof(iv), NULL);
	EVP_EncryptInit_ex(c, NULL, NULL, (const uint8_t *)data_key, iv);
	EVP_EncryptUpdate(c, NULL, &m, (const uint8_t *)aad, (int)strlen(aad));
	EVP_EncryptUpdate(c, data, &m, (const uint8_t *)plain, n);
	EVP_EncryptFinal_ex(c, data + m, &m);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag);
	EVP_CIPHER_CTX_free(c);
	buf_puts(&out, "ENC[AES256_GCM,");
	put_base64(&out, "data:", data, (size_t)n);
	put_base64(&out, ",iv:", iv, sizeof(iv));
	put_base64(&out, ",tag:", tag, sizeof(tag));
	buf_printf(&out, ",type:%s]", type);
	snprintf(ret, sizeof(ring[0]), "%s", buf_cstr(&out));
	return ret;
}

/* `all` is what the MAC is over. */
static const char *mac(const char *all)
{
	uint8_t hash[64];
	char text[129];

	EVP_Digest(all, strlen(all), hash, NULL, EVP_sha512(), NULL);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(text + 2 * i, 3, "%02X", hash[i]);
	return enc(text, MODIFIED, "str");
}

static char *wrapped_key(void)
{
	struct age_recipient to;
	struct age_encrypt e = {&to, 1, true};
	struct buf out = {0};

	assert_int_equal(age_recipient_parse(str_c(recipient), &to, NULL), 0);
	assert_int_equal(age_encrypt(&e, (struct str){data_key, 32}, &out, NULL), 0);
	return buf_take(&out);
}

/* The metadata of a YAML file. */
static void put_metadata(struct buf *out, const char *rule, const char *all)
{
	AUTO(free) char *key = wrapped_key();
	struct str rest = str_c(key), line;

	buf_puts(out, "sops:\n  age:\n  - recipient: x\n    enc: |\n");
	while (str_next(&rest, '\n', &line))
		if (line.n)
			buf_printf(out, "      %.*s\n", STR_ARG(line));
	buf_printf(out, "  lastmodified: \"" MODIFIED "\"\n  mac: %s\n%s", mac(all), rule);
}

static struct age_keys *keys(void)
{
	struct age_keys *k = age_keys_new();

	assert_int_equal(age_keys_parse(k, str_c(identity), NULL), 0);
	return k;
}

struct opened {
	struct buf out;
	struct err err;
	struct sops_report report;
};

static void open_file(enum sops_format format, struct str bytes, struct opened *ret)
{
	struct age_keys *k = keys();
	struct sops_file f = {k, format, bytes};

	buf_release(&ret->out);
	*ret = (struct opened){0};
	if (sops_open_bytes(&f, &ret->out, &ret->report, &ret->err) != 0)
		assert_int_equal(ret->out.n, 0);
	else if (format == SOPS_YAML || format == SOPS_JSON)
		as_json(&ret->out);
	age_keys_free(k);
}

#define RULE "  encrypted_regex: ^(data|stringData)$\n"

static void secret_file(struct buf *out, const char *extra, const char *all)
{
	buf_printf(out,
		   "apiVersion: v1 # c\nkind: Secret\nmetadata:\n  name: x\n%s"
		   "stringData:\n  key: %s\n  empty: \"\"\n  none:\n",
		   extra, enc("hunter2", "stringData:key:", "str"));
	put_metadata(out, RULE, all);
}

void test_sops__opens_a_secret(void **state)
{
	AUTO(buf) struct buf f = {0};
	struct opened o = {0};

	(void)state;
	secret_file(&f, "", "v1Secretxhunter2");
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_string_equal(o.err.msg, "");
	assert_string_equal(o.report.mac.msg, "");
	assert_true(o.report.mac_ok);
	assert_string_equal(
		buf_cstr(&o.out),
		"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"},"
		"\"stringData\":{\"key\":\"hunter2\",\"empty\":\"\",\"none\":null}}\n");
	buf_release(&o.out);
}

/* As sops' own store, byte by byte: comments under encrypted keys are encrypted. */
void test_sops__comments_are_opened(void **state)
{
	AUTO(buf) struct buf f = {0};
	AUTO(buf) struct buf out = {0};
	struct age_keys *k = keys();
	struct sops_file file = {k, SOPS_YAML, STR_NONE};
	struct sops_report report;
	struct err err = {0};

	(void)state;
	buf_printf(&f, "#%s\na: %s\n", enc(" top", ":", "comment"), enc("1", "a:", "str"));
	buf_printf(&f, "b:\n    #%s\n    c: %s\n", enc(" in b", "b:", "comment"),
		   enc("x: y", "b:c:", "str"));
	buf_printf(&f, "    #%s\n", enc(" tail\nd: injected", "b:", "comment"));
	buf_printf(&f, "#%s\n", enc(" moved", "elsewhere:", "comment"));
	put_metadata(&f, "", "1x: y");
	file.bytes = buf_view(&f);
	assert_int_equal(sops_open_bytes(&file, &out, &report, &err), 0);
	assert_true(report.mac_ok);
	assert_true(str_starts(buf_view(&out),
			       STR("# top\na: \"1\"\nb:\n    # in b\n    c: 'x: y'\n    # tail\n"
				   "    # d: injected\n")));
	assert_non_null(strstr(buf_cstr(&out), "\n#ENC["));
	assert_null(strstr(buf_cstr(&out), "sops:"));
	age_keys_free(k);
}

void test_sops__clear_text_counts_as_go_reads_it(void **state)
{
	AUTO(buf) struct buf f = {0};
	struct opened o = {0};

	(void)state;
	secret_file(&f, "  a: [0x10, 017, 1_000, 1.50, 1e3, true, yes, \"7\", ~, -0.00001]\n",
		    "v1Secretx161510001.51000Trueyes7-0.00001hunter2");
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_string_equal(o.err.msg, "");
	assert_string_equal(o.report.mac.msg, "");
	buf_release(&o.out);
}

void test_sops__an_edited_file_is_reported(void **state)
{
	AUTO(buf) struct buf f = {0};
	struct opened o = {0};

	(void)state;
	secret_file(&f, "  namespace: stolen\n", "v1Secretxhunter2");
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_int_equal(o.err.code, ERR_NONE);
	assert_false(o.report.mac_ok);
	assert_int_equal(o.report.mac.code, ERR_CORRUPT);
	buf_release(&o.out);
}

void test_sops__types_lists_and_documents(void **state)
{
	AUTO(buf) struct buf f = {0};
	struct opened o = {0};

	(void)state;
	buf_printf(&f, "n: %s\nb: %s\n", enc("42", "n:", "int"), enc("true", "b:", "bool"));
	buf_printf(&f, "l:\n- %s\n- x: %s\n", enc("1.5", "l:", "float"), enc("y", "l:x:", "str"));
	buf_puts(&f, "clear_unencrypted: 1\n");
	put_metadata(&f, "", "42True1.5y1second");
	buf_printf(&f, "---\nd: %s\nsops:\n  mac: ignored\n", enc("second", "d:", "str"));
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_string_equal(o.err.msg, "");
	assert_string_equal(o.report.mac.msg, "");
	assert_string_equal(
		buf_cstr(&o.out),
		"{\"n\":42,\"b\":true,\"l\":[1.5,{\"x\":\"y\"}],\"clear_unencrypted\":1}\n"
		"---\n{\"d\":\"second\"}\n");
	buf_release(&o.out);
}

void test_sops__moved_values_and_clear_ones_are_refused(void **state)
{
	AUTO(buf) struct buf f = {0};
	struct opened o = {0};

	(void)state;
	buf_printf(&f, "data:\n  b: %s\n", enc("secret", "data:a:", "str"));
	put_metadata(&f, RULE, "secret");
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_int_equal(o.err.code, ERR_CORRUPT);
	assert_non_null(strstr(o.err.msg, "data:b"));
	buf_reset(&f);
	buf_puts(&f, "data:\n  a: smuggled\n");
	put_metadata(&f, RULE, "smuggled");
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_int_equal(o.err.code, ERR_CORRUPT);
	assert_null(strstr(o.err.msg, "smuggled"));
}

void test_sops__only_encrypted_values_in_the_mac(void **state)
{
	AUTO(buf) struct buf f = {0};
	AUTO(buf) struct buf all = {0};
	struct opened o = {0};
	struct sha256 mark;

	(void)state;
	/* The mark has no zero byte, so it can stand in a text. */
	sha256_of(STR("sops"), &mark);
	buf_put(&all, mark.bytes, sizeof(mark.bytes));
	buf_puts(&all, "s");
	buf_printf(&f, "kind: anything\ndata:\n  a: %s\n", enc("s", "data:a:", "str"));
	put_metadata(&f, RULE "  mac_only_encrypted: true\n", buf_cstr(&all));
	open_file(SOPS_YAML, buf_view(&f), &o);
	assert_string_equal(o.err.msg, "");
	assert_string_equal(o.report.mac.msg, "");
	buf_release(&o.out);
}

void test_sops__dotenv_and_binary(void **state)
{
	AUTO(buf) struct buf f = {0};
	AUTO(buf) struct buf b = {0};
	AUTO(free) char *key = wrapped_key();
	struct opened o = {0};

	(void)state;
	buf_printf(&f, "#c\nA=%s\nB_unencrypted=x\\ny\nsops_age__list_0__map_enc=",
		   enc("two\nlines", "A:", "str"));
	for (const char *c = key; *c; c++)
		if (*c == '\n')
			buf_puts(&f, "\\n");
		else
			buf_putc(&f, *c);
	buf_printf(&f, "\nsops_lastmodified=" MODIFIED "\nsops_mac=%s\n", mac("two\nlinesx\ny"));
	open_file(SOPS_DOTENV, buf_view(&f), &o);
	assert_string_equal(o.err.msg, "");
	assert_string_equal(o.report.mac.msg, "");
	assert_string_equal(buf_cstr(&o.out), "#c\nA=two\\nlines\nB_unencrypted=x\\ny\n");
	buf_printf(&b, "{\"data\": \"%s\", \"sops\": {\"age\": [{\"enc\": ",
		   enc("raw bytes", "data:", "str"));
	json_write_string(str_c(key), &b);
	buf_printf(&b, "}], \"lastmodified\": \"" MODIFIED "\", \"mac\": \"%s\"}}",
		   mac("raw bytes"));
	open_file(SOPS_BINARY, buf_view(&b), &o);
	assert_string_equal(o.err.msg, "");
	assert_true(o.report.mac_ok);
	assert_string_equal(buf_cstr(&o.out), "raw bytes");
	buf_release(&o.out);
}

void test_sops__what_cannot_be_opened_says_why(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"a: 1\n", "not encrypted"},
		{"a: 1\nsops: {mac: x}\n", "no age recipient"},
		{"a: 1\nsops: {mac: x, age: [{enc: nonsense}]}\n", "data key"},
		{"a: 1\nsops: {mac: x, key_groups: [{}, {}]}\n", "key groups"},
		{"a: 1\nsops: {mac: x, encrypted_regex: a, encrypted_suffix: b}\n",
		 "more than one"},
		{"a: 1\nsops: {mac: x, encrypted_regex: '('}\n", "regular expression"},
		{"[1]\n", "not encrypted"},
		{"{", "line"},
	};
	struct opened o = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		open_file(SOPS_YAML, str_c(cases[i].text), &o);
		assert_int_not_equal(o.err.code, ERR_NONE);
		if (!strstr(o.err.msg, cases[i].why))
			fail_msg("\"%s\" lacks \"%s\"", o.err.msg, cases[i].why);
	}
}

void test_sops__floats_as_go_writes_them(void **state)
{
	static const struct {
		double f;
		const char *text;
	} cases[] = {{1.5, "1.5"},
		     {1000, "1000"},
		     {0.1, "0.1"},
		     {1e21, "1000000000000000000000"},
		     {-2.5e-7, "-0.00000025"},
		     {0, "0"},
		     {123456.789, "123456.789"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf) struct buf out = {0};

		sops_float(cases[i].f, &out);
		assert_string_equal(buf_cstr(&out), cases[i].text);
	}
}
