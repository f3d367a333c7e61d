/*
 * Comparing declared with live. Walks the declared tree only; lists with keys are matched by key,
 * sets by value, other lists as a whole. Pure.
 */
#include "reconciler/drift.h"

#include <string.h>

#include "lib/json/patch.h"
#include "lib/kube/obj.h"
#include "reconciler/autoscaled.h"
#include "reconciler/owner.h"

#include "lib/base/pure.h"

struct compare {
	struct arena *a;
	const struct json *declared, *live_object;
	struct drift_list *out;
	struct buf path;
	bool have_accepted;
};

/* One place of the three trees. */
struct spot {
	const struct schema *s;
	const struct json *git, *live, *accepted;
};

static void walk(struct compare *c, struct spot at);

const char *drift_op_text(enum drift_op op)
{
	static const char *const text[] = {"changed", "removed", "deleted"};

	return text[op];
}

static bool equal(const struct schema *s, const struct json *a, const struct json *b)
{
	return s ? schema_equal(s, a, b) : json_equal(a, b);
}

static void found(struct compare *c, enum drift_op op, const struct spot *at)
{
	struct drift_list *l = c->out;
	struct drift_item *item;
	struct owner who = {0};

	if (str_is(buf_view(&c->path), AUTOSCALED_PATH) && autoscaled(c->live_object))
		return;
	if (l->n == DRIFT_ITEMS_MAX) {
		l->dropped++;
		return;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct drift_item *v = arena_array(c->a, cap, sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	item = &l->v[l->n++];
	*item = (struct drift_item){.op = op,
				    .path = arena_str(c->a, buf_view(&c->path)),
				    .git = at->git,
				    .live = at->live};
	owner_find(c->live_object, c->declared, item->path, &who);
	item->manager = who.manager;
	item->when = who.when;
}

static bool is_empty(const struct json *v)
{
	return !v || json_is(v, JSON_NULL) ||
	       ((json_is(v, JSON_OBJECT) || json_is(v, JSON_ARRAY)) && !json_len(v));
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

static void walk_object(struct compare *c, struct spot at)
{
	struct json_member *m = json_members(at.git);

	for (size_t i = 0; m && i < json_len(at.git); i++) {
		size_t mark = c->path.n;
		struct spot next = {.s = member_type(at.s, m[i].key),
				    .git = &m[i].value,
				    .live = json_get(at.live, m[i].key),
				    .accepted = json_get(at.accepted, m[i].key)};

		pointer_push(&c->path, m[i].key);
		walk(c, next);
		c->path.n = mark;
	}
}

/* A list map's key that isn't written has its default. */
static bool key_equal(const struct schema *item, const char *key, const struct json *a,
		      const struct json *b)
{
	const struct json *va = json_get(a, str_c(key)), *vb = json_get(b, str_c(key));
	const struct schema_field *f = item ? schema_field(item, str_c(key)) : NULL;
	AUTO(buf) struct buf text = {0};

	if (va && vb)
		return json_equal(va, vb);
	if (!va && !vb)
		return true;
	if (!f || !f->default_json)
		return false;
	json_write(va ? va : vb, &text);
	return str_is(buf_view(&text), f->default_json);
}

static const struct json *item_find(const struct schema *s, const struct json *list,
				    const struct json *like)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *item = json_item(list, i);
		bool same = true;

		for (size_t k = 0; same && k < SCHEMA_KEYS_MAX && s->keys[k]; k++)
			same = key_equal(s->item, s->keys[k], item, like);
		if (same)
			return item;
	}
	return NULL;
}

static bool has_value(const struct schema *item, const struct json *list, const struct json *v)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (equal(item, json_item(list, i), v))
			return true;
	}
	return false;
}

/* Lists that are owned as a whole: items in order, each at least what is declared. */
static bool list_same(struct compare *c, struct spot at)
{
	struct drift_list inner = {0};
	struct compare probe = {.a = c->a,
				.declared = c->declared,
				.out = &inner,
				.have_accepted = c->have_accepted};

	if (json_len(at.git) != json_len(at.live))
		return false;
	for (size_t i = 0; i < json_len(at.git); i++) {
		struct spot next = {.s = at.s ? at.s->item : NULL,
				    .git = json_item(at.git, i),
				    .live = json_item(at.live, i),
				    .accepted = json_item(at.accepted, i)};

		walk(&probe, next);
	}
	buf_release(&probe.path);
	return inner.n == 0;
}

static void walk_array(struct compare *c, struct spot at)
{
	enum schema_list kind = at.s ? at.s->list : SCHEMA_LIST_ATOMIC;

	if (kind == SCHEMA_LIST_ATOMIC) {
		if (!list_same(c, at))
			found(c, DRIFT_CHANGED, &at);
		return;
	}
	for (size_t i = 0; i < json_len(at.git); i++) {
		const struct json *item = json_item(at.git, i);
		size_t mark = c->path.n;
		struct spot next = {.s = at.s->item, .git = item};

		buf_printf(&c->path, "/%zu", i);
		if (kind == SCHEMA_LIST_MAP) {
			next.live = item_find(at.s, at.live, item);
			next.accepted = item_find(at.s, at.accepted, item);
			walk(c, next);
		} else if (!has_value(at.s->item, at.live, item)) {
			found(c, DRIFT_REMOVED, &next);
		}
		c->path.n = mark;
	}
}

static void walk(struct compare *c, struct spot at)
{
	if (is_empty(at.git))
		return;
	if (!at.live) {
		/* What the server dropped when it was applied isn't missed later. */
		if (!c->have_accepted || !is_empty(at.accepted))
			found(c, DRIFT_REMOVED, &at);
		return;
	}
	if (at.git->type != at.live->type || (at.git->type < JSON_ARRAY)) {
		if (!equal(at.s, at.git, at.live) &&
		    !(at.accepted && equal(at.s, at.accepted, at.live)))
			found(c, DRIFT_CHANGED, &at);
		return;
	}
	if (json_is(at.git, JSON_OBJECT))
		walk_object(c, at);
	else
		walk_array(c, at);
}

void drift_compare(struct arena *a, const struct schema *s, const struct json *declared,
		   const struct json *live, const struct json *accepted, struct drift_list *ret)
{
	struct compare c = {.a = a,
			    .declared = declared,
			    .live_object = live,
			    .out = ret,
			    .have_accepted = accepted != NULL};
	struct spot top = {.s = s, .git = declared, .live = live, .accepted = accepted};

	*ret = (struct drift_list){0};
	if (!live) {
		found(&c, DRIFT_DELETED, &top);
		return;
	}
	walk(&c, top);
	buf_release(&c.path);
}

struct str drift_redacted(struct arena *a, const struct json *object, const struct json *value)
{
	AUTO(buf) struct buf text = {0};

	if (!value)
		return STR("");
	if (str_is(json_str(json_get(object, STR("kind"))), "Secret") ||
	    (value->flags & JSON_F_SENSITIVE))
		return STR("<sensitive>");
	json_write(value, &text);
	if (text.n > 1000) {
		text.n = 1000;
		while (text.n && ((unsigned char)text.p[text.n - 1] & 0xc0) == 0x80)
			text.n--;
		text.n -= text.n > 0;
		buf_puts(&text, "…");
	}
	return arena_str(a, buf_view(&text));
}
