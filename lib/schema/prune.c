/*
 * Pruning and defaulting: what the decoder does to a value that fits its type more or less.
 *
 * Pure. Both change the value in place and must only be given what the caller may change; they
 * never look inside values of type "anything".
 */
#include <string.h>

#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

static void prune_object(const struct schema *s, struct json *v);

static bool custom(const struct schema *s)
{
	return s->flags & SCHEMA_F_CUSTOM;
}

static void prune_map(const struct schema *s, struct json *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		struct json *value = &v->members[i].value;
		/* Go leaves the zero value where null stands in a map. */
		if (value->type == JSON_NULL && !custom(s) &&
		    (s->item->type == SCHEMA_STRING || s->item->type == SCHEMA_BYTES))
			*value = (struct json){.type = JSON_STRING, .s = ""};
		if (value->type == JSON_NULL && !custom(s) && s->item->type == SCHEMA_QUANTITY)
			*value = (struct json){.type = JSON_STRING, .s = "0", .n = 1};
		schema_prune(s->item, value);
	}
}

static void prune_array(const struct schema *s, struct json *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->items[i].type == JSON_NULL && s->item->type == SCHEMA_OBJECT && !custom(s))
			v->items[i] = (struct json){.type = JSON_OBJECT};
		schema_prune(s->item, &v->items[i]);
	}
}

/* apiVersion, kind and metadata stay in objects embedded in custom resources. */
static bool is_meta(struct str key)
{
	return str_is(key, "apiVersion") || str_is(key, "kind") || str_is(key, "metadata");
}

static bool is_zero(const struct json *v)
{
	return (v->type == JSON_STRING && !v->n) || (v->type == JSON_INT && !v->i) ||
	       (v->type == JSON_BOOL && !v->b);
}

/* Go's encoder leaves empty maps and lists out, but where the API promises that they are there. */
static bool left_out(const struct schema_field *f, const struct json *v)
{
	if (f && f->omit && is_zero(v))
		return true;
	if (!f || f->required || f->listed || v->n)
		return false;
	return (f->type->type == SCHEMA_MAP && v->type == JSON_OBJECT) ||
	       (f->type->type == SCHEMA_ARRAY && v->type == JSON_ARRAY);
}

static void prune_object(const struct schema *s, struct json *v)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		struct json_member *m = &v->members[i];
		const struct schema_field *f = schema_field(s, m->key);
		const struct schema *type = f ? f->type : s->item;
		bool keep = type || s->flags & SCHEMA_F_PRESERVE_UNKNOWN ||
			    (s->flags & SCHEMA_F_EMBEDDED && is_meta(m->key));
		if (keep && m->value.type == JSON_NULL && !custom(s))
			keep = false;
		if (!keep)
			continue;
		if (type)
			schema_prune(type, &m->value);
		if (!custom(s) && left_out(f, &m->value))
			continue;
		if (kept != i)
			v->members[kept] = *m;
		kept++;
	}
	v->n = kept;
}

void schema_prune(const struct schema *s, struct json *v)
{
	if (!s || !v)
		return;
	if (s->type == SCHEMA_ARRAY && v->type == JSON_ARRAY)
		prune_array(s, v);
	else if (s->type == SCHEMA_MAP && v->type == JSON_OBJECT)
		prune_map(s, v);
	else if (s->type == SCHEMA_OBJECT && v->type == JSON_OBJECT)
		prune_object(s, v);
}

static void default_field(struct arena *a, const struct schema *s, const struct schema_field *f,
			  struct json *v)
{
	struct json *value = json_get(v, str_c(f->name));
	bool absent = value && value->type == JSON_NULL && custom(s)
			      ? !(f->type->flags & SCHEMA_F_NULLABLE)
			      : schema_absent(value);
	if (absent && f->default_json) {
		struct err err = {0};
		struct json *d = json_parse(a, str_c(f->default_json), NULL, &err);
		if (!d)
			panic("default of %s.%s: %s", s->name ? s->name : "?", f->name, err.msg);
		value = json_set(a, v, str_c(f->name), d);
	}
	if (value && f->type->flags & SCHEMA_F_DEFAULTS)
		schema_default(a, f->type, value);
}

void schema_default(struct arena *a, const struct schema *s, struct json *v)
{
	if (!s || !v || !(s->flags & SCHEMA_F_DEFAULTS))
		return;
	if (s->type == SCHEMA_ARRAY && v->type == JSON_ARRAY) {
		for (uint32_t i = 0; i < v->n; i++)
			schema_default(a, s->item, &v->items[i]);
	} else if (s->type == SCHEMA_MAP && v->type == JSON_OBJECT) {
		for (uint32_t i = 0; i < v->n; i++)
			schema_default(a, s->item, &v->members[i].value);
	} else if (s->type == SCHEMA_OBJECT && v->type == JSON_OBJECT) {
		for (size_t i = 0; i < s->nfields; i++) {
			const struct schema_field *f = &s->fields[i];
			if (f->default_json || f->type->flags & SCHEMA_F_DEFAULTS)
				default_field(a, s, f, v);
		}
		for (uint32_t i = 0; s->item && i < v->n; i++)
			if (!schema_field(s, v->members[i].key))
				schema_default(a, s->item, &v->members[i].value);
	}
}

/* ---- what is always written ---- */

static void fill_field(struct arena *a, const struct schema_field *f, struct json *v)
{
	struct json *value = json_get(v, str_c(f->name));

	if (value && value->type != JSON_NULL) {
		schema_fill(a, f->type, value);
		return;
	}
	if (f->solid && f->type->type == SCHEMA_OBJECT && strcmp(f->name, "metadata")) {
		value = json_set_object(a, v, f->name);
		schema_fill(a, f->type, value);
	} else if ((f->listed || f->solid) && f->type->type == SCHEMA_STRING) {
		json_set_str(a, v, f->name, STR(""));
	} else if ((f->listed || f->solid) && f->type->type == SCHEMA_INT) {
		json_set_int(a, v, f->name, 0);
	} else if (f->listed && f->type->type == SCHEMA_BOOL) {
		json_set(a, v, str_c(f->name), json_new_bool(a, false));
	}
}

void schema_fill(struct arena *a, const struct schema *s, struct json *v)
{
	if (!s || !v || custom(s))
		return;
	if (s->type == SCHEMA_ARRAY && v->type == JSON_ARRAY)
		for (uint32_t i = 0; i < v->n; i++)
			schema_fill(a, s->item, &v->items[i]);
	else if (s->type == SCHEMA_MAP && v->type == JSON_OBJECT && s->item->type == SCHEMA_OBJECT)
		for (uint32_t i = 0; i < v->n; i++)
			schema_fill(a, s->item, &v->members[i].value);
	else if (s->type == SCHEMA_OBJECT && v->type == JSON_OBJECT)
		for (size_t i = 0; i < s->nfields; i++)
			fill_field(a, &s->fields[i], v);
}
