/* Versions and ranges: precedence, every operator, wildcards, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "reconciler/semver.h"

static int fits(const char *range, const char *version)
{
	AUTO(arena) struct arena a = {0};
	struct semver_range r;
	struct semver v;
	struct err err = {0};

	if (semver_range_parse(&a, str_c(range), &r, &err))
		fail_msg("%s: %s", range, err.msg);
	if (semver_parse(str_c(version), &v))
		fail_msg("%s: not a version", version);
	return semver_fits(&r, &v);
}

/* fitting versions, then those that don't fit, each list ended by NULL */
static void check(const char *range, const char *const *in, const char *const *out)
{
	for (; *in; in++) {
		if (!fits(range, *in))
			fail_msg("%s should hold %s", range, *in);
	}
	for (; *out; out++) {
		if (fits(range, *out))
			fail_msg("%s should not hold %s", range, *out);
	}
}
#define L(...) ((const char *const[]){__VA_ARGS__, NULL})

void test_semver__precedence(void **state)
{
	static const char *const rising[] = {
		"0.0.1",      "0.1.0",        "1.0.0-alpha",   "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",    "1.0.0",
		"v1.2.0",     "1.10.0",       "2.0.0+meta"};

	(void)state;
	for (size_t i = 0; i + 1 < ARRAY_LEN(rising); i++) {
		struct semver a, b;

		assert_int_equal(semver_parse(str_c(rising[i]), &a), 0);
		assert_int_equal(semver_parse(str_c(rising[i + 1]), &b), 0);
		assert_true(semver_cmp(&a, &b) < 0);
		assert_true(semver_cmp(&b, &a) > 0);
	}
}

void test_semver__metadata_does_not_count(void **state)
{
	struct semver a, b;

	(void)state;
	assert_int_equal(semver_parse(STR("1.2.3+a"), &a), 0);
	assert_int_equal(semver_parse(STR("v1.2.3+b.1"), &b), 0);
	assert_int_equal(semver_cmp(&a, &b), 0);
}

void test_semver__not_versions(void **state)
{
	static const char *const bad[] = {
		"",       "1",      "1.2",      "01.2.3",        "1.2.3.4",
		"1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-a..b",    "vv1.2.3",
		"1.2.x",  " 1.2.3", "1.2.3-ä",  "release-1.2.3", "99999999999999999999999.0.0"};
	struct semver v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (!semver_parse(str_c(bad[i]), &v))
			fail_msg("%s is no version", bad[i]);
	}
}

void test_semver__comparisons(void **state)
{
	(void)state;
	check("1.2.3", L("1.2.3", "v1.2.3+x"), L("1.2.4", "1.2.3-rc.1"));
	check("=1.2.3", L("1.2.3"), L("1.2.2"));
	check("!=1.2.3", L("1.2.4", "2.0.0"), L("1.2.3"));
	check(">1.2.3", L("1.2.4", "2.0.0"), L("1.2.3", "1.2.2"));
	check("< 2", L("1.9.9"), L("2.0.0", "2.1.0"));
	check(">=1.2", L("1.2.0", "3.0.0"), L("1.1.9"));
	check("=>1.2", L("1.2.0"), L("1.1.9"));
	check("<=1.2.3", L("1.2.3", "0.1.0"), L("1.2.4"));
	check("v1.2.3", L("1.2.3"), L("1.2.4"));
}

void test_semver__partial_versions_in_comparisons(void **state)
{
	(void)state;
	check(">11", L("12.0.0"), L("11.0.0", "11.9.0"));
	check(">11.1", L("11.2.0", "12.0.0"), L("11.1.9"));
	check("<=11", L("11.9.9", "1.0.0"), L("12.0.0"));
	check("<=11.1", L("11.1.9"), L("11.2.0"));
	check("!=1.x", L("2.0.0"), L("1.0.0", "1.4.5"));
	check("!=1.2.x", L("1.3.0"), L("1.2.9"));
}

void test_semver__wildcards(void **state)
{
	(void)state;
	check("*", L("0.0.1", "9.9.9"), L("1.0.0-rc.1"));
	check("x", L("0.0.1"), L("0.0.1-a"));
	check("1.x", L("1.0.0", "1.9.3"), L("2.0.0", "0.9.0"));
	check("1.2.*", L("1.2.0", "1.2.9"), L("1.3.0"));
	check("1", L("1.7.0"), L("2.0.0"));
	check("1.2", L("1.2.7"), L("1.3.0"));
}

void test_semver__tilde_and_caret(void **state)
{
	(void)state;
	check("~1.2.3", L("1.2.3", "1.2.9"), L("1.3.0", "1.2.2"));
	check("~1", L("1.0.0", "1.9.0"), L("2.0.0"));
	check("~>2.3", L("2.3.0", "2.3.7"), L("2.4.0"));
	check("^1.2.3", L("1.2.3", "1.9.0"), L("2.0.0", "1.2.2"));
	check("^0.2.3", L("0.2.3", "0.2.9"), L("0.3.0", "1.0.0"));
	check("^0.0.3", L("0.0.3"), L("0.0.4", "0.1.0"));
	check("^0.0", L("0.0.0", "0.0.9"), L("0.1.0"));
	check("^0", L("0.0.0", "0.9.0"), L("1.0.0"));
}

void test_semver__and_or_and_hyphens(void **state)
{
	(void)state;
	check(">=1.2.3 <2.0.0", L("1.2.3", "1.9.0"), L("2.0.0"));
	check(">= 1.2.3, < 2.0.0, != 1.5.0", L("1.4.0"), L("1.5.0"));
	check("<1.0.0 || >=3", L("0.1.0", "3.0.0"), L("1.0.0", "2.9.9"));
	check("^1||^3", L("1.1.0", "3.1.0"), L("2.0.0"));
	check("1.2 - 1.4.5", L("1.2.0", "1.4.5"), L("1.4.6", "1.1.9"));
	check("1.2.3 - 2 || 5.x", L("2.9.0", "5.1.0"), L("3.0.0"));
}

void test_semver__pre_releases_only_where_named(void **state)
{
	(void)state;
	check(">=1.0.0-0", L("1.0.0-rc.1", "1.0.0", "2.0.0-alpha"), L("0.9.0"));
	check(">=1.0.0", L("1.0.0"), L("1.0.0-rc.1", "2.0.0-rc.1"));
	check("~1.2.3-beta.2", L("1.2.3-beta.4", "1.2.3"), L("1.2.3-beta.1", "1.3.0"));
	check("^1.2.3-0", L("1.2.3-a", "1.9.0-rc.1"), L("2.0.0"));
}

void test_semver__ranges_that_are_refused(void **state)
{
	static const char *const bad[] = {"",          "||",        ">=1 ||",  "abc",
					  ">",         ">=1.2.3.4", "1.2.3 -", "~~1",
					  "1.2.3 & 2", ">=1.0.0-",  "1..2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena) struct arena a = {0};
		struct semver_range r;
		struct err err = {0};

		if (!semver_range_parse(&a, str_c(bad[i]), &r, &err))
			fail_msg("'%s' should be refused", bad[i]);
		assert_true(err.msg[0]);
	}
}

void test_semver__bounded(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct semver_range r;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 200; i++)
		buf_puts(&text, "1 ");
	assert_int_equal(semver_range_parse(&a, buf_view(&text), &r, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	for (int i = 0; i < 2000; i++)
		buf_puts(&text, "1 ");
	assert_int_equal(semver_range_parse(&a, buf_view(&text), &r, &err), -1);
}
