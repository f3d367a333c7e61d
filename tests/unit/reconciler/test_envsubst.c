/* ${…} in every form; what is expected is what Flux makes of the same text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/envsubst.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const struct {
	const char *name, *value;
	bool sensitive;
} vars[] = {
	{"v", "abcABC123ABCabc", false},
	{"s", "foo/bar/baz", false},
	{"file", "bash.string.txt", false},
	{"path", "/path/to/file", false},
	{"empty", "", false},
	{"num", "7", false},
	{"pw", "secret", true},
	{"evil", "${num} $$ ${nope}", false},
	{"umlaut", "\xc3\xa4x\xc3\xb6", false},
	{"_u1", "under", false},
	{"up", "ABC", false},
};

static bool find(void *ctx, struct str name, struct str *ret, bool *sensitive)
{
	(void)ctx;
	for (size_t i = 0; i < sizeof(vars) / sizeof(vars[0]); i++) {
		if (str_is(name, vars[i].name)) {
			*ret = str_c(vars[i].value);
			*sensitive |= vars[i].sensitive;
			return true;
		}
	}
	return false;
}

static const struct envsubst env = {.find = find};

static void becomes(const char *text, const char *want)
{
	AUTO(buf) struct buf out = {0};
	bool sensitive = false;
	struct err err = {0};

	if (envsubst(&env, str_c(text), &out, &sensitive, &err))
		fail_msg("%s: %s", text, err.msg);
	if (strcmp(buf_cstr(&out), want) != 0)
		fail_msg("%s: %s instead of %s", text, buf_cstr(&out), want);
}

static void refused(const char *text, const char *why)
{
	AUTO(buf) struct buf out = {0};
	bool sensitive = false;
	struct err err = {0};

	assert_int_equal(envsubst(&env, str_c(text), &out, &sensitive, &err), -1);
	if (!strstr(err.msg, why))
		fail_msg("%s: %s", text, err.msg);
}

void test_envsubst__values_and_defaults(void **state)
{
	(void)state;
	becomes("plain", "plain");
	becomes("", "");
	becomes("$v ${num}$ $(x)", "$v 7$ $(x)");
	becomes("a${num}b${_u1}c", "a7bunderc");
	becomes("${empty}", "");
	becomes("${empty:-d}|${empty:=d}|${empty=d}|${empty-d}", "d|d|d|");
	becomes("${nope:-d}|${nope:=d}|${nope=d}|${nope-d}", "d|d|d|d");
	becomes("${num:-d}|${num:=d}|${num=d}|${num-d}", "7|7|7|7");
	becomes("${nope:-}", "");
	becomes("${nope:=a b: {c}}", "a b: {c}"); /* the first brace closes */
	becomes("${nope:=$$x}", "$$x");
}

void test_envsubst__nesting(void **state)
{
	(void)state;
	becomes("x ${nope=${num}}", "x 7");
	becomes("${nope=${num}-suffix}", "7-suffix");
	becomes("${nope=prefix${num}-suffix}", "prefix7-suffix");
	becomes("${nope:=${nope:-${up,,}}}", "abc");
	becomes("${file%.${nope:=txt}}", "bash.string");
	becomes("${v/${nope:=abc}/${num}}", "7ABC123ABCabc");
}

void test_envsubst__dollars(void **state)
{
	(void)state;
	becomes("$${num}", "${num}");
	becomes("$$", "$");
	becomes("$$$$", "$$");
	becomes("$$${num}", "$7");
	becomes("some ${num}$${var$${num}$var01${num}", "some 7${var${num}$var017");
	becomes("$${var=${num}}", "${var=7}");
	becomes("\\\\x ${num}", "\\\\x 7");
	becomes("${evil}", "${num} $$ ${nope}"); /* values are not read again */
}

void test_envsubst__length_and_case(void **state)
{
	(void)state;
	becomes("${#v}", "15");
	becomes("${#empty}", "0");
	becomes("${v^}|${up,}", "AbcABC123ABCabc|aBC");
	becomes("${v^^}|${v,,}", "ABCABC123ABCABC|abcabc123abcabc");
	becomes("${empty^}${empty,,}", "");
}

void test_envsubst__slices(void **state)
{
	(void)state;
	becomes("${v:6}", "123ABCabc");
	becomes("${v:6:3}", "123");
	becomes("${v:0}", "abcABC123ABCabc");
	becomes("${v:99}", "");
	becomes("${v:12:99}", "abc");
	becomes("${v:1:-1}", "bcABC123ABCab");
	becomes("${v:10:-9}", "");
	becomes("${v:x}", "abcABC123ABCabc");
	becomes("${v:0:x}", "abcABC123ABCabc");
	becomes("${v:${nope:=12}:${nope:=2}}", "ab");
	becomes("${v:9223372036854775807:9223372036854775807}", "");
	becomes("${v:6:9223372036854775807}", "123ABCabc");
}

void test_envsubst__trimming(void **state)
{
	(void)state;
	becomes("${file#*.}", "string.txt");
	becomes("${path#*/}", "path/to/file");
	becomes("${s#*/}", "bar/baz");
	becomes("${file##*.}", "txt");
	becomes("${path##*/}", "file");
	becomes("${file%.*}", "bash.string");
	becomes("${file%%.*}", "bash");
	becomes("${s#nope}", "foo/bar/baz");
	becomes("${s#foo}", "/bar/baz");
	becomes("${s%ba?}", "foo/bar/");
	becomes("${s##*[a-c]}", "z");
	becomes("${s%%[^a-o]*}", "foo");
	becomes("${s#f\\oo}", "/bar/baz");
	becomes("${file#bash\\.}", "string.txt");
	becomes("${umlaut#?}", "x\xc3\xb6");
	becomes("${umlaut%?}", "\xc3\xa4x");
	becomes("${umlaut##*x}", "\xc3\xb6");
	becomes("${s#[}", "foo/bar/baz"); /* malformed: nothing happens */
	becomes("${empty#*}", "");
	becomes("${v##*}", "");
}

void test_envsubst__replacing(void **state)
{
	(void)state;
	becomes("${v/abc/xyz}", "xyzABC123ABCabc");
	becomes("${v//abc/xyz}", "xyzABC123ABCxyz");
	becomes("${v/#abc/XYZ}", "XYZABC123ABCabc");
	becomes("${v/%abc/XYZ}", "abcABC123ABCXYZ");
	becomes("${v/#x/y}${v/%x/y}", "abcABC123ABCabcabcABC123ABCabc");
	becomes("${s/#/pre-}", "pre-foo/bar/baz");
	becomes("${s/%/-post}", "foo/bar/baz-post");
	becomes("${s/\\//-}", "foo-bar/baz");
	becomes("${s//\\//-}", "foo-bar-baz");
	becomes("${s//bar/}", "foo//baz");
	becomes("${s/*/x}", "foo/bar/baz"); /* a text, not a glob */
}

void test_envsubst__what_is_refused(void **state)
{
	(void)state;
	refused("a ${nope}", "variable nope is not set");
	refused("${#nope}", "variable nope is not set");
	refused("${nope^^}", "variable nope is not set");
	refused("${nope%x}", "variable nope is not set");
	refused("${num", "the brace is not closed");
	refused("${num:-x", "the brace is not closed");
	refused("${}", "${}: not a variable");
	refused("${1a}", "not a variable");
	refused("${ num }", "not a variable");
	refused("${#}", "not a variable");
	refused("${num:?x}", "not supported");
	refused("${num:+x}", "not supported");
	refused("${num+x}", "not supported");
	refused("${arr[@]}", "not supported");
	refused("${num^x}", "nothing is expected");
	refused("${num:}", "an offset is expected");
	refused("${num/x}", "${name/text/new} is expected");
	refused("${#num:1}", "the brace is not closed");
	refused("${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${a:=${"
		"a:=x"
		"}}}}}}}}}}}}}}}}}",
		"within one another");
}

void test_envsubst__secrets_are_told(void **state)
{
	AUTO(buf) struct buf out = {0};
	bool sensitive = false;

	(void)state;
	assert_int_equal(envsubst(&env, STR("${num}"), &out, &sensitive, NULL), 0);
	assert_false(sensitive);
	assert_int_equal(envsubst(&env, STR("${nope:=${pw:0:1}}"), &out, &sensitive, NULL), 0);
	assert_true(sensitive);
	assert_string_equal(buf_cstr(&out), "7s");
}

static char big[ENVSUBST_MAX];

static bool find_big(void *ctx, struct str name, struct str *ret, bool *sensitive)
{
	(void)ctx;
	(void)name;
	(void)sensitive;
	*ret = (struct str){big, sizeof(big)};
	return true;
}

void test_envsubst__is_bounded(void **state)
{
	static const char *const texts[] = {"${a}${a}", "${a//x/${a}}",
					    "${a##*x*x*x*x*x*x*x*x*x*y}", "${b:=${a}${a}}"};
	const struct envsubst e = {.find = find_big};

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		AUTO(buf) struct buf out = {0};
		bool sensitive = false;
		struct err err = {0};

		if (envsubst(&e, str_c(texts[i]), &out, &sensitive, &err))
			assert_int_equal(err.code, ERR_LIMIT);
		else
			assert_true(out.n <= ENVSUBST_MAX);
	}
}
