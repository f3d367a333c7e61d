/*
 * Every case of tests/kustomize is built and compared with what kustomize made of it, object by
 * object and in order. What is expected stands beside each case (see tests/kustomize/regenerate).
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/json/patch.h"
#include "lib/json/yaml.h"
#include "lib/os/fs.h"
#include "reconciler/main.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CASES "tests/kustomize"

static void tell(void *arg, struct str path, const struct json *from, const struct json *to)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "    %.*s: kustomize ", STR_ARG(path));
	if (from)
		json_write(from, &text);
	buf_puts(&text, ", plumb ");
	if (to)
		json_write(to, &text);
	print_error("%s: %s\n", (const char *)arg, buf_cstr(&text));
}

/* The texts of two programs, read with the same eyes. */
static bool same(const char *name, struct str want, struct str got)
{
	const struct yaml_limits limits = {.core_booleans = true};
	AUTO(arena) struct arena a = {0};
	struct yaml_docs w, g;
	bool ok;

	assert_int_equal(yaml_parse(&a, want, 0, NULL, &limits, &w, NULL), 0);
	assert_int_equal(yaml_parse(&a, got, 0, NULL, &limits, &g, NULL), 0);
	ok = w.n == g.n;
	if (!ok)
		print_error("%s: %zu objects, not %zu\n", name, g.n, w.n);
	for (size_t i = 0; ok && i < w.n; i++) {
		if (json_equal(w.v[i], g.v[i]))
			continue;
		print_error("%s: object %zu\n", name, i);
		patch_diff(w.v[i], g.v[i], tell, (void *)(uintptr_t)name);
		ok = false;
	}
	return ok;
}

static bool replay(const char *name)
{
	AUTO(buf) struct buf want = {0};
	AUTO(buf) struct buf got = {0};
	struct err err = {0};
	char path[512];

	snprintf(path, sizeof(path), CASES "/%s/expected.yaml", name);
	if (fs_read(path, 1 << 22, &want, &err)) {
		print_error("%s: %s\n", name, err.msg);
		return false;
	}
	if (reconciler_build(CASES, name, &got, &err)) {
		print_error("%s: %s\n", name, err.msg);
		return false;
	}
	return same(name, buf_view(&want), buf_view(&got));
}

void test_kustomize_cases__all_as_kustomize_builds_them(void **state)
{
	DIR *dir = opendir(CASES);
	struct dirent *e;
	size_t n = 0, bad = 0;

	(void)state;
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		char path[512];
		struct stat st;

		snprintf(path, sizeof(path), CASES "/%s", e->d_name);
		if (e->d_name[0] == '.' || stat(path, &st) || !S_ISDIR(st.st_mode) ||
		    !strcmp(e->d_name, "common"))
			continue;
		n++;
		bad += !replay(e->d_name);
	}
	closedir(dir);
	assert_true(n >= 40);
	assert_int_equal(bad, 0);
}
