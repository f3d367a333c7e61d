/*
 * Strategic merge patch: merge patch that knows how lists are keyed, plus directives. Builds a new
 * tree; the document stays as it was. Pure.
 * Specification: k8s.io/apimachinery/pkg/util/strategicpatch.
 */
#include "lib/json/index.h"
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

/* What stands for an item in its list: its merge key's value, or all of it. Borrowed from `text`.
 */
static struct str item_text(const struct json *item, const char *key, struct buf *text)
{
	const struct json *v = key ? json_get(item, str_c(key)) : item;

	buf_reset(text);
	if (!v) /* all items without a key are alike */
		return STR("absent");
	json_identity(v, text);
	return buf_view(text);
}

static void index_items(struct json_items *x, const struct json *list, const char *key)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < json_len(list); i++)
		json_items_add(x, item_text(json_item(list, i), key, &text), i);
}

static int check_items(struct merging *m, const struct schema *list, const struct json *patch)
{
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *item = json_item(patch, i);
		bool replaces = directive_is(item, "replace") && json_len(item) == 1;

		if (!json_is(item, JSON_OBJECT) ||
		    (!replaces && !json_get(item, str_c(list->merge_key))))
			return err_set(m->err, ERR_BAD_REQUEST,
				       "map: %s does not contain declared merge key: %s",
				       list->name ? list->name : "list item", list->merge_key);
	}
	return 0;
}

/* Takes out of `to` what the patch deletes, or all of it where the patch replaces the list. */
static void drop_items(struct merging *m, const char *key, struct json *to,
		       const struct json *patch)
{
	AUTO(json_items) struct json_items deleted = {0};
	AUTO(buf) struct buf text = {0};
	bool *gone = arena_alloc(m->a, json_len(to) + 1);

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *item = json_item(patch, i);

		if (directive_is(item, "replace") && json_len(item) == 1)
			to->n = 0;
		else if (directive_is(item, "delete"))
			json_items_add(&deleted, item_text(item, key, &text), i);
	}
	for (size_t i = 0; i < json_len(to); i++)
		gone[i] = json_items_find(&deleted, item_text(json_item(to, i), key, &text)) !=
			  SIZE_MAX;
	json_sweep(to, gone);
}

static int merge_keyed(struct merging *m, const struct schema *list, struct json *to,
		       const struct json *patch)
{
	AUTO(json_items) struct json_items have = {0};
	AUTO(buf) struct buf text = {0};

	if (check_items(m, list, patch))
		return -1;
	drop_items(m, list->merge_key, to, patch);
	index_items(&have, to, list->merge_key);
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *item = json_item(patch, i);
		struct json fresh = {.type = JSON_OBJECT}, *slot;
		bool replace = directive_is(item, "replace");
		struct str id;
		size_t at;

		if (directive_is(item, "delete") || (replace && json_len(item) == 1))
			continue;
		id = item_text(item, list->merge_key, &text);
		at = json_items_find(&have, id);
		slot = at == SIZE_MAX ? NULL : json_item(to, at);
		if (!slot) {
			json_items_add(&have, id, to->n);
			slot = json_append(m->a, to, &fresh);
		} else if (replace) {
			*slot = fresh;
		}
		if (merge_object(m, list->item, slot, item))
			return -1;
	}
	return 0;
}

static void merge_scalars(struct merging *m, struct json *to, const struct json *patch)
{
	AUTO(json_items) struct json_items have = {0};
	AUTO(buf) struct buf text = {0};

	index_items(&have, to, NULL);
	for (size_t i = 0; i < json_len(patch); i++) {
		struct str id = item_text(json_item(patch, i), NULL, &text);

		if (json_items_find(&have, id) != SIZE_MAX)
			continue;
		json_items_add(&have, id, to->n);
		json_append(m->a, to, json_copy(m->a, json_item(patch, i)));
	}
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

/* Items that the order names stand in its order; the others stay before what they stood before. */
static void reorder(struct merging *m, const struct schema *list, struct json *to,
		    const struct json *order)
{
	const char *key = list ? list->merge_key : NULL;
	size_t n = json_len(to), at = 0;
	AUTO(json_items) struct json_items ranks = {0};
	AUTO(buf) struct buf text = {0};
	struct json *out = json_new(m->a, JSON_ARRAY);
	size_t *item_of = arena_array(m->a, json_len(order) + 1, sizeof(*item_of)); /* rank → + 1 */
	bool *named = arena_alloc(m->a, n + 1), *done = arena_alloc(m->a, n + 1);

	index_items(&ranks, order, key);
	for (size_t i = 0; i < n; i++) {
		size_t rank = json_items_find(&ranks, item_text(json_item(to, i), key, &text));

		named[i] = rank != SIZE_MAX;
		if (named[i])
			item_of[rank] = i + 1;
	}
	for (size_t rank = 0; rank < json_len(order); rank++) {
		if (!item_of[rank])
			continue;
		for (; at < item_of[rank] - 1; at++)
			if (!named[at])
				done[at] = json_append(m->a, out, json_item(to, at)) != NULL;
		done[item_of[rank] - 1] = true;
		json_append(m->a, out, json_item(to, item_of[rank] - 1));
	}
	for (size_t unnamed = 0; unnamed < 2; unnamed++) /* unnamed ones, then those named twice */
		for (size_t i = 0; i < n; i++)
			if (!done[i] && named[i] == (unnamed == 1))
				json_append(m->a, out, json_item(to, i));
	*to = *out;
}

/* ---- objects ---- */

static void delete_values(struct merging *m, struct json *list, const struct json *values)
{
	AUTO(json_items) struct json_items deleted = {0};
	AUTO(buf) struct buf text = {0};
	bool *gone = arena_alloc(m->a, json_len(list) + 1);

	if (!json_is(list, JSON_ARRAY))
		return;
	index_items(&deleted, values, NULL);
	for (size_t i = 0; i < list->n; i++)
		gone[i] = json_items_find(&deleted, item_text(&list->items[i], NULL, &text)) !=
			  SIZE_MAX;
	json_sweep(list, gone);
}

static void retain_keys(struct merging *m, struct json *to, const struct json *keys)
{
	AUTO(json_items) struct json_items kept = {0};
	bool *gone = arena_alloc(m->a, json_len(to) + 1);

	for (size_t i = 0; i < json_len(keys); i++)
		if (json_is(json_item(keys, i), JSON_STRING))
			json_items_add(&kept, json_str(json_item(keys, i)), i);
	for (size_t i = 0; i < json_len(to); i++)
		gone[i] = json_items_find(&kept, to->members[i].key) == SIZE_MAX;
	json_sweep(to, gone);
}

static int merge_value(struct merging *m, const struct schema *type, struct json *slot,
		       const struct json *value)
{
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

static int merge_members(struct merging *m, const struct schema *s, struct json *to,
			 const struct json *patch)
{
	AUTO(json_index) struct json_index in_to = json_index_of(to);
	bool *gone = arena_alloc(m->a, json_len(to) + json_len(patch) + 1), any = false;

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];
		struct json *slot;

		if (is_directive(p->key))
			continue;
		slot = json_index_get(&in_to, p->key);
		if (p->value.type == JSON_NULL || directive_is(&p->value, "delete")) {
			if (slot)
				gone[CONTAINER_OF(slot, struct json_member, value) - to->members] =
					any = true;
			continue;
		}
		if (!slot)
			slot = json_add(m->a, to, p->key, NULL);
		if (merge_value(m, type_of(s, p->key), slot, &p->value))
			return -1;
	}
	if (any)
		json_sweep(to, gone);
	return 0;
}

static void directives(struct merging *m, const struct schema *s, struct json *to,
		       const struct json *patch)
{
	const struct json *keys = json_get(patch, STR("$retainKeys"));
	struct str field;

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];

		if (directive_on(p->key, STR("$setElementOrder/"), &field) &&
		    json_is(json_get(to, field), JSON_ARRAY))
			reorder(m, type_of(s, field), json_get(to, field), &p->value);
	}
	if (keys)
		retain_keys(m, to, keys);
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
			delete_values(m, json_get(to, field), &p->value);
	}
	if (merge_members(m, s, to, patch))
		return -1;
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
