/* What a client sends may be large and in any order: merging, comparing and owning it costs what
 * its size says. Quadratic work would take minutes here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lib/json/patch.h"
#include "lib/schema/apply.h"

enum { MANY = 60000 };

static struct timespec began;

static int start(void **state)
{
	(void)state;
	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
}

static void in_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	assert_true(now.tv_sec - began.tv_sec < 30); /* sanitizers are slow; N² is slower */
}

/* A ConfigMap of many keys, from `first` on, up or down. */
static struct json *config_map(struct arena *a, int first, bool down, const char *value)
{
	struct json *data = json_new(a, JSON_OBJECT);

	for (int i = 0; i < MANY; i++) {
		struct str key = arena_strf(a, "k%d", first + (down ? MANY - 1 - i : i));

		json_add(a, data, key, json_new_str(a, str_c(value)));
	}
	return json_build(a, "{s:s,s:s,s:{s:s,s:s},s:o}", "apiVersion", "v1", "kind", "ConfigMap",
			  "metadata", "name", "x", "namespace", "default", "data", data);
}

/* A Pod whose container has many variables. */
static struct json *pod(struct arena *a, int first, bool down, const char *value)
{
	struct json *env = json_new(a, JSON_ARRAY), *c = json_new(a, JSON_OBJECT);

	for (int i = 0; i < MANY; i++) {
		struct str name = arena_strf(a, "k%d", first + (down ? MANY - 1 - i : i));

		json_append(a, env, json_build(a, "{s:S,s:s}", "name", name, "value", value));
	}
	json_set_str(a, c, "name", STR("c"));
	json_set(a, c, STR("env"), env);
	return json_build(a, "{s:s,s:s,s:{s:s},s:{s:[o]}}", "apiVersion", "v1", "kind", "Pod",
			  "metadata", "name", "x", "spec", "containers", c);
}

static const struct json *env_of(const struct json *o)
{
	return json_at(json_item(json_at(o, "spec", "containers"), 0), "env");
}

static struct json *applied(struct arena *a, const struct json *live, const struct json *config)
{
	const struct schema *s = schema_find_kind(STR("v1"), json_str(json_at(config, "kind")));
	struct apply_opts o = {.manager = STR("m"),
			       .api_version = STR("v1"),
			       .subresource = STR(""),
			       .force = true,
			       .now_ns = 1000000000};
	struct apply_conflicts c;
	struct err err = {0};
	struct json *out = apply_merge(a, s, live, config, &o, &c, &err);

	if (!out)
		fail_msg("%s", err.msg);
	return out;
}

void test_sizes__apply_of_many_keys(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *live, *out;

	start(state);
	live = applied(&a, NULL, config_map(&a, 0, false, "x"));
	/* Half of them go, half change, and half are new. */
	out = applied(&a, live, config_map(&a, MANY / 2, true, "y"));
	assert_int_equal(json_len(json_at(out, "data")), MANY);
	assert_null(json_at(out, "data", "k0"));
	assert_true(str_is(json_str(json_at(out, "data", "k40000")), "y"));
	in_time();
}

void test_sizes__apply_of_many_items(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct json *live, *out;

	start(state);
	live = applied(&a, NULL, pod(&a, 0, false, "x"));
	out = applied(&a, live, pod(&a, MANY / 2, true, "y"));
	assert_int_equal(json_len(env_of(out)), MANY);
	in_time();
}

void test_sizes__update_of_many_items(void **state)
{
	const struct schema *s = schema_find_kind(STR("v1"), STR("Pod"));
	struct apply_opts o = {
		.manager = STR("u"), .api_version = STR("v1"), .subresource = STR("")};
	AUTO(arena) struct arena a = {0};
	struct json *live = pod(&a, 0, false, "x"), *next = pod(&a, MANY / 2, true, "y");

	start(state);
	apply_track_update(&a, s, live, next, &o);
	assert_int_equal(json_len(json_at(next, "metadata", "managedFields")), 1);
	in_time();
}

void test_sizes__strategic_merge(void **state)
{
	AUTO(arena) struct arena a = {0};
	const struct schema *s = schema_find_kind(STR("v1"), STR("Pod"));
	struct json *live = pod(&a, 0, false, "x"), *patch = pod(&a, MANY / 2, true, "y"), *out;
	struct json *container = json_item(json_at(patch, "spec", "containers"), 0);
	struct err err = {0};

	start(state);
	for (int i = 0; i < MANY / 2; i++)
		json_append(&a, json_at(container, "env"),
			    json_build(&a, "{s:S,s:s}", "name", arena_strf(&a, "k%d", i), "$patch",
				       "delete"));
	json_set(&a, container, STR("$setElementOrder/env"), env_of(pod(&a, MANY / 2, true, "")));
	out = schema_strategic_merge(&a, s, live, patch, &err);
	assert_int_equal(json_len(env_of(out)), MANY);
	assert_true(str_is(json_str(json_at(json_item(env_of(out), 0), "name")), "k89999"));
	in_time();
}

void test_sizes__merge_patch_and_difference(void **state)
{
	AUTO(arena) struct arena a = {0};
	const struct schema *s = schema_find_kind(STR("v1"), STR("ConfigMap"));
	struct json *from = config_map(&a, 0, false, "x"), *same = config_map(&a, 0, true, "x");
	struct json *to = config_map(&a, MANY / 2, true, "y"), *patch;
	struct err err = {0};

	start(state);
	assert_true(json_equal(from, same));
	assert_true(schema_equal(s, from, same));
	assert_false(schema_equal(s, from, to));
	patch = patch_merge_diff(&a, from, to);
	assert_true(json_equal(patch_merge(&a, from, patch), to));
	assert_true(json_equal(schema_strategic_merge(&a, s, from, patch, &err), to));
	in_time();
}
