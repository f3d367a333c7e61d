/*
 * CEL's functions of text: the strings extension (positions count characters, not bytes), format,
 * and Kubernetes' regular expressions. Pure; what is made is paid for before it is made.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/schema/cel-internal.h"
#include "lib/schema/pattern.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)

/* ---- characters ---- */

static size_t width(struct str s, size_t at)
{
	size_t n = 1;

	while (at + n < s.n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80)
		n++;
	return n;
}

static int64_t length(struct str s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s.n; i += width(s, i))
		n++;
	return n;
}

/* The byte at which the i-th character begins; the end for one behind the last. */
static size_t offset(struct str s, int64_t i)
{
	size_t at = 0;

	for (; i > 0 && at < s.n; i--)
		at += width(s, at);
	return at;
}

static int64_t position(struct str s, size_t at)
{
	return length(str_sub(s, 0, at));
}

static struct cel_value out_of_range(struct cel *c, int64_t i)
{
	return cel_fail(c, "index out of range: %lld", (long long)i);
}

F(char_at)
{
	int64_t all = length(v[0].s);
	size_t at;

	UNUSED_ARGS;
	cel_pay(c, v[0].s.n / 10);
	if (v[1].i < 0 || v[1].i > all)
		return out_of_range(c, v[1].i);
	if (v[1].i == all)
		return cel_of_str(STR(""));
	at = offset(v[0].s, v[1].i);
	return cel_of_str(str_sub(v[0].s, at, width(v[0].s, at)));
}

static bool found_at(struct str s, struct str what, size_t at)
{
	return at + what.n <= s.n && (!what.n || !memcmp(s.p + at, what.p, what.n));
}

static bool pay_search(struct cel *c, const struct cel_value *v)
{
	return cel_pay(c, (v[0].s.n / 10 + 1) * (v[1].s.n / 10 + 1));
}

F(index_of)
{
	int64_t i = n > 2 ? v[2].i : 0;
	struct str s = v[0].s;

	if (i < 0 || i > length(s))
		return out_of_range(c, i);
	if (!pay_search(c, v))
		return cel_fail(c, "%s", c->stop);
	for (size_t at = offset(s, i); at <= s.n; at += at < s.n ? width(s, at) : 1)
		if (found_at(s, v[1].s, at))
			return cel_of_int(position(s, at));
	return cel_of_int(-1);
}

F(last_index_of)
{
	struct str s = v[0].s;
	int64_t last = -1, i = 0, most = n > 2 ? v[2].i : length(s);

	if (n > 2 && (most < 0 || most > length(s)))
		return out_of_range(c, most);
	if (!pay_search(c, v))
		return cel_fail(c, "%s", c->stop);
	for (size_t at = 0; at <= s.n && i <= most; at += at < s.n ? width(s, at) : 1, i++)
		if (found_at(s, v[1].s, at))
			last = i;
	return cel_of_int(last);
}

F(substring)
{
	int64_t all = length(v[0].s), to = n > 2 ? v[2].i : all;
	size_t from;

	cel_pay(c, v[0].s.n / 10);
	if (v[1].i < 0 || v[1].i > all)
		return out_of_range(c, v[1].i);
	if (to < 0 || to > all)
		return out_of_range(c, to);
	if (to < v[1].i)
		return cel_fail(c, "invalid substring range. start: %lld, end: %lld",
				(long long)v[1].i, (long long)to);
	from = offset(v[0].s, v[1].i);
	return cel_of_str(str_sub(v[0].s, from, offset(v[0].s, to) - from));
}

static struct cel_value cased(struct cel *c, struct str s, bool lower)
{
	struct cel_value r = cel_new_str(c, s);
	char *p = (char *)(uintptr_t)r.s.p;

	for (size_t i = 0; r.type == CEL_STRING && i < r.s.n; i++) {
		if (lower && p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + 32);
		else if (!lower && p[i] >= 'a' && p[i] <= 'z')
			p[i] = (char)(p[i] - 32);
	}
	return r;
}

F(lower_ascii)
{
	UNUSED_ARGS;
	return cased(c, v->s, true);
}

F(upper_ascii)
{
	UNUSED_ARGS;
	return cased(c, v->s, false);
}

/* Unicode's white space, as Go's strings.TrimSpace has it. */
static bool is_space(struct str s, size_t at, size_t n)
{
	static const char *const wide[] = {
		"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
		"\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
		"\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
		"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};

	if (n == 1)
		return isspace((unsigned char)s.p[at]);
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (str_is(str_sub(s, at, n), wide[i]))
			return true;
	return false;
}

F(trim)
{
	struct str s = v->s;
	size_t from = 0, to = s.n, at;

	UNUSED_ARGS;
	while (from < s.n && is_space(s, from, width(s, from)))
		from += width(s, from);
	while (to > from) {
		for (at = to - 1; at > from && ((unsigned char)s.p[at] & 0xc0) == 0x80;)
			at--;
		if (!is_space(s, at, to - at))
			break;
		to = at;
	}
	return cel_of_str(str_sub(s, from, to - from));
}

/* ---- replacing, splitting, joining ---- */

static struct cel_value too_much(struct cel *c)
{
	return cel_fail(c, "%s", c->stop ? c->stop : "too large");
}

F(replace)
{
	struct str s = v[0].s, what = v[1].s, by = v[2].s;
	int64_t left = n > 3 && v[3].i >= 0 ? v[3].i : INT64_MAX;
	AUTO(buf) struct buf out = {0};

	/* As much as there can be, before it is. */
	if (!pay_search(c, v) || !cel_pay_memory(c, s.n + (s.n + 1) / MAX(what.n, 1) * by.n))
		return too_much(c);
	for (size_t at = 0; at < s.n || (at == s.n && !what.n);) {
		size_t step = at < s.n ? width(s, at) : 1;

		if (left > 0 && found_at(s, what, at)) {
			left--;
			buf_str(&out, by);
			if (what.n) {
				at += what.n;
				continue;
			}
		}
		buf_str(&out, str_sub(s, at, step));
		at += step;
	}
	return cel_new_str(c, buf_view(&out));
}

F(split)
{
	struct str s = v[0].s, sep = v[1].s;
	int64_t most = n > 2 ? v[2].i : -1;
	size_t count = 0, from = 0, at = 0;
	struct cel_value *items;

	if (!most)
		return cel_of_items(NULL, 0);
	if (!pay_search(c, v))
		return too_much(c);
	items = cel_new_items(c, s.n / MAX(sep.n, 1) + 2);
	if (!items)
		return too_much(c);
	while (at < s.n && (most < 0 || (int64_t)count + 1 < most)) {
		size_t step = width(s, at);

		if (!sep.n && at + step < s.n) {
			items[count++] = cel_of_str(str_sub(s, at, step));
			from = at + step;
		} else if (sep.n && found_at(s, sep, at)) {
			items[count++] = cel_of_str(str_sub(s, from, at - from));
			from = at + sep.n;
			step = sep.n;
		}
		at += step;
	}
	if (from < s.n || sep.n)
		items[count++] = cel_of_str(str_sub(s, from, s.n - from));
	return cel_of_items(items, count);
}

F(join)
{
	struct str sep = n > 1 ? v[1].s : STR("");
	AUTO(buf) struct buf out = {0};

	for (size_t i = 0; i < v[0].n; i++) {
		struct cel_value item = cel_item(c, &v[0], i);

		if (item.type != CEL_STRING)
			return cel_no_overload(c);
		if (!cel_pay_memory(c, item.s.n + sep.n) ||
		    !cel_pay(c, (item.s.n + sep.n) / 10 + 1))
			return too_much(c);
		if (i)
			buf_str(&out, sep);
		buf_str(&out, item.s);
	}
	return cel_new_str(c, buf_view(&out));
}

F(quote)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	AUTO(buf) struct buf out = {0};

	UNUSED_ARGS;
	if (!cel_pay_memory(c, 2 * v->s.n))
		return too_much(c);
	buf_putc(&out, '"');
	for (size_t i = 0; i < v->s.n; i++) {
		const char *at = v->s.p[i] ? strchr(from, v->s.p[i]) : NULL;

		if (at)
			buf_printf(&out, "\\%c", to[at - from]);
		else
			buf_putc(&out, v->s.p[i]);
	}
	buf_putc(&out, '"');
	return cel_new_str(c, buf_view(&out));
}

/* ---- format ---- */

static bool put_number(struct buf *out, char verb, int precision, const struct cel_value *v)
{
	bool minus = v->type == CEL_INT && v->i < 0;
	uint64_t u = minus ? 0 - (uint64_t)v->i : v->u;

	if (verb == 'f' || verb == 'e') {
		if (v->type != CEL_DOUBLE)
			return false;
		buf_printf(out, verb == 'f' ? "%.*f" : "%.*e", precision < 0 ? 6 : precision, v->d);
		return true;
	}
	if (verb == 'b' && v->type == CEL_BOOL) {
		buf_putc(out, v->b ? '1' : '0');
		return true;
	}
	if (v->type != CEL_INT && v->type != CEL_UINT)
		return false;
	if (minus)
		buf_putc(out, '-');
	if (verb == 'd') {
		buf_printf(out, "%llu", (unsigned long long)u);
	} else if (verb == 'x' || verb == 'X') {
		buf_printf(out, verb == 'x' ? "%llx" : "%llX", (unsigned long long)u);
	} else if (verb == 'o') {
		buf_printf(out, "%llo", (unsigned long long)u);
	} else if (verb == 'b') {
		int top = 63;

		while (top > 0 && !(u >> top & 1))
			top--;
		for (; top >= 0; top--)
			buf_putc(out, u >> top & 1 ? '1' : '0');
	} else {
		return false;
	}
	return true;
}

/* What %s makes of lists and maps too. */
static void put_value(struct cel *c, struct buf *out, const struct cel_value *v, unsigned depth)
{
	if ((v->type == CEL_LIST || v->type == CEL_MAP) && depth < 32) {
		buf_putc(out, v->type == CEL_LIST ? '[' : '{');
		for (size_t i = 0; i < v->n && cel_pay(c, 1) && out->n < 1U << 20; i++) {
			struct cel_value key, item;

			if (i)
				buf_puts(out, ", ");
			if (v->type == CEL_LIST) {
				item = cel_item(c, v, i);
			} else {
				cel_entry(c, v, i, &key, &item);
				put_value(c, out, &key, depth + 1);
				buf_puts(out, ": ");
			}
			put_value(c, out, &item, depth + 1);
		}
		buf_putc(out, v->type == CEL_LIST ? ']' : '}');
	} else if (v->type == CEL_NULL) {
		buf_puts(out, "null");
	} else {
		buf_str(out, cel_any_text(c, v));
	}
}

F(format)
{
	struct str s = v[0].s;
	AUTO(buf) struct buf out = {0};
	size_t arg = 0;

	UNUSED_ARGS;
	for (size_t i = 0; i < s.n; i++) {
		int precision = -1;
		struct cel_value x;

		if (s.p[i] != '%' || (i + 1 < s.n && s.p[i + 1] == '%')) {
			i += s.p[i] == '%';
			buf_putc(&out, s.p[i]);
			continue;
		}
		i++;
		if (i < s.n && s.p[i] == '.')
			for (i++, precision = 0;
			     i < s.n && isdigit((unsigned char)s.p[i]) && precision < 100;)
				precision = precision * 10 + s.p[i++] - '0';
		if (i >= s.n || precision > 100)
			return cel_fail(c, "could not parse formatting clause");
		if (arg >= v[1].n)
			return cel_fail(c, "index %zu out of range", arg);
		x = cel_item(c, &v[1], arg++);
		if (s.p[i] == 's')
			put_value(c, &out, &x, 0);
		else if (!put_number(&out, s.p[i], precision, &x))
			return cel_fail(c, "unrecognized formatting clause \"%c\"",
					isprint((unsigned char)s.p[i]) ? s.p[i] : '?');
		if (!cel_pay(c, 1) || out.n > 1U << 20)
			return too_much(c);
	}
	return cel_new_str(c, buf_view(&out));
}

/* ---- regular expressions ---- */

struct finding {
	struct cel_value *items;
	size_t n;
};

static void keep(void *arg, struct str match)
{
	struct finding *f = arg;

	f->items[f->n++] = cel_of_str(match);
}

static int find(struct cel *c, const struct cel_value *v, size_t max, struct finding *f)
{
	f->items = cel_pay(c, (v[0].s.n / 10 + 1) * (v[1].s.n / 4 + 1) + 20) ? cel_new_items(c, max)
									     : NULL;
	if (!f->items || memchr(v[1].s.p ? v[1].s.p : "", '\0', v[1].s.n))
		return -1;
	return pattern_find(arena_cstr(c->a, v[1].s), v[0].s, max, keep, f);
}

static struct cel_value bad_pattern(struct cel *c, const struct cel_value *v)
{
	return c->stop ? cel_fail(c, "%s", c->stop)
		       : cel_fail(c, "Illegal regex: `%.*s`", (int)MIN(v[1].s.n, 150), v[1].s.p);
}

F(find_one)
{
	struct finding f = {0};

	UNUSED_ARGS;
	if (find(c, v, 1, &f) < 0)
		return bad_pattern(c, v);
	return f.n ? f.items[0] : cel_of_str(STR(""));
}

F(find_all)
{
	struct finding f = {0};
	size_t most = n > 2 && v[2].i >= 0 ? (size_t)v[2].i : SIZE_MAX;

	most = MIN(most, v[0].s.n + 1);
	if (find(c, v, most, &f) < 0)
		return bad_pattern(c, v);
	return cel_of_items(f.items, f.n);
}

const struct cel_fn cel_fns_text[] = {
	{"charAt", "si", CEL_STRING, true, char_at},
	{"indexOf", "ss", CEL_INT, true, index_of},
	{"indexOf", "ssi", CEL_INT, true, index_of},
	{"lastIndexOf", "ss", CEL_INT, true, last_index_of},
	{"lastIndexOf", "ssi", CEL_INT, true, last_index_of},
	{"substring", "si", CEL_STRING, true, substring},
	{"substring", "sii", CEL_STRING, true, substring},
	{"lowerAscii", "s", CEL_STRING, true, lower_ascii},
	{"upperAscii", "s", CEL_STRING, true, upper_ascii},
	{"trim", "s", CEL_STRING, true, trim},
	{"replace", "sss", CEL_STRING, true, replace},
	{"replace", "sssi", CEL_STRING, true, replace},
	{"split", "ss", CEL_LIST, true, split},
	{"split", "ssi", CEL_LIST, true, split},
	{"join", "l", CEL_STRING, true, join},
	{"join", "ls", CEL_STRING, true, join},
	{"strings.quote", "s", CEL_STRING, false, quote},
	{"format", "sl", CEL_STRING, true, format},
	{"find", "ss", CEL_STRING, true, find_one},
	{"findAll", "ss", CEL_LIST, true, find_all},
	{"findAll", "ssi", CEL_LIST, true, find_all},
	{0},
};
