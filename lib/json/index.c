/* Hash indexes over members and items. Pure; heap memory belongs to the index. */
#include "lib/json/index.h"

#include "lib/base/pure.h"

#define FEW 16

void json_index_cleanup(struct json_index *x)
{
	map_release(&x->at);
}

struct json_index json_index_of(const struct json *object)
{
	return (struct json_index){.of = (struct json *)(uintptr_t)object};
}

struct json *json_index_get(struct json_index *x, struct str key)
{
	uintptr_t at;

	if (!json_is(x->of, JSON_OBJECT) || x->of->n <= FEW)
		return json_get(x->of, key);
	for (; x->known < x->of->n; x->known++) {
		struct str name = x->of->members[x->known].key;

		if (!map_has(&x->at, name))
			map_set(&x->at, name, (void *)(uintptr_t)(x->known + 1));
	}
	at = (uintptr_t)map_get(&x->at, key);
	return at ? &x->of->members[at - 1].value : NULL;
}

struct json *json_index_set(struct arena *a, struct json_index *x, struct str key,
			    const struct json *value)
{
	struct json *slot = json_index_get(x, key);

	if (!slot)
		return json_add(a, x->of, key, value);
	*slot = value ? *value : (struct json){.type = JSON_NULL};
	return slot;
}

void json_items_cleanup(struct json_items *x)
{
	map_release(&x->at);
}

void json_items_add(struct json_items *x, struct str text, size_t at)
{
	if (!map_has(&x->at, text))
		map_set(&x->at, text, (void *)(uintptr_t)(at + 1));
}

size_t json_items_find(const struct json_items *x, struct str text)
{
	uintptr_t at = (uintptr_t)map_get(&x->at, text);

	return at ? at - 1 : SIZE_MAX;
}

static int member_order(const void *a, const void *b)
{
	return str_cmp((*(const struct json_member *const *)a)->key,
		       (*(const struct json_member *const *)b)->key);
}

static void members_identity(const struct json *v, struct buf *out)
{
	const struct json_member **sorted = xreallocarray(NULL, v->n + 1, sizeof(*sorted));

	for (uint32_t i = 0; i < v->n; i++)
		sorted[i] = &v->members[i];
	qsort(sorted, v->n, sizeof(*sorted), member_order);
	for (uint32_t i = 0; i < v->n; i++) {
		json_write_string(sorted[i]->key, out);
		buf_putc(out, ':');
		json_identity(&sorted[i]->value, out);
		buf_putc(out, ',');
	}
	free(sorted);
}

void json_identity(const struct json *v, struct buf *out)
{
	if (json_is(v, JSON_NUM)) { /* 1.0 is 1, 1e2 is 100 */
		double d = json_double(v, 0);

		if (d >= -9e15 && d <= 9e15 && d == (double)(int64_t)d)
			buf_i64(out, (int64_t)d);
		else
			buf_printf(out, "%.17g", d);
	} else if (json_is(v, JSON_INT) &&
		   (v->i > INT64_C(9000000000000000) || v->i < -INT64_C(9000000000000000))) {
		buf_printf(out, "=%lld", (long long)v->i);
	} else if (json_is(v, JSON_OBJECT)) {
		buf_putc(out, '{');
		members_identity(v, out);
		buf_putc(out, '}');
	} else if (json_is(v, JSON_ARRAY)) {
		buf_putc(out, '[');
		for (uint32_t i = 0; i < v->n; i++) {
			json_identity(&v->items[i], out);
			buf_putc(out, ',');
		}
		buf_putc(out, ']');
	} else if (v) {
		json_write(v, out);
	}
}

void json_sweep(struct json *v, const bool *gone)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		if (gone[i])
			continue;
		if (v->type == JSON_ARRAY)
			v->items[n++] = v->items[i];
		else
			v->members[n++] = v->members[i];
	}
	v->n = n;
}
