/*
 * Strategic merge patch: merge patch that knows how lists are keyed, plus directives. Builds a new
 * tree; the document stays as it was. Pure.
 * Specification: k8s.io/apimachinery/pkg/util/strategicpatch.
 */
#include "lib/json/index.h"
#include "lib/schema/schema-internal.h"

#include <stdlib.h>

#include "lib/base/pure.h"

struct merging {
	struct arena *a;
	struct err *err;
	int fresh; /* within what the document doesn't have: directives say nothing there */
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

static bool is_marked(const struct json *item)
{
	return json_get(item, STR("$patch")) != NULL;
}

static int unknown_directive(struct merging *m, const struct json *patch)
{
	AUTO(buf) struct buf text = {0};

	schema_go_text(m->a, json_get(patch, STR("$patch")), &text);
	return err_set(m->err, ERR_BAD_REQUEST, "unknown patch type: %.*s in map",
		       (int)MIN(text.n, 100), buf_cstr(&text));
}

static int check_items(struct merging *m, const struct schema *list, const struct json *patch)
{
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *item = json_item(patch, i);
		bool replaces = directive_is(item, "replace");

		if (!json_is(item, JSON_OBJECT) ||
		    (!replaces && !json_get(item, str_c(list->merge_key))))
			return err_set(m->err, ERR_BAD_REQUEST,
				       "map: %s does not contain declared merge key: %s",
				       list->name ? list->name : "list item", list->merge_key);
		if (is_marked(item) && !replaces && !directive_is(item, "delete") && !m->fresh)
			return unknown_directive(m, item);
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

		if (directive_is(item, "replace"))
			to->n = 0;
		else if (directive_is(item, "delete"))
			json_items_add(&deleted, item_text(item, key, &text), i);
	}
	for (size_t i = 0; i < json_len(to); i++)
		gone[i] = json_items_find(&deleted, item_text(json_item(to, i), key, &text)) !=
			  SIZE_MAX;
	json_sweep(to, gone);
}

/* Items of the patch that are no directives, into `to`; `have` knows its items. */
static int merge_items(struct merging *m, const struct schema *list, struct json *to,
		       const struct json *patch, struct json_items *have)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *item = json_item(patch, i);
		struct json fresh = {.type = JSON_OBJECT}, *slot;
		struct str id;
		size_t at;
		int failed;

		if (is_marked(item))
			continue;
		id = item_text(item, list->merge_key, &text);
		at = json_items_find(have, id);
		slot = at == SIZE_MAX ? NULL : json_item(to, at);
		if (!slot) {
			json_items_add(have, id, to->n);
			slot = json_append(m->a, to, &fresh);
		}
		m->fresh += at == SIZE_MAX;
		failed = merge_object(m, list->item, slot, item);
		m->fresh -= at == SIZE_MAX;
		if (failed)
			return -1;
	}
	return 0;
}

static void merge_scalars(struct merging *m, struct json *to, const struct json *patch,
			  struct json_items *have)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < json_len(patch); i++) {
		struct str id = item_text(json_item(patch, i), NULL, &text);

		if (json_items_find(have, id) != SIZE_MAX)
			continue;
		json_items_add(have, id, to->n);
		json_append(m->a, to, json_copy(m->a, json_item(patch, i)));
	}
}

/* ---- order ---- */

struct place {
	size_t rank, at; /* in the order that was asked for; in the list */
};

static int by_rank(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

/* The list as it was: its items by what stands for them. */
struct before {
	const struct json_items *at;
	size_t n; /* what the index has from there on is new */
};

/*
 * Items that `order` names stand in its order. The others keep theirs, and come before a named one
 * only where both were there before and stood so: what is new stands before what the order doesn't
 * know.
 */
static void arrange(struct merging *m, const char *key, struct json *to,
		    const struct before *before, const struct json *order)
{
	size_t n = json_len(to), nnamed = 0, left = 0;
	AUTO(json_items) struct json_items ranks = {0};
	AUTO(buf) struct buf text = {0};
	struct json *out = json_new(m->a, JSON_ARRAY);
	struct place *named = arena_array(m->a, n + 1, sizeof(*named));
	size_t *old = arena_array(m->a, n + 1, sizeof(*old));
	bool *is_named = arena_alloc(m->a, n + 1);

	index_items(&ranks, order, key);
	for (size_t i = 0; i < n; i++) {
		struct str id = item_text(json_item(to, i), key, &text);
		size_t rank = json_items_find(&ranks, id);

		old[i] = json_items_find(before->at, id);
		is_named[i] = rank != SIZE_MAX;
		if (is_named[i])
			named[nnamed++] = (struct place){rank, i};
	}
	if (nnamed)
		qsort(named, nnamed, sizeof(*named), by_rank);
	for (size_t i = 0; i < nnamed; i++) {
		size_t at = old[named[i].at];

		for (; left < n && at < before->n && (is_named[left] || old[left] < at); left++)
			if (!is_named[left])
				json_append(m->a, out, json_item(to, left));
		json_append(m->a, out, json_item(to, named[i].at));
	}
	for (; left < n; left++)
		if (!is_named[left])
			json_append(m->a, out, json_item(to, left));
	*to = *out;
}

/* What a patch says of a list that merges, put in the patch's order. */
static int merge_list(struct merging *m, const struct schema *list, struct json *slot,
		      const struct json *patch)
{
	bool merges = list && (list->flags & SCHEMA_F_PATCH_MERGE);
	AUTO(json_items) struct json_items have = {0};
	size_t had;

	if (!merges || (!list->merge_key && !json_is(slot, JSON_ARRAY))) {
		*slot = *json_copy(m->a, patch);
		return 0;
	}
	if (!json_is(slot, JSON_ARRAY))
		*slot = (struct json){.type = JSON_ARRAY};
	if (list->merge_key) {
		if (check_items(m, list, patch))
			return -1;
		drop_items(m, list->merge_key, slot, patch);
	}
	had = json_len(slot);
	index_items(&have, slot, list->merge_key);
	if (!list->merge_key)
		merge_scalars(m, slot, patch, &have);
	else if (merge_items(m, list, slot, patch, &have))
		return -1;
	arrange(m, list->merge_key, slot, &(struct before){&have, had}, patch);
	return 0;
}

/* What a patch gives must stand in the order that it asks for. */
static int check_order(struct merging *m, const char *key, const struct json *patch,
		       const struct json *order)
{
	AUTO(buf) struct buf want = {0};
	AUTO(buf) struct buf have = {0};
	size_t at = 0;

	if (!json_is(order, JSON_ARRAY))
		return err_set(m->err, ERR_BAD_REQUEST,
			       "invalid patch format of setElementOrder list");
	for (size_t i = 0; i < json_len(patch) && json_len(order); i++) {
		const struct json *item = json_item(patch, i);

		if (is_marked(item))
			continue;
		item_text(item, key, &want);
		for (; at < json_len(order); at++)
			if (str_eq(item_text(json_item(order, at), key, &have), buf_view(&want)))
				break;
		if (at++ == json_len(order))
			return err_set(m->err, ERR_BAD_REQUEST,
				       "The order in patch list doesn't match $setElementOrder "
				       "list");
	}
	return 0;
}

/* ---- objects ---- */

/* A list that doesn't merge is replaced by whatever a patch holds, even by what shall go. */
static void delete_values(struct merging *m, const struct schema *s, struct json *list,
			  const struct json *values)
{
	AUTO(json_items) struct json_items deleted = {0};
	AUTO(buf) struct buf text = {0};
	bool *gone = arena_alloc(m->a, json_len(list) + 1);

	if (!json_is(list, JSON_ARRAY))
		return;
	if (s && !(s->flags & SCHEMA_F_PATCH_MERGE) && json_is(values, JSON_ARRAY)) {
		*list = *json_copy(m->a, values);
		return;
	}
	index_items(&deleted, values, NULL);
	for (size_t i = 0; i < list->n; i++)
		gone[i] = json_items_find(&deleted, item_text(&list->items[i], NULL, &text)) !=
			  SIZE_MAX;
	json_sweep(list, gone);
}

/* Only keys that are named stay, and the patch may set no other. */
static int retain_keys(struct merging *m, struct json *to, const struct json *patch)
{
	const struct json *keys = json_get(patch, STR("$retainKeys"));
	AUTO(json_items) struct json_items kept = {0};
	bool *gone = arena_alloc(m->a, json_len(to) + 1);
	bool fits = json_is(keys, JSON_ARRAY);

	if (!keys || m->fresh)
		return 0;
	for (size_t i = 0; i < json_len(keys); i++)
		if (json_is(json_item(keys, i), JSON_STRING))
			json_items_add(&kept, json_str(json_item(keys, i)), i);
	for (size_t i = 0; i < json_len(patch); i++)
		fits &= is_directive(patch->members[i].key) ||
			patch->members[i].value.type == JSON_NULL ||
			json_items_find(&kept, patch->members[i].key) != SIZE_MAX;
	if (!fits)
		return err_set(m->err, ERR_BAD_REQUEST, "invalid patch format of retainKeys");
	for (size_t i = 0; i < json_len(to); i++)
		gone[i] = json_items_find(&kept, to->members[i].key) == SIZE_MAX;
	json_sweep(to, gone);
	return 0;
}

static int merge_value(struct merging *m, const struct schema *type, struct json *slot,
		       const struct json *value)
{
	bool fresh = slot->type != value->type;
	int failed = 0;

	m->fresh += fresh;
	if (value->type == JSON_ARRAY) {
		failed = merge_list(m, type, slot, value);
	} else if (value->type == JSON_OBJECT) {
		if (fresh)
			*slot = (struct json){.type = JSON_OBJECT};
		failed = merge_object(m, type, slot, value);
	} else {
		*slot = *json_copy(m->a, value);
	}
	m->fresh -= fresh;
	return failed;
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
		if (p->value.type == JSON_NULL) {
			if (slot)
				gone[CONTAINER_OF(slot, struct json_member, value) - to->members] =
					any = true;
			continue;
		}
		if (!slot && directive_is(&p->value, "delete"))
			continue;
		if (!slot)
			slot = json_add(m->a, to, p->key, NULL);
		if (merge_value(m, type_of(s, p->key), slot, &p->value))
			return -1;
	}
	if (any)
		json_sweep(to, gone);
	return 0;
}

/* The lists whose order the patch sets, as they are. */
static struct json *to_order(struct merging *m, const struct json *to, const struct json *patch)
{
	struct json *out = json_new(m->a, JSON_OBJECT);
	struct str field;

	for (size_t i = 0; i < json_len(patch); i++)
		if (directive_on(patch->members[i].key, STR("$setElementOrder/"), &field) &&
		    json_is(json_get(to, field), JSON_ARRAY))
			json_add(m->a, out, field, json_copy(m->a, json_get(to, field)));
	return out;
}

static int set_orders(struct merging *m, const struct schema *s, struct json *to,
		      const struct json *was, const struct json *patch)
{
	struct str field;

	for (size_t i = 0; i < json_len(patch) && !m->fresh; i++) {
		const struct json_member *p = &patch->members[i];
		AUTO(json_items) struct json_items have = {0};
		const struct schema *list;
		const char *key;

		if (!directive_on(p->key, STR("$setElementOrder/"), &field))
			continue;
		list = type_of(s, field);
		key = list ? list->merge_key : NULL;
		if (check_order(m, key, json_get(patch, field), &p->value))
			return -1;
		index_items(&have, json_get(was, field), key);
		if (json_is(json_get(to, field), JSON_ARRAY))
			arrange(m, key, json_get(to, field),
				&(struct before){&have, json_len(json_get(was, field))}, &p->value);
	}
	return 0;
}

static int merge_object(struct merging *m, const struct schema *s, struct json *to,
			const struct json *patch)
{
	const struct json *was;
	struct str field;

	if (is_marked(patch) && !m->fresh && !directive_is(patch, "replace") &&
	    !directive_is(patch, "delete"))
		return unknown_directive(m, patch);
	if (directive_is(patch, "replace") || directive_is(patch, "delete"))
		*to = (struct json){.type = JSON_OBJECT};
	if (directive_is(patch, "delete"))
		return 0;
	if (retain_keys(m, to, patch))
		return -1;
	was = to_order(m, to, patch);
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];

		if (directive_on(p->key, STR("$deleteFromPrimitiveList/"), &field))
			delete_values(m, type_of(s, field), json_get(to, field), &p->value);
	}
	return merge_members(m, s, to, patch) || set_orders(m, s, to, was, patch) ? -1 : 0;
}

struct json *schema_strategic_merge(struct arena *a, const struct schema *s, const struct json *doc,
				    const struct json *patch, struct err *err)
{
	struct merging m = {.a = a, .err = err};
	struct json *to;

	if (!json_is(patch, JSON_OBJECT)) {
		err_set(err, ERR_BAD_REQUEST, "a strategic merge patch must be an object");
		return NULL;
	}
	to = json_is(doc, JSON_OBJECT) ? json_copy(a, doc) : json_new(a, JSON_OBJECT);
	return merge_object(&m, s, to, patch) ? NULL : to;
}
