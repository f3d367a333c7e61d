/* Backups of keys: they open with their passphrase, whole, and not otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "secrets/keybackup.h"

static const struct keybackup cheap = {{"tr0ub4dor", 9}, 1, 8};

/* Made by another implementation (Python, libsodium's functions by name): version 1 for ever. */
static const char vector[] = "UExLQgEAAAABAAAAQAABAgMEBQYHCAkKCwwNDg9kZWZnaGlqa2xtbm9wcXJzdHV2d3h5e"
			     "nv+O5HkWEz+Jpsy5C0/uM+j0KA/xUx42Z5/8iM=";

static void make(struct buf *out)
{
	assert_int_equal(keybackup_seal(&cheap, STR("{\"keys\":[]}"), out, NULL), 0);
}

void test_keybackup__opens_with_its_passphrase(void **state)
{
	AUTO(buf) struct buf file = {0};
	AUTO(buf) struct buf plain = {0};
	struct keybackup other = {STR("tr0ub4dor!"), 0, 0};
	struct err err = {0};

	(void)state;
	make(&file);
	assert_int_equal(keybackup_open(&cheap, buf_view(&file), &plain, &err), 0);
	assert_true(str_is(buf_view(&plain), "{\"keys\":[]}"));
	assert_int_equal(keybackup_open(&other, buf_view(&file), &plain, &err), -1);
	assert_int_equal(err.code, ERR_FORBIDDEN);
	assert_true(str_find(buf_view(&file), STR("keys")) < 0);
}

void test_keybackup__vector(void **state)
{
	AUTO(buf) struct buf file = {0};
	AUTO(buf) struct buf plain = {0};
	struct keybackup k = {STR("correct horse"), 0, 0};
	struct err err = {0};

	(void)state;
	assert_int_equal(base64_decode(str_c(vector), &file), 0);
	assert_int_equal(keybackup_open(&k, buf_view(&file), &plain, &err), 0);
	assert_true(str_is(buf_view(&plain), "{\"keys\":[]}"));
}

void test_keybackup__every_truncation_is_refused(void **state)
{
	AUTO(buf) struct buf file = {0};

	(void)state;
	make(&file);
	for (size_t n = 0; n < file.n; n++) {
		AUTO(buf) struct buf plain = {0};
		struct err err = {0};

		assert_int_equal(
			keybackup_open(&cheap, str_sub(buf_view(&file), 0, n), &plain, &err), -1);
		assert_true(err.code != ERR_NONE);
		assert_int_equal(plain.n, 0);
	}
}

void test_keybackup__every_bit_counts(void **state)
{
	AUTO(buf) struct buf file = {0};

	(void)state;
	make(&file);
	for (size_t bit = 0; bit < file.n * 8; bit++) {
		AUTO(buf) struct buf plain = {0};
		struct err err = {0};

		file.p[bit / 8] = (char)(file.p[bit / 8] ^ (1 << bit % 8));
		assert_int_equal(keybackup_open(&cheap, buf_view(&file), &plain, &err), -1);
		assert_int_equal(plain.n, 0);
		file.p[bit / 8] = (char)(file.p[bit / 8] ^ (1 << bit % 8));
	}
}

void test_keybackup__a_file_cannot_ask_for_everything(void **state)
{
	AUTO(buf) struct buf file = {0};
	AUTO(buf) struct buf plain = {0};
	struct keybackup k = {STR("x"), 0, 0};
	struct err err = {0};

	(void)state;
	make(&file);
	memset(file.p + 9, 0x7f, 4);
	assert_int_equal(keybackup_open(&k, buf_view(&file), &plain, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	memset(file.p + 9, 0, 4);
	assert_int_equal(keybackup_open(&k, buf_view(&file), &plain, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	memcpy(file.p, "PLKB\x02", 5);
	assert_int_equal(keybackup_open(&k, buf_view(&file), &plain, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	k.passphrase = STR("");
	assert_int_equal(keybackup_seal(&k, STR("x"), &plain, &err), -1);
}
