/*
 * schema_equal(): are two values the same to the API, though not byte for byte? 100m is 0.1, an
 * absent list is an empty one, a set has no order.
 *
 * Pure, allocates nothing.
 */
#include "lib/schema/schema-internal.h"

#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/json/index.h"

#include "lib/base/pure.h"

static bool empty(const struct json *v)
{
	return schema_absent(v) ||
	       ((v->type == JSON_STRING || v->type == JSON_ARRAY || v->type == JSON_OBJECT) &&
		v->n == 0);
}

static int to_quantity(const struct json *v, struct quantity *ret)
{
	char text[24];
	if (v->type == JSON_INT) {
		int n = snprintf(text, sizeof(text), "%lld", (long long)v->i);
		return quantity_parse((struct str){text, (size_t)n}, ret);
	}
	if (v->type != JSON_STRING && v->type != JSON_NUM)
		return -1;
	return quantity_parse((struct str){v->s, v->n}, ret);
}

static bool equal_quantity(const struct json *a, const struct json *b)
{
	struct quantity x, y;
	if (to_quantity(a, &x) || to_quantity(b, &y))
		return json_equal(a, b);
	return !quantity_cmp(x, y);
}

static bool equal_instant(const struct json *a, const struct json *b)
{
	struct instant x, y;
	if (instant_parse(json_str(a), &x) || instant_parse(json_str(b), &y))
		return json_equal(a, b);
	return x.s == y.s && x.ns == y.ns;
}

static bool equal_duration(const struct json *a, const struct json *b)
{
	int64_t x, y;
	if (duration_parse(json_str(a), &x) || duration_parse(json_str(b), &y))
		return json_equal(a, b);
	return x == y;
}

/* Whole numbers may stand as text: "80" and 80 are told apart by Kubernetes, 80 and 80.0 aren't. */
/* Every item of `part` is in `list`, in whatever order. */
static bool has_all(const struct json *list, const struct json *part)
{
	AUTO(json_items) struct json_items have = {0};
	AUTO(buf) struct buf text = {0};

	for (uint32_t i = 0; i < list->n; i++) {
		buf_reset(&text);
		json_identity(&list->items[i], &text);
		json_items_add(&have, buf_view(&text), i);
	}
	for (uint32_t i = 0; i < part->n; i++) {
		buf_reset(&text);
		json_identity(&part->items[i], &text);
		if (json_items_find(&have, buf_view(&text)) == SIZE_MAX)
			return false;
	}
	return true;
}

static bool equal_array(const struct schema *s, const struct json *a, const struct json *b)
{
	if (a->type != JSON_ARRAY || b->type != JSON_ARRAY || a->n != b->n)
		return false;
	bool same = true;
	for (uint32_t i = 0; i < a->n && same; i++)
		same = schema_equal(s->item, &a->items[i], &b->items[i]);
	if (same || s->list != SCHEMA_LIST_SET)
		return same;
	return has_all(a, b) && has_all(b, a);
}

static const struct schema *member_type(const struct schema *s, struct str key)
{
	const struct schema_field *f = schema_field(s, key);
	return f ? f->type : s->item;
}

static bool equal_members(const struct schema *s, const struct json *a, const struct json *b)
{
	AUTO(json_index) struct json_index in_b = json_index_of(b);

	for (size_t i = 0; i < json_len(a); i++) {
		const struct json_member *m = &a->members[i];
		/* In a map the key counts, even with an empty value. */
		const struct json *other = json_index_get(&in_b, m->key);
		if (s->type == SCHEMA_MAP && !other)
			return false;
		if (!schema_equal(member_type(s, m->key), &m->value, other))
			return false;
	}
	return true;
}

static bool missing_members(const struct schema *s, const struct json *a, const struct json *b)
{
	AUTO(json_index) struct json_index in_a = json_index_of(a);

	for (size_t i = 0; i < json_len(b); i++) {
		const struct json_member *m = &b->members[i];
		if (!json_index_get(&in_a, m->key) && (s->type == SCHEMA_MAP || !empty(&m->value)))
			return true;
	}
	return false;
}

bool schema_equal(const struct schema *s, const struct json *a, const struct json *b)
{
	if (empty(a) || empty(b))
		return empty(a) && empty(b);
	if (!s)
		return json_equal(a, b);
	switch (s->type) {
	case SCHEMA_QUANTITY:
		return equal_quantity(a, b);
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return equal_instant(a, b);
	case SCHEMA_DURATION:
		return equal_duration(a, b);
	case SCHEMA_ARRAY:
		return equal_array(s, a, b);
	case SCHEMA_OBJECT:
	case SCHEMA_MAP:
		if (a->type != JSON_OBJECT || b->type != JSON_OBJECT)
			return json_equal(a, b);
		return equal_members(s, a, b) && !missing_members(s, a, b);
	case SCHEMA_ANY:
	case SCHEMA_STRING:
	case SCHEMA_INT:
	case SCHEMA_NUMBER:
	case SCHEMA_BOOL:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_BYTES:
		break;
	}
	return json_equal(a, b);
}

const struct json *schema_same_item(const struct schema *s, const struct json *old,
				    const struct json *item)
{
	for (size_t i = 0; s->list == SCHEMA_LIST_MAP && i < json_len(old); i++) {
		const struct json *o = json_item(old, i);
		bool same = true;

		for (size_t k = 0; same && k < SCHEMA_KEYS_MAX && s->keys[k]; k++)
			same = json_equal(json_get(o, str_c(s->keys[k])),
					  json_get(item, str_c(s->keys[k])));
		if (same)
			return o;
	}
	return NULL;
}
