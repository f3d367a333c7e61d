/*
 * Writing YAML the way kubectl prints it: block style, keys sorted, lists not indented below their
 * key, text quoted only where it would be read as something else. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/json/yaml-internal.h"

#include "lib/base/pure.h"

#define KEY_MAX 128 /* as Go's writer */

static void write_value(const struct json *v, int indent, struct buf *out);

static void write_indent(int n, struct buf *out)
{
	while (n-- > 0)
		buf_putc(out, ' ');
}

/* Read back without quotes, would it be the same text? */
static bool reads_as_text(struct str s)
{
	AUTO(arena) struct arena a = {0};
	struct json v;

	yaml_resolve(&a, s, &v);
	return v.type == JSON_STRING && !yaml_not_a_json_number(s) && !str_is(s, "<<") &&
	       !str_is(s, "=");
}

/*
 * A character that YAML doesn't take as it stands, or takes for a line break, though JSON's writer
 * leaves it alone: DEL, C1 controls, U+2028, U+2029, the byte order mark, U+FFFE, U+FFFF. Returns
 * its length at s.p[i], 0 when it is none.
 */
static size_t awkward(struct str s, size_t i, unsigned *ret_code)
{
	const unsigned char *p = (const unsigned char *)s.p + i;

	if (p[0] == 0x7f) {
		*ret_code = 0x7f;
		return 1;
	}
	if (p[0] == 0xc2 && s.n - i > 1 && p[1] < 0xa0) {
		*ret_code = p[1];
		return 2;
	}
	if (s.n - i < 3 || (p[0] != 0xe2 && p[0] != 0xef))
		return 0;
	*ret_code = (unsigned)(p[0] & 15) << 12 | (unsigned)(p[1] & 63) << 6 | (p[2] & 63u);
	return *ret_code == 0x2028 || *ret_code == 0x2029 || *ret_code == 0xfeff ||
			       *ret_code == 0xfffe || *ret_code == 0xffff
		       ? 3
		       : 0;
}

static bool is_printable(struct str s)
{
	unsigned code;

	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n') || awkward(s, i, &code))
			return false;
	return str_is_utf8(s);
}

static void write_quoted(struct str s, struct buf *out)
{
	AUTO(buf) struct buf text = {0};
	unsigned code;
	size_t n;

	json_write_string(s, &text);
	s = buf_view(&text);
	for (size_t i = 0; i < s.n; i += n) {
		n = awkward(s, i, &code);
		if (n)
			buf_printf(out, "\\u%04x", code);
		else
			buf_putc(out, s.p[i]), n = 1;
	}
}

static bool plain_fits(struct str s)
{
	if (!s.n || strchr(",[]{}#&*!|>'\"%@` ", s.p[0]) || s.p[s.n - 1] == ' ' ||
	    s.p[s.n - 1] == ':')
		return false;
	if (strchr("-?:", s.p[0]) && (s.n == 1 || s.p[1] == ' '))
		return false;
	if (str_starts(s, STR("---")) || str_starts(s, STR("...")))
		return false;
	return str_find(s, STR(": ")) < 0 && str_find(s, STR(" #")) < 0;
}

/* A date would be read as text, but by others as a time: quoted, as Go's writer does. */
static bool looks_like_date(struct str s)
{
	return s.n >= 10 && s.p[4] == '-' && s.p[7] == '-' && s.p[0] >= '0' && s.p[0] <= '9';
}

static bool literal_fits(struct str s)
{
	return str_find(s, STR(" \n")) < 0 && s.p[s.n - 1] != ' ' && s.p[0] != ' ' &&
	       s.p[0] != '\n';
}

static void write_literal(struct str s, int indent, struct buf *out)
{
	struct str rest = s, line;
	bool ends = s.p[s.n - 1] == '\n';

	if (ends)
		rest.n--;
	buf_puts(out, !ends ? "|-" : rest.n && rest.p[rest.n - 1] == '\n' ? "|+" : "|");
	while (str_next(&rest, '\n', &line)) {
		buf_putc(out, '\n');
		if (line.n)
			write_indent(indent, out);
		buf_str(out, line);
	}
}

/* On one line, with as few quotes as will do. */
static void write_line(struct str s, struct buf *out)
{
	if (!is_printable(s) || memchr(s.p, '\n', s.n) || !reads_as_text(s) || looks_like_date(s)) {
		write_quoted(s, out);
		return;
	}
	if (plain_fits(s)) {
		buf_str(out, s);
		return;
	}
	buf_putc(out, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_putc(out, '\'');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '\'');
}

static void write_text(struct str s, int indent, struct buf *out)
{
	/* Not at the margin, where a line of its own could say "---". */
	if (indent && s.n && memchr(s.p, '\n', s.n) && is_printable(s) && literal_fits(s))
		write_literal(s, indent, out);
	else
		write_line(s, out);
}

static int key_order(const void *a, const void *b)
{
	return str_cmp((*(const struct json_member *const *)a)->key,
		       (*(const struct json_member *const *)b)->key);
}

static bool is_block(const struct json *v)
{
	return (v->type == JSON_OBJECT || v->type == JSON_ARRAY) && v->n;
}

/* A long key is announced: readers look for the colon behind it only so far. */
static bool write_key(struct str key, int indent, struct buf *out)
{
	size_t from = out->n;

	if (key.n <= KEY_MAX) {
		write_line(key, out);
		if (out->n - from <= KEY_MAX)
			return false;
		out->n = from;
	}
	buf_puts(out, "? ");
	write_line(key, out);
	buf_putc(out, '\n');
	write_indent(indent, out);
	return true;
}

static void write_member(const struct json_member *m, int indent, struct buf *out)
{
	const struct json *value = &m->value;
	bool announced = write_key(m->key, indent, out);

	buf_putc(out, ':');
	if (is_block(value) && !announced) {
		int below = value->type == JSON_ARRAY ? indent : indent + 2;

		buf_putc(out, '\n');
		write_indent(below, out);
		write_value(value, below, out);
		return;
	}
	buf_putc(out, ' ');
	write_value(value, indent + 2, out);
	if (!is_block(value))
		buf_putc(out, '\n');
}

static void write_object(const struct json *v, int indent, struct buf *out)
{
	const struct json_member **sorted = xreallocarray(NULL, v->n, sizeof(*sorted));

	for (uint32_t i = 0; i < v->n; i++)
		sorted[i] = &v->members[i];
	qsort(sorted, v->n, sizeof(*sorted), key_order);
	for (uint32_t i = 0; i < v->n; i++) {
		if (i)
			write_indent(indent, out);
		write_member(sorted[i], indent, out);
	}
	free(sorted);
}

static void write_array(const struct json *v, int indent, struct buf *out)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (i)
			write_indent(indent, out);
		buf_puts(out, "- ");
		write_value(&v->items[i], indent + 2, out);
		if (!is_block(&v->items[i]))
			buf_putc(out, '\n');
	}
}

/* The cursor stands where the value begins; blocks end with a line break, the rest without. */
static void write_value(const struct json *v, int indent, struct buf *out)
{
	if (v->type == JSON_STRING)
		write_text((struct str){v->s, v->n}, indent, out);
	else if (!is_block(v))
		json_write(v, out);
	else if (v->type == JSON_OBJECT)
		write_object(v, indent, out);
	else
		write_array(v, indent, out);
}

void yaml_write(const struct json *v, struct buf *out)
{
	write_value(v, 0, out);
	if (!is_block(v))
		buf_putc(out, '\n');
}
