/*
 * The algebra of field sets, and reading them off values. Members and items are found by hash where
 * there are many: a client decides how many there are. Pure.
 */
#include "lib/schema/fieldset.h"

#include <string.h>

#include "lib/base/pure.h"

/* ---- shapes ---- */

enum shape shape_of(const struct schema *s, const struct json *v)
{
	if (json_is(v, JSON_OBJECT) && v->n)
		return s && (s->flags & SCHEMA_F_ATOMIC) ? SHAPE_LEAF : SHAPE_MAP;
	if (!json_is(v, JSON_ARRAY) || !v->n || !s || s->type != SCHEMA_ARRAY)
		return SHAPE_LEAF;
	return s->list == SCHEMA_LIST_MAP   ? SHAPE_KEYED
	       : s->list == SCHEMA_LIST_SET ? SHAPE_SET
					    : SHAPE_LEAF;
}

const struct schema *shape_child(const struct schema *s, struct str key)
{
	const struct schema_field *f;

	if (!s)
		return NULL;
	if (!key.p)
		return s->item;
	f = schema_field(s, key);
	return f ? f->type : s->type == SCHEMA_MAP ? s->item : NULL;
}

/* ---- path elements ---- */

static struct str element_of_field(struct arena *a, struct str name)
{
	char *text = arena_room(a, name.n + 2);

	text[0] = 'f';
	text[1] = ':';
	if (name.n)
		memcpy(text + 2, name.p, name.n);
	return (struct str){text, name.n + 2};
}

/* The value of a list key, or its default: absent protocol is TCP. */
static const struct json *key_value(struct arena *a, const struct schema *list,
				    const struct json *item, const char *key)
{
	const struct json *v = json_get(item, str_c(key));
	const struct schema_field *f = list->item ? schema_field(list->item, str_c(key)) : NULL;

	if (v)
		return v;
	return f && f->default_json ? json_parse(a, str_c(f->default_json), NULL, NULL) : NULL;
}

struct str element_of_item(struct arena *a, const struct schema *list, const struct json *item)
{
	AUTO(buf) struct buf text = {0};
	struct json *keys;

	if (list->list == SCHEMA_LIST_SET) {
		buf_puts(&text, "v:");
		json_write_sorted(item, &text);
		return arena_str(a, buf_view(&text));
	}
	keys = json_new(a, JSON_OBJECT);
	for (size_t i = 0; i < SCHEMA_KEYS_MAX && list->keys[i]; i++) {
		const struct json *v = key_value(a, list, item, list->keys[i]);

		if (v)
			json_set(a, keys, str_c(list->keys[i]), v);
	}
	if (!keys->n)
		return STR_NONE;
	buf_puts(&text, "k:");
	json_write_sorted(keys, &text);
	return arena_str(a, buf_view(&text));
}

void parts_cleanup(struct parts *p)
{
	json_index_cleanup(&p->members);
	json_items_cleanup(&p->items);
}

struct parts parts_of(struct arena *a, const struct schema *s, const struct json *v)
{
	struct parts p = {.s = s, .v = v, .members = json_index_of(v)};

	if (!json_is(v, JSON_ARRAY) || !s || s->type != SCHEMA_ARRAY)
		return p;
	p.elements = arena_array(a, v->n + 1, sizeof(*p.elements));
	for (uint32_t i = 0; i < v->n; i++) {
		p.elements[i] = element_of_item(a, s, &v->items[i]);
		json_items_add(&p.items, p.elements[i].p ? p.elements[i] : STR(""), i);
	}
	return p;
}

size_t parts_find(struct parts *p, struct str element)
{
	struct json *value;

	if (p->elements)
		return json_items_find(&p->items, element.p ? element : STR(""));
	value = str_starts(element, STR("f:"))
			? json_index_get(&p->members, str_sub(element, 2, element.n))
			: NULL;
	return value ? (size_t)(CONTAINER_OF(value, struct json_member, value) - p->v->members)
		     : SIZE_MAX;
}

struct json *parts_at(const struct parts *p, size_t at)
{
	if (at == SIZE_MAX)
		return NULL;
	return p->elements ? &p->v->items[at] : &p->v->members[at].value;
}

const struct schema *part_type(const struct schema *s, struct str element)
{
	return shape_child(s, str_starts(element, STR("f:")) ? str_sub(element, 2, element.n)
							     : STR_NONE);
}

/* ---- algebra ---- */

bool fieldset_is_member(const struct json *set)
{
	return set && (!json_len(set) || json_get(set, STR(".")));
}

bool fieldset_is_empty(const struct json *set)
{
	return !json_len(set);
}

/* Sets are never changed once made, so a result may be the argument itself. */
static struct json *shared(const struct json *set)
{
	return (struct json *)(uintptr_t)set;
}

struct json *fieldset_union(struct arena *a, const struct json *x, const struct json *y)
{
	AUTO(json_index) struct json_index in_x = json_index_of(x);
	AUTO(json_index) struct json_index in_y = json_index_of(y);
	struct json *out;

	if (!x || !y)
		return shared(x ? x : y);
	out = json_new(a, JSON_OBJECT);
	if (fieldset_is_member(x) || fieldset_is_member(y))
		if (json_len(x) || json_len(y))
			json_set(a, out, STR("."), json_new(a, JSON_OBJECT));
	for (uint32_t i = 0; i < x->n; i++) {
		struct str key = x->members[i].key;

		if (!str_is(key, "."))
			json_add_borrowed(a, out, key,
					  fieldset_union(a, &x->members[i].value,
							 json_index_get(&in_y, key)));
	}
	for (uint32_t i = 0; i < y->n; i++) {
		struct str key = y->members[i].key;

		if (!str_is(key, ".") && !json_index_get(&in_x, key))
			json_add_borrowed(a, out, key, &y->members[i].value);
	}
	return out;
}

/* A set without members but with "." alone is written as a leaf. NULL = nothing is left. */
static struct json *tidy(struct json *set, bool member)
{
	if (set->n == 1 && str_is(set->members[0].key, "."))
		set->n = 0;
	return set->n || member ? set : NULL;
}

struct json *fieldset_minus(struct arena *a, const struct json *x, const struct json *y)
{
	AUTO(json_index) struct json_index in_y = json_index_of(y);
	bool member = fieldset_is_member(x) && !fieldset_is_member(y);
	struct json *out;

	if (!x || !y)
		return shared(x);
	if (!json_len(y)) /* a leaf covers all below */
		return NULL;
	out = json_new(a, JSON_OBJECT);
	if (member && json_len(x))
		json_set(a, out, STR("."), json_new(a, JSON_OBJECT));
	for (uint32_t i = 0; i < x->n; i++) {
		struct str key = x->members[i].key;
		struct json *rest;

		if (str_is(key, "."))
			continue;
		rest = fieldset_minus(a, &x->members[i].value, json_index_get(&in_y, key));
		if (rest)
			json_add_borrowed(a, out, key, rest);
	}
	return tidy(out, member);
}

struct json *fieldset_and(struct arena *a, const struct json *x, const struct json *y)
{
	AUTO(json_index) struct json_index in_y = json_index_of(y);
	bool member = fieldset_is_member(x) && fieldset_is_member(y);
	struct json *out;

	if (!x || !y)
		return NULL;
	out = json_new(a, JSON_OBJECT);
	if (member)
		json_set(a, out, STR("."), json_new(a, JSON_OBJECT));
	for (uint32_t i = 0; i < x->n; i++) {
		struct str key = x->members[i].key;
		struct json *both = str_is(key, ".") ? NULL
						     : fieldset_and(a, &x->members[i].value,
								    json_index_get(&in_y, key));

		if (both)
			json_add_borrowed(a, out, key, both);
	}
	return tidy(out, member);
}

/* `k:{"name":"x"}` → `[name="x"]` */
static void element_text(struct str element, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct str rest = str_sub(element, 2, element.n);
	const struct json *keys;

	if (str_starts(element, STR("f:"))) {
		buf_putc(out, '.');
		buf_str(out, rest);
		return;
	}
	buf_putc(out, '[');
	keys = str_starts(element, STR("k:")) ? json_parse(&a, rest, NULL, NULL) : NULL;
	if (!keys) {
		buf_putc(out, '=');
		buf_str(out, rest);
	}
	for (size_t i = 0; i < json_len(keys); i++) {
		if (i)
			buf_putc(out, ',');
		buf_str(out, keys->members[i].key);
		buf_putc(out, '=');
		json_write(&keys->members[i].value, out);
	}
	buf_putc(out, ']');
}

static void each_at(const struct json *set, struct buf *path,
		    void (*fn)(void *arg, struct str path), void *arg)
{
	size_t n = path->n;

	if (n && fieldset_is_member(set))
		fn(arg, buf_view(path));
	for (size_t i = 0; i < json_len(set); i++) {
		if (str_is(set->members[i].key, "."))
			continue;
		element_text(set->members[i].key, path);
		each_at(&set->members[i].value, path, fn, arg);
		path->n = n;
	}
}

void fieldset_each(const struct json *set, void (*fn)(void *arg, struct str path), void *arg)
{
	AUTO(buf) struct buf path = {0};

	each_at(set, &path, fn, arg);
}

/* ---- off values ---- */

static void mark(struct arena *a, struct json *set)
{
	if (!json_get(set, STR(".")))
		json_set(a, set, STR("."), json_new(a, JSON_OBJECT));
}

/* A list is owned by its items: where there are none, nobody says anything. */
static bool list_of_nothing(const struct schema *s, const struct json *v)
{
	return s && s->type == SCHEMA_ARRAY && s->list != SCHEMA_LIST_ATOMIC && !json_len(v) &&
	       json_is(v, JSON_ARRAY);
}

/* Map entries own themselves; a structure's fields only what is below them. */
static void add_members(struct arena *a, const struct schema *s, const struct json *v,
			struct json *out)
{
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = v->members[i].key;
		struct json *below;

		if (list_of_nothing(shape_child(s, key), &v->members[i].value))
			continue;
		below = fieldset_of(a, shape_child(s, key), &v->members[i].value);
		if (below->n && (!s || s->type == SCHEMA_MAP))
			mark(a, below);
		json_add_borrowed(a, out, element_of_field(a, key), below);
	}
}

static void add_items(struct arena *a, const struct schema *s, const struct json *v,
		      struct json *out)
{
	AUTO(json_index) struct json_index in_out = json_index_of(out);

	for (uint32_t i = 0; i < v->n; i++) {
		struct str element = element_of_item(a, s, &v->items[i]);
		struct json *below;

		if (!element.p)
			continue;
		below = s->list == SCHEMA_LIST_SET ? json_new(a, JSON_OBJECT)
						   : fieldset_of(a, s->item, &v->items[i]);
		if (below->n)
			mark(a, below);
		json_index_set(a, &in_out, element, below);
	}
}

struct json *fieldset_of(struct arena *a, const struct schema *s, const struct json *v)
{
	struct json *out = json_new(a, JSON_OBJECT);

	switch (shape_of(s, v)) {
	case SHAPE_LEAF:
		break;
	case SHAPE_MAP:
		add_members(a, s, v, out);
		break;
	case SHAPE_KEYED:
	case SHAPE_SET:
		add_items(a, s, v, out);
		break;
	}
	return out;
}

/* ---- comparing ---- */

static void compare(struct arena *a, const struct schema *s, const struct json *from,
		    const struct json *to, struct fieldset_diff *ret);

/* Kubernetes' own types always hold some structures and lists, so their coming is no change of its
 * own. A custom resource holds what it was given. */
static bool comes_by_itself(const struct schema *parent, struct str key)
{
	const struct schema_field *f = parent ? schema_field(parent, key) : NULL;

	return f && (f->solid || ((f->required || f->listed) && parent->name) ||
		     str_is(key, "metadata"));
}

/* And the zero of what is always written is there before anybody says so. */
static bool is_zero(const struct json *v)
{
	switch (v->type) {
	case JSON_STRING:
	case JSON_OBJECT:
		return !v->n;
	case JSON_INT:
		return !v->i;
	case JSON_BOOL:
		return !v->b;
	case JSON_NULL:
	case JSON_NUM:
	case JSON_ARRAY:
	default:
		return false;
	}
}

static bool was_there(const struct schema *parent, struct str key, const struct json *v)
{
	const struct schema_field *f = parent ? schema_field(parent, key) : NULL;

	return f && parent->name && !(parent->flags & SCHEMA_F_CUSTOM) &&
	       (f->solid || f->listed || f->required) && is_zero(v);
}

static void added_fields(struct arena *a, const struct schema *s, const struct json *v, bool given,
			 struct json *out);

/*
 * What comes with a value that was not there: unlike an applied configuration's set it holds the
 * containers too, but for those that Kubernetes' types hold anyway, `given` their parent was.
 */
static struct json *added(struct arena *a, const struct schema *s, const struct json *v, bool given)
{
	struct json *out = json_new(a, JSON_OBJECT);
	AUTO(json_index) struct json_index in_out = json_index_of(out);

	switch (shape_of(s, v)) {
	case SHAPE_LEAF:
		return out;
	case SHAPE_MAP:
		added_fields(a, s, v, given, out);
		break;
	case SHAPE_KEYED:
	case SHAPE_SET:
		for (uint32_t i = 0; i < v->n; i++) {
			struct str element = element_of_item(a, s, &v->items[i]);

			if (element.p)
				json_index_set(a, &in_out, element,
					       added(a, s->item, &v->items[i], false));
		}
		break;
	}
	if (out->n && !given)
		mark(a, out);
	return out;
}

static void added_fields(struct arena *a, const struct schema *s, const struct json *v, bool given,
			 struct json *out)
{
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = v->members[i].key;

		if (given && was_there(s, key, &v->members[i].value))
			continue;
		json_add_borrowed(a, out, element_of_field(a, key),
				  added(a, shape_child(s, key), &v->members[i].value,
					given && comes_by_itself(s, key)));
	}
}

struct part {
	const struct schema *parent, *type;
	struct str key, element; /* key STR_NONE for items */
};

/* What differs, while it is gathered. */
struct differing {
	struct json_index changed, removed;
};
static void differing_cleanup(struct differing *d)
{
	json_index_cleanup(&d->changed);
	json_index_cleanup(&d->removed);
}

/* A list may name an item twice, an object's keys are unique. */
static void keep(struct arena *a, struct json_index *into, const struct part *p,
		 const struct json *set)
{
	if (set && p->key.p)
		json_add_borrowed(a, into->of, p->element, set);
	else if (set)
		json_index_set(a, into, p->element, set);
}

static void compare_part(struct arena *a, const struct part *p, const struct json *from,
			 const struct json *to, struct differing *into)
{
	struct fieldset_diff below = {0};

	if (!from && !to)
		return;
	if (!from && p->key.p && was_there(p->parent, p->key, to))
		return;
	if (!from) {
		keep(a, &into->changed, p,
		     added(a, p->type, to, p->key.p && comes_by_itself(p->parent, p->key)));
		return;
	}
	if (!to) {
		struct json *gone = fieldset_of(a, p->type, from);

		if (gone->n)
			mark(a, gone);
		keep(a, &into->removed, p, gone);
		return;
	}
	compare(a, p->type, from, to, &below);
	keep(a, &into->changed, p, below.changed);
	keep(a, &into->removed, p, below.removed);
}

static void compare_maps(struct arena *a, const struct schema *s, const struct json *from,
			 const struct json *to, struct differing *into)
{
	AUTO(json_index) struct json_index in_from = json_index_of(from);
	AUTO(json_index) struct json_index in_to = json_index_of(to);

	for (size_t i = 0; i < json_len(from); i++) {
		struct str key = from->members[i].key;
		struct part p = {s, shape_child(s, key), key, element_of_field(a, key)};

		compare_part(a, &p, &from->members[i].value, json_index_get(&in_to, key), into);
	}
	for (size_t i = 0; i < json_len(to); i++) {
		struct str key = to->members[i].key;
		struct part p = {s, shape_child(s, key), key, element_of_field(a, key)};

		if (!json_index_get(&in_from, key))
			compare_part(a, &p, NULL, &to->members[i].value, into);
	}
}

static void compare_lists(struct arena *a, const struct schema *s, const struct json *from,
			  const struct json *to, struct differing *into)
{
	AUTO(parts) struct parts in_from = parts_of(a, s, from);
	AUTO(parts) struct parts in_to = parts_of(a, s, to);

	for (size_t i = 0; i < json_len(from); i++) {
		struct part p = {s, s->item, STR_NONE, in_from.elements[i]};

		if (p.element.p)
			compare_part(a, &p, json_item(from, i),
				     parts_at(&in_to, parts_find(&in_to, p.element)), into);
	}
	for (size_t i = 0; i < json_len(to); i++) {
		struct part p = {s, s->item, STR_NONE, in_to.elements[i]};

		if (p.element.p && parts_find(&in_from, p.element) == SIZE_MAX)
			compare_part(a, &p, NULL, json_item(to, i), into);
	}
}

/* Of two values of which at most one is empty: emptied and filled, a container is still one. */
static enum shape common_shape(const struct schema *s, const struct json *x, const struct json *y)
{
	const struct json *fuller = json_len(x) ? x : y;

	return x->type == y->type && (json_len(x) || json_len(y)) ? shape_of(s, fuller)
								  : SHAPE_LEAF;
}

/* *ret members are NULL where nothing differs. */
static void compare(struct arena *a, const struct schema *s, const struct json *from,
		    const struct json *to, struct fieldset_diff *ret)
{
	enum shape shape = common_shape(s, from, to);
	AUTO(differing)
	struct differing into = {json_index_of(json_new(a, JSON_OBJECT)),
				 json_index_of(json_new(a, JSON_OBJECT))};

	*ret = (struct fieldset_diff){0};
	if (json_equal(from, to))
		return;
	if (shape == SHAPE_LEAF) {
		if (shape_of(s, from) != SHAPE_LEAF)
			ret->removed = fieldset_of(a, s, from);
		if (shape_of(s, to) == SHAPE_LEAF && s && schema_equal(s, from, to))
			return;
		ret->changed = added(a, s, to, false);
		return;
	}
	if (shape == SHAPE_MAP)
		compare_maps(a, s, from, to, &into);
	else
		compare_lists(a, s, from, to, &into);
	ret->changed = into.changed.of->n ? into.changed.of : NULL;
	ret->removed = into.removed.of->n ? into.removed.of : NULL;
}

void fieldset_compare(struct arena *a, const struct schema *s, const struct json *from,
		      const struct json *to, struct fieldset_diff *ret)
{
	struct json nothing = {.type = JSON_OBJECT};

	if (from && from->n) {
		compare(a, s, from, to, ret);
		return;
	}
	AUTO(differing)
	struct differing into = {json_index_of(json_new(a, JSON_OBJECT)),
				 json_index_of(json_new(a, JSON_OBJECT))};
	compare_maps(a, s, &nothing, to, &into);
	*ret = (struct fieldset_diff){into.changed.of, NULL};
}
