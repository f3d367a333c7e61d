/* Ignore rules, against git itself where git and Flux agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/os/fs.h"
#include "lib/os/proc.h"
#include "reconciler/ignore.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static bool out(const char *rules, const char *path)
{
	struct arena a = {0};
	struct ignore ig = {0};
	size_t n = strlen(path);
	bool folder = n && path[n - 1] == '/';
	enum ignore_verdict v;

	assert_int_equal(ignore_add(&a, &ig, STR(""), str_c(rules), NULL), 0);
	v = ignore_verdict(&ig, str_sub(str_c(path), 0, n - folder), folder);
	arena_release(&a);
	return v == IGNORE_OUT;
}

/* Rules, and paths (a folder ends in a slash) that git is asked about as well. */
static const struct {
	const char *rules;
	const char *paths[12];
} cases[] = {
	{"*.jpg\n", {"a.jpg", "x/b.jpg", "a.jpeg", "a.jpg/c", "jpg"}},
	{"# no\n\n  \nfoo\n", {"foo", "x/foo", "foo/bar", "foobar", "no", "# no"}},
	{"foo/\n", {"foo", "foo/", "x/foo/", "x/foo/bar", "foo/a/b"}},
	{"/foo\n", {"foo", "x/foo", "foo/x"}},
	{"a/b\n", {"a/b", "x/a/b", "a/b/c", "a/bc"}},
	{"/*\n!/deploy\n/deploy/**/*.md\n",
	 {"x", "x/y", "deploy/a.yaml", "deploy/r.md", "deploy/a/b/r.md", "deploy/a/b/c.yaml"}},
	{"**/foo\n", {"foo", "a/foo", "a/b/foo", "a/b/foo/c", "foox"}},
	{"a/**\n", {"a", "a/b", "a/b/c", "x/a/b"}},
	{"a/**/b\n", {"a/b", "a/x/b", "a/x/y/b", "a/xb", "b"}},
	{"**/a/**/b/**\n", {"a/b/c", "x/a/y/b/z", "a/b", "b/c"}},
	{"*.yaml\n!keep.yaml\n", {"a.yaml", "keep.yaml", "x/keep.yaml", "x/y.yaml"}},
	{"!a.yaml\na.yaml\n", {"a.yaml"}},
	{"\\#x\n\\!y\nz\\ \nw  \n", {"#x", "!y", "z ", "z", "w"}},
	{"f?o\n[a-c]x\n[^a-c]y\n[!a]z\n",
	 {"foo", "fooo", "f/o", "ax", "dx", "ay", "dy", "az", "bz"}},
	{"a*b*c\n", {"abc", "aXbXc", "abcb", "ab/c", "aabbcc"}},
	{"a\\*b\n[]]x\n[a\\]]q\n", {"a*b", "axb", "]x", "]q", "aq", "bq"}},
	{"[\n[a\nok\n", {"[", "a", "ok"}},
	{"x/*\n", {"x/a", "x/a/b", "x", "y/x/a"}},
	{"*/x\n", {"a/x", "a/b/x", "x"}},
	{"foo.txt \nbar\r\n", {"foo.txt", "bar"}},
	{"a/b/\n", {"a/b", "a/b/", "a/b/c"}},
	{"/\n//\n", {"a", "a/b"}},
	{"**\n", {"a", "a/b"}},
	{"**/\n", {"a", "a/", "a/b"}},
	{"a**b\n", {"ab", "axxb", "a/b"}},
};

static bool git_says_out(const char *dir, const char *path)
{
	const char *argv[] = {"git", "-C", dir, "check-ignore", "-q", "--no-index",
			      "--",  path, NULL};
	struct proc_opts o = {.argv = argv};
	struct proc_result r = {0};
	struct err err = {0};
	int status;

	assert_int_equal(proc_run(&o, &r, &err), 0);
	status = r.status;
	proc_result_release(&r);
	return status == 0;
}

void test_ignore__as_git_check_ignore(void **state)
{
	char dir[] = "/tmp/plumb-ignore.XXXXXX";
	const char *init[] = {"git", "init", "-q", dir, NULL};
	struct proc_opts o = {.argv = init};
	struct proc_result r = {0};
	struct err err = {0};
	char file[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(proc_run(&o, &r, &err), 0);
	proc_result_release(&r);
	snprintf(file, sizeof(file), "%s/.gitignore", dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FILE *f = fopen(file, "w");

		assert_non_null(f);
		fputs(cases[i].rules, f);
		fclose(f);
		for (size_t k = 0; cases[i].paths[k]; k++) {
			bool got = out(cases[i].rules, cases[i].paths[k]);

			if (got != git_says_out(dir, cases[i].paths[k]))
				fail_msg("rules %s: %s is %s", cases[i].rules, cases[i].paths[k],
					 got ? "out, git has it in" : "in, git has it out");
		}
	}
	assert_int_equal(fs_remove_tree(dir, &err), 0);
}

void test_ignore__brings_back_below_what_is_out_as_flux_does(void **state)
{
	(void)state;
	assert_false(out("/*\n!/apps/prod\n", "apps/prod/a.yaml"));
	assert_true(out("/*\n!/apps/prod\n", "apps/test/a.yaml"));
	assert_false(out("foo/\n!bar.yaml\n", "foo/bar.yaml"));
}

void test_ignore__rules_of_folders(void **state)
{
	struct arena a = {0};
	struct ignore ig = {0};

	(void)state;
	assert_int_equal(ignore_add(&a, &ig, STR("a/b"), STR("/x.yaml\n*.md\n"), NULL), 0);
	assert_int_equal(ignore_verdict(&ig, STR("a/b/x.yaml"), false), IGNORE_OUT);
	assert_int_equal(ignore_verdict(&ig, STR("a/b/c/x.yaml"), false), IGNORE_UNSAID);
	assert_int_equal(ignore_verdict(&ig, STR("a/b/c/x.md"), false), IGNORE_OUT);
	assert_int_equal(ignore_verdict(&ig, STR("a/x.md"), false), IGNORE_UNSAID);
	assert_int_equal(ignore_verdict(&ig, STR("a/bc/x.md"), false), IGNORE_UNSAID);
	assert_int_equal(ignore_add(&a, &ig, STR(""), STR("!c/\n"), NULL), 0);
	assert_int_equal(ignore_verdict(&ig, STR("a/b/c/x.md"), false), IGNORE_IN);
	arena_release(&a);
}

void test_ignore__defaults(void **state)
{
	static const char *const left_out[] = {
		"a.jpg",           "x/a.tar.gz",       "b.zip",
		".github/w.yaml",  "x/.github/w.yaml", ".gitlab-ci.yml",
		"cloudbuild.yaml", "x/.sops.yaml",     ".flux.yaml",
		".gitmodules",     ".git/config"};
	struct arena a = {0};
	struct ignore ig = {0};

	(void)state;
	ignore_add_defaults(&a, &ig);
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		assert_int_equal(ignore_verdict(&ig, str_c(left_out[i]), false), IGNORE_OUT);
	assert_int_equal(ignore_verdict(&ig, STR("apps/a.yaml"), false), IGNORE_UNSAID);
	assert_int_equal(ignore_verdict(&ig, STR("github/a.yaml"), false), IGNORE_UNSAID);
	assert_false(ig.negated);
	arena_release(&a);
}

void test_ignore__is_bounded(void **state)
{
	struct arena a = {0};
	struct ignore ig = {0};
	char *text = malloc(IGNORE_TEXT_MAX + 1), deep[400];
	struct err err = {0};

	(void)state;
	memset(text, 'x', IGNORE_TEXT_MAX + 1);
	assert_int_equal(
		ignore_add(&a, &ig, STR(""), (struct str){text, IGNORE_TEXT_MAX + 1}, &err), -1);
	assert_int_equal(ignore_add(&a, &ig, STR(""), (struct str){text, 5000}, &err), -1);
	for (size_t i = 1; i < 20000; i += 2)
		text[i] = '\n';
	assert_int_equal(ignore_add(&a, &ig, STR(""), (struct str){text, 20000}, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	for (size_t i = 0; i < sizeof(deep); i++)
		deep[i] = i % 2 ? '/' : 'a';
	ignore_verdict(&ig, (struct str){deep, sizeof(deep) - 1}, false);
	assert_true(out("**/**/**/**/**/**/**/**/**/**/**/b\n/a", "a/a/a/a/a/a/a/a/a/a/a/a/a"));
	free(text);
	arena_release(&a);
}
