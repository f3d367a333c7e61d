/*
 * Strategic merge as kustomize does it, which isn't quite what the API server does: items of the
 * patch come before the object's, nulls of what is added are dropped, and lists keyed by two fields
 * are matched by exactly what is written. Kinds without a known type are merged as maps, their
 * lists replaced. Pure. Memory: the caller's arena.
 *
 * Where a list has two keys and one side leaves the second out, an item of the patch whose first
 * key is taken is ignored, as kustomize ignores it: the output must be its output.
 */
#include <string.h>

#include "lib/schema/schema.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

struct merging {
	struct arena *a;
	const struct kpatch *p;
	struct err *err;
	unsigned depth;
};

enum directive { SMP_MERGE, SMP_REPLACE, SMP_DELETE };

/* Merges patch into *to; *gone when nothing is left to be kept. to NULL type is what is added. */
static int merge_value(struct merging *m, const struct schema *s, struct json *to,
		       const struct json *patch, bool *gone);

static int directive(struct merging *m, const struct json *v, enum directive *ret)
{
	const struct json *d = json_get(v, STR("$patch"));
	struct str text = json_str(d);

	*ret = SMP_MERGE;
	if (!d)
		return 0;
	if (str_is(text, "delete"))
		*ret = SMP_DELETE;
	else if (str_is(text, "replace"))
		*ret = SMP_REPLACE;
	else if (!str_is(text, "merge"))
		return err_set(m->err, ERR_INVALID, "$patch: %.*s is not known", STR_ARG(text));
	return 0;
}

static const struct schema *member_type(const struct schema *s, struct str key)
{
	const struct schema_field *f;

	if (!s)
		return NULL;
	if (s->type == SCHEMA_MAP)
		return s->item;
	f = s->type == SCHEMA_OBJECT ? schema_field(s, key) : NULL;
	return f ? f->type : NULL;
}

/* ---- keyed lists ---- */

struct keys {
	const char *v[SCHEMA_KEYS_MAX];
	size_t n;
};

static struct keys keys_of(const struct schema *list)
{
	struct keys k = {0};

	if (!list || list->type != SCHEMA_ARRAY || !(list->flags & SCHEMA_F_PATCH_MERGE))
		return k;
	while (k.n < SCHEMA_KEYS_MAX && list->keys[k.n]) {
		k.v[k.n] = list->keys[k.n];
		k.n++;
	}
	if (!k.n && list->merge_key)
		k.v[k.n++] = list->merge_key;
	return k;
}

static bool scalar_equal(const struct json *x, const struct json *y)
{
	bool nx = !x || json_is(x, JSON_NULL), ny = !y || json_is(y, JSON_NULL);

	return nx || ny ? nx && ny : json_equal(x, y);
}

static bool same_item(const struct keys *k, const struct json *x, const struct json *y)
{
	for (size_t i = 0; i < k->n; i++) {
		if (!scalar_equal(json_get(x, str_c(k->v[i])), json_get(y, str_c(k->v[i]))))
			return false;
	}
	return true;
}

static bool is_whole(const struct keys *k, const struct json *item)
{
	for (size_t i = 0; i < k->n; i++) {
		if (!json_get(item, str_c(k->v[i])))
			return false;
	}
	return true;
}

static bool any_whole(const struct keys *k, const struct json *list)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (is_whole(k, json_item(list, i)))
			return true;
	}
	return false;
}

static ptrdiff_t find_item(const struct keys *k, const struct json *list, const struct json *item)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (same_item(k, json_item(list, i), item))
			return (ptrdiff_t)i;
	}
	return -1;
}

/* Two keys, one side without the second, and the first is taken. */
static bool is_shadowed(const struct keys *k, const struct json *list, const struct json *item)
{
	struct str first = str_c(k->v[0]);

	for (size_t i = 0; k->n > 1 && i < json_len(list); i++) {
		const struct json *have = json_item(list, i);

		if (scalar_equal(json_get(have, first), json_get(item, first)) &&
		    (!is_whole(k, have) || !is_whole(k, item)))
			return true;
	}
	return false;
}

/* An item of the patch: merged into where it stands in `to`, or made. */
static int keyed_item(struct merging *m, const struct schema *list, struct json *to,
		      const struct json *item, struct json *ret, bool *ret_gone)
{
	const struct keys k = keys_of(list);
	ptrdiff_t at = find_item(&k, to, item);
	enum directive d;

	if (directive(m, item, &d))
		return -1;
	*ret = (struct json){.type = JSON_NULL};
	*ret_gone = false;
	if (at >= 0)
		*ret = *json_item(to, (size_t)at);
	/* kustomize puts the old item back over one that the patch replaces. */
	if (at >= 0 && d == SMP_REPLACE)
		return 0;
	return merge_value(m, list->item, ret, item, ret_gone);
}

static int merge_keyed(struct merging *m, const struct schema *list, struct json *to,
		       const struct json *patch)
{
	const struct keys k = keys_of(list);
	bool own_order = k.n > 1 && (any_whole(&k, to) || any_whole(&k, patch));
	struct json *out = json_new(m->a, JSON_ARRAY), item;
	bool *done = arena_alloc(m->a, json_len(to) + 1);

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *from = json_item(patch, i);
		ptrdiff_t at = find_item(&k, to, from);
		bool gone;

		if (!json_is(from, JSON_OBJECT))
			return err_set(m->err, ERR_INVALID, "an item of a list of maps is no map");
		if (at < 0 && is_shadowed(&k, to, from))
			continue;
		if (keyed_item(m, list, to, from, &item, &gone))
			return -1;
		if (at >= 0) {
			done[at] = gone || !own_order;
			*json_item(to, (size_t)at) = item;
		}
		if (!gone && !(at >= 0 && own_order) && find_item(&k, out, &item) < 0)
			json_append(m->a, out, &item);
	}
	for (size_t i = 0; i < json_len(to); i++) {
		if (!done[i])
			json_append(m->a, out, json_item(to, i));
	}
	out->src = to->src;
	*to = *out;
	return 0;
}

static bool has_value(const struct json *list, const struct json *v)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (json_equal(json_item(list, i), v))
			return true;
	}
	return false;
}

static void merge_scalars(struct merging *m, struct json *to, const struct json *patch)
{
	struct json *out = json_new(m->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(patch); i++) {
		if (!has_value(out, json_item(patch, i)))
			json_append(m->a, out, json_copy(m->a, json_item(patch, i)));
	}
	for (size_t i = 0; i < json_len(to); i++) {
		if (!has_value(out, json_item(to, i)))
			json_append(m->a, out, json_item(to, i));
	}
	out->src = to->src;
	*to = *out;
}

/* A list of maps may hold an item that is nothing but a directive. */
static int list_directive(struct merging *m, const struct json *patch, enum directive *ret)
{
	*ret = SMP_MERGE;
	for (size_t i = 0; i < json_len(patch); i++) {
		if (json_len(json_item(patch, i)) == 1 && directive(m, json_item(patch, i), ret))
			return -1;
		if (*ret != SMP_MERGE)
			return 0;
	}
	return 0;
}

static struct json *without_directive(struct arena *a, const struct json *patch)
{
	struct json *ret = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *item = json_item(patch, i);

		if (!(json_len(item) == 1 && json_get(item, STR("$patch"))))
			json_append(a, ret, item);
	}
	ret->src = patch->src;
	return ret;
}

static int merge_list(struct merging *m, const struct schema *s, struct json *to,
		      const struct json *patch, bool *gone)
{
	const struct keys k = keys_of(s);
	enum directive d = SMP_MERGE;

	if (!s || !(s->flags & SCHEMA_F_PATCH_MERGE)) {
		*to = *json_copy(m->a, patch);
		return 0;
	}
	if (k.n && list_directive(m, patch, &d))
		return -1;
	if (d == SMP_DELETE) {
		*gone = true;
		return 0;
	}
	if (!json_is(to, JSON_ARRAY) || d == SMP_REPLACE)
		*to = (struct json){.type = JSON_ARRAY, .src = patch->src};
	if (!k.n) {
		merge_scalars(m, to, patch);
		return 0;
	}
	return merge_keyed(m, s, to, d == SMP_REPLACE ? without_directive(m->a, patch) : patch);
}

/* ---- maps ---- */

static bool names_field(struct str key, struct str prefix, struct str *ret)
{
	if (!str_starts(key, prefix))
		return false;
	*ret = str_sub(key, prefix.n, key.n);
	return true;
}

static void delete_values(struct json *list, const struct json *values)
{
	for (size_t i = json_len(list); i-- > 0;) {
		if (has_value(values, json_item(list, i)))
			json_remove(list, i);
	}
}

static size_t place_in(const struct keys *k, const struct json *order, const struct json *item)
{
	for (size_t i = 0; i < json_len(order); i++) {
		const struct json *o = json_item(order, i);

		if (k->n ? scalar_equal(json_get(o, str_c(k->v[0])), json_get(item, str_c(k->v[0])))
			 : json_equal(o, item))
			return i;
	}
	return SIZE_MAX;
}

/* What the order names comes in that order, the rest behind. */
static void reorder(struct merging *m, const struct schema *s, struct json *list,
		    const struct json *order)
{
	const struct keys k = keys_of(s);
	struct json *out = json_new(m->a, JSON_ARRAY);

	for (size_t o = 0; o < json_len(order); o++) {
		for (size_t i = 0; i < json_len(list); i++) {
			if (place_in(&k, order, json_item(list, i)) == o)
				json_append(m->a, out, json_item(list, i));
		}
	}
	for (size_t i = 0; i < json_len(list); i++) {
		if (place_in(&k, order, json_item(list, i)) == SIZE_MAX)
			json_append(m->a, out, json_item(list, i));
	}
	out->src = list->src;
	*list = *out;
}

static void after_members(struct merging *m, const struct schema *s, struct json *to,
			  const struct json *patch)
{
	struct str field;

	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];

		if (names_field(p->key, STR("$deleteFromPrimitiveList/"), &field))
			delete_values(json_get(to, field), &p->value);
		else if (names_field(p->key, STR("$setElementOrder/"), &field) &&
			 json_is(json_get(to, field), JSON_ARRAY) && json_len(&p->value) <= 1000 &&
			 json_len(json_get(to, field)) <= 1000)
			reorder(m, member_type(s, field), json_get(to, field), &p->value);
	}
}

static bool is_directive(struct str key)
{
	return str_is(key, "$patch") || str_is(key, "$retainKeys") ||
	       str_starts(key, STR("$setElementOrder/")) ||
	       str_starts(key, STR("$deleteFromPrimitiveList/"));
}

static int merge_members(struct merging *m, const struct schema *s, struct json *to,
			 const struct json *patch)
{
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *p = &patch->members[i];
		const struct json *have = json_get(to, p->key);
		struct json value = {.type = JSON_NULL};
		bool gone = false;

		if (is_directive(p->key))
			continue;
		if (have)
			value = *have;
		if (merge_value(m, member_type(s, p->key), &value, &p->value, &gone))
			return err_wrap(m->err, "%.*s", STR_ARG(p->key));
		if (gone)
			json_del(to, p->key);
		else
			json_set(m->a, to, p->key, &value);
	}
	after_members(m, s, to, patch);
	return 0;
}

static int merge_map(struct merging *m, const struct schema *s, struct json *to,
		     const struct json *patch, bool *gone)
{
	enum directive d;
	int rc;

	if (directive(m, patch, &d))
		return -1;
	if (d == SMP_DELETE) {
		*gone = true;
		return 0;
	}
	if (m->depth >= JSON_DEPTH_MAX)
		return err_set(m->err, ERR_INVALID, "nested too deep");
	if (!json_is(to, JSON_OBJECT) || d == SMP_REPLACE)
		*to = (struct json){.type = JSON_OBJECT, .src = patch->src};
	m->depth++;
	rc = merge_members(m, s, to, patch);
	m->depth--;
	return rc;
}

/* In quotes where it was read; or made by a step, which quotes what needs it. */
static bool is_quoted(const struct json *v)
{
	struct json made = *v;

	if (v->flags & JSON_F_QUOTED || v->src || !json_is(v, JSON_STRING))
		return (v->flags & JSON_F_QUOTED) != 0;
	kvalue_requote(&made);
	return (made.flags & JSON_F_QUOTED) != 0;
}

static void merge_scalar(struct merging *m, struct json *to, const struct json *patch)
{
	bool first = json_is(to, JSON_NULL), quoted = is_quoted(to);
	AUTO(buf) struct buf plain = {0};

	if (quoted && !json_is(patch, JSON_STRING)) {
		json_write(patch, &plain);
		*to = *json_new_str(m->a, m->p && m->p->text ? m->p->text(m->p->ctx, patch)
							     : buf_view(&plain));
		to->src = patch->src;
		to->flags = patch->flags;
	} else {
		*to = *json_copy(m->a, patch);
	}
	if (first)
		return;
	to->flags &= (uint8_t)~JSON_F_QUOTED;
	to->flags |= quoted ? JSON_F_QUOTED : 0;
}

static const char *shape(const struct json *v)
{
	return json_is(v, JSON_OBJECT) ? "a map" : json_is(v, JSON_ARRAY) ? "a list" : "a value";
}

static int merge_value(struct merging *m, const struct schema *s, struct json *to,
		       const struct json *patch, bool *gone)
{
	*gone = json_is(patch, JSON_NULL);
	if (*gone)
		return 0;
	if (!json_is(to, JSON_NULL) && strcmp(shape(to), shape(patch)))
		return err_set(m->err, ERR_INVALID, "the patch has %s, the resource %s",
			       shape(patch), shape(to));
	if (json_is(patch, JSON_OBJECT))
		return merge_map(m, s, to, patch, gone);
	if (json_is(patch, JSON_ARRAY))
		return merge_list(m, s, to, patch, gone);
	merge_scalar(m, to, patch);
	return 0;
}

int kustomize_merge(const struct kmerge *how, struct json *to, const struct json *patch,
		    bool *ret_gone, struct err *err)
{
	struct merging m = {.a = how->a, .p = how->p, .err = err};

	return merge_value(&m, how->type, to, patch, ret_gone);
}
