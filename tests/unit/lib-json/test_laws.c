/* What holds for all trees, over thousands of made-up ones: writing and reading, equality,
 * pointers, patches and differences. A failure prints the seed that brings it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/json/patch.h"
#include "lib/json/yaml.h"

enum { SEEDS = 1500 };

struct dice {
	struct rng rng;
	struct arena a;
	bool nulls;
};

static void begin(struct dice *d, uint64_t seed)
{
	arena_reset(&d->a);
	rng_seed(&d->rng, seed);
}

/* Keys and texts that parsers and pointers stumble over. */
static struct str word(struct dice *d)
{
	static const char *const words[] = {
		"a",      "b",    "c/d",        "~",    "~1",       "",           " x ",  "true",
		"no",     "null", "0x1",        "1e3",  "-",        "- a",        "a: b", "# c",
		"\"q\"",  "it's", "two\nlines", "t\ta", "\xc3\xa9", "2024-01-02", "01",   "\\",
		"trail ", "|",    "*x",         "&y",   "!z",       "\x7f"};

	return str_c(words[rng_below(&d->rng, ARRAY_LEN(words))]);
}

static struct json *leaf(struct dice *d)
{
	switch (rng_below(&d->rng, d->nulls ? 6 : 5)) {
	case 0:
		return json_new_int(&d->a, (int64_t)rng_u64(&d->rng));
	case 1:
		return json_new_int(&d->a, (int64_t)rng_below(&d->rng, 10));
	case 2:
		return json_new_bool(&d->a, rng_below(&d->rng, 2) != 0);
	case 5:
		return json_new(&d->a, JSON_NULL);
	default:
		return json_new_str(&d->a, word(d));
	}
}

static struct json *tree(struct dice *d, unsigned depth)
{
	uint64_t what = depth ? rng_below(&d->rng, 4) : 3, n = rng_below(&d->rng, 4);
	struct json *v;

	if (what == 3)
		return leaf(d);
	v = json_new(&d->a, what ? JSON_OBJECT : JSON_ARRAY);
	for (uint64_t i = 0; i < n; i++) {
		struct json *below = tree(d, depth - 1);

		if (what)
			json_set(&d->a, v, word(d), below);
		else
			json_append(&d->a, v, below);
	}
	return v;
}

static struct json *object(struct dice *d)
{
	struct json *v = json_new(&d->a, JSON_OBJECT);

	for (uint64_t i = rng_below(&d->rng, 5); i > 0; i--)
		json_set(&d->a, v, word(d), tree(d, 3));
	return v;
}

/* Something like it: some members changed, gone or new. */
static struct json *neighbour(struct dice *d, const struct json *from)
{
	struct json *v = json_copy(&d->a, from);

	for (uint64_t i = rng_below(&d->rng, 4); i > 0; i--) {
		struct json *in = v, *next;

		while (json_is(in, JSON_OBJECT) && json_len(in) && rng_below(&d->rng, 2) &&
		       (next = &json_members(in)[rng_below(&d->rng, json_len(in))].value) != NULL &&
		       json_is(next, JSON_OBJECT))
			in = next;
		if (rng_below(&d->rng, 3) == 0 && json_len(in))
			json_del(in, json_members(in)[rng_below(&d->rng, json_len(in))].key);
		else
			json_set(&d->a, in, word(d), tree(d, 2));
	}
	return v;
}

static void must(bool yes, uint64_t seed, const char *what, const struct json *v)
{
	AUTO(buf) struct buf text = {0};

	if (yes)
		return;
	json_write(v, &text);
	fail_msg("seed %llu: %s: %s", (unsigned long long)seed, what, buf_cstr(&text));
}

void test_laws__what_is_written_is_read(void **state)
{
	struct dice d = {.nulls = true};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(buf) struct buf text = {0};
		AUTO(buf) struct buf again = {0};
		AUTO(buf) struct buf lines = {0};
		struct yaml_docs docs;
		struct json *v;

		begin(&d, seed);
		v = object(&d);
		json_write(v, &text);
		must(json_equal(json_parse(&d.a, buf_view(&text), NULL, NULL), v), seed, "JSON", v);
		json_write(json_parse(&d.a, buf_view(&text), NULL, NULL), &again);
		must(str_eq(buf_view(&text), buf_view(&again)), seed, "the same text", v);
		buf_reset(&text);
		json_write_pretty(v, 2, &text);
		json_write_lines(buf_view(&again), 2, &lines);
		must(str_eq(buf_view(&lines), buf_view(&text)), seed, "lines", v);
		must(json_equal(json_parse(&d.a, buf_view(&text), NULL, NULL), v), seed, "pretty",
		     v);
		buf_reset(&text);
		yaml_write(v, &text);
		must(yaml_parse(&d.a, buf_view(&text), 0, NULL, NULL, &docs, NULL) == 0 &&
			     docs.n == 1 && json_equal(docs.v[0], v),
		     seed, buf_cstr(&text), v);
	}
	arena_release(&d.a);
}

void test_laws__equality(void **state)
{
	struct dice d = {.nulls = true};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(buf) struct buf x = {0};
		AUTO(buf) struct buf y = {0};
		struct json *v, *w;

		begin(&d, seed);
		v = object(&d);
		w = neighbour(&d, v);
		must(json_equal(v, json_copy(&d.a, v)), seed, "a copy", v);
		must(json_equal(v, w) == json_equal(w, v), seed, "both ways", v);
		/* Sorted text is a form of equality for trees without 1.0. */
		json_write_sorted(v, &x);
		json_write_sorted(w, &y);
		must(json_equal(v, w) == str_eq(buf_view(&x), buf_view(&y)), seed, "sorted", w);
	}
	arena_release(&d.a);
}

static void check_side(const struct json *root, struct str path, const struct json *v)
{
	const struct json *there = json_pointer(root, path);

	if ((there != NULL) != (v != NULL) || (v && !json_equal(there, v)))
		fail_msg("%.*s", STR_ARG(path));
}

struct sides {
	const struct json *from, *to;
	struct arena *a;
	struct json *ops, *gone;
	size_t n;
};

/* A difference as operations of RFC 6902: places are those of `from`, so what goes, goes last
 * first. */
static void on_difference(void *arg, struct str path, const struct json *from,
			  const struct json *to)
{
	struct sides *s = arg;
	struct json *op = json_new(s->a, JSON_OBJECT);

	s->n++;
	check_side(s->from, path, from);
	check_side(s->to, path, to);
	json_set_str(s->a, op, "op", from && to ? STR("replace") : to ? STR("add") : STR("remove"));
	json_set_str(s->a, op, "path", path);
	if (to)
		json_set(s->a, op, STR("value"), to);
	json_insert(s->a, to ? s->ops : s->gone, to ? json_len(s->ops) : 0, op);
}

void test_laws__differences(void **state)
{
	struct dice d = {.nulls = true};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct json *from, *to;
		struct sides s = {.a = &d.a};

		begin(&d, seed);
		from = object(&d);
		to = neighbour(&d, from);
		s.from = from;
		s.to = to;
		s.ops = json_new(&d.a, JSON_ARRAY);
		s.gone = json_new(&d.a, JSON_ARRAY);
		patch_diff(from, to, on_difference, &s);
		for (size_t i = 0; i < json_len(s.gone); i++)
			json_append(&d.a, s.ops, json_item(s.gone, i));
		must((s.n == 0) == json_equal(from, to), seed, "only what differs", to);
		must(json_equal(patch_json(&d.a, from, s.ops, NULL), to), seed, "operations",
		     s.ops);
		s.n = 0;
		patch_diff(to, to, on_difference, &s);
		must(s.n == 0, seed, "of itself", to);
	}
	arena_release(&d.a);
}

void test_laws__merge_patches(void **state)
{
	struct dice d = {.nulls = false}; /* a difference cannot say null */

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct json *from, *to, *patch, *before, *once;

		begin(&d, seed);
		from = object(&d);
		before = json_copy(&d.a, from);
		to = neighbour(&d, from);
		patch = patch_merge_diff(&d.a, from, to);
		must(!patch == json_equal(from, to), seed, "nothing to say", to);
		once = patch ? patch_merge(&d.a, from, patch) : from;
		must(json_equal(once, to), seed, "the difference", patch);
		must(json_equal(from, before), seed, "its input stays", from);
		if (patch)
			must(json_equal(patch_merge(&d.a, once, patch), to), seed, "twice", patch);
		must(json_equal(patch_merge(&d.a, from, json_new(&d.a, JSON_OBJECT)), from), seed,
		     "nothing", from);
		must(json_equal(patch_merge(&d.a, from, leaf(&d)), NULL) == false, seed, "a leaf",
		     from);
	}
	arena_release(&d.a);
}

void test_laws__pointers(void **state)
{
	struct dice d = {.nulls = true};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		AUTO(buf) struct buf path = {0};
		const struct json *v, *at;

		begin(&d, seed);
		v = at = object(&d);
		while (json_len(at) && json_is(at, JSON_OBJECT)) {
			const struct json_member *m =
				&json_members(at)[rng_below(&d.rng, json_len(at))];

			pointer_push(&path, m->key);
			at = &m->value;
			must(json_pointer(v, buf_view(&path)) == at, seed, buf_cstr(&path), v);
		}
	}
	arena_release(&d.a);
}
