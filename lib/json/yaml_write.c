/*
 * Writing YAML the way kubectl prints it: block style, keys sorted, lists not indented below their
 * key, text quoted only where it would be read as something else. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/json/yaml-internal.h"

#include "lib/base/pure.h"

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

static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n') || s.p[i] == 0x7f)
			return false;
	return str_is_utf8(s);
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

static void write_text(struct str s, int indent, struct buf *out)
{
	bool lines = s.n && memchr(s.p, '\n', s.n);

	if (!is_printable(s) || (lines && !literal_fits(s)) ||
	    (!lines && (!reads_as_text(s) || looks_like_date(s)))) {
		json_write_string(s, out);
	} else if (lines) {
		write_literal(s, indent, out);
	} else if (plain_fits(s)) {
		buf_str(out, s);
	} else {
		buf_putc(out, '\'');
		for (size_t i = 0; i < s.n; i++) {
			if (s.p[i] == '\'')
				buf_putc(out, '\'');
			buf_putc(out, s.p[i]);
		}
		buf_putc(out, '\'');
	}
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

static void write_object(const struct json *v, int indent, struct buf *out)
{
	const struct json_member **sorted = xreallocarray(NULL, v->n, sizeof(*sorted));

	for (uint32_t i = 0; i < v->n; i++)
		sorted[i] = &v->members[i];
	qsort(sorted, v->n, sizeof(*sorted), key_order);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct json *value = &sorted[i]->value;

		if (i)
			write_indent(indent, out);
		write_text(sorted[i]->key, indent + 2, out);
		buf_putc(out, ':');
		if (is_block(value)) {
			int below = value->type == JSON_ARRAY ? indent : indent + 2;

			buf_putc(out, '\n');
			write_indent(below, out);
			write_value(value, below, out);
			continue;
		}
		buf_putc(out, ' ');
		write_value(value, indent + 2, out);
		buf_putc(out, '\n');
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
