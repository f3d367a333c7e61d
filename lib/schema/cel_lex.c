/*
 * CEL's tokens: words, numbers, the many kinds of quoted text, operators. Never reads beyond the
 * text. Pure; what literals hold is in the arena.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

static char peek(const struct cel_lex *l, size_t ahead)
{
	return l->at + ahead < l->text.n ? l->text.p[l->at + ahead] : '\0';
}

static void bad(struct cel_lex *l, const char *why)
{
	l->token = CEL_T_BAD;
	l->why = why;
}

static void skip(struct cel_lex *l)
{
	for (;;) {
		while (l->at < l->text.n && strchr(" \t\n\r\f", l->text.p[l->at]) &&
		       l->text.p[l->at])
			l->at++;
		if (peek(l, 0) != '/' || peek(l, 1) != '/')
			return;
		while (l->at < l->text.n && l->text.p[l->at] != '\n')
			l->at++;
	}
}

/* ---- numbers ---- */

static size_t digits(struct cel_lex *l)
{
	size_t n = 0;

	for (; isdigit((unsigned char)peek(l, 0)); n++)
		l->at++;
	return n;
}

static void take_double(struct cel_lex *l)
{
	char *text;

	if (peek(l, 0) == '.') {
		l->at++;
		digits(l);
	}
	if (peek(l, 0) == 'e' || peek(l, 0) == 'E') {
		l->at++;
		if (peek(l, 0) == '+' || peek(l, 0) == '-')
			l->at++;
		if (!digits(l)) {
			bad(l, "invalid double literal");
			return;
		}
	}
	text = arena_cstr(l->a, str_sub(l->text, l->start, l->at - l->start));
	l->token = CEL_T_DOUBLE;
	l->value = cel_of_double(strtod(text, NULL));
	if (isinf(l->value.d))
		bad(l, "invalid double literal");
}

static int parse_hex(struct str s, uint64_t *ret)
{
	*ret = 0;
	if (!s.n || s.n > 16)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		int c = tolower((unsigned char)s.p[i]);

		*ret = *ret << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return 0;
}

/* The magnitude is kept unsigned: what a minus makes of 2^63 is the parser's business. */
static void take_whole(struct cel_lex *l, bool hex)
{
	struct str text;
	uint64_t u;
	int r;

	if (hex) {
		l->at += 2;
		while (isxdigit((unsigned char)peek(l, 0)))
			l->at++;
		text = str_sub(l->text, l->start + 2, l->at - l->start - 2);
		r = parse_hex(text, &u);
	} else {
		text = str_sub(l->text, l->start, l->at - l->start);
		r = str_to_u64(text, &u);
	}
	l->token = CEL_T_INT;
	l->value = cel_of_uint(r ? 0 : u);
	if (peek(l, 0) == 'u' || peek(l, 0) == 'U') {
		l->at++;
		l->token = CEL_T_UINT;
	}
	if (r || (l->token == CEL_T_INT && u > (uint64_t)INT64_MAX + 1))
		bad(l, l->token == CEL_T_UINT ? "invalid uint literal" : "invalid int literal");
	else if (isalnum((unsigned char)peek(l, 0)) || peek(l, 0) == '_')
		bad(l, "malformed number");
}

static void take_number(struct cel_lex *l)
{
	if (peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X')) {
		take_whole(l, true);
		return;
	}
	digits(l);
	if ((peek(l, 0) == '.' && isdigit((unsigned char)peek(l, 1))) || peek(l, 0) == 'e' ||
	    peek(l, 0) == 'E' || l->at == l->start)
		take_double(l);
	else
		take_whole(l, false);
}

/* ---- quoted text ---- */

static void put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(out, (char)c);
	} else if (c < 0x800) {
		buf_putc(out, (char)(0xc0 | c >> 6));
		buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_putc(out, (char)(0xe0 | c >> 12));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_putc(out, (char)(0xf0 | c >> 18));
		buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* n digits of the base; false when they aren't. */
static bool code(struct cel_lex *l, int n, unsigned base, uint32_t *ret)
{
	*ret = 0;
	for (int i = 0; i < n; i++) {
		int c = tolower((unsigned char)peek(l, 0));
		unsigned v = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
						    : 99;

		if (v >= base)
			return false;
		*ret = *ret * base + v;
		l->at++;
	}
	return true;
}

static bool take_escape(struct cel_lex *l, bool bytes, struct buf *out)
{
	static const char from[] = "abfnrtv\\'\"`?", to[] = "\a\b\f\n\r\t\v\\'\"`?";
	char c = peek(l, 0);
	const char *plain = c ? strchr(from, c) : NULL;
	uint32_t u;
	bool ok;

	if (plain) {
		l->at++;
		buf_putc(out, to[plain - from]);
		return true;
	}
	if (c == 'x' || c == 'X') {
		l->at++;
		ok = code(l, 2, 16, &u);
	} else if ((c == 'u' || c == 'U') && !bytes) {
		l->at++;
		ok = code(l, c == 'u' ? 4 : 8, 16, &u);
	} else {
		ok = c >= '0' && c <= '3' && code(l, 3, 8, &u);
	}
	if (!ok || (!bytes && (u > 0x10ffff || (u >= 0xd800 && u < 0xe000))))
		return false;
	if (bytes)
		buf_putc(out, (char)u);
	else
		put_utf8(out, u);
	return true;
}

static bool at_quote(const struct cel_lex *l, char quote, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (peek(l, i) != quote)
			return false;
	return true;
}

static void take_text(struct cel_lex *l, bool raw, bool bytes)
{
	AUTO(buf) struct buf out = {0};
	char quote = peek(l, 0);
	size_t n = at_quote(l, quote, 3) ? 3 : 1;

	l->at += n;
	while (!at_quote(l, quote, n)) {
		if (l->at >= l->text.n || (n == 1 && (peek(l, 0) == '\n' || peek(l, 0) == '\r'))) {
			bad(l, "Syntax error: a string is not closed");
			return;
		}
		if (peek(l, 0) == '\\' && !raw) {
			l->at++;
			if (!take_escape(l, bytes, &out)) {
				bad(l, "Syntax error: an escape is not valid");
				return;
			}
			continue;
		}
		buf_putc(&out, l->text.p[l->at++]);
	}
	l->at += n;
	l->token = bytes ? CEL_T_BYTES : CEL_T_STRING;
	l->value = (struct cel_value){.type = bytes ? CEL_BYTES : CEL_STRING,
				      .s = arena_str(l->a, buf_view(&out))};
	if (!bytes && !str_is_utf8(l->value.s))
		bad(l, "Syntax error: a string is not UTF-8");
}

/* r'…', b"…", rb'…' in any case and order. */
static bool prefixed(struct cel_lex *l)
{
	bool raw = false, bytes = false;
	size_t n = 0;

	for (; n < 2; n++) {
		char c = (char)tolower((unsigned char)peek(l, n));

		if (c == 'r' && !raw)
			raw = true;
		else if (c == 'b' && !bytes)
			bytes = true;
		else
			break;
	}
	if (peek(l, n) != '\'' && peek(l, n) != '"')
		return false;
	l->at += n;
	take_text(l, raw, bytes);
	return true;
}

/* ---- words and operators ---- */

static void take_operator(struct cel_lex *l)
{
	static const char *const two[] = {"==", "!=", "<=", ">=", "&&", "||"};
	char c = peek(l, 0);

	l->token = CEL_T_PUNCT;
	for (size_t i = 0; i < ARRAY_LEN(two); i++)
		if (c == two[i][0] && peek(l, 1) == two[i][1]) {
			l->word = str_sub(l->text, l->at, 2);
			l->at += 2;
			return;
		}
	l->word = str_sub(l->text, l->at++, 1);
	if (!c || !strchr("<>!?:.,+-*/%()[]{}", c))
		bad(l, "Syntax error: token recognition error");
}

void cel_next(struct cel_lex *l)
{
	char c;

	skip(l);
	l->start = l->at;
	l->quoted = false;
	c = peek(l, 0);
	if (l->at >= l->text.n) {
		l->token = CEL_T_END;
		l->word = STR("<EOF>");
	} else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)peek(l, 1)))) {
		take_number(l);
	} else if (prefixed(l)) {
		return;
	} else if (isalpha((unsigned char)c) || c == '_') {
		while (isalnum((unsigned char)peek(l, 0)) || peek(l, 0) == '_')
			l->at++;
		l->token = CEL_T_IDENT;
		l->word = str_sub(l->text, l->start, l->at - l->start);
	} else if (c == '`') {
		for (l->at++; peek(l, 0) &&
			      (isalnum((unsigned char)peek(l, 0)) || strchr("_.-/ ", peek(l, 0)));)
			l->at++;
		l->token = CEL_T_IDENT;
		l->quoted = true;
		l->word = str_sub(l->text, l->start + 1, l->at - l->start - 1);
		if (peek(l, 0) != '`' || !l->word.n)
			bad(l, "Syntax error: token recognition error");
		l->at++;
	} else {
		take_operator(l);
	}
}
