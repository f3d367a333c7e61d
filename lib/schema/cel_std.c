/*
 * CEL's standard functions: sizes, text tests, conversions between types, optional values. Pure.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/schema/cel-internal.h"
#include "lib/schema/pattern.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)

/* ---- sizes and tests ---- */

static size_t characters(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

F(size_of)
{
	UNUSED_ARGS;
	if (v->type == CEL_STRING) {
		cel_pay(c, v->s.n / 10);
		return cel_of_int((int64_t)characters(v->s));
	}
	if (v->type == CEL_BYTES)
		return cel_of_int((int64_t)v->s.n);
	if (v->type == CEL_LIST || v->type == CEL_MAP)
		return cel_of_int(v->n);
	return cel_fail(c, "no such overload: size");
}

F(contains)
{
	UNUSED_ARGS;
	cel_pay(c, (v[0].s.n / 10 + 1) * (v[1].s.n / 10 + 1));
	return cel_of_bool(!v[1].s.n || str_find(v[0].s, v[1].s) >= 0);
}

F(starts_with)
{
	UNUSED_ARGS;
	return cel_of_bool(str_starts(v[0].s, v[1].s));
}

F(ends_with)
{
	UNUSED_ARGS;
	return cel_of_bool(str_ends(v[0].s, v[1].s));
}

F(matches)
{
	int r;

	UNUSED_ARGS;
	if (!cel_pay(c, (v[0].s.n / 10 + 1) * (v[1].s.n / 4 + 1) + 20))
		return cel_fail(c, "%s", c->stop);
	if (memchr(v[1].s.p ? v[1].s.p : "", '\0', v[1].s.n))
		return cel_fail(c, "error parsing regexp");
	r = pattern_search(arena_cstr(c->a, v[1].s), v[0].s);
	return r < 0 ? cel_fail(c, "error parsing regexp: `%.*s`", (int)MIN(v[1].s.n, 150),
				v[1].s.p)
		     : cel_of_bool(r);
}

/* ---- conversions ---- */

F(same)
{
	UNUSED_ARGS;
	return v[0];
}

F(int_of_uint)
{
	UNUSED_ARGS;
	return v->u > (uint64_t)INT64_MAX ? cel_fail(c, "integer overflow")
					  : cel_of_int((int64_t)v->u);
}

F(int_of_double)
{
	UNUSED_ARGS;
	if (!(v->d > -9223372036854775808.0 && v->d < 9223372036854775808.0))
		return cel_fail(c, "integer overflow");
	return cel_of_int((int64_t)v->d);
}

F(int_of_text)
{
	int64_t i;

	UNUSED_ARGS;
	if (str_to_i64(str_starts(v->s, STR("+")) ? str_sub(v->s, 1, v->s.n) : v->s, &i))
		return cel_fail(c, "type conversion error from 'string' to 'int'");
	return cel_of_int(i);
}

F(int_of_time)
{
	int64_t s = v->i / NS_PER_S;

	UNUSED_ARGS;
	if (v->type == CEL_DURATION)
		return cel_of_int(v->i);
	return cel_of_int(v->i % NS_PER_S < 0 ? s - 1 : s);
}

F(uint_of_int)
{
	UNUSED_ARGS;
	return v->i < 0 ? cel_fail(c, "unsigned integer overflow") : cel_of_uint((uint64_t)v->i);
}

F(uint_of_double)
{
	UNUSED_ARGS;
	if (!(v->d >= 0 && v->d < 18446744073709551616.0))
		return cel_fail(c, "unsigned integer overflow");
	return cel_of_uint((uint64_t)v->d);
}

F(uint_of_text)
{
	uint64_t u;

	UNUSED_ARGS;
	return str_to_u64(v->s, &u) ? cel_fail(c, "type conversion error from 'string' to 'uint'")
				    : cel_of_uint(u);
}

F(double_of_int)
{
	UNUSED_ARGS;
	return cel_of_double((double)v->i);
}

F(double_of_uint)
{
	UNUSED_ARGS;
	return cel_of_double((double)v->u);
}

F(double_of_text)
{
	char text[64], *end;
	double d;

	UNUSED_ARGS;
	if (!v->s.n || v->s.n >= sizeof(text) || strchr(" \t\n\r\v\f", v->s.p[0]))
		return cel_fail(c, "type conversion error from 'string' to 'double'");
	memcpy(text, v->s.p, v->s.n);
	text[v->s.n] = '\0';
	d = strtod(text, &end);
	if (*end || strlen(text) != v->s.n)
		return cel_fail(c, "type conversion error from 'string' to 'double'");
	return cel_of_double(d);
}

F(bool_of_text)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"},
				 *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	UNUSED_ARGS;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_is(v->s, yes[i]) || str_is(v->s, no[i]))
			return cel_of_bool(str_is(v->s, yes[i]));
	return cel_fail(c, "type conversion error from 'string' to 'bool'");
}

/* The shortest digits that read back as the same number, as Go's 'f' or 'e' form writes them. */
static struct str double_text(struct arena *a, double d)
{
	char text[64];
	int exponent;

	if (isnan(d))
		return STR("NaN");
	if (isinf(d))
		return d > 0 ? STR("+Inf") : STR("-Inf");
	for (int p = 1; p <= 17; p++) {
		snprintf(text, sizeof(text), "%.*e", p - 1, d);
		if (strtod(text, NULL) == d)
			break;
	}
	exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
	if (exponent >= -4 && exponent < 21 && d != 0) {
		int digits = (int)(strchr(text, 'e') - text) - (text[0] == '-');
		int frac = digits - (digits > 1) - 1 - exponent;

		return arena_strf(a, "%.*f", frac > 0 ? frac : 0, d);
	}
	return d == 0 ? str_c(signbit(d) ? "-0" : "0") : arena_strf(a, "%s", text);
}

static struct str utc_text(struct arena *a, int64_t ns)
{
	char out[TIME_TEXT_MAX];
	int64_t frac = ns % NS_PER_S;
	struct str s = time_format(ns - (frac < 0 ? frac + NS_PER_S : frac), out);
	char digits[16];
	size_t n = 9;

	frac = frac < 0 ? frac + NS_PER_S : frac;
	if (!frac)
		return arena_str(a, s);
	snprintf(digits, sizeof(digits), "%09lld", (long long)frac);
	while (n && digits[n - 1] == '0')
		n--;
	return arena_strf(a, "%.*s.%.*sZ", (int)s.n - 1, s.p, (int)n, digits);
}

/* Seconds with what stands behind the point, as protobuf's JSON has it: 1.5s. */
static struct str seconds_text(struct arena *a, int64_t ns)
{
	uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, frac = u % (uint64_t)NS_PER_S;
	char digits[16];
	size_t n = 9;

	snprintf(digits, sizeof(digits), "%09llu", (unsigned long long)frac);
	while (n && digits[n - 1] == '0')
		n--;
	return arena_strf(a, "%s%llu%s%.*ss", ns < 0 ? "-" : "",
			  (unsigned long long)(u / (uint64_t)NS_PER_S), n ? "." : "", (int)n,
			  digits);
}

struct str cel_any_text(struct cel *c, const struct cel_value *v)
{
	AUTO(buf) struct buf b = {0};

	switch (v->type) {
	case CEL_BOOL:
		return v->b ? STR("true") : STR("false");
	case CEL_INT:
		return arena_strf(c->a, "%lld", (long long)v->i);
	case CEL_UINT:
		return arena_strf(c->a, "%llu", (unsigned long long)v->u);
	case CEL_DOUBLE:
		return double_text(c->a, v->d);
	case CEL_TIMESTAMP:
		return utc_text(c->a, v->i);
	case CEL_DURATION:
		return seconds_text(c->a, v->i);
	case CEL_QUANTITY:
		quantity_format(*v->quantity, &b);
		return arena_str(c->a, buf_view(&b));
	case CEL_IP:
	case CEL_CIDR:
		cel_ip_text(v->ip, v->type == CEL_CIDR, &b);
		return arena_str(c->a, buf_view(&b));
	case CEL_TYPE:
		return str_c(cel_type_name((enum cel_type)v->n));
	case CEL_SEMVER:
		return arena_strf(
			c->a, "%llu.%llu.%llu%s%.*s%s%.*s", (unsigned long long)v->semver->major,
			(unsigned long long)v->semver->minor, (unsigned long long)v->semver->patch,
			v->semver->pre.n ? "-" : "", STR_ARG(v->semver->pre),
			v->semver->build.n ? "+" : "", STR_ARG(v->semver->build));
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_URL:
		return v->s;
	default:
		return str_c(cel_type_name((enum cel_type)v->type));
	}
}

F(text_of)
{
	UNUSED_ARGS;
	if (v->type == CEL_BYTES && !str_is_utf8(v->s))
		return cel_fail(c, "invalid UTF-8 in bytes, cannot convert to string");
	if (!cel_pay_memory(c, 64))
		return cel_fail(c, "%s", c->stop);
	return cel_of_str(cel_any_text(c, v));
}

F(bytes_of)
{
	struct cel_value r = v[0];

	UNUSED_ARGS;
	r.type = CEL_BYTES;
	return r;
}

F(type_of)
{
	UNUSED_ARGS;
	return (struct cel_value){.type = CEL_TYPE, .n = v->type};
}

/* ---- optional values ---- */

F(opt_of)
{
	UNUSED_ARGS;
	return cel_some(c, v[0]);
}

F(opt_none)
{
	UNUSED_ARGS;
	return cel_none();
}

static bool is_zero(const struct cel_value *v)
{
	switch (v->type) {
	case CEL_NULL:
		return true;
	case CEL_BOOL:
		return !v->b;
	case CEL_INT:
	case CEL_UINT:
	case CEL_DURATION:
		return !v->i;
	case CEL_DOUBLE:
		return v->d == 0;
	case CEL_STRING:
	case CEL_BYTES:
		return !v->s.n;
	case CEL_LIST:
	case CEL_MAP:
		return !v->n;
	default:
		return false;
	}
}

F(opt_of_non_zero)
{
	UNUSED_ARGS;
	return is_zero(v) ? cel_none() : cel_some(c, v[0]);
}

F(opt_has_value)
{
	UNUSED_ARGS;
	return cel_of_bool(v->held != NULL);
}

F(opt_value)
{
	UNUSED_ARGS;
	return v->held ? *v->held : cel_fail(c, "optional.none() dereference");
}

F(opt_or_value)
{
	UNUSED_ARGS;
	return v[0].held ? *v[0].held : v[1];
}

F(opt_or)
{
	UNUSED_ARGS;
	return v[0].held ? v[0] : v[1];
}

struct json *cel_to_json(struct cel *c, const struct cel_value *v)
{
	struct json *r, item;

	switch (v->type) {
	case CEL_NULL:
		return json_new(c->a, JSON_NULL);
	case CEL_BOOL:
		return json_new_bool(c->a, v->b);
	case CEL_INT:
		return json_new_int(c->a, v->i);
	case CEL_OPTIONAL:
		return v->held ? cel_to_json(c, v->held) : json_new(c->a, JSON_NULL);
	case CEL_UINT:
	case CEL_DOUBLE:
		item = (struct json){.type = JSON_NUM};
		item.s = cel_any_text(c, v).p;
		item.n = (uint32_t)strlen(item.s);
		return arena_dup(c->a, &item, sizeof(item));
	case CEL_LIST:
		r = json_new(c->a, JSON_ARRAY);
		for (size_t i = 0; i < v->n; i++) {
			struct cel_value x = cel_item(c, v, i);

			json_append(c->a, r, cel_to_json(c, &x));
		}
		return r;
	case CEL_MAP:
		r = json_new(c->a, JSON_OBJECT);
		for (size_t i = 0; i < v->n; i++) {
			struct cel_value key, x;

			cel_entry(c, v, i, &key, &x);
			json_set(c->a, r, cel_any_text(c, &key), cel_to_json(c, &x));
		}
		return r;
	default:
		return json_new_str(c->a, cel_any_text(c, v));
	}
}

const struct cel_fn cel_fns_standard[] = {
	{"size", ".", CEL_INT, false, size_of},
	{"size", ".", CEL_INT, true, size_of},
	{"contains", "ss", CEL_BOOL, true, contains},
	{"startsWith", "ss", CEL_BOOL, true, starts_with},
	{"endsWith", "ss", CEL_BOOL, true, ends_with},
	{"matches", "ss", CEL_BOOL, true, matches},
	{"matches", "ss", CEL_BOOL, false, matches},
	{"int", "i", CEL_INT, false, same},
	{"int", "u", CEL_INT, false, int_of_uint},
	{"int", "d", CEL_INT, false, int_of_double},
	{"int", "s", CEL_INT, false, int_of_text},
	{"int", "T", CEL_INT, false, int_of_time},
	{"int", "D", CEL_INT, false, int_of_time},
	{"uint", "u", CEL_UINT, false, same},
	{"uint", "i", CEL_UINT, false, uint_of_int},
	{"uint", "d", CEL_UINT, false, uint_of_double},
	{"uint", "s", CEL_UINT, false, uint_of_text},
	{"double", "d", CEL_DOUBLE, false, same},
	{"double", "i", CEL_DOUBLE, false, double_of_int},
	{"double", "u", CEL_DOUBLE, false, double_of_uint},
	{"double", "s", CEL_DOUBLE, false, double_of_text},
	{"bool", "b", CEL_BOOL, false, same},
	{"bool", "s", CEL_BOOL, false, bool_of_text},
	{"string", "s", CEL_STRING, false, same},
	{"string", "b", CEL_STRING, false, text_of},
	{"string", "i", CEL_STRING, false, text_of},
	{"string", "u", CEL_STRING, false, text_of},
	{"string", "d", CEL_STRING, false, text_of},
	{"string", "y", CEL_STRING, false, text_of},
	{"string", "T", CEL_STRING, false, text_of},
	{"string", "D", CEL_STRING, false, text_of},
	{"string", "I", CEL_STRING, false, text_of},
	{"string", "C", CEL_STRING, false, text_of},
	{"string", "U", CEL_STRING, false, text_of},
	{"bytes", "y", CEL_BYTES, false, same},
	{"bytes", "s", CEL_BYTES, false, bytes_of},
	{"dyn", ".", CEL_ANY, false, same},
	{"type", ".", CEL_TYPE, false, type_of},
	{"optional.of", ".", CEL_OPTIONAL, false, opt_of},
	{"optional.none", "", CEL_OPTIONAL, false, opt_none},
	{"optional.ofNonZeroValue", ".", CEL_OPTIONAL, false, opt_of_non_zero},
	{"hasValue", "o", CEL_BOOL, true, opt_has_value},
	{"value", "o", CEL_ANY, true, opt_value},
	{"orValue", "o.", CEL_ANY, true, opt_or_value},
	{"or", "oo", CEL_OPTIONAL, true, opt_or},
	{0},
};
