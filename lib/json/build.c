/* Building and changing JSON trees, all memory from the caller's arena. Pure. */
#include "lib/json/json.h"

struct json *json_new(struct arena *a, enum json_type type)
{
	struct json *v = arena_alloc(a, sizeof(*v));

	v->type = (uint8_t)type;
	return v;
}

static struct json string_value(struct arena *a, struct str s)
{
	struct str copy = s.p ? arena_str(a, s) : STR("");

	return (struct json){.type = JSON_STRING, .n = (uint32_t)copy.n, .s = copy.p};
}

struct json *json_new_str(struct arena *a, struct str s)
{
	struct json v = string_value(a, s);

	return arena_dup(a, &v, sizeof(v));
}

struct json *json_new_int(struct arena *a, int64_t i)
{
	struct json *v = json_new(a, JSON_INT);

	v->i = i;
	return v;
}

struct json *json_new_bool(struct arena *a, bool b)
{
	struct json *v = json_new(a, JSON_BOOL);

	v->b = b;
	return v;
}

static void copy_into(struct arena *a, struct json *to, const struct json *from)
{
	*to = *from;
	to->cap = from->n;
	switch ((enum json_type)from->type) {
	case JSON_STRING:
	case JSON_NUM:
		to->s = arena_cstr(a, (struct str){from->s, from->n});
		break;
	case JSON_ARRAY:
		to->items = arena_array(a, from->n, sizeof(*to->items));
		for (uint32_t i = 0; i < from->n; i++)
			copy_into(a, &to->items[i], &from->items[i]);
		break;
	case JSON_OBJECT:
		to->members = arena_array(a, from->n, sizeof(*to->members));
		for (uint32_t i = 0; i < from->n; i++) {
			to->members[i].key = arena_str(a, from->members[i].key);
			copy_into(a, &to->members[i].value, &from->members[i].value);
		}
		break;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_INT:
		break;
	}
}

struct json *json_copy(struct arena *a, const struct json *v)
{
	if (!v)
		return NULL;
	struct json *copy = arena_alloc(a, sizeof(*copy));
	copy_into(a, copy, v);
	return copy;
}

/* Room for one more child of `size` bytes; the old array stays in the arena. */
static void *grown(struct arena *a, struct json *v, void *children, size_t size)
{
	if (v->n < v->cap)
		return children;
	uint32_t cap = v->cap < 4 ? 4 : v->cap * 2;
	void *more = arena_array(a, cap, size);
	if (v->n)
		memcpy(more, children, v->n * size);
	v->cap = cap;
	return more;
}

struct json *json_set(struct arena *a, struct json *object, struct str key,
		      const struct json *value)
{
	static const struct json null = {.type = JSON_NULL};
	struct json *slot = json_get(object, key);

	assert(object->type == JSON_OBJECT);
	if (!value)
		value = &null;
	if (slot) {
		*slot = *value;
		return slot;
	}
	return json_add(a, object, key, value);
}

struct json *json_add_borrowed(struct arena *a, struct json *object, struct str key,
			       const struct json *value)
{
	static const struct json null = {.type = JSON_NULL};
	struct json copy = *(value ? value : &null); /* may stand in the array that will move */
	object->members = grown(a, object, object->members, sizeof(*object->members));
	struct json_member *m = &object->members[object->n++];
	m->key = key;
	m->value = copy;
	return &m->value;
}

struct json *json_add(struct arena *a, struct json *object, struct str key,
		      const struct json *value)
{
	return json_add_borrowed(a, object, arena_str(a, key.p ? key : STR("")), value);
}

struct json *json_set_str(struct arena *a, struct json *object, const char *key, struct str s)
{
	struct json v = string_value(a, s);

	return json_set(a, object, str_c(key), &v);
}

struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t i)
{
	struct json v = {.type = JSON_INT, .i = i};

	return json_set(a, object, str_c(key), &v);
}

struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool b)
{
	struct json v = {.type = JSON_BOOL, .b = b};

	return json_set(a, object, str_c(key), &v);
}

static struct json *set_container(struct arena *a, struct json *object, const char *key,
				  enum json_type type)
{
	struct json *slot = json_get(object, str_c(key));
	struct json v = {.type = (uint8_t)type};

	return slot && slot->type == type ? slot : json_set(a, object, str_c(key), &v);
}

struct json *json_set_object(struct arena *a, struct json *object, const char *key)
{
	return set_container(a, object, key, JSON_OBJECT);
}

struct json *json_set_array(struct arena *a, struct json *object, const char *key)
{
	return set_container(a, object, key, JSON_ARRAY);
}

bool json_del(struct json *object, struct str key)
{
	struct json *slot = json_get(object, key);

	if (!slot)
		return false;
	size_t i = (size_t)(CONTAINER_OF(slot, struct json_member, value) - object->members);
	memmove(&object->members[i], &object->members[i + 1],
		(object->n - i - 1) * sizeof(*object->members));
	object->n--;
	return true;
}

void json_insert(struct arena *a, struct json *array, size_t at, const struct json *value)
{
	assert(array->type == JSON_ARRAY && at <= array->n);
	struct json copy = *value;

	array->items = grown(a, array, array->items, sizeof(*array->items));
	memmove(&array->items[at + 1], &array->items[at], (array->n - at) * sizeof(*array->items));
	array->items[at] = copy;
	array->n++;
}

struct json *json_append(struct arena *a, struct json *array, const struct json *value)
{
	json_insert(a, array, array->n, value);
	return &array->items[array->n - 1];
}

struct json *json_append_str(struct arena *a, struct json *array, struct str s)
{
	struct json v = string_value(a, s);

	return json_append(a, array, &v);
}

struct json *json_append_object(struct arena *a, struct json *array)
{
	struct json v = {.type = JSON_OBJECT};

	return json_append(a, array, &v);
}

void json_remove(struct json *array, size_t at)
{
	assert(array->type == JSON_ARRAY && at < array->n);
	memmove(&array->items[at], &array->items[at + 1],
		(array->n - at - 1) * sizeof(*array->items));
	array->n--;
}

/* ---- json_build ---- */

struct builder {
	struct arena *a;
	const char *at, *whole;
	va_list ap;
};

static char next_token(struct builder *b)
{
	while (*b->at == ' ' || *b->at == ',' || *b->at == ':' || *b->at == '\n' || *b->at == '\t')
		b->at++;
	return *b->at ? *b->at++ : 0;
}

static struct json build_value(struct builder *b, char token);

static struct json build_object(struct builder *b)
{
	struct json v = {.type = JSON_OBJECT};

	for (char t; (t = next_token(b)) != '}';) {
		struct str key;
		if (t == 's')
			key = str_c(va_arg(b->ap, const char *));
		else if (t == 'S')
			key = va_arg(b->ap, struct str);
		else
			panic("json_build: '%s': a key is s or S", b->whole);
		struct json child = build_value(b, next_token(b));
		json_set(b->a, &v, key, &child);
	}
	return v;
}

static struct json build_array(struct builder *b)
{
	struct json v = {.type = JSON_ARRAY};

	for (char t; (t = next_token(b)) != ']';) {
		struct json child = build_value(b, t);
		json_append(b->a, &v, &child);
	}
	return v;
}

static struct json build_value(struct builder *b, char token)
{
	const struct json *shared;

	switch (token) {
	case 's':
		return string_value(b->a, str_c(va_arg(b->ap, const char *)));
	case 'S':
		return string_value(b->a, va_arg(b->ap, struct str));
	case 'i':
		return (struct json){.type = JSON_INT, .i = va_arg(b->ap, int)};
	case 'I':
		return (struct json){.type = JSON_INT, .i = va_arg(b->ap, int64_t)};
	case 'b':
		return (struct json){.type = JSON_BOOL, .b = va_arg(b->ap, int) != 0};
	case 'n':
		return (struct json){.type = JSON_NULL};
	case 'o':
		shared = va_arg(b->ap, const struct json *);
		return shared ? *shared : (struct json){.type = JSON_NULL};
	case '{':
		return build_object(b);
	case '[':
		return build_array(b);
	default:
		panic("json_build: cannot read '%s'", b->whole);
	}
}

struct json *json_build(struct arena *a, const char *fmt, ...)
{
	struct builder b = {.a = a, .at = fmt, .whole = fmt};

	va_start(b.ap, fmt);
	struct json v = build_value(&b, next_token(&b));
	va_end(b.ap);
	return arena_dup(a, &v, sizeof(v));
}
