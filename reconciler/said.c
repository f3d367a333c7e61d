/*
 * From a value of a rendered object back to the bytes that say it: overlays before bases, since
 * the renderer left the place of whoever spoke last at each value. An edit is made only where the
 * text then reads back as what was meant. Pure. Memory: the caller's arena.
 */
#include "reconciler/said.h"

#include <string.h>

#include "lib/json/patch.h"
#include "reconciler/edit.h"

#include "lib/base/pure.h"

struct walk {
	const struct rendered *from;
	const struct rendered_object *o;
	struct buf at, *out;
};

static bool at_home(const struct walk *w, const struct yaml_src *src)
{
	if (!src)
		return !w->o->layered;
	return src->file == w->o->file && src->doc == w->o->doc && !w->o->shifted;
}

static void record(struct walk *w, const struct json *v)
{
	const struct yaml_src *src = yaml_src_of(&w->from->srcs, v);

	if (at_home(w, src) || (v->flags & JSON_F_SENSITIVE))
		return;
	buf_str(w->out, buf_view(&w->at));
	buf_putc(w->out, '\0');
	if (src)
		buf_str(w->out, w->from->files.v[src->file].path);
	buf_printf(w->out, "%c%u%c", '\0', src ? src->begin : 0, '\0');
}

static void walk(struct walk *w, const struct json *v)
{
	const struct json_member *m = json_members(v);
	size_t mark = w->at.n;

	if (!json_is(v, JSON_OBJECT))
		record(w, v);
	for (size_t i = 0; m && i < json_len(v); i++) {
		pointer_push(&w->at, m[i].key);
		walk(w, &m[i].value);
		w->at.n = mark;
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		buf_printf(&w->at, "/%zu", i);
		walk(w, json_item(v, i));
		w->at.n = mark;
	}
}

void said_elsewhere(const struct rendered *from, const struct rendered_object *o, struct buf *out)
{
	struct walk w = {.from = from, .o = o, .out = out};

	walk(&w, o->tree);
	buf_release(&w.at);
}

bool said_find(struct str records, struct str pointer, struct said *ret)
{
	struct str path, file, begin, outer, inner;
	uint64_t n;

	while (records.n) {
		if (!str_cut(records, '\0', &path, &records) ||
		    !str_cut(records, '\0', &file, &records) ||
		    !str_cut(records, '\0', &begin, &records))
			return false;
		if (!str_eq(path, pointer) || str_to_u64(begin, &n))
			continue;
		*ret = (struct said){.file = file, .begin = (size_t)n, .inner = SIZE_MAX};
		if (!str_rcut(file, '#', &outer, &inner))
			return true;
		/* A text within the file, as an inline patch is. */
		ret->file = outer;
		ret->inner = (size_t)n;
		return !str_to_u64(inner, &n) && (ret->begin = (size_t)n, true);
	}
	return false;
}

/* ---- editing ---- */

struct spot {
	struct arena *a;
	const struct yaml_srcs *srcs;
	size_t begin;
	struct buf at;
	const struct json *found;
};

static bool find_begin(struct spot *s, const struct json *v)
{
	const struct json_member *m = json_members(v);
	const struct yaml_src *src = yaml_src_of(s->srcs, v);
	size_t mark = s->at.n;

	if (src && src->begin == s->begin && !json_is(v, JSON_OBJECT)) {
		s->found = v;
		return true;
	}
	for (size_t i = 0; m && i < json_len(v); i++) {
		pointer_push(&s->at, m[i].key);
		if (find_begin(s, &m[i].value))
			return true;
		s->at.n = mark;
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		buf_printf(&s->at, "/%zu", i);
		if (find_begin(s, json_item(v, i)))
			return true;
		s->at.n = mark;
	}
	return false;
}

/* The value that begins at a byte: its document and the way to it. */
struct place {
	uint32_t doc;
	struct str pointer;
	const struct json *value;
};

static int locate(struct arena *a, struct str text, size_t begin, struct place *ret,
		  struct err *err)
{
	struct yaml_srcs srcs = {0};
	struct spot s = {.a = a, .srcs = &srcs, .begin = begin};
	struct yaml_docs docs;
	int rc = yaml_parse(a, text, 0, &srcs, NULL, &docs, err);

	for (size_t i = 0; !rc && i < docs.n && !s.found; i++) {
		const struct yaml_src *src = yaml_src_of(&srcs, docs.v[i]);

		s.at.n = 0;
		ret->doc = src ? src->doc : 0;
		find_begin(&s, docs.v[i]);
	}
	ret->pointer = arena_str(a, buf_view(&s.at));
	ret->value = s.found;
	if (!rc && !s.found)
		rc = err_set(err, ERR_UNSUPPORTED, "it is not said there any longer");
	yaml_srcs_release(&srcs);
	buf_release(&s.at);
	return rc;
}

/* What must stand there so that the object says `to`: all of it, or the part that was put in. */
static const struct json *replacement(struct arena *a, const struct json *said,
				      const struct said_change *c, struct err *err)
{
	struct str git = json_str(c->git), to = json_str(c->to), part = json_str(said);
	ptrdiff_t at;

	if (json_equal(said, c->git))
		return c->to;
	for (size_t from = 0; part.n && from < git.n; from += (size_t)at + 1) {
		struct str head, tail;

		at = str_find(str_sub(git, from, git.n), part);
		if (at < 0)
			break;
		head = str_sub(git, 0, from + (size_t)at);
		tail = str_sub(git, head.n + part.n, git.n);
		if (to.n > head.n + tail.n && str_starts(to, head) && str_ends(to, tail))
			return json_new_str(a, str_sub(to, head.n, to.n - head.n - tail.n));
	}
	err_set(err, ERR_UNSUPPORTED, "it is put together of several values");
	return NULL;
}

static struct str edit_plain(struct arena *a, size_t begin, const struct said_change *c,
			     struct err *err)
{
	struct place p;
	const struct json *next;

	if (locate(a, c->original, begin, &p, err))
		return STR_NONE;
	next = replacement(a, p.value, c, err);
	if (!next)
		return STR_NONE;
	return edit_value(a, c->current, p.doc, p.pointer, next, err);
}

static const struct json *value_at(struct arena *a, struct str text, const struct place *p)
{
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	const struct json *ret = NULL;

	if (!yaml_parse(a, text, 0, &srcs, NULL, &docs, NULL)) {
		for (size_t i = 0; i < docs.n; i++) {
			const struct yaml_src *src = yaml_src_of(&srcs, docs.v[i]);

			if (src && src->doc == p->doc)
				ret = json_pointer(docs.v[i], p->pointer);
		}
	}
	yaml_srcs_release(&srcs);
	return ret;
}

struct str said_edit(struct arena *a, const struct said *at, const struct said_change *c,
		     struct err *err)
{
	struct said_change inner = *c;
	struct place p;
	struct str text;

	if (at->inner == SIZE_MAX)
		return edit_plain(a, at->begin, c, err);
	if (locate(a, c->original, at->begin, &p, err))
		return STR_NONE;
	inner.original = json_str(p.value);
	inner.current = json_str(value_at(a, c->current, &p));
	text = edit_plain(a, at->inner, &inner, err);
	if (!text.p)
		return STR_NONE;
	return edit_value(a, c->current, p.doc, p.pointer, json_new_str(a, text), err);
}
