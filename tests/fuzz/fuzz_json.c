/*
 * JSON as a client may send it, read beside another parser: what one takes the other takes, and
 * both see the same. What was read is written and read again: nothing changes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The other parser shares names with ours: they are moved aside while its header is read. */
#define json_type other_type
#define json_equal other_equal
#define json_copy other_copy
#define JSON_OBJECT OTHER_OBJECT
#define JSON_ARRAY OTHER_ARRAY
#define JSON_STRING OTHER_STRING
#define JSON_NULL OTHER_NULL
#include <jansson.h>
#undef json_type
#undef json_equal
#undef json_copy
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NULL
enum {
	OTHER_INT = JSON_INTEGER,
	OTHER_NUM = JSON_REAL,
	OTHER_TRUE = JSON_TRUE,
	OTHER_FALSE = JSON_FALSE
};

#include "lib/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Bounds that only one of the two has: size of numbers, zeros in text, lone surrogates, depth. */
static bool differs_by_design(const json_error_t *e, struct str in)
{
	enum json_error_code code = json_error_code(e);

	return code == json_error_numeric_overflow || code == json_error_null_character ||
	       code == json_error_null_byte_in_key || code == json_error_stack_overflow ||
	       str_find(in, STR("\\u")) >= 0 || memchr(in.p, 0x7f, in.n);
}

static bool same(const struct json *v, const json_t *w);

static bool same_members(const struct json *v, const json_t *w)
{
	for (uint32_t i = 0; i < v->n; i++) {
		const struct json_member *m = &v->members[i];
		const json_t *child = json_object_getn(w, m->key.p, m->key.n);

		if (!child || !same(&m->value, child))
			return false;
	}
	return json_object_size(w) == v->n;
}

static bool same(const struct json *v, const json_t *w)
{
	int type = (int)json_typeof(w);

	switch ((enum json_type)v->type) {
	case JSON_NULL:
		return type == (int)OTHER_NULL;
	case JSON_BOOL:
		return type == (v->b ? (int)OTHER_TRUE : (int)OTHER_FALSE);
	case JSON_INT:
		return type == (int)OTHER_INT && json_integer_value(w) == v->i;
	case JSON_NUM:
		return type == (int)OTHER_NUM && json_double(v, 0) == json_real_value(w);
	case JSON_STRING:
		return type == (int)OTHER_STRING && json_string_length(w) == v->n &&
		       (!v->n || !memcmp(json_string_value(w), v->s, v->n));
	case JSON_ARRAY:
		if (type != (int)OTHER_ARRAY || json_array_size(w) != v->n)
			return false;
		for (uint32_t i = 0; i < v->n; i++)
			if (!same(&v->items[i], json_array_get(w, i)))
				return false;
		return true;
	case JSON_OBJECT:
		return type == (int)OTHER_OBJECT && same_members(v, w);
	}
	return false;
}

static void beside(const struct json *v, struct str in, size_t flags)
{
	json_error_t e;

	if (memchr(in.p ? in.p : "", 0, in.n)) /* the other one overlooks them */
		return;
	json_t *w = json_loadb(in.p, in.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, &e);

	if (w && v && !same(v, w))
		abort();
	if ((!w && v && !differs_by_design(&e, in)) || (w && !v))
		abort();
	json_decref(w);
}

static void again(struct arena *a, const struct json *v,
		  void (*write)(const struct json *, struct buf *))
{
	AUTO(buf) struct buf out = {0};
	struct json *back;

	write(v, &out);
	back = json_parse(a, buf_view(&out), NULL, NULL);
	if (!back || !json_equal(v, back))
		abort();
}

static void write_indented(const struct json *v, struct buf *out)
{
	json_write_pretty(v, 2, out);
}

static void count(void *arg, struct str path)
{
	(void)path;
	++*(size_t *)arg;
}

/* Where keys may be said twice the last one counts; where none is, nothing differs. */
static void repeated(struct arena *a, struct str in, const struct json *strict)
{
	struct json_repeats repeats = {0};
	struct json_limits limits = {.repeats = &repeats};
	struct err err = {0};
	struct json *v = json_parse(a, in, &limits, &err);
	size_t told = 0;

	if (strict && (!v || repeats.n || !json_equal(v, strict)))
		abort();
	if (!v)
		return;
	beside(v, in, 0);
	json_repeats_each(v, &repeats, count, &told);
	if (err.code != ERR_NONE || told > repeats.n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, key, value;
	struct json_scan scan = {in, false};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct json *v = json_parse(&a, in, NULL, &err);

	while (json_scan_next(&scan, &key, &value))
		if (value.n && (value.p < in.p || value.p + value.n > in.p + in.n))
			abort();
	if (v || !strstr(err.msg, "too deeply"))
		beside(v, in, JSON_REJECT_DUPLICATES);
	repeated(&a, in, v);
	if (!v)
		return 0;
	again(&a, v, json_write);
	again(&a, v, json_write_sorted);
	again(&a, v, write_indented);
	if (!json_equal(v, json_copy(&a, v)))
		abort();
	return 0;
}
