/*
 * Two trees, a line each: the second as a strategic merge patch, as a configuration that is
 * applied, and as an update of the first, under a type that has every kind of list. Nothing may
 * fault, and an applied configuration applied again changes nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/schema/apply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void apply_twice(struct arena *a, const struct schema *s, const struct json *live,
			const struct json *config)
{
	struct apply_opts o = {.manager = STR("m"),
			       .api_version = STR("v1"),
			       .subresource = STR(""),
			       .force = true,
			       .now_ns = 1000000000};
	struct apply_conflicts c;
	struct err err = {0};
	struct json *once = apply_merge(a, s, live, config, &o, &c, &err);

	if (once)
		apply_merge(a, s, once, config, &o, &c, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, first, second;
	struct json_limits limits = {.depth = 32, .nodes = 2000};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct schema *s = schema_find_kind(STR("v1"), STR("Pod"));
	struct apply_opts o = {
		.manager = STR("u"), .api_version = STR("v1"), .subresource = STR("")};

	if (!str_cut(in, '\n', &first, &second))
		return 0;
	struct json *x = json_parse(&a, first, &limits, &err);
	struct json *y = json_parse(&a, second, &limits, &err);
	if (!json_is(x, JSON_OBJECT) || !json_is(y, JSON_OBJECT))
		return 0;
	schema_strategic_merge(&a, s, x, y, &err);
	schema_strategic_merge(&a, NULL, x, y, &err);
	apply_twice(&a, s, x, y);
	apply_twice(&a, NULL, x, y);
	apply_track_update(&a, s, x, json_copy(&a, y), &o);
	return 0;
}
