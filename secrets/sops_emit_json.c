/*
 * An opened file as sops' JSON store prints it, with tabs and Go's escapes, and how much room
 * either of the two prints takes at most: see sops_emit.h. Pure; memory: the caller's buffer.
 */
#include "secrets/sops_emit.h"

enum { STEP = 4 };

/* ---- how much ---- */

enum { ESCAPE = 10 }; /* "\U0001F600" */

/* A character may become an escape, a line break an indented line. */
static size_t text_room(struct str s, size_t depth)
{
	size_t n = 64 + 4 * depth;

	for (size_t i = 0; i < s.n; i++) {
		n += s.p[i] >= ' ' && s.p[i] <= '~' ? 2 : ESCAPE;
		n += s.p[i] == '\n' ? 8 + STEP * depth : 0;
	}
	return n;
}

/* Depth is bounded by the parser's. */
static size_t room(const struct json *v, size_t depth)
{
	const struct json_member *m = json_members(v);
	size_t n = text_room(json_str(v), depth);

	for (size_t i = 0; m && i < json_len(v); i++)
		n += text_room(m[i].key, depth) + room(&m[i].value, depth + 1);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		n += room(json_item(v, i), depth + 1);
	return n;
}

size_t sops_emit_room(const struct sops_docs *d)
{
	size_t n = d->text.n;

	for (size_t i = 0; i < d->docs->n; i++)
		n += room(d->docs->v[i], 0);
	return n;
}

/* ---- JSON ---- */

static void json_indent(struct buf *out, size_t depth)
{
	buf_putc(out, '\n');
	for (size_t i = 0; i < depth; i++)
		buf_putc(out, '\t');
}

static void json_leaf(const struct json *v, struct buf *out)
{
	/* Numbers in clear are floats to sops. */
	if (json_is(v, JSON_STRING))
		sops_json_string(json_str(v), out);
	else if (json_is(v, JSON_NUM) || (json_is(v, JSON_INT) && v->spare != SOPS_INT + 1))
		sops_json_float(json_double(v, 0), out);
	else
		json_write(v, out);
}

/* Depth is bounded by the parser's. */
static void json_value(const struct json *v, size_t depth, struct buf *out)
{
	const struct json_member *m = json_members(v);
	bool object = json_is(v, JSON_OBJECT);

	if (!object && !json_is(v, JSON_ARRAY)) {
		json_leaf(v, out);
		return;
	}
	buf_putc(out, object ? '{' : '[');
	for (size_t i = 0; i < json_len(v); i++) {
		if (i)
			buf_putc(out, ',');
		json_indent(out, depth + 1);
		if (object) {
			sops_json_string(m[i].key, out);
			buf_puts(out, ": ");
		}
		json_value(object ? &m[i].value : json_item(v, i), depth + 1, out);
	}
	if (json_len(v))
		json_indent(out, depth);
	buf_putc(out, object ? '}' : ']');
}

void sops_emit_json(const struct sops_emit *e, struct buf *out)
{
	if (!e->d->docs->n)
		return;
	json_value(e->d->docs->v[0], 0, out);
	buf_putc(out, '\n');
}
