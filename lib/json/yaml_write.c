/*
 * Writing YAML the way kubectl prints it: block style, keys sorted, lists not indented below their
 * key, text quoted only where it would be read as something else, long lines gone on with below.
 * Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/yaml-internal.h"

#include "lib/base/pure.h"

#define KEY_MAX 128 /* as Go's writer */
#define WIDTH 80

static void write_value(const struct json *v, int indent, struct buf *out);

static void write_indent(int n, struct buf *out)
{
	while (n-- > 0)
		buf_putc(out, ' ');
}

/* Read back without quotes, would it be the same text? */
static bool reads_as_text(struct str s)
{
	return yaml_reads_as_text(s) && !str_is(s, "<<") && !str_is(s, "=");
}

/* The character at s.p[i] of valid UTF-8, and its length. */
static unsigned char_at(struct str s, size_t i, size_t *ret_len)
{
	const unsigned char *p = (const unsigned char *)s.p + i;

	*ret_len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	switch (*ret_len) {
	case 1:
		return p[0];
	case 2:
		return (unsigned)(p[0] & 31) << 6 | (p[1] & 63u);
	case 3:
		return (unsigned)(p[0] & 15) << 12 | (unsigned)(p[1] & 63) << 6 | (p[2] & 63u);
	default:
		return (unsigned)(p[0] & 7) << 18 | (unsigned)(p[1] & 63) << 12 |
		       (unsigned)(p[2] & 63) << 6 | (p[3] & 63u);
	}
}

/* One that YAML doesn't take as it stands, or takes for a line break, or that Go escapes. */
static bool awkward(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c >= 0xfffe;
}

static bool is_printable(struct str s)
{
	size_t n;

	if (!str_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.n; i += n) {
		unsigned c = char_at(s, i, &n);

		if (c != '\n' && awkward(c))
			return false;
	}
	return true;
}

/* ---- lines: one that has become long goes on below, at the next space ---- */

struct line {
	struct buf *out;
	int indent;    /* of what goes on below */
	bool fold;     /* whether it may */
	bool spaces;   /* the last character was one */
	size_t column; /* in characters */
};

static struct line line_begin(struct buf *out, int indent, bool fold)
{
	struct line l = {.out = out, .indent = indent, .fold = fold && indent > 0};

	for (size_t i = out->n; i > 0 && out->p[i - 1] != '\n'; i--)
		l.column += ((unsigned char)out->p[i - 1] & 0xc0) != 0x80;
	return l;
}

static void line_put(struct line *l, struct str s)
{
	buf_str(l->out, s);
	for (size_t i = 0; i < s.n; i++)
		l->column += ((unsigned char)s.p[i] & 0xc0) != 0x80;
}

/* Instead of a space; false when it has to be written. */
static bool line_break(struct line *l)
{
	if (!l->fold || l->spaces || l->column <= WIDTH)
		return false;
	buf_putc(l->out, '\n');
	write_indent(l->indent, l->out);
	l->column = (size_t)l->indent;
	return true;
}

static void write_escape(struct line *l, unsigned c)
{
	static const struct {
		unsigned c;
		const char *text;
	} short_ones[] = {{0, "\\0"},      {7, "\\a"},     {8, "\\b"},     {9, "\\t"},
			  {10, "\\n"},     {11, "\\v"},    {12, "\\f"},    {13, "\\r"},
			  {27, "\\e"},     {'"', "\\\""},  {'\\', "\\\\"}, {0x85, "\\N"},
			  {0x2028, "\\L"}, {0x2029, "\\P"}};
	char text[12];

	for (size_t i = 0; i < ARRAY_LEN(short_ones); i++) {
		if (short_ones[i].c == c) {
			line_put(l, str_c(short_ones[i].text));
			return;
		}
	}
	snprintf(text, sizeof(text),
		 c <= 0xff     ? "\\x%02X"
		 : c <= 0xffff ? "\\u%04X"
			       : "\\U%08X",
		 c);
	line_put(l, str_c(text));
}

static void write_quoted(struct str s, struct line *l)
{
	size_t n;

	if (!str_is_utf8(s)) {
		json_write_string(s, l->out);
		return;
	}
	line_put(l, STR("\""));
	for (size_t i = 0; i < s.n; i += n) {
		unsigned c = char_at(s, i, &n);
		bool space = c == ' ';

		if (c == '"' || c == '\\' || awkward(c))
			write_escape(l, c);
		else if (!space || !i || i + 1 == s.n || !line_break(l))
			line_put(l, str_sub(s, i, n));
		else if (s.p[i + 1] == ' ')
			line_put(l, STR("\\"));
		l->spaces = space;
	}
	line_put(l, STR("\""));
}

static void write_single(struct str s, struct line *l)
{
	line_put(l, STR("'"));
	for (size_t i = 0; i < s.n; i++) {
		bool space = s.p[i] == ' ', may = space && i && i + 1 < s.n && s.p[i + 1] != ' ';

		if (s.p[i] == '\'')
			line_put(l, STR("'"));
		if (!may || !line_break(l))
			line_put(l, str_sub(s, i, 1));
		l->spaces = space;
	}
	line_put(l, STR("'"));
}

static void write_plain(struct str s, struct line *l)
{
	for (size_t i = 0; i < s.n; i++) {
		bool space = s.p[i] == ' ', may = space && i + 1 < s.n && s.p[i + 1] != ' ';

		if (!may || !line_break(l))
			line_put(l, str_sub(s, i, 1));
		l->spaces = space;
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

/* 12:30:45 was a number to readers of YAML 1.1. */
static bool looks_like_time(struct str s)
{
	struct str head, part, tail;
	size_t n = 0;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_sub(s, 1, s.n);
	while (str_next(&s, ':', &part)) {
		if (n && !s.p && str_cut(part, '.', &head, &tail))
			part = head;
		for (size_t i = 0; i < part.n; i++) {
			if ((part.p[i] < '0' || part.p[i] > '9') && (n || !i || part.p[i] != '_'))
				return false;
		}
		if (!part.n || (n && (part.n > 2 || (part.n == 2 && part.p[0] > '5'))))
			return false;
		n++;
	}
	return n > 1;
}

/* A date would be read as text, but by others as a time: quoted, as Go's writer does. */
static bool looks_like_date(struct str s)
{
	return s.n >= 10 && s.p[4] == '-' && s.p[7] == '-' && s.p[0] >= '0' && s.p[0] <= '9';
}

static bool literal_fits(struct str s)
{
	return str_find(s, STR(" \n")) < 0 && s.p[s.n - 1] != ' ';
}

static void write_literal(struct str s, int indent, struct buf *out)
{
	struct str rest = s, line;
	bool ends = s.p[s.n - 1] == '\n';

	if (ends)
		rest.n--;
	buf_putc(out, '|');
	/* Where the indentation could not be told from the first line. */
	if (s.p[0] == ' ' || s.p[0] == '\n')
		buf_putc(out, '2');
	if (!ends || !rest.n || rest.p[rest.n - 1] == '\n')
		buf_putc(out, ends ? '+' : '-');
	while (str_next(&rest, '\n', &line)) {
		buf_putc(out, '\n');
		if (line.n)
			write_indent(indent, out);
		buf_str(out, line);
	}
}

/* With as few quotes as will do. */
static void write_line(struct str s, struct line l)
{
	if (!is_printable(s) || memchr(s.p, '\n', s.n) || !reads_as_text(s) || looks_like_date(s) ||
	    looks_like_time(s))
		write_quoted(s, &l);
	else if (plain_fits(s))
		write_plain(s, &l);
	else
		write_single(s, &l);
}

static void write_text(struct str s, int indent, struct buf *out)
{
	/* Not at the margin, where a line of its own could say "---". */
	if (indent && s.n && memchr(s.p, '\n', s.n) && is_printable(s) && literal_fits(s))
		write_literal(s, indent, out);
	else
		write_line(s, line_begin(out, indent, true));
}

/*
 * ---- the order of keys: Go's writer counts, so that a9 stands before a10 ----
 * Its rule goes in circles where letters follow numbers (a10 < a1b < a2 < a10), and then its order
 * is by chance. This one counts there, too.
 */

static bool is_digit(struct str s, size_t i)
{
	return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

/* Beyond ASCII nearly everything that stands in keys is a letter. */
static bool is_letter(char c)
{
	return ((c | 32) >= 'a' && (c | 32) <= 'z') || (unsigned char)c >= 0x80;
}

/* The digits at *at, which is moved behind them. */
static struct str number_at(struct str s, size_t *at)
{
	size_t from = *at;

	while (is_digit(s, *at))
		(*at)++;
	return str_sub(s, from, *at - from);
}

static int number_cmp(struct str a, struct str b)
{
	size_t zeros_a = 0, zeros_b = 0, n = a.n, m = b.n;
	int c;

	while (zeros_a < a.n && a.p[zeros_a] == '0')
		zeros_a++;
	while (zeros_b < b.n && b.p[zeros_b] == '0')
		zeros_b++;
	if (n - zeros_a != m - zeros_b)
		return n - zeros_a < m - zeros_b ? -1 : 1;
	c = str_cmp(str_sub(a, zeros_a, n), str_sub(b, zeros_b, m));
	return c ? c : (n > m) - (n < m);
}

/* Signs, numbers, letters. */
static int char_class(struct str s, size_t i)
{
	return is_digit(s, i) ? 1 : is_letter(s.p[i]) ? 2 : 0;
}

static int key_cmp(struct str a, struct str b)
{
	size_t i = 0, k = 0;

	while (i < a.n && k < b.n) {
		int class = char_class(a, i), c = class - char_class(b, k);

		if (!c && class == 1)
			c = number_cmp(number_at(a, &i), number_at(b, &k));
		else if (!c)
			c = (unsigned char)a.p[i++] - (unsigned char)b.p[k++];
		if (c)
			return c;
	}
	return (i < a.n) - (k < b.n);
}

static int key_order(const void *a, const void *b)
{
	return key_cmp((*(const struct json_member *const *)a)->key,
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
		write_line(key, line_begin(out, indent, false));
		if (out->n - from <= KEY_MAX)
			return false;
		out->n = from;
	}
	buf_puts(out, "? ");
	write_line(key, line_begin(out, indent + 2, true));
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
