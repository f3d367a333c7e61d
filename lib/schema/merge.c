/*
 * Strategic merge patch: merge patch that knows how lists are keyed, plus directives. Builds a new
 * tree; the document stays as it was. Pure.
 * Specification: k8s.io/apimachinery/pkg/util/strategicpatch.
 */
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

struct merging {
	struct arena *a;
	struct err *err;
};

static int merge_object(struct merging *m, const struct schema *s, struct json *to,
			const struct json *patch);

static const struct schema *type_of(const struct schema *s, struct str key)
{
	const struct schema_field *f = s ? schema_field(s, key) : NULL;

	if (f)
		return f->type;
	return s && s->type == SCHEMA_MAP ? s->item : NULL;
}

static bool directive_is(const struct json *patch, const char *what)
{
	return str_is(json_str(json_get(patch, STR("$patch"))), what);
}

/* "$setElementOrder/ports" → "ports". */
static bool directive_on(struct str key, struct str prefix, struct str *ret_field)
{
	if (!str_starts(key, prefix))
		return false;
	*ret_field = str_sub(key, prefix.n, key.n);
	return true;
}

static bool is_directive(struct str key)
{
	return str_starts(key, STR("$patch")) || str_starts(key, STR("$retainKeys")) ||
	       str_starts(key, STR("$setElementOrder/")) ||
	       str_starts(key, STR("$deleteFromPrimitiveList/"));
}

/* ---- lists ---- */

static struct json *find_keyed(struct json *list, const char *key, const struct json *value,
			       size_t *ret_at)
{
	for (size_t i = 0; value && i < json_len(list); i++) {
		const struct json *have = json_get(json_item(list, i), str_c(key));

		if (!have || !json_equal(have, value))
			continue;
		if (ret_at)
			*ret_at = i;
		return json_item(list, i);
	}
	return NULL;
}

static bool has_value(const struct json *list, const struct json *value)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (json_equal(json_item(list, i), value))
			return true;
	return false;
}

static int merge_item(struct merging *m, const struct schema *list, struct json *to,
		      const struct json *item)
{
	const struct json *key = json_get(item, str_c(list->merge_key));
	struct json *slot;
	size_t at = 0;

	if (!json_is(item, JSON_OBJECT) || !key)
		return err_set(m->err, ERR_BAD_REQUEST,
			       "map: %s does not contain declared merge key: %s",
			       list->name ? list->name : "list item", list->merge_key);
	slot = find_keyed(to, list->merge_key, key, &at);
	if (directive_is(item, "delete")) {
		if (slot)
			json_remove(to, at);
		return 0;
	}
	if (!slot || directive_is(item, "replace")) {
		struct json fresh = {.type = JSON_OBJECT};

		if (!slot)
			slot = json_append(m->a, to, &fresh);
		*slot = fresh;
	}
	return merge_object(m, list->item, slot, item);
}

static const struct json *replacing_item(const struct json *patch)
{
	for (size_t i = 0; i < json_len(patch); i++)
		if (directive_is(json_item(patch, i), "replace") &&
		    json_len(json_item(patch, i)) == 1)
			return json_item(patch, i);
	return NULL;
}

static int merge_keyed(struct merging *m, const struct schema *list, struct json *to,
		       const struct json *patch)
{
	const struct json *replace = replacing_item(patch);

	if (replace)
		to->n = 0;
	for (size_t i = 0; i < json_len(patch); i++)
		if (json_item(patch, i) != replace && merge_item(m, list, to, json_item(patch, i)))
			return -1;
	return 0;
}

static void merge_scalars(struct merging *m, struct json *to, const struct json *patch)
{
	for (size_t i = 0; i < json_len(patch); i++)
		if (!has_value(to, json_item(patch, i)))
			json_append(m->a, to, json_copy(m->a, json_item(patch, i)));
}

static int merge_list(struct merging *m, const struct schema *list, struct json *slot,
		      const struct json *patch)
{
	if (!list || !(list->flags & SCHEMA_F_PATCH_MERGE) || !json_is(slot, JSON_ARRAY)) {
		struct json fresh = {.type = JSON_ARRAY};

		if (list && (list->flags & SCHEMA_F_PATCH_MERGE) && list->merge_key) {
			*slot = fresh;
			return merge_keyed(m, list, slot, patch);
		}
		*slot = *json_copy(m->a, patch);
		return 0;
	}
	if (list->merge_key)
		return merge_keyed(m, list, slot, patch);
	merge_scalars(m, slot, patch);
	return 0;
}

/* ---- order ---- */

/* Position that an item has in an order list; SIZE_MAX when the list doesn't name it. */
static size_t rank_of(const struct schema *list, const struct json *order, const struct json *item)
{
	const char *key = list ? list->merge_key : NULL;

	for (size_t i = 0; i < json_len(order); i++) {
		const struct json *o = json_item(order, i);

		if (key ? json_equal(json_get(o, str_c(key)), json_get(item, str_c(key)))
			: json_equal(o, item))
			return i;
	}
	return SIZE_MAX;
}

/* Items that the order names stand in its order; the others stay before what they stood before. */
static void reorder(struct merging *m, const struct schema *list, struct json *to,
		    const struct json *order)
{
	size_t n = json_len(to), at = 0, rank = 0;
	struct json *out = json_new(m->a, JSON_ARRAY);
	bool *done = arena_alloc(m->a, n + 1);

	for (; rank <= json_len(order); rank++) {
		size_t named = SIZE_MAX;

		for (size_t i = 0; i < n; i++)
			if (!done[i] && rank_of(list, order, json_item(to, i)) == rank)
				named = i;
		if (named == SIZE_MAX && rank < json_len(order))
			continue;
		for (; at < n && (named == SIZE_MAX || at < named); at++)
			if (!done[at] && rank_of(list, order, json_item(to, at)) == SIZE_MAX) {
				done[at] = true;
				json_append(m->a, out, json_item(to, at));
			}
		if (named == SIZE_MAX)
			break;
		done[named] = true;
		json_append(m->a, out, json_item(to, named));
	}
	for (size_t i = 0; i < n; i++)
		if (!done[i])
			json_append(m->a, out, json_item(to, i));
	*to = *out;
}

/* ---- objects ---- */

static void delete_values(struct json *list, const struct json *values)
{
	for (size_t i = json_len(list); i-- > 0;)
		if (has_value(values, json_item(list, i)))
			json_remove(list, i);
}

static void retain_keys(struct json *to, const struct json *keys)
{
	for (size_t i = json_len(to); i-- > 0;) {
		bool kept = false;

		for (size_t j = 0; j < json_len(keys); j++)
			kept = kept || str_eq(json_str(json_item(keys, j)), to->members[i].key);
		if (!kept)
			json_del(to, to->members[i].key);
	}
}

static int merge_member(struct merging *m, const struct schema *s, struct json *to, struct str key,
			const struct json *value)
{
	const struct schema *type = type_of(s, key);
	struct json *slot = json_get(to, key);
	struct json null = {.type = JSON_NULL};

	if (value->type == JSON_NULL) {
		json_del(to, key);
		return 0;
	}
	if (value->type == JSON_OBJECT && directive_is(value, "delete")) {
		json_del(to, key);
		return 0;
	}
	if (!slot)
		slot = json_set(m->a, to, key, &null);
	if (value->type == JSON_ARRAY)
		return merge_list(m, type, slot, value);
	if (value->type != JSON_OBJECT) {
		*slot = *json_copy(m->a, value);
		return 0;
	}
	if (slot->type != JSON_OBJECT)
		*slot = (struct json){.type = JSON_OBJECT};
	return merge_object(m, type, slot, value);
}

static void directives(struct merging *m, const struct schema *s, struct json *to,
		       const struct json *patch)
{
	const struct json *keys = json_get(patch, STR("$retainKeys"));
	struct str field;

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];

		if (directive_on(p->key, STR("$setElementOrder/"), &field) && json_get(to, field))
			reorder(m, type_of(s, field), json_get(to, field), &p->value);
	}
	if (keys)
		retain_keys(to, keys);
}

static int merge_object(struct merging *m, const struct schema *s, struct json *to,
			const struct json *patch)
{
	struct str field;

	if (directive_is(patch, "replace") || directive_is(patch, "delete"))
		*to = (struct json){.type = JSON_OBJECT};
	if (directive_is(patch, "delete"))
		return 0;
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];

		if (directive_on(p->key, STR("$deleteFromPrimitiveList/"), &field))
			delete_values(json_get(to, field), &p->value);
	}
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];

		if (!is_directive(p->key) && merge_member(m, s, to, p->key, &p->value))
			return -1;
	}
	directives(m, s, to, patch);
	return 0;
}

struct json *schema_strategic_merge(struct arena *a, const struct schema *s, const struct json *doc,
				    const struct json *patch, struct err *err)
{
	struct merging m = {a, err};
	struct json *to;

	if (!json_is(patch, JSON_OBJECT)) {
		err_set(err, ERR_BAD_REQUEST, "a strategic merge patch must be an object");
		return NULL;
	}
	to = json_is(doc, JSON_OBJECT) ? json_copy(a, doc) : json_new(a, JSON_OBJECT);
	return merge_object(&m, s, to, patch) ? NULL : to;
}
