/*
 * Comparing two versions of an object for people to read. Lists whose items have names are matched
 * by name, others by place. What the server keeps for itself is left out. Pure; memory: the
 * caller's arena.
 */
#include "reconciler/plandiff.h"

#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/sensitive.h"

#include "lib/base/pure.h"

#define TEXT_MAX 500

struct walk {
	struct arena *a;
	struct plan_change *out;
	struct buf path;
	size_t cap;
	bool secret; /* values below data are not shown */
};

static void walk(struct walk *w, const struct json *old, const struct json *next, bool hide);

static struct str text_of(struct walk *w, const struct json *v, bool hide)
{
	AUTO(buf) struct buf text = {0};

	if (!v)
		return STR_NONE;
	if (hide || (v->flags & JSON_F_SENSITIVE))
		return STR("<sensitive>");
	json_write(v, &text);
	if (text.n > TEXT_MAX) {
		text.n = TEXT_MAX;
		while (text.n && ((unsigned char)text.p[text.n - 1] & 0xc0) == 0x80)
			text.n--;
		text.n -= text.n > 0;
		buf_puts(&text, "…");
	}
	return arena_str(w->a, buf_view(&text));
}

static bool any_hidden(const struct json *v)
{
	AUTO(buf) struct buf paths = {0};

	sensitive_paths(v, &paths);
	return paths.n > 0;
}

static void found(struct walk *w, const struct json *old, const struct json *next, bool hide)
{
	struct plan_change *c = w->out;

	if (c->nfields == PLANDIFF_MAX) {
		c->more++;
		return;
	}
	if (!c->fields)
		c->fields = arena_array(w->a, PLANDIFF_MAX, sizeof(*c->fields));
	hide |= any_hidden(old) || any_hidden(next);
	c->fields[c->nfields++] = (struct plan_field){.path = arena_str(w->a, buf_view(&w->path)),
						      .old = text_of(w, old, hide),
						      .next = text_of(w, next, hide)};
}

static bool is_plain(struct str key)
{
	for (size_t i = 0; i < key.n; i++) {
		if (strchr(". []\"", key.p[i]))
			return false;
	}
	return key.n > 0;
}

static void push_key(struct walk *w, struct str key)
{
	if (is_plain(key)) {
		buf_printf(&w->path, "%s%.*s", w->path.n ? "." : "", STR_ARG(key));
		return;
	}
	buf_putc(&w->path, '[');
	json_write_string(key, &w->path);
	buf_putc(&w->path, ']');
}

/* The server's own, and what only ever follows from the rest. */
static bool is_theirs(struct str path)
{
	static const char *const theirs[] = {
		"status",           "metadata.managedFields", "metadata.resourceVersion",
		"metadata.uid",     "metadata.generation",    "metadata.creationTimestamp",
		"metadata.selfLink"};

	for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
		if (str_is(path, theirs[i]))
			return true;
	}
	return false;
}

static void member(struct walk *w, struct str key, const struct json *old, const struct json *next,
		   bool hide)
{
	size_t mark = w->path.n;

	push_key(w, key);
	if (!is_theirs(buf_view(&w->path)))
		walk(w, old, next,
		     hide || (w->secret && (str_is(buf_view(&w->path), "data") ||
					    str_is(buf_view(&w->path), "stringData"))));
	w->path.n = mark;
}

static void walk_objects(struct walk *w, const struct json *old, const struct json *next, bool hide)
{
	const struct json_member *m = json_members(old);

	for (size_t i = 0; m && i < json_len(old); i++)
		member(w, m[i].key, &m[i].value, json_get(next, m[i].key), hide);
	m = json_members(next);
	for (size_t i = 0; m && i < json_len(next); i++) {
		if (!json_get(old, m[i].key))
			member(w, m[i].key, NULL, &m[i].value, hide);
	}
}

static const struct json *named(const struct json *list, struct str name)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_str(json_get(json_item(list, i), STR("name"))), name))
			return json_item(list, i);
	}
	return NULL;
}

static bool all_named(const struct json *list)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_get(json_item(list, i), STR("name")));

		if (!name.n || named(list, name) != json_item(list, i))
			return false;
	}
	return true;
}

static void item(struct walk *w, struct str name, size_t i, const struct json *old,
		 const struct json *next)
{
	size_t mark = w->path.n;

	if (name.n)
		buf_printf(&w->path, "[name=%.*s]", STR_ARG(name));
	else
		buf_printf(&w->path, "[%zu]", i);
	walk(w, old, next, false);
	w->path.n = mark;
}

static void walk_lists(struct walk *w, const struct json *old, const struct json *next, bool hide)
{
	bool by_name = all_named(old) && all_named(next);

	if (hide) {
		found(w, old, next, hide);
		return;
	}
	for (size_t i = 0; i < json_len(old); i++) {
		struct str name =
			by_name ? json_str(json_get(json_item(old, i), STR("name"))) : STR_NONE;

		item(w, name, i, json_item(old, i),
		     by_name ? named(next, name) : json_item(next, i));
	}
	for (size_t i = 0; i < json_len(next); i++) {
		struct str name =
			by_name ? json_str(json_get(json_item(next, i), STR("name"))) : STR_NONE;

		if (by_name ? !named(old, name) : i >= json_len(old))
			item(w, name, i, NULL, json_item(next, i));
	}
}

static void walk(struct walk *w, const struct json *old, const struct json *next, bool hide)
{
	if (old && next && json_equal(old, next))
		return;
	if (json_is(old, JSON_OBJECT) && json_is(next, JSON_OBJECT))
		walk_objects(w, old, next, hide);
	else if (json_is(old, JSON_ARRAY) && json_is(next, JSON_ARRAY))
		walk_lists(w, old, next, hide);
	else
		found(w, old, next, hide);
}

void plan_compare(struct arena *a, const struct json *live, const struct json *dry,
		  struct str hidden, struct plan_change *ret)
{
	struct walk w = {.a = a,
			 .out = ret,
			 .secret = str_is(json_str(json_get(dry, STR("kind"))), "Secret")};
	struct json *old = json_copy(a, live), *next = json_copy(a, dry);

	sensitive_mark(old, hidden);
	sensitive_mark(next, hidden);
	walk(&w, old, next, false);
	buf_release(&w.path);
}
