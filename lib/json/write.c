/* Writing JSON: compact, sorted and indented. Escapes as Go's encoder without HTML escaping. Pure.
 */
#include "lib/json/json.h"

#include <string.h>

/* ---- strings ---- */

/* What ends a run of bytes that are written as they are. */
static const bool needs_escape[256] = {
	[0 ... 0x1f] = true, ['"'] = true, ['\\'] = true, [0xe2] = true};

/* Is there, among eight bytes, one that may need escaping? Control and non-ASCII, quote, slash. */
static bool eight_plain(const unsigned char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
	uint64_t v, quote, slash;

	memcpy(&v, p, 8);
	quote = v ^ (ones * '"');
	slash = v ^ (ones * '\\');
	return !((v | (v - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
		 high);
}

/* Nothing but ASCII that is written as it is: nearly all there is, above all keys. Blocks may
 * overlap. */
static bool is_plain(const unsigned char *p, size_t n)
{
	unsigned char few[8] = {'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'};

	if (n < 8) {
		if (n >= 4) {
			memcpy(few, p, 4);
			memcpy(few + 4, p + n - 4, 4);
		} else if (n) {
			few[0] = p[0];
			few[1] = p[n / 2];
			few[2] = p[n - 1];
		}
		return eight_plain(few);
	}
	for (size_t i = 0; i + 8 < n; i += 8)
		if (!eight_plain(p + i))
			return false;
	return eight_plain(p + n - 8);
}

static size_t plain_run(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i + 8 <= n && eight_plain(p + i))
		i += 8;
	while (i < n && !needs_escape[p[i]])
		i++;
	return i;
}

/* U+2028 and U+2029 end lines in JavaScript: Go escapes them, so we do. */
static bool line_separator(const unsigned char *p, size_t n)
{
	return n >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);
}

static void put_control(unsigned char c, struct buf *out)
{
	static const char *const names[] = {
		['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};

	if (c < ARRAY_LEN(names) && names[c])
		buf_puts(out, names[c]);
	else
		buf_printf(out, "\\u%04x", c);
}

/* Each byte that belongs to no character becomes U+FFFD, as Go's encoder has it. */
static void write_repaired(struct str s, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0, n; i < s.n; i += n) {
		for (n = 1; n <= 4 && i + n <= s.n && !str_is_utf8(str_sub(s, i, n)); n++)
			;
		if (n > 4 || i + n > s.n) {
			buf_puts(&text, "\xef\xbf\xbd");
			n = 1;
		} else {
			buf_str(&text, str_sub(s, i, n));
		}
	}
	json_write_string(buf_view(&text), out);
}

static void write_plain(struct str s, struct buf *out)
{
	char *at = buf_reserve(out, s.n + 2);

	at[0] = '"';
	if (s.n)
		memcpy(at + 1, s.p, s.n);
	at[s.n + 1] = '"';
	out->n += s.n + 2;
}

void json_write_string(struct str s, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t from = 0;

	if (is_plain(p, s.n)) {
		write_plain(s, out);
		return;
	}
	if (!str_is_utf8(s)) {
		write_repaired(s, out);
		return;
	}
	buf_reserve(out, s.n + 2);
	buf_putc(out, '"');
	for (size_t i = 0; (i += plain_run(p + i, s.n - i)) < s.n; i++) {
		if (p[i] == 0xe2 && !line_separator(p + i, s.n - i))
			continue;
		buf_put(out, p + from, i - from);
		if (p[i] == 0xe2) {
			buf_puts(out, p[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
			i += 2;
		} else if (p[i] < 0x20) {
			put_control(p[i], out);
		} else {
			buf_putc(out, '\\');
			buf_putc(out, (char)p[i]);
		}
		from = i + 1;
	}
	buf_put(out, p + from, s.n - from);
	buf_putc(out, '"');
}

/* ---- values ---- */

static void put_scalar(const struct json *v, struct buf *out)
{
	if (v->type == JSON_BOOL)
		buf_puts(out, v->b ? "true" : "false");
	else if (v->type == JSON_INT)
		buf_i64(out, v->i);
	else if (v->type == JSON_NUM)
		buf_put(out, v->s, v->n);
	else if (v->type == JSON_STRING)
		json_write_string(json_str(v), out);
	else
		buf_puts(out, "null");
}

void json_write(const struct json *v, struct buf *out)
{
	if (json_is(v, JSON_ARRAY)) {
		buf_putc(out, '[');
		for (uint32_t i = 0; i < v->n; i++) {
			if (i)
				buf_putc(out, ',');
			json_write(&v->items[i], out);
		}
		buf_putc(out, ']');
	} else if (json_is(v, JSON_OBJECT)) {
		buf_putc(out, '{');
		for (uint32_t i = 0; i < v->n; i++) {
			if (i)
				buf_putc(out, ',');
			json_write_string(v->members[i].key, out);
			buf_putc(out, ':');
			json_write(&v->members[i].value, out);
		}
		buf_putc(out, '}');
	} else if (v) {
		put_scalar(v, out);
	} else {
		buf_puts(out, "null");
	}
}

/* ---- sorted ---- */

static int by_key(const void *a, const void *b)
{
	const struct json_member *const *x = a, *const *y = b;

	return str_cmp((*x)->key, (*y)->key);
}

/* The members in order of their keys; the caller frees. */
static const struct json_member **sorted(const struct json *v)
{
	const struct json_member **m = xreallocarray(NULL, v->n, sizeof(*m));

	for (uint32_t i = 0; i < v->n; i++)
		m[i] = &v->members[i];
	qsort(m, v->n, sizeof(*m), by_key);
	return m;
}

void json_write_sorted(const struct json *v, struct buf *out)
{
	if (json_is(v, JSON_ARRAY)) {
		buf_putc(out, '[');
		for (uint32_t i = 0; i < v->n; i++) {
			if (i)
				buf_putc(out, ',');
			json_write_sorted(&v->items[i], out);
		}
		buf_putc(out, ']');
	} else if (json_is(v, JSON_OBJECT)) {
		const struct json_member **m = sorted(v);
		buf_putc(out, '{');
		for (uint32_t i = 0; i < v->n; i++) {
			if (i)
				buf_putc(out, ',');
			json_write_string(m[i]->key, out);
			buf_putc(out, ':');
			json_write_sorted(&m[i]->value, out);
		}
		buf_putc(out, '}');
		free(m);
	} else {
		json_write(v, out);
	}
}

/* ---- indented ---- */

static void newline(int spaces, struct buf *out)
{
	buf_putc(out, '\n');
	for (int i = 0; i < spaces; i++)
		buf_putc(out, ' ');
}

static void pretty(const struct json *v, int indent, int at, struct buf *out)
{
	if (!json_len(v)) {
		json_write(v, out);
		return;
	}
	bool object = v->type == JSON_OBJECT;
	buf_putc(out, object ? '{' : '[');
	for (uint32_t i = 0; i < v->n; i++) {
		if (i)
			buf_putc(out, ',');
		newline(at + indent, out);
		if (object) {
			json_write_string(v->members[i].key, out);
			buf_puts(out, ": ");
		}
		pretty(object ? &v->members[i].value : &v->items[i], indent, at + indent, out);
	}
	newline(at, out);
	buf_putc(out, object ? '}' : ']');
}

void json_write_pretty(const struct json *v, int indent, struct buf *out)
{
	pretty(v, indent, 0, out);
}

/* Where a string ends that begins at `at`: behind the closing quote. */
static size_t string_end(struct str text, size_t at)
{
	for (at++; at < text.n && text.p[at] != '"'; at++)
		if (text.p[at] == '\\')
			at++;
	return MIN(at + 1, text.n);
}

void json_write_lines(struct str text, int indent, struct buf *out)
{
	int depth = 0;

	for (size_t i = 0, end; i < text.n; i++) {
		char c = text.p[i], next = i + 1 < text.n ? text.p[i + 1] : 0;

		switch (c) {
		case '"':
			end = string_end(text, i);
			buf_str(out, str_sub(text, i, end - i));
			i = end - 1;
			break;
		case '{':
		case '[':
			buf_putc(out, c);
			if (next == '}' || next == ']')
				buf_putc(out, text.p[++i]);
			else
				newline(indent * ++depth, out);
			break;
		case '}':
		case ']':
			newline(indent * (depth > 0 ? --depth : 0), out);
			buf_putc(out, c);
			break;
		case ',':
			buf_putc(out, c);
			newline(indent * depth, out);
			break;
		case ':':
			buf_puts(out, ": ");
			break;
		default:
			if (c != '\n')
				buf_putc(out, c);
		}
	}
}
