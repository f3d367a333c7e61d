/*
 * What an unquoted YAML scalar means, as the Go library that Kubernetes reads YAML with resolves
 * it: null, the boolean words of YAML 1.1, integers in four bases, floats; all else is text. Pure.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/yaml-internal.h"

static bool is_word(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_is(s, *words))
			return true;
	return false;
}

/* Digits of one base, underscores dropped: "1_000" is 1000. */
static bool whole_number(struct str s, bool *ret_negative, uint64_t *ret)
{
	unsigned base = 10;
	size_t i = 0, digits = 0;

	*ret_negative = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		i++;
	if (i + 1 < s.n && s.p[i] == '0') {
		char mark = s.p[i + 1];

		base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
		i += base != 8 || mark == 'o' || mark == 'O' ? 2 : 1;
	}
	for (*ret = 0; i < s.n; i++) {
		char c = s.p[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 99;

		if (c == '_')
			continue;
		if (digit >= base || *ret > (UINT64_MAX - digit) / base)
			return false;
		*ret = *ret * base + digit;
		digits++;
	}
	return digits > 0;
}

static bool looks_float(struct str s)
{
	size_t i = 0, digits = 0;

	if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
		i++;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		digits++;
	if (i < s.n && s.p[i] == '.')
		for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			digits++;
	if (!digits)
		return false;
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		size_t exponent = 0;

		i++;
		if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
			i++;
		for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			exponent++;
		if (!exponent)
			return false;
	}
	return i == s.n;
}

/* The shortest text that reads back as the same number, as Go's encoder writes it. */
static void float_value(struct arena *a, double d, struct json *ret)
{
	char text[40];
	int precision = 1;
	struct str s;

	if (fabs(d) < 9e15 && d == floor(d)) {
		*ret = (struct json){.type = JSON_INT, .i = (int64_t)d};
		return;
	}
	do
		snprintf(text, sizeof(text), "%.*g", precision, d);
	while (precision++ < 17 && strtod(text, NULL) != d);
	s = arena_str(a, str_c(text));
	*ret = (struct json){.type = JSON_NUM, .n = (uint32_t)s.n, .s = s.p};
}

static void int_value(struct arena *a, bool negative, uint64_t n, struct json *ret)
{
	struct str s;

	if (n <= INT64_MAX) {
		*ret = (struct json){.type = JSON_INT, .i = negative ? -(int64_t)n : (int64_t)n};
		return;
	}
	s = arena_strf(a, "%s%llu", negative ? "-" : "", (unsigned long long)n);
	*ret = (struct json){.type = JSON_NUM, .n = (uint32_t)s.n, .s = s.p};
}

/* 1_000.5 is 1000.5, but ._5 is no number; whole numbers see to that themselves. */
static struct str without_underscores(struct arena *a, struct str s)
{
	AUTO(buf) struct buf out = {0};

	if (!memchr(s.p, '_', s.n) || (s.p[0] == '.' && (s.p[1] == '_' || s.p[s.n - 1] == '_')))
		return s;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '_')
			buf_putc(&out, s.p[i]);
	}
	return arena_str(a, buf_view(&out));
}

static bool number(struct arena *a, struct str s, struct json *ret)
{
	bool negative;
	uint64_t n;
	double d;

	if (!s.n || !strchr("0123456789+-.", s.p[0]))
		return false;
	if (whole_number(s, &negative, &n)) {
		int_value(a, negative, n, ret);
		return true;
	}
	s = without_underscores(a, s);
	if (!looks_float(s))
		return false;
	d = strtod(arena_cstr(a, s), NULL);
	if (isinf(d)) /* beyond what a number can be: text, as Go's library has it */
		return false;
	float_value(a, d, ret);
	return true;
}

bool yaml_not_a_json_number(struct str s)
{
	static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
					    "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
					    ".NaN",  ".NAN",  NULL};

	return is_word(s, words);
}

bool yaml_is_old_boolean(struct str s)
{
	static const char *const words[] = {"y", "Y",  "yes", "Yes", "YES", "on",  "On",  "ON", "n",
					    "N", "no", "No",  "NO",  "off", "Off", "OFF", NULL};

	return is_word(s, words);
}

void yaml_resolve(struct arena *a, struct str s, struct json *ret)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
					    "True", "TRUE", "on",  "On",  "ON",  NULL};
	static const char *const falses[] = {"n",     "N",     "no",  "No",  "NO",  "false",
					     "False", "FALSE", "off", "Off", "OFF", NULL};

	if (is_word(s, nulls))
		*ret = (struct json){.type = JSON_NULL};
	else if (is_word(s, trues))
		*ret = (struct json){.type = JSON_BOOL, .b = true};
	else if (is_word(s, falses))
		*ret = (struct json){.type = JSON_BOOL, .b = false};
	else if (!number(a, s, ret))
		*ret = (struct json){
			.type = JSON_STRING, .n = (uint32_t)s.n, .s = arena_cstr(a, s)};
}

bool yaml_reads_as_text(struct str s)
{
	AUTO(arena) struct arena a = {0};
	struct json v;

	yaml_resolve(&a, s, &v);
	return v.type == JSON_STRING && !yaml_not_a_json_number(s);
}
