/*
 * Editing manifests in place. Ranges come from the reader's source positions; text is never
 * written by a YAML library, because that would lose what a person wrote around it. Whatever isn't
 * simple enough to be done safely is refused, and the report says so instead. Pure.
 */
#include "reconciler/edit.h"

#include <string.h>

#include "lib/base/pure.h"

struct edit {
	struct arena *a;
	struct str text;
	uint32_t doc;
	struct str pointer;
	const struct json *to;
	struct yaml_srcs srcs;
	struct json *tree; /* the document as it is */
};

static size_t line_start(struct str t, size_t at)
{
	while (at && t.p[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_end(struct str t, size_t at)
{
	while (at < t.n && t.p[at] != '\n')
		at++;
	return at < t.n ? at + 1 : at;
}

static struct str splice(struct arena *a, struct str t, size_t from, size_t to, struct str with)
{
	return arena_strf(a, "%.*s%.*s%.*s", (int)from, t.p, STR_ARG(with), (int)(t.n - to),
			  t.p + to);
}

static struct json *document(struct edit *e, struct str text, struct yaml_srcs *srcs,
			     struct err *err)
{
	struct yaml_docs docs;

	if (yaml_parse(e->a, text, 0, srcs, NULL, &docs, err))
		return NULL;
	for (size_t i = 0; i < docs.n; i++) {
		const struct yaml_src *src = yaml_src_of(srcs, docs.v[i]);

		if (src && src->doc == e->doc)
			return docs.v[i];
	}
	err_set(err, ERR_NOT_FOUND, "the file has no such document");
	return NULL;
}

/* ---- scalars ---- */

/* The bytes of a plain scalar that reads back as the same value, or STR_NONE. */
static struct str plain(struct edit *e, const struct json *v)
{
	AUTO(buf) struct buf text = {0};
	struct yaml_docs docs;
	struct str s;

	if (json_is(v, JSON_STRING))
		buf_str(&text, json_str(v));
	else
		json_write(v, &text);
	s = arena_str(e->a, buf_view(&text));
	if (!s.n || memchr(s.p, '\n', s.n) || str_find(s, STR(" #")) >= 0 ||
	    str_find(s, STR(": ")) >= 0 || strpbrk(s.p, "{}[],&*!|>'\"%@`"))
		return STR_NONE;
	if (yaml_parse(e->a, s, 0, NULL, NULL, &docs, NULL) || docs.n != 1 ||
	    !json_equal(docs.v[0], v))
		return STR_NONE;
	return s;
}

static struct str double_quoted(struct edit *e, const struct json *v)
{
	AUTO(buf) struct buf text = {0};

	json_write(v, &text);
	return arena_str(e->a, buf_view(&text));
}

static struct str single_quoted(struct edit *e, struct str s)
{
	AUTO(buf) struct buf text = {0};

	buf_putc(&text, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20)
			return STR_NONE;
		if (s.p[i] == '\'')
			buf_putc(&text, '\'');
		buf_putc(&text, s.p[i]);
	}
	buf_putc(&text, '\'');
	return arena_str(e->a, buf_view(&text));
}

static struct str scalar(struct edit *e, enum yaml_style style)
{
	struct str s = STR_NONE;

	if (!json_is(e->to, JSON_STRING)) {
		s = plain(e, e->to);
		return s.p ? s : double_quoted(e, e->to);
	}
	if (style == YAML_SINGLE)
		s = single_quoted(e, json_str(e->to));
	else if (style != YAML_DOUBLE)
		s = plain(e, e->to);
	return s.p ? s : double_quoted(e, e->to);
}

/* A literal block's lines, indented as its first one was. */
static struct str literal(struct edit *e, struct str old)
{
	AUTO(buf) struct buf out = {0};
	struct str body = json_str(e->to), line, head, rest;
	size_t indent = 0, newlines = 0;

	if (!str_cut(old, '\n', &head, &rest) || !json_is(e->to, JSON_STRING) || !body.n ||
	    body.p[0] == ' ' || body.p[0] == '\n' || body.p[0] == '\t')
		return STR_NONE;
	while (indent < rest.n && rest.p[indent] == ' ')
		indent++;
	while (newlines < body.n && body.p[body.n - 1 - newlines] == '\n')
		newlines++;
	body.n -= newlines;
	buf_puts(&out, newlines == 0 ? "|-\n" : newlines == 1 ? "|\n" : "|+\n");
	while (str_next(&body, '\n', &line)) {
		if (line.n)
			buf_printf(&out, "%*s%.*s", (int)indent, "", STR_ARG(line));
		buf_putc(&out, '\n');
	}
	for (size_t i = 1; i < newlines; i++)
		buf_putc(&out, '\n');
	return arena_str(e->a, buf_view(&out));
}

static struct str replace(struct edit *e, const struct json *at, struct err *err)
{
	const struct yaml_src *src = yaml_src_of(&e->srcs, at);
	size_t end = src->end;
	struct str with;

	if (src->style == YAML_ALIAS || src->style == YAML_FOLDED || src->style == YAML_BLOCK) {
		err_set(err, ERR_UNSUPPORTED, "written in a style that is not edited");
		return STR_NONE;
	}
	if (src->style == YAML_FLOW) {
		if (memchr(e->text.p + src->begin, '#', src->end - src->begin)) {
			err_set(err, ERR_UNSUPPORTED, "comments stand inside the value");
			return STR_NONE;
		}
		with = double_quoted(e, e->to);
	} else if (src->style == YAML_LITERAL) {
		/* The end swallows blank lines behind the text: they stay. */
		while (end > src->begin && strchr(" \n\r", e->text.p[end - 1]))
			end--;
		end = line_end(e->text, end);
		with = literal(e, str_sub(e->text, src->begin, end - src->begin));
		if (with.p && end == e->text.n && e->text.p[end - 1] != '\n')
			with.n--;
	} else {
		with = json_is(e->to, JSON_OBJECT) || json_is(e->to, JSON_ARRAY)
			       ? STR_NONE
			       : scalar(e, (enum yaml_style)src->style);
	}
	if (!with.p) {
		err_set(err, ERR_UNSUPPORTED,
			"the new value does not fit where the old one stands");
		return STR_NONE;
	}
	return splice(e->a, e->text, src->begin, end, with);
}

/* ---- removing ---- */

static struct str remove_member(struct edit *e, const struct json *at, struct err *err)
{
	const struct yaml_src *src = yaml_src_of(&e->srcs, at);
	size_t from = line_start(e->text, src->key_begin), to = src->end;

	for (size_t i = from; i < src->key_begin; i++) {
		if (e->text.p[i] != ' ') {
			err_set(err, ERR_UNSUPPORTED, "it does not stand on lines of its own");
			return STR_NONE;
		}
	}
	if (src->style == YAML_LITERAL || src->style == YAML_FOLDED) {
		while (to > src->begin && strchr(" \n\r", e->text.p[to - 1]))
			to--;
	}
	return splice(e->a, e->text, from, line_end(e->text, to), STR(""));
}

/* From behind the separator before the document to the separator behind it. */
static struct str remove_document(struct edit *e)
{
	uint32_t doc = 0;
	size_t at = 0, from = 0, to = e->text.n;
	bool content = false;

	while (at < e->text.n) {
		size_t next = line_end(e->text, at);
		struct str line = str_trim(str_sub(e->text, at, next - at));

		if (str_is(line, "---") || str_starts(line, STR("--- "))) {
			if (content && doc == e->doc) {
				to = at;
				break;
			}
			doc += content;
			from = at;
			content = line.n > 3;
		} else if (line.n && line.p[0] != '#') {
			content = true;
		}
		at = next;
	}
	if (from == 0 && to < e->text.n)
		to = line_end(e->text, to); /* the first document: its follower's separator goes */
	return splice(e->a, e->text, from, to, STR(""));
}

/* ---- checking ---- */

static struct json *parent_of(struct edit *e, struct json *tree, struct str *ret_key)
{
	struct str head;

	if (!str_rcut(e->pointer, '/', &head, ret_key))
		return NULL;
	return json_pointer(tree, head);
}

/* The old document with the change made in the tree: what the new text must say. */
static bool says_what_was_meant(struct edit *e, struct str text)
{
	struct yaml_srcs srcs = {0};
	struct json *now = document(e, text, &srcs, NULL), *want = json_copy(e->a, e->tree), *at;
	struct str key;
	bool same;

	if (e->to) {
		at = json_pointer(want, e->pointer);
		*at = *json_copy(e->a, e->to);
	} else {
		at = parent_of(e, want, &key);
		json_del(at, key);
	}
	same = now && json_equal(now, want);
	yaml_srcs_release(&srcs);
	return same;
}

/* All documents but the removed one are as they were. */
static bool others_unchanged(struct edit *e, struct str text)
{
	struct yaml_docs was, now;
	size_t n = 0;

	if (yaml_parse(e->a, e->text, 0, NULL, NULL, &was, NULL) ||
	    yaml_parse(e->a, text, 0, NULL, NULL, &now, NULL) || now.n + 1 != was.n)
		return false;
	for (size_t i = 0; i < was.n; i++) {
		if (n < now.n && json_equal(was.v[i], now.v[n]))
			n++;
		else if (!json_equal(was.v[i], e->tree))
			return false;
	}
	return n == now.n;
}

static struct str without_document(struct edit *e, struct err *err)
{
	struct str ret = remove_document(e);

	if (others_unchanged(e, ret))
		return ret;
	err_set(err, ERR_UNSUPPORTED, "the document could not be taken out safely");
	return STR_NONE;
}

static struct str edit(struct edit *e, struct err *err)
{
	struct json *at;
	struct str ret, key;

	e->tree = document(e, e->text, &e->srcs, err);
	if (!e->tree)
		return STR_NONE;
	if (!e->pointer.n && !e->to)
		return without_document(e, err);
	at = json_pointer(e->tree, e->pointer);
	if (!at || !yaml_src_of(&e->srcs, at)) {
		err_set(err, ERR_NOT_FOUND, "the manifest does not say it there");
		return STR_NONE;
	}
	if (!e->to && !json_is(parent_of(e, e->tree, &key), JSON_OBJECT)) {
		err_set(err, ERR_UNSUPPORTED, "an item of a list");
		return STR_NONE;
	}
	ret = e->to ? replace(e, at, err) : remove_member(e, at, err);
	if (ret.p && !says_what_was_meant(e, ret)) {
		err_set(err, ERR_UNSUPPORTED, "the manifest could not be edited safely");
		return STR_NONE;
	}
	return ret;
}

struct str edit_value(struct arena *a, struct str text, uint32_t doc, struct str pointer,
		      const struct json *to, struct err *err)
{
	struct edit e = {.a = a, .text = text, .doc = doc, .pointer = pointer, .to = to};
	struct str ret = edit(&e, err);

	yaml_srcs_release(&e.srcs);
	return ret;
}
