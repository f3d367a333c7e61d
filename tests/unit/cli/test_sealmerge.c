/* Putting one sealed value into a file: everything else stays to the byte. */
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "cli/sealmerge.h"

#define HEAD                                                                                       \
	"# keep me\nkind: SealedSecret\nmetadata: {name: db, namespace: team}\nspec:\n"            \
	"  encryptedData:   # and me\n"

static struct seal_pub pub(void)
{
	struct seal_pub p;

	assert_int_equal(
		seal_pub_of((struct str){"0123456789abcdef0123456789abcdef", 32}, &p, NULL), 0);
	return p;
}

static int put(const char *text, const char *key, struct buf *out, struct err *err)
{
	struct seal_pub p = pub();
	struct sealmerge m = {&p, str_c(key), STR("secret")};

	buf_reset(out);
	return sealmerge(str_c(text), &m, out, err);
}

void test_sealmerge__replaces_in_place(void **state)
{
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(
		put(HEAD "    a: \"old\" # mine\n    b: other\n---\nkind: X\n", "a", &out, &err),
		0);
	assert_non_null(strstr(buf_cstr(&out), HEAD "    a: \"AQ"));
	assert_non_null(strstr(buf_cstr(&out), "\" # mine\n    b: other\n---\nkind: X\n"));
}

void test_sealmerge__adds_a_line(void **state)
{
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(put(HEAD "    a: old # mine\n  scope: cluster\n", "token.txt", &out, &err),
			 0);
	assert_non_null(strstr(buf_cstr(&out), HEAD "    a: old # mine\n    \"token.txt\": AQ"));
	assert_non_null(strstr(buf_cstr(&out), "\n  scope: cluster\n"));
	/* No newline at the end of the file. */
	assert_int_equal(put(HEAD "    a: old", "b", &out, &err), 0);
	assert_non_null(strstr(buf_cstr(&out), "    a: old\n    \"b\": AQ"));
}

void test_sealmerge__refuses_what_it_does_not_understand(void **state)
{
	static const char *const texts[] = {
		"kind: Secret\n",
		HEAD "    a: x\n---\n" HEAD "    a: x\n",
		"kind: SealedSecret\nmetadata: {name: a, namespace: b}\nspec: {}\n",
		"kind: SealedSecret\nmetadata: {name: a}\nspec:\n  encryptedData:\n    a: x\n",
		"kind: SealedSecret\nmetadata: {name: a, namespace: b}\nspec: {encryptedData: {a: "
		"x}}\n",
		"kind: [",
	};
	AUTO(buf) struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err err = {0};

		assert_int_equal(put(texts[i], "new", &out, &err), -1);
		assert_true(err.msg[0] != '\0');
	}
}
