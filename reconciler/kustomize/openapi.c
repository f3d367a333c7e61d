/*
 * `openapi`: types for strategic merge out of a file of OpenAPI definitions. As in kustomize they
 * stand instead of the built-in ones: a kind that the file doesn't know is merged as a map. Only
 * what merging looks at is read: fields, items, merge keys. Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "lib/base/map.h"
#include "lib/schema/schema.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

#define TYPES_MAX 50000
#define DEPTH_MAX 64

struct ktypes {
	struct kid_type {
		struct kid id;
		const struct schema *s;
	} * v;
	size_t n;
};

struct reading {
	struct arena *a;
	const struct json *definitions;
	struct map named; /* definition → its struct schema, perhaps not filled yet */
	size_t made;
	unsigned depth;
};

static const struct schema *read_type(struct reading *r, const struct json *v);

static int by_name(const void *x, const void *y)
{
	return strcmp(((const struct schema_field *)x)->name,
		      ((const struct schema_field *)y)->name);
}

static void merge_rules(struct reading *r, struct schema *s, const struct json *v)
{
	struct str strategy = json_str(json_get(v, STR("x-kubernetes-patch-strategy")));
	struct str key = json_str(json_get(v, STR("x-kubernetes-patch-merge-key")));
	const struct json *keys = json_get(v, STR("x-kubernetes-list-map-keys"));

	if (str_find(strategy, STR("merge")) < 0)
		return;
	s->flags |= SCHEMA_F_PATCH_MERGE;
	if (key.n)
		s->merge_key = arena_cstr(r->a, key);
	for (size_t i = 0; i < json_len(keys) && i < SCHEMA_KEYS_MAX; i++)
		s->keys[i] = arena_cstr(r->a, json_str(json_item(keys, i)));
}

static void fill(struct reading *r, struct schema *s, const struct json *v)
{
	const struct json *properties = json_get(v, STR("properties"));
	struct json_member *m = json_members(properties);
	struct str type = json_str(json_get(v, STR("type")));
	struct schema_field *fields;

	if (str_is(type, "array")) {
		s->type = SCHEMA_ARRAY;
		s->item = read_type(r, json_get(v, STR("items")));
		merge_rules(r, s, v);
		return;
	}
	if (!m) {
		s->item = read_type(r, json_get(v, STR("additionalProperties")));
		s->type = s->item ? SCHEMA_MAP : SCHEMA_ANY;
		return;
	}
	s->type = SCHEMA_OBJECT;
	fields = arena_array(r->a, json_len(properties), sizeof(*fields));
	for (size_t i = 0; i < json_len(properties); i++)
		fields[i] = (struct schema_field){.name = arena_cstr(r->a, m[i].key),
						  .type = read_type(r, &m[i].value)};
	if (json_len(properties))
		qsort(fields, json_len(properties), sizeof(*fields), by_name);
	s->fields = fields;
	s->nfields = json_len(properties);
}

static const struct schema *read_named(struct reading *r, struct str ref)
{
	struct str name = str_starts(ref, STR("#/definitions/")) ? str_sub(ref, 14, ref.n) : ref;
	const struct json *v = json_get(r->definitions, name);
	struct schema *s = map_get(&r->named, name);

	if (s || !v)
		return s;
	if (r->made++ >= TYPES_MAX)
		return NULL;
	s = arena_alloc(r->a, sizeof(*s));
	s->type = SCHEMA_ANY;
	map_set(&r->named, name, s);
	fill(r, s, v);
	return s;
}

static const struct schema *read_type(struct reading *r, const struct json *v)
{
	struct str ref = json_str(json_get(v, STR("$ref")));
	struct schema *s = NULL;

	if (!json_is(v, JSON_OBJECT) || r->depth >= DEPTH_MAX)
		return NULL;
	r->depth++;
	if (ref.n) {
		const struct schema *named = read_named(r, ref);

		r->depth--;
		return named;
	}
	if (r->made++ < TYPES_MAX) {
		s = arena_alloc(r->a, sizeof(*s));
		s->type = SCHEMA_ANY;
		fill(r, s, v);
	}
	r->depth--;
	return s;
}

static void add_kinds(struct reading *r, struct ktypes *t, struct str name, const struct json *v)
{
	const struct json *kinds = json_get(v, STR("x-kubernetes-group-version-kind"));

	for (size_t i = 0; i < json_len(kinds); i++) {
		const struct json *k = json_item(kinds, i);
		struct kid_type *next = arena_array(r->a, t->n + 1, sizeof(*next));

		if (t->n >= 2000)
			return;
		if (t->n)
			memcpy(next, t->v, t->n * sizeof(*next));
		next[t->n++] = (struct kid_type){{.group = json_str(json_get(k, STR("group"))),
						  .version = json_str(json_get(k, STR("version"))),
						  .kind = json_str(json_get(k, STR("kind")))},
						 read_named(r, name)};
		t->v = next;
	}
}

struct ktypes *ktypes_read(struct arena *a, const struct json *file, struct err *err)
{
	struct reading r = {.a = a, .definitions = json_get(file, STR("definitions"))};
	struct json_member *m = json_members(r.definitions);
	struct ktypes *t = arena_alloc(a, sizeof(*t));

	if (!json_is(r.definitions, JSON_OBJECT)) {
		err_set(err, ERR_INVALID, "an OpenAPI file has definitions");
		return NULL;
	}
	for (size_t i = 0; m && i < json_len(r.definitions); i++)
		add_kinds(&r, t, m[i].key, &m[i].value);
	map_release(&r.named);
	return t;
}

const struct schema *ktypes_find(const struct ktypes *t, struct str api_version, struct str kind)
{
	struct str group = STR_NONE, version = api_version;

	if (!t)
		return schema_find_kind(api_version, kind);
	if (!str_cut(api_version, '/', &group, &version)) {
		version = api_version;
		group = STR_NONE;
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct kid *id = &t->v[i].id;

		if (str_eq(id->kind, kind) && str_eq(id->version, version) &&
		    str_eq(id->group, group))
			return t->v[i].s;
	}
	return NULL;
}
