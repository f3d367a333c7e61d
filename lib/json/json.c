/* Reading JSON trees: lookups that accept anything, and comparing. Pure. */
#include "lib/json/index.h"

bool json_is(const struct json *v, enum json_type type)
{
	return v && v->type == type;
}

struct str json_str(const struct json *v)
{
	return json_is(v, JSON_STRING) ? (struct str){v->s ? v->s : "", v->n} : STR_NONE;
}

struct str json_str_or(const struct json *v, struct str otherwise)
{
	return json_is(v, JSON_STRING) ? json_str(v) : otherwise;
}

static double num_double(const struct json *v)
{
	char text[400];
	size_t n = MIN((size_t)v->n, sizeof(text) - 1);

	memcpy(text, v->s, n);
	text[n] = 0;
	return strtod(text, NULL);
}

int64_t json_int(const struct json *v, int64_t otherwise)
{
	if (json_is(v, JSON_INT))
		return v->i;
	if (json_is(v, JSON_NUM)) {
		double d = num_double(v);
		if (d >= -9.0e18 && d <= 9.0e18 && (double)(int64_t)d == d)
			return (int64_t)d;
	}
	return otherwise;
}

double json_double(const struct json *v, double otherwise)
{
	if (json_is(v, JSON_INT))
		return (double)v->i;
	return json_is(v, JSON_NUM) ? num_double(v) : otherwise;
}

bool json_bool(const struct json *v, bool otherwise)
{
	return json_is(v, JSON_BOOL) ? v->b : otherwise;
}

size_t json_len(const struct json *v)
{
	return v && (v->type == JSON_ARRAY || v->type == JSON_OBJECT) ? v->n : 0;
}

struct json *json_item(const struct json *array, size_t i)
{
	return json_is(array, JSON_ARRAY) && i < array->n ? &array->items[i] : NULL;
}

struct json *json_get(const struct json *object, struct str key)
{
	if (!json_is(object, JSON_OBJECT))
		return NULL;
	for (size_t i = 0; i < object->n; i++) {
		struct json_member *m = &object->members[i];
		if (m->key.n == key.n && (key.n == 0 || !memcmp(m->key.p, key.p, key.n)))
			return &m->value;
	}
	return NULL;
}

struct json *json_at_keys(const struct json *v, ...)
{
	const struct json *at = v;
	const char *key;
	va_list ap;

	va_start(ap, v);
	while (at && (key = va_arg(ap, const char *)))
		at = json_get(at, str_c(key));
	va_end(ap);
	return (struct json *)(uintptr_t)at;
}

/* One reference token with ~0 and ~1 resolved against an object's keys. */
static struct json *pointer_key(const struct json *object, struct str token)
{
	char key[512];
	size_t n = 0;

	if (!memchr(token.p, '~', token.n))
		return json_get(object, token);
	for (size_t i = 0; i < token.n; i++, n++) {
		if (n == sizeof(key))
			return NULL;
		key[n] = token.p[i];
		if (token.p[i] != '~')
			continue;
		if (++i == token.n || (token.p[i] != '0' && token.p[i] != '1'))
			return NULL;
		key[n] = token.p[i] == '1' ? '/' : '~';
	}
	return json_get(object, (struct str){key, n});
}

static struct json *pointer_index(const struct json *array, struct str token)
{
	uint64_t i;

	if (str_to_u64(token, &i) || (token.n > 1 && token.p[0] == '0'))
		return NULL;
	return json_item(array, i);
}

struct json *json_pointer(const struct json *v, struct str pointer)
{
	const struct json *at = v;
	struct str token;

	if (pointer.n == 0)
		return (struct json *)(uintptr_t)v;
	if (pointer.p[0] != '/')
		return NULL;
	pointer = str_sub(pointer, 1, pointer.n);
	while (at && str_next(&pointer, '/', &token))
		at = at->type == JSON_ARRAY ? pointer_index(at, token) : pointer_key(at, token);
	return (struct json *)(uintptr_t)at;
}

struct json_member *json_members(const struct json *object)
{
	return json_is(object, JSON_OBJECT) && object->n ? object->members : NULL;
}

static bool numbers_equal(const struct json *a, const struct json *b)
{
	if (a->type == JSON_INT && b->type == JSON_INT)
		return a->i == b->i;
	if (a->type == JSON_NUM && b->type == JSON_NUM && a->n == b->n && !memcmp(a->s, b->s, a->n))
		return true;
	return json_double(a, 0) == json_double(b, 0);
}

static bool objects_equal(const struct json *a, const struct json *b)
{
	AUTO(json_index) struct json_index in_b = json_index_of(b);

	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct json_member *m = &a->members[i];
		/* Most often both have the same order. */
		const struct json *other = str_eq(m->key, b->members[i].key)
						   ? &b->members[i].value
						   : json_index_get(&in_b, m->key);
		if (!other || !json_equal(&m->value, other))
			return false;
	}
	return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return a == b;
	bool number_a = a->type == JSON_INT || a->type == JSON_NUM;
	bool number_b = b->type == JSON_INT || b->type == JSON_NUM;
	if (number_a || number_b)
		return number_a && number_b && numbers_equal(a, b);
	if (a->type != b->type)
		return false;
	switch ((enum json_type)a->type) {
	case JSON_BOOL:
		return a->b == b->b;
	case JSON_STRING:
		return str_eq(json_str(a), json_str(b));
	case JSON_ARRAY:
		if (a->n != b->n)
			return false;
		for (size_t i = 0; i < a->n; i++) {
			if (!json_equal(&a->items[i], &b->items[i]))
				return false;
		}
		return true;
	case JSON_OBJECT:
		return objects_equal(a, b);
	case JSON_NULL:
	case JSON_INT:
	case JSON_NUM:
		break;
	}
	return true;
}
