/*
 * Two trees, a line each: the difference between them, applied as a merge patch, makes one the
 * other; the second as a JSON patch of the first either fails or leaves a tree, and never touches
 * the first.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/json/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A merge patch cannot say null: it says "absent" by it. */
static bool has_null(const struct json *v)
{
	if (v->type == JSON_NULL)
		return true;
	for (uint32_t i = 0; v->type == JSON_OBJECT && i < v->n; i++)
		if (has_null(&v->members[i].value))
			return true;
	return false;
}

static void count(void *arg, struct str path, const struct json *from, const struct json *to)
{
	size_t *n = arg;

	if ((path.n && path.p[0] != '/') || (!from && !to) || (from && to && json_equal(from, to)))
		abort();
	++*n;
}

static void check_diff(struct arena *a, const struct json *x, const struct json *y)
{
	struct json *patch = patch_merge_diff(a, x, y);
	size_t n = 0;

	patch_diff(x, y, count, &n);
	if (!patch != json_equal(x, y) || !n != json_equal(x, y))
		abort();
	if (patch && !has_null(y) && !json_equal(patch_merge(a, x, patch), y))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, first, second;
	struct json_limits limits = {.depth = 32, .nodes = 2000};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	if (!str_cut(in, '\n', &first, &second))
		return 0;
	struct json *x = json_parse(&a, first, &limits, &err);
	struct json *y = json_parse(&a, second, &limits, &err);
	if (!x || !y)
		return 0;
	struct json *before = json_copy(&a, x);
	check_diff(&a, x, y);
	struct json *out = patch_json(&a, x, y, &err);
	if (out && !json_equal(out, json_copy(&a, out)))
		abort();
	/* Merged once more, a merge patch changes nothing. */
	out = patch_merge(&a, x, y);
	if (out && !json_equal(patch_merge(&a, out, y), out))
		abort();
	if (!json_equal(x, before))
		abort();
	return 0;
}
