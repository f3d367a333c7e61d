/*
 * OpenAPI schemas of CustomResourceDefinitions as types. Reads hostile input: recursion is as deep
 * as the JSON parser let the schema be, and every keyword may be of any type.
 *
 * Pure. Types live in the arena of the caller, who frees them when nothing refers to them any more.
 */
#include "lib/schema/crd_schema.h"

#include <stdlib.h>
#include <string.h>

#include "lib/schema/crd_rules.h"
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

static struct schema *build(struct arena *a, const struct json *o);

static const struct schema anything = {.type = SCHEMA_ANY,
				       .flags = SCHEMA_F_CUSTOM | SCHEMA_F_PRESERVE_UNKNOWN};
static const struct schema text = {.type = SCHEMA_STRING, .flags = SCHEMA_F_CUSTOM};

static const struct json *keyword(const struct json *o, const char *name)
{
	return json_get(o, str_c(name));
}

static bool is_on(const struct json *o, const char *name)
{
	return json_bool(keyword(o, name), false);
}

static const char *text_in(struct arena *a, const struct json *o, const char *name)
{
	struct str s = json_str(keyword(o, name));

	return s.n ? arena_cstr(a, s) : NULL;
}

/* ---- limits ---- */

static const struct schema *const *branches(struct arena *a, const struct json *list)
{
	size_t n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	const struct schema **v;

	if (!n)
		return NULL;
	v = arena_array(a, n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = build(a, json_item(list, i));
	return v;
}

static const struct json *number(const struct json *o, const char *name)
{
	const struct json *v = keyword(o, name);

	return json_is(v, JSON_INT) || json_is(v, JSON_NUM) ? v : NULL;
}

static bool has_limits(const struct json *o)
{
	static const char *const names[] = {
		"minimum",  "maximum",       "multipleOf",    "minLength",  "maxLength", "minItems",
		"maxItems", "minProperties", "maxProperties", "pattern",    "enum",      "allOf",
		"anyOf",    "oneOf",         "not",           "uniqueItems"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!schema_absent(keyword(o, names[i])))
			return true;
	return false;
}

static const struct schema_limits *limits_of(struct arena *a, const struct json *o)
{
	struct schema_limits *l;

	if (!has_limits(o))
		return NULL;
	l = arena_alloc(a, sizeof(*l));
	l->min = number(o, "minimum");
	l->max = number(o, "maximum");
	l->multiple_of = number(o, "multipleOf");
	l->exclusive_min = is_on(o, "exclusiveMinimum");
	l->exclusive_max = is_on(o, "exclusiveMaximum");
	l->unique = is_on(o, "uniqueItems");
	l->min_len = json_int(keyword(o, "minLength"), -1);
	l->max_len = json_int(keyword(o, "maxLength"), -1);
	l->min_items = json_int(keyword(o, "minItems"), -1);
	l->max_items = json_int(keyword(o, "maxItems"), -1);
	l->min_properties = json_int(keyword(o, "minProperties"), -1);
	l->max_properties = json_int(keyword(o, "maxProperties"), -1);
	l->pattern = text_in(a, o, "pattern");
	l->enums = json_is(keyword(o, "enum"), JSON_ARRAY) ? keyword(o, "enum") : NULL;
	l->all_of = branches(a, keyword(o, "allOf"));
	l->any_of = branches(a, keyword(o, "anyOf"));
	l->one_of = branches(a, keyword(o, "oneOf"));
	l->not = json_is(keyword(o, "not"), JSON_OBJECT) ? build(a, keyword(o, "not")) : NULL;
	return l;
}

/* ---- objects ---- */

static int by_name(const void *x, const void *y)
{
	const struct schema_field *a = x, *b = y;

	return strcmp(a->name, b->name);
}

static bool is_required(const struct json *o, struct str name)
{
	const struct json *list = keyword(o, "required");

	for (size_t i = 0; i < json_len(list); i++)
		if (json_is(list, JSON_ARRAY) && str_eq(json_str(json_item(list, i)), name))
			return true;
	return false;
}

static const char *default_of(struct arena *a, const struct json *o)
{
	const struct json *d = keyword(o, "default");
	AUTO(buf) struct buf b = {0};

	if (!d)
		return NULL;
	json_write(d, &b);
	return arena_cstr(a, buf_view(&b));
}

static bool has_field(const struct schema_field *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return true;
	return false;
}

/* What every object has, where the schema is that of a whole one. */
static size_t put_meta(struct schema_field *v, size_t n, bool required)
{
	const struct schema *meta =
		schema_find(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
	const struct schema_field all[] = {
		{.name = "apiVersion",
		 .type = &text,
		 .required = required,
		 .description =
			 "APIVersion defines the group and version that the object is written in."},
		{.name = "kind",
		 .type = &text,
		 .required = required,
		 .description = "What kind of thing the object describes."},
		{.name = "metadata",
		 .type = meta ? meta : &anything,
		 .description = "Standard object's metadata: its names, labels, owners."}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		for (size_t j = 0; j < n; j++)
			if (!strcmp(v[j].name, all[i].name))
				v[j].type = all[i].type;
		if (!has_field(v, n, all[i].name))
			v[n++] = all[i];
	}
	return n;
}

static void set_fields(struct arena *a, struct schema *s, const struct json *o, bool whole)
{
	const struct json *properties = keyword(o, "properties"), *list = keyword(o, "required");
	const struct json_member *m = json_members(properties);
	size_t members = m ? json_len(properties) : 0, n = 0,
	       wanted = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	struct schema_field *v = arena_array(a, members + wanted + 3, sizeof(*v));

	for (size_t i = 0; i < members; i++) {
		const struct schema *type = build(a, &m[i].value);

		v[n] = (struct schema_field){.name = arena_cstr(a, m[i].key),
					     .type = type,
					     .required = is_required(o, m[i].key),
					     .description = type->description,
					     .default_json = default_of(a, &m[i].value)};
		if (v[n].default_json || type->flags & SCHEMA_F_DEFAULTS)
			s->flags |= SCHEMA_F_DEFAULTS;
		s->flags |= type->flags & SCHEMA_F_RULES;
		n++;
	}
	for (size_t i = 0; i < wanted; i++) {
		struct str name = json_str(json_item(list, i));

		/* Required without being a property: whatever it is, it must be there. */
		if (name.n && !json_get(properties, name) && !has_field(v, n, arena_cstr(a, name)))
			v[n++] = (struct schema_field){.name = arena_cstr(a, name),
						       .type = s->item ? s->item : &anything,
						       .required = true};
	}
	if (whole || s->flags & SCHEMA_F_EMBEDDED)
		n = put_meta(v, n, !whole);
	qsort(v, n, sizeof(*v), by_name);
	s->fields = v;
	s->nfields = n;
}

static const struct schema *additional(struct arena *a, const struct json *o)
{
	const struct json *more = keyword(o, "additionalProperties");

	if (json_is(more, JSON_OBJECT))
		return build(a, more);
	return json_bool(more, false) ? &anything : NULL;
}

static void set_object(struct arena *a, struct schema *s, const struct json *o, bool whole)
{
	s->item = additional(a, o);
	if (s->item)
		s->flags |= s->item->flags & (SCHEMA_F_DEFAULTS | SCHEMA_F_RULES);
	if (str_is(json_str(keyword(o, "x-kubernetes-map-type")), "atomic"))
		s->flags |= SCHEMA_F_ATOMIC;
	s->type = SCHEMA_OBJECT;
	if (s->item && !whole && !json_len(keyword(o, "properties")) &&
	    !json_len(keyword(o, "required")) && !(s->flags & SCHEMA_F_EMBEDDED))
		s->type = SCHEMA_MAP;
	else
		set_fields(a, s, o, whole);
}

static void set_array(struct arena *a, struct schema *s, const struct json *o)
{
	const struct json *items = keyword(o, "items"),
			  *keys = keyword(o, "x-kubernetes-list-map-keys");
	struct str list = json_str(keyword(o, "x-kubernetes-list-type"));

	s->type = SCHEMA_ARRAY;
	s->item = json_is(items, JSON_OBJECT) ? build(a, items) : &anything;
	s->flags |= s->item->flags & (SCHEMA_F_DEFAULTS | SCHEMA_F_RULES);
	if (str_is(list, "set"))
		s->list = SCHEMA_LIST_SET;
	if (!str_is(list, "map") || !json_is(keys, JSON_ARRAY))
		return;
	for (size_t i = 0, n = 0; i < json_len(keys) && n < SCHEMA_KEYS_MAX; i++)
		if (json_str(json_item(keys, i)).n)
			s->keys[n++] = arena_cstr(a, json_str(json_item(keys, i)));
	s->list = s->keys[0] ? SCHEMA_LIST_MAP : SCHEMA_LIST_ATOMIC;
}

static enum schema_type text_type(const struct schema *s)
{
	if (s->format && !strcmp(s->format, "byte"))
		return SCHEMA_BYTES;
	if (s->format && !strcmp(s->format, "date-time"))
		return SCHEMA_TIME;
	return SCHEMA_STRING;
}

static void set_type(struct arena *a, struct schema *s, const struct json *o)
{
	struct str type = json_str(keyword(o, "type"));

	if (is_on(o, "x-kubernetes-int-or-string"))
		s->type = SCHEMA_INT_OR_STRING;
	else if (str_is(type, "string"))
		s->type = text_type(s);
	else if (str_is(type, "integer"))
		s->type = SCHEMA_INT;
	else if (str_is(type, "number"))
		s->type = SCHEMA_NUMBER;
	else if (str_is(type, "boolean"))
		s->type = SCHEMA_BOOL;
	else if (str_is(type, "array") || (!type.n && keyword(o, "items")))
		set_array(a, s, o);
	else if (str_is(type, "object") || keyword(o, "properties") || keyword(o, "required") ||
		 keyword(o, "additionalProperties"))
		set_object(a, s, o, false);
	/* A branch of anyOf and the like says what must be, not all that may be. */
	if (!type.n && s->type == SCHEMA_OBJECT)
		s->flags |= SCHEMA_F_PRESERVE_UNKNOWN;
}

static void set_common(struct arena *a, struct schema *s, const struct json *o)
{
	s->flags = SCHEMA_F_CUSTOM;
	if (is_on(o, "x-kubernetes-preserve-unknown-fields"))
		s->flags |= SCHEMA_F_PRESERVE_UNKNOWN;
	if (is_on(o, "x-kubernetes-embedded-resource"))
		s->flags |= SCHEMA_F_EMBEDDED;
	if (is_on(o, "nullable"))
		s->flags |= SCHEMA_F_NULLABLE;
	s->format = text_in(a, o, "format");
	s->description = text_in(a, o, "description");
}

/* Allowed texts stand in the type itself, where OpenAPI and explain look. */
static void set_enums(struct arena *a, struct schema *s, const struct json *o)
{
	const struct json *list = keyword(o, "enum");
	size_t n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	const char **v;

	if (s->type != SCHEMA_STRING || !n)
		return;
	v = arena_array(a, n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		if (!json_is(json_item(list, i), JSON_STRING))
			return;
		v[i] = arena_cstr(a, json_str(json_item(list, i)));
	}
	s->enums = v;
}

static struct schema *build(struct arena *a, const struct json *o)
{
	struct schema *s = arena_alloc(a, sizeof(*s));

	set_common(a, s, o);
	set_type(a, s, o);
	set_enums(a, s, o);
	s->limits = limits_of(a, o);
	if (s->enums && s->limits)
		((struct schema_limits *)(uintptr_t)s->limits)->enums = NULL;
	crd_rules_build(a, s, o);
	return s;
}

const struct schema *crd_schema_build(struct arena *a, const struct json *openapi, bool preserve)
{
	struct schema *s = arena_alloc(a, sizeof(*s));

	if (!json_is(openapi, JSON_OBJECT))
		preserve = true;
	set_common(a, s, openapi);
	set_object(a, s, openapi, true);
	s->limits = limits_of(a, openapi);
	if (preserve)
		s->flags |= SCHEMA_F_PRESERVE_UNKNOWN;
	crd_rules_build(a, s, openapi);
	return s;
}

/* ---- nulls ---- */

static void drop_in_object(const struct schema *s, struct json *v)
{
	for (uint32_t i = 0; i < v->n;) {
		struct json_member *m = &v->members[i];
		const struct schema_field *f = schema_field(s, m->key);
		const struct schema *type = f ? f->type : s->item;

		if (type && m->value.type == JSON_NULL && type->flags & SCHEMA_F_CUSTOM &&
		    type->type != SCHEMA_ANY && !(type->flags & SCHEMA_F_NULLABLE) &&
		    !(f && f->default_json)) {
			json_del(v, m->key);
			continue;
		}
		if (type)
			crd_schema_drop_nulls(type, &m->value);
		i++;
	}
}

void crd_schema_drop_nulls(const struct schema *s, struct json *v)
{
	if (!s || !v || !(s->flags & SCHEMA_F_CUSTOM))
		return;
	if (v->type == JSON_OBJECT && (s->type == SCHEMA_OBJECT || s->type == SCHEMA_MAP))
		drop_in_object(s, v);
	for (uint32_t i = 0; v->type == JSON_ARRAY && s->type == SCHEMA_ARRAY && i < v->n; i++)
		crd_schema_drop_nulls(s->item, &v->items[i]);
}
