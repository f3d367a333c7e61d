/*
 * YAML from a repository: reading is bounded, places lie within the text, and what is written of
 * it reads the same again, by the same reader and as JSON.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* !!binary may hold any byte, which JSON cannot say; YAML's numbers end where doubles do. */
static bool can_be_said(const struct json *v)
{
	if (v->type == JSON_NUM)
		return !isinf(json_double(v, 0));
	if (v->type == JSON_STRING)
		return str_is_utf8((struct str){v->s, v->n});
	for (uint32_t i = 0; v->type == JSON_ARRAY && i < v->n; i++)
		if (!can_be_said(&v->items[i]))
			return false;
	for (uint32_t i = 0; v->type == JSON_OBJECT && i < v->n; i++)
		if (!str_is_utf8(v->members[i].key) || !can_be_said(&v->members[i].value))
			return false;
	return true;
}

static void again(struct arena *a, const struct json *v)
{
	static const struct yaml_limits either[] = {{0}, {.core_booleans = true}};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	yaml_write(v, &out);
	for (size_t i = 0; i < ARRAY_LEN(either); i++) {
		struct yaml_docs docs;

		if (yaml_parse(a, buf_view(&out), 0, NULL, &either[i], &docs, &err) ||
		    docs.n != 1 || !json_equal(docs.v[0], v))
			abort();
	}
}

static void places(const struct yaml_srcs *t, size_t n)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct yaml_src *r = &t->rows[i];

		if (r->begin > r->end || r->end > n || r->key_begin > r->begin)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct yaml_limits limits = {.bytes = 1 << 16, .depth = 40, .nodes = 5000};
	struct str in = {(const char *)data, n};
	AUTO(arena) struct arena a = {0};
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs = {0};
	struct err err = {0};
	struct json *v;

	if (!yaml_parse(&a, in, 0, &srcs, &limits, &docs, &err)) {
		places(&srcs, n);
		for (size_t i = 0; i < docs.n; i++)
			if (can_be_said(docs.v[i]))
				again(&a, docs.v[i]);
	}
	yaml_srcs_release(&srcs);
	v = json_parse(&a, in, &(struct json_limits){.depth = 40, .nodes = 5000}, NULL);
	if (v && can_be_said(v))
		again(&a, v);
	return 0;
}
