/* Arenas, maps, lists, errors, options, metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/codec.h"
#include "lib/base/err.h"
#include "lib/base/flags.h"
#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/base/metrics.h"

void test_arena__memory_is_aligned_zeroed_and_apart(void **state)
{
	AUTO(arena) struct arena a = {0};
	char *before = NULL;

	(void)state;
	for (size_t n = 0; n < 3000; n += 7) {
		char *p = arena_alloc(&a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_true(p != before);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
		before = p;
	}
	char *large = arena_alloc(&a, 5 << 20);
	assert_int_equal(large[(5 << 20) - 1], 0);
	arena_reset(&a);
	assert_int_equal(a.used, 0);
	assert_int_equal(*(char *)arena_alloc(&a, 100), 0); /* zeroed again */
}

void test_arena__copies_end_with_nul(void **state)
{
	AUTO(arena) struct arena a = {0};
	char from[] = "abc";
	struct str s = arena_str(&a, (struct str){from, 3}), none = arena_str(&a, STR_NONE);

	(void)state;
	from[0] = 'x';
	assert_string_equal(s.p, "abc");
	assert_string_equal(arena_cstr(&a, STR("a")), "a");
	assert_int_equal(none.n, 0);
	assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	assert_int_equal(arena_strf(&a, "%0100d", 1).n, 100);
	assert_memory_equal(arena_dup(&a, "xyz", 3), "xyz", 3);
}

/* A map against a plain array, in whatever order things come and go. */
void test_map__as_an_array_would(void **state)
{
	enum { KEYS = 500 };
	AUTO(map) struct map m = {0};
	uintptr_t model[KEYS] = {0};
	size_t n = 0;
	struct rng r;
	char key[16];

	(void)state;
	rng_seed(&r, 7);
	for (int i = 0; i < 50000; i++) {
		size_t k = rng_below(&r, KEYS);
		struct str name = {key, (size_t)snprintf(key, sizeof(key), "%zu", k)};

		if (rng_below(&r, 3)) {
			uintptr_t v = rng_below(&r, 1000) + 1;

			assert_true((uintptr_t)map_set(&m, name, (void *)v) == model[k]);
			n += !model[k];
			model[k] = v;
		} else {
			assert_true((uintptr_t)map_del(&m, name) == model[k]);
			n -= model[k] != 0;
			model[k] = 0;
		}
		assert_int_equal(m.n, n);
		assert_int_equal(map_has(&m, name), model[k] != 0);
	}
	struct map_iter it = {0};
	while (map_next(&m, &it)) {
		uint64_t k;

		assert_int_equal(str_to_u64(it.key, &k), 0);
		assert_true((uintptr_t)it.value == model[k]);
		map_del(&m, it.key); /* allowed */
		n--;
	}
	assert_int_equal(n, 0);
	assert_int_equal(m.n, 0);
	assert_null(map_get(&m, STR("1")));
}

void test_map__keys_are_bytes_and_values_may_be_null(void **state)
{
	AUTO(map) struct map m = {0};
	char key[] = "k\0a";

	(void)state;
	map_set(&m, (struct str){key, 3}, NULL);
	map_set(&m, STR("k\0b"), key);
	key[2] = 'x'; /* copied before */
	assert_true(map_has(&m, STR("k\0a")));
	assert_null(map_get(&m, STR("k\0a")));
	assert_ptr_equal(map_get(&m, STR("k\0b")), key);
	assert_false(map_has(&m, STR("k")));
	map_set(&m, STR(""), key);
	assert_ptr_equal(map_get(&m, STR_NONE), key);
}

void test_list__order_and_removal_while_walking(void **state)
{
	struct list head, nodes[5];
	size_t seen = 0;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	for (size_t i = 0; i < 5; i++)
		list_append(&head, &nodes[i]);
	LIST_FOREACH (it, &head) {
		assert_ptr_equal(it, &nodes[seen++]);
		list_remove(it);
		list_remove(it); /* harmless */
	}
	assert_int_equal(seen, 5);
	assert_true(list_empty(&head));
}

void test_err__what_went_wrong_survives_its_context(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, ERR_NOT_FOUND, "pod \"%s\"", "x"), -1);
	assert_int_equal(err_wrap(&err, "node %d", 3), -1);
	assert_string_equal(err.msg, "node 3: pod \"x\"");
	assert_int_equal(err.code, ERR_NOT_FOUND);
	for (int i = 0; i < 200; i++)
		err_wrap(&err, "level %d", i);
	assert_true(strlen(err.msg) < sizeof(err.msg));
	assert_non_null(strstr(err.msg, "pod \"x\""));
	assert_int_equal(err_set(NULL, ERR_IO, "nobody asks"), -1);
	assert_int_equal(err_wrap(NULL, "nobody asks"), -1);
}

void test_err__to_http_and_back(void **state)
{
	(void)state;
	for (int c = ERR_NONE + 1; c <= ERR_TIMEOUT; c++) {
		enum err_code code = (enum err_code)c;

		assert_int_equal(err_from_http(err_http(code), err_reason(code)), code);
	}
	assert_int_equal(err_from_http(200, NULL), ERR_NONE);
	assert_int_equal(err_from_http(409, NULL), ERR_CONFLICT);
	assert_int_equal(err_from_http(409, "AlreadyExists"), ERR_EXISTS);
	assert_true(err_retryable(err_from_http(599, "?")));
	assert_false(err_retryable(err_from_http(418, "?")));
	assert_true(err_retryable(err_from_http(0, NULL)));
}

struct options {
	const char *name;
	bool loud;
	int64_t count, wait_ns;
	struct flag_list tags;
};

static int parse(struct options *o, int *ret_nargs, const char **argv)
{
	const struct flag flags[] = {{"name", 'n', FLAG_STRING, &o->name, "NAME", ""},
				     {"loud", 'l', FLAG_BOOL, &o->loud, NULL, ""},
				     {"count", 0, FLAG_INT, &o->count, "N", ""},
				     {"wait", 0, FLAG_DURATION, &o->wait_ns, "D", ""},
				     {"tag", 't', FLAG_STRINGS, &o->tags, "T", ""},
				     {0}};
	struct err err = {0};
	int argc = 0;

	while (argv[argc])
		argc++;
	return flags_parse(argc, (char **)(uintptr_t)argv, flags, "x", ret_nargs, &err);
}

void test_flags__options_and_arguments_mix(void **state)
{
	const char *argv[] = {"x",   "one",    "--name=a=b", "-l",     "--count", "-5",
			      "two", "--wait", "1m30s",      "-t",     "p",       "--tag",
			      "q",   "-",      "--",         "--name", NULL};
	struct options o = {0};
	int n = 0;

	(void)state;
	assert_int_equal(parse(&o, &n, argv), 0);
	assert_int_equal(n, 4);
	assert_string_equal(argv[0], "one");
	assert_string_equal(argv[1], "two");
	assert_string_equal(argv[2], "-");
	assert_string_equal(argv[3], "--name");
	assert_string_equal(o.name, "a=b");
	assert_true(o.loud);
	assert_int_equal(o.count, -5);
	assert_int_equal(o.wait_ns, 90000000000);
	assert_int_equal(o.tags.n, 2);
	assert_string_equal(o.tags.v[1], "q");
	free(o.tags.v);
}

void test_flags__refuses_what_it_does_not_know(void **state)
{
	static const char *const bad[][3] = {{"x", "--nam", NULL},        {"x", "-z", NULL},
					     {"x", "--name", NULL},       {"x", "--count=1x", NULL},
					     {"x", "--loud=maybe", NULL}, {"x", "--wait=5", NULL},
					     {"x", "-ln", NULL},          {"x", "--=", NULL}};
	struct options o = {0};
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *argv[3];

		memcpy(argv, bad[i], sizeof(argv));
		if (!parse(&o, &n, argv))
			fail_msg("took %s", bad[i][1]);
	}
}

static bool written(const char *line)
{
	AUTO(buf) struct buf out = {0};

	metrics_write(&out);
	return str_find(buf_view(&out), str_c(line)) >= 0;
}

void test_metrics__in_prometheus_format(void **state)
{
	static const double bounds[] = {0.5, 1, 0};
	struct metric *c = metric_new(METRIC_COUNTER, "t_total", "Things.", "a,b", NULL);
	struct metric *h = metric_new(METRIC_HISTOGRAM, "t_seconds", "Time.", NULL, bounds);
	struct metric_value *v = metric_with(c, "x\"\\\n", "y", NULL), *s = metric_with(h, NULL);

	(void)state;
	assert_ptr_equal(metric_with(c, "x\"\\\n", "y", NULL), v);
	assert_ptr_equal(metric_new(METRIC_COUNTER, "t_total", "Things.", "a,b", NULL), c);
	metric_add(v, 2);
	metric_add(v, 0.5);
	metric_observe(s, 0.5), metric_observe(s, 0.7), metric_observe(s, 9);
	assert_true(written("# TYPE t_total counter\n"));
	assert_true(written("t_total{a=\"x\\\"\\\\\\n\",b=\"y\"} 2.5\n"));
	assert_true(written(
		"t_seconds_bucket{le=\"0.5\"} 1\nt_seconds_bucket{le=\"1\"} 2\n"
		"t_seconds_bucket{le=\"+Inf\"} 3\nt_seconds_sum 10.2\nt_seconds_count 3\n"));
	assert_true(written("process_resident_memory_bytes "));
}

void test_metrics__series_are_bounded(void **state)
{
	struct metric *g = metric_new(METRIC_GAUGE, "t_many", "Many.", "who", NULL);
	struct metric_value *last = NULL, *before = NULL;
	char who[16];

	(void)state;
	for (int i = 0; i < 10010; i++) {
		snprintf(who, sizeof(who), "%d", i);
		before = last;
		last = metric_with(g, who, NULL);
	}
	assert_ptr_equal(last, before);
	metric_set(last, 4);
	assert_true(written("t_many{who=\"other\"} 4\n"));
}

void test_arena__secrets_are_overwritten(void **state)
{
#ifdef ARENA_DEBUG
	skip(); /* each is freed by itself */
#else
	struct arena a = {.wipes = true};
	char *p = arena_room(&a, 100);

	memset(p, 'x', 100);
	arena_reset(&a);
	/* The chunk is kept, so its memory may be looked at. */
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	assert_true(a.wipes);
	arena_release(&a);
	assert_true(a.wipes && !a.chunks);
#endif
	(void)state;
}
