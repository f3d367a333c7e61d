/* Encryption at rest. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/os/fs.h"
#include "secrets/atrest.h"

static const char two_keys[65] = "0123456789abcdef0123456789abcdefABCDEFGHABCDEFGHABCDEFGHABCDEFGH";
static const struct str row = {"/registry/secrets/d/x", 21};

void test_atrest__opens_only_what_it_sealed(void **state)
{
	struct atrest *a = atrest_from((struct str){two_keys, 32}, NULL);
	AUTO(buf) struct buf sealed = {0};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_non_null(a);
	assert_int_equal(atrest_seal(a, row, STR("hunter2"), &sealed, &err), 0);
	assert_int_equal(sealed.n, 7 + ATREST_OVERHEAD);
	assert_true(atrest_is_sealed(buf_view(&sealed)));
	assert_false(atrest_is_sealed(STR("{}")));
	assert_int_equal(atrest_open(a, row, buf_view(&sealed), &out, &err), 0);
	assert_string_equal(buf_cstr(&out), "hunter2");
	buf_reset(&out);
	assert_int_equal(
		atrest_open(a, STR("/registry/secrets/d/y"), buf_view(&sealed), &out, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	for (size_t bit = 0; bit < sealed.n * 8; bit++) {
		sealed.p[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(atrest_open(a, row, buf_view(&sealed), &out, &err), -1);
		sealed.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t n = 0; n < sealed.n; n++)
		assert_int_equal(atrest_open(a, row, (struct str){sealed.p, n}, &out, &err), -1);
	assert_int_equal(out.n, 0);
	atrest_free(a);
}

/* Stores that an earlier version wrote stay readable, and are written anew. */
void test_atrest__version_1(void **state)
{
	static const char v1[] = "PLR\x01\x81\xb7\xf4\x17\xed\x31\x09\x18\x00\x01\x02\x03\x04\x05"
				 "\x06\x07\x08\x09\x0a\x0b"
				 "\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x40\xa8\x66\x3f"
				 "\xa8\xf3\x02\x7e\x90\x47"
				 "\x77\x8b\xce\xc4\xdb\xf6\x9f\xc7\xe8\x29\x37\x26\x2c";
	struct atrest *a = atrest_from((struct str){two_keys, 32}, NULL);
	struct str sealed = {v1, sizeof(v1) - 1};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_non_null(a);
	assert_true(atrest_is_sealed(sealed));
	assert_true(atrest_is_old(a, sealed));
	assert_int_equal(atrest_open(a, row, sealed, &out, &err), 0);
	assert_string_equal(buf_cstr(&out), "hunter2");
	for (size_t n = 0; n < sealed.n; n++)
		assert_int_equal(atrest_open(a, row, str_sub(sealed, 0, n), &out, &err), -1);
	atrest_free(a);
}

/* Each load seals under a data key of its own, which lies with what it sealed. */
void test_atrest__data_keys(void **state)
{
	struct atrest *one = atrest_from((struct str){two_keys, 32}, NULL);
	struct atrest *two = atrest_from((struct str){two_keys, 32}, NULL);
	AUTO(buf) struct buf first = {0};
	AUTO(buf) struct buf second = {0};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(atrest_seal(one, row, STR("hunter2"), &first, &err), 0);
	assert_int_equal(atrest_seal(two, row, STR("hunter2"), &second, &err), 0);
	assert_memory_equal(first.p, second.p, 12);
	assert_memory_not_equal(first.p + 12, second.p + 12, 72);
	assert_int_equal(atrest_open(two, row, buf_view(&first), &out, &err), 0);
	assert_string_equal(buf_cstr(&out), "hunter2");
	buf_reset(&out);
	/* Another's data key doesn't open it, nor does a changed one. */
	for (size_t bit = 0; bit < 84 * 8; bit++) {
		first.p[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(atrest_open(two, row, buf_view(&first), &out, &err), -1);
		first.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	memcpy(first.p + 12, second.p + 12, 72);
	assert_int_equal(atrest_open(two, row, buf_view(&first), &out, &err), -1);
	assert_false(atrest_is_old(one, buf_view(&second)));
	atrest_free(one);
	atrest_free(two);
}

void test_atrest__rotation(void **state)
{
	struct atrest *old = atrest_from((struct str){two_keys + 32, 32}, NULL);
	struct atrest *both = atrest_from((struct str){two_keys, 64}, NULL);
	struct atrest *new = atrest_from((struct str){two_keys, 32}, NULL);
	AUTO(buf) struct buf sealed = {0};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(atrest_seal(old, row, STR("x"), &sealed, &err), 0);
	assert_false(atrest_is_old(old, buf_view(&sealed)));
	assert_true(atrest_is_old(both, buf_view(&sealed)));
	assert_int_equal(atrest_open(both, row, buf_view(&sealed), &out, &err), 0);
	assert_int_equal(atrest_open(new, row, buf_view(&sealed), &out, &err), -1);
	assert_non_null(strstr(err.msg, "root key"));
	atrest_free(old);
	atrest_free(both);
	atrest_free(new);
}

void test_atrest__key_file(void **state)
{
	char dir[] = "/tmp/plumb-atrest-XXXXXX";
	struct err err = {0};
	struct atrest *a;
	AUTO(buf) struct buf sealed = {0};
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	AUTO(free) char *path = xasprintf("%s/root.key", dir);
	assert_null(atrest_load(path, false, &err));
	a = atrest_load(path, true, &err);
	assert_non_null(a);
	assert_int_equal(atrest_seal(a, row, STR("x"), &sealed, &err), 0);
	atrest_free(a);
	a = atrest_load(path, true, &err);
	assert_int_equal(atrest_open(a, row, buf_view(&sealed), &out, &err), 0);
	atrest_free(a);
	assert_int_equal(chmod(path, 0644), 0);
	assert_null(atrest_load(path, true, &err));
	assert_int_equal(err.code, ERR_FORBIDDEN);
	assert_int_equal(fs_write(path, STR("short"), 0600, &err), 0);
	assert_null(atrest_load(path, true, &err));
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_int_equal(fs_remove_tree(dir, &err), 0);
}

/* A new key seals, the old ones open, and none is dropped without being asked for. */
void test_atrest__a_new_key_in_the_file(void **state)
{
	char dir[] = "/tmp/plumb-atrest-XXXXXX";
	AUTO(buf) struct buf sealed = {0};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};
	struct atrest *a;

	(void)state;
	assert_non_null(mkdtemp(dir));
	AUTO(free) char *path = xasprintf("%s/root.key", dir);
	assert_int_equal(atrest_rotate(path, &err), -1); /* nothing to rotate */
	a = atrest_load(path, true, &err);
	assert_int_equal(atrest_seal(a, row, STR("x"), &sealed, &err), 0);
	assert_false(atrest_is_old(a, buf_view(&sealed)));
	atrest_free(a);
	for (int i = 1; i < ATREST_KEYS_MAX; i++)
		assert_int_equal(atrest_rotate(path, &err), 0);
	assert_int_equal(atrest_rotate(path, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	a = atrest_load(path, false, &err);
	assert_non_null(a);
	assert_true(atrest_is_old(a, buf_view(&sealed)));
	assert_int_equal(atrest_open(a, row, buf_view(&sealed), &out, &err), 0);
	assert_true(str_is(buf_view(&out), "x"));
	atrest_free(a);
	assert_int_equal(fs_remove_tree(dir, &err), 0);
}
