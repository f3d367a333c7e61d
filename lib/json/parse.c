/*
 * The JSON parser: one pass, bounded, no copies but of strings with escapes. It stands on the API
 * server's request path. Children are gathered on a scratch stack and copied side by side into the
 * arena when their container closes. Pure; memory belongs to the caller's arena, the scratch stack
 * to the call.
 */
#include "lib/json/json.h"

#define LARGE_OBJECT 16 /* from here on duplicate keys are found by hashing */

struct parser {
	struct arena *a;
	const char *start, *p, *end;
	size_t depth_max, nodes_left;
	struct json *items; /* scratch stacks */
	size_t nitems, items_cap;
	struct json_member *members;
	size_t nmembers, members_cap;
	struct json_repeats *repeats;
	struct err *err;
};

static int fail_at(struct parser *s, const char *at, const char *what)
{
	size_t line = 1, col = 1;

	for (const char *c = s->start; c < at; c++) {
		col++;
		if (*c == '\n')
			line++, col = 1;
	}
	return err_set(s->err, ERR_PARSE, "line %zu, column %zu: %s", line, col, what);
}

static int fail(struct parser *s, const char *what)
{
	return fail_at(s, s->p, s->p == s->end ? "unexpected end of JSON input" : what);
}

static void skip_space(struct parser *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
		s->p++;
}

/* ---- strings ---- */

static bool has_byte_below(uint64_t v, uint64_t limit)
{
	return ((v - UINT64_C(0x0101010101010101) * limit) & ~v & UINT64_C(0x8080808080808080)) !=
	       0;
}

static bool has_byte(uint64_t v, unsigned char c)
{
	return has_byte_below(v ^ (UINT64_C(0x0101010101010101) * c), 1);
}

/* The first byte that ends a plain run: quote, backslash, control or non-ASCII. */
static const char *plain_run(const char *p, const char *end)
{
	uint64_t v;

	while (end - p >= 8) {
		memcpy(&v, p, 8);
		if ((v & UINT64_C(0x8080808080808080)) || has_byte_below(v, 0x20) ||
		    has_byte(v, '"') || has_byte(v, '\\'))
			break;
		p += 8;
	}
	while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
	       *p != '\\')
		p++;
	return p;
}

static int hex4(struct parser *s, const char *p, unsigned *ret)
{
	*ret = 0;
	if (s->end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i], low = c | 0x20;
		unsigned d = c >= '0' && c <= '9'       ? c - 48u
			     : low >= 'a' && low <= 'f' ? low - 'a' + 10u
							: 16;
		if (d == 16)
			return -1;
		*ret = *ret << 4 | d;
	}
	return 0;
}

static char *put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Behind "\u"; a surrogate without its other half becomes U+FFFD, as Go's decoder does. */
static int unicode_escape(struct parser *s, const char **p, char **out)
{
	unsigned c, low = 0;

	if (hex4(s, *p, &c))
		return fail_at(s, *p, "invalid \\u escape");
	*p += 4;
	if (c >= 0xd800 && c < 0xe000) {
		bool pair = c < 0xdc00 && s->end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' &&
			    !hex4(s, *p + 2, &low) && low >= 0xdc00 && low < 0xe000;
		if (pair)
			*p += 6;
		c = pair ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
	}
	*out = put_utf8(*out, c);
	return 0;
}

static int escape(struct parser *s, const char **p, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	if (*p == s->end)
		return fail_at(s, *p, "unexpected end of JSON input");
	char c = *(*p)++;
	if (c == 'u')
		return unicode_escape(s, p, out);
	const char *at = c ? strchr(from, c) : NULL;
	if (!at)
		return fail_at(s, *p - 1, "invalid escape");
	*(*out)++ = to[at - from];
	return 0;
}

/* The end of a string that isn't plain to its quote; *ret_escapes tells whether it must be
 * rewritten. */
static const char *find_quote(struct parser *s, const char *p, bool *ret_escapes)
{
	while (p < s->end && *p != '"') {
		unsigned char c = (unsigned char)*p;
		if (c < 0x20) {
			fail_at(s, p, "control character in a string");
			return NULL;
		}
		if (c == '\\') {
			*ret_escapes = true;
			p++;
			if (p == s->end)
				break;
		}
		p++;
		p = plain_run(p, s->end);
	}
	if (p >= s->end) {
		fail_at(s, s->end, "unexpected end of JSON input");
		return NULL;
	}
	return p;
}

static int slow_string(struct parser *s, const char *begin, const char *from, struct str *ret)
{
	bool escapes = false;
	const char *quote = find_quote(s, from, &escapes);

	if (!quote)
		return -1;
	if (!str_is_utf8((struct str){begin, (size_t)(quote - begin)}))
		return fail_at(s, begin, "invalid UTF-8 in a string");
	s->p = quote + 1;
	if (!escapes) {
		*ret = (struct str){begin, (size_t)(quote - begin)};
		return 0;
	}
	char *out = arena_alloc(s->a, (size_t)(quote - begin) + 1), *o = out;
	for (const char *p = begin; p < quote;) {
		const char *run = memchr(p, '\\', (size_t)(quote - p));
		size_t n = (size_t)((run ? run : quote) - p);
		memcpy(o, p, n);
		o += n;
		p += n;
		if (!run)
			break;
		p++;
		if (escape(s, &p, &o))
			return -1;
	}
	*ret = (struct str){out, (size_t)(o - out)};
	return 0;
}

/* s->p stands behind the opening quote. */
static int parse_string(struct parser *s, struct str *ret)
{
	const char *begin = s->p, *p = plain_run(begin, s->end);

	if (p < s->end && *p == '"') {
		*ret = (struct str){begin, (size_t)(p - begin)};
		s->p = p + 1;
		return 0;
	}
	return slow_string(s, begin, p, ret);
}

/* ---- numbers ---- */

static bool is_digit(const struct parser *s, const char *p)
{
	return p < s->end && *p >= '0' && *p <= '9';
}

static int parse_number(struct parser *s, struct json *ret)
{
	const char *begin = s->p, *p = begin;
	bool whole = true;

	if (*p == '-')
		p++;
	if (!is_digit(s, p))
		return fail_at(s, p, "invalid number");
	if (*p++ != '0') {
		while (is_digit(s, p))
			p++;
	} else if (is_digit(s, p)) {
		return fail_at(s, p, "a number cannot start with 0");
	}
	if (p < s->end && *p == '.') {
		whole = false;
		if (!is_digit(s, ++p))
			return fail_at(s, p, "invalid number");
		while (is_digit(s, p))
			p++;
	}
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		whole = false;
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		if (!is_digit(s, p))
			return fail_at(s, p, "invalid number");
		while (is_digit(s, p))
			p++;
	}
	struct str text = {begin, (size_t)(p - begin)};
	s->p = p;
	if (whole && !str_to_i64(text, &ret->i)) {
		ret->type = JSON_INT;
		return 0;
	}
	ret->type = JSON_NUM;
	ret->s = begin;
	ret->n = (uint32_t)text.n;
	return 0;
}

/* ---- containers ---- */

static int parse_value(struct parser *s, struct json *ret, size_t depth);

static struct json *push_item(struct parser *s)
{
	if (s->nitems == s->items_cap) {
		s->items_cap = s->items_cap ? s->items_cap * 2 : 64;
		s->items = xreallocarray(s->items, s->items_cap, sizeof(*s->items));
	}
	return &s->items[s->nitems++];
}

static struct json_member *push_member(struct parser *s)
{
	if (s->nmembers == s->members_cap) {
		s->members_cap = s->members_cap ? s->members_cap * 2 : 64;
		s->members = xreallocarray(s->members, s->members_cap, sizeof(*s->members));
	}
	return &s->members[s->nmembers++];
}

static int parse_array(struct parser *s, struct json *ret, size_t depth)
{
	size_t base = s->nitems;

	ret->type = JSON_ARRAY;
	skip_space(s);
	if (s->p < s->end && *s->p == ']') {
		s->p++;
		return 0;
	}
	for (;;) {
		struct json v;
		if (parse_value(s, &v, depth + 1))
			return -1;
		*push_item(s) = v;
		skip_space(s);
		if (s->p < s->end && *s->p == ',') {
			s->p++;
			continue;
		}
		if (s->p < s->end && *s->p == ']')
			break;
		return fail(s, "expected ',' or ']'");
	}
	s->p++;
	ret->n = ret->cap = (uint32_t)(s->nitems - base);
	ret->items = arena_dup(s->a, s->items + base, ret->n * sizeof(struct json));
	s->nitems = base;
	return 0;
}

static int duplicate(struct parser *s, struct str key)
{
	return err_set(s->err, ERR_PARSE, "duplicate key \"%.*s\"", (int)MIN(key.n, (size_t)100),
		       key.p);
}

/* Few keys are compared with each other; many are put into a table. */
static int check_keys(struct parser *s, const struct json_member *m, size_t n)
{
	if (n < LARGE_OBJECT) {
		for (size_t i = 1; i < n; i++) {
			for (size_t k = 0; k < i; k++) {
				if (m[i].key.n == m[k].key.n && str_eq(m[i].key, m[k].key))
					return duplicate(s, m[i].key);
			}
		}
		return 0;
	}
	size_t cap = 64;
	while (cap < n * 2)
		cap *= 2;
	uint32_t *table = xalloc(cap * sizeof(*table));
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		size_t at = str_hash(m[i].key) & (cap - 1);
		while (table[at] && !str_eq(m[table[at] - 1].key, m[i].key))
			at = (at + 1) & (cap - 1);
		if (table[at])
			rc = duplicate(s, m[i].key);
		table[at] = (uint32_t)i + 1;
	}
	free(table);
	return rc;
}

static void note_repeat(struct json_repeats *r, struct str key)
{
	if (r->n < JSON_REPEATS_MAX)
		r->v[r->n++] = (struct json_repeat){NULL, key};
}

/* The last value of each key, where the key stood first. */
static size_t drop_repeats(struct parser *s, struct json_member *m, size_t n)
{
	size_t cap = 64, kept = 0;

	while (cap < n * 2)
		cap *= 2;
	uint32_t *table = xalloc(cap * sizeof(*table));
	for (size_t i = 0; i < n; i++) {
		size_t at = str_hash(m[i].key) & (cap - 1);
		while (table[at] && !str_eq(m[table[at] - 1].key, m[i].key))
			at = (at + 1) & (cap - 1);
		if (table[at]) {
			m[table[at] - 1].value = m[i].value;
			note_repeat(s->repeats, m[i].key);
			continue;
		}
		m[kept++] = m[i];
		table[at] = (uint32_t)kept;
	}
	free(table);
	return kept;
}

/* The members from base on, which are taken off the scratch stack, become the object's. */
static int take_members(struct parser *s, struct json *ret, size_t base)
{
	size_t n = s->nmembers - base, noted = s->repeats ? s->repeats->n : 0;

	if (check_keys(s, s->members + base, n)) {
		if (!s->repeats)
			return -1;
		if (s->err)
			*s->err = (struct err){0};
		n = drop_repeats(s, s->members + base, n);
	}
	ret->n = ret->cap = (uint32_t)n;
	ret->members = arena_dup(s->a, s->members + base, n * sizeof(struct json_member));
	for (; s->repeats && noted < s->repeats->n; noted++)
		s->repeats->v[noted].in = ret->members;
	s->nmembers = base;
	return 0;
}

static int parse_member(struct parser *s, size_t depth)
{
	struct json_member m = {0};

	skip_space(s);
	if (s->p == s->end || *s->p != '"')
		return fail(s, "expected a key in quotes");
	s->p++;
	if (parse_string(s, &m.key))
		return -1;
	skip_space(s);
	if (s->p == s->end || *s->p != ':')
		return fail(s, "expected ':'");
	s->p++;
	if (parse_value(s, &m.value, depth + 1))
		return -1;
	*push_member(s) = m;
	return 0;
}

static int parse_object(struct parser *s, struct json *ret, size_t depth)
{
	size_t base = s->nmembers;

	ret->type = JSON_OBJECT;
	skip_space(s);
	if (s->p < s->end && *s->p == '}') {
		s->p++;
		return 0;
	}
	for (;;) {
		if (parse_member(s, depth))
			return -1;
		skip_space(s);
		if (s->p < s->end && *s->p == ',') {
			s->p++;
			continue;
		}
		if (s->p < s->end && *s->p == '}')
			break;
		return fail(s, "expected ',' or '}'");
	}
	s->p++;
	return take_members(s, ret, base);
}

static int word(struct parser *s, struct str w)
{
	if (!str_starts((struct str){s->p, (size_t)(s->end - s->p)}, w))
		return fail_at(s, s->p, "invalid value");
	s->p += w.n;
	return 0;
}

static int parse_value(struct parser *s, struct json *ret, size_t depth)
{
	struct str text;

	memset(ret, 0, sizeof(*ret));
	if (depth > s->depth_max)
		return fail_at(s, s->p, "nested too deeply");
	if (s->nodes_left-- == 0)
		return fail_at(s, s->p, "too many values");
	skip_space(s);
	if (s->p == s->end)
		return fail(s, "");
	switch (*s->p) {
	case '{':
		s->p++;
		return parse_object(s, ret, depth);
	case '[':
		s->p++;
		return parse_array(s, ret, depth);
	case '"':
		s->p++;
		if (parse_string(s, &text))
			return -1;
		ret->type = JSON_STRING;
		ret->s = text.p;
		ret->n = (uint32_t)text.n;
		return 0;
	case 't':
		ret->type = JSON_BOOL;
		ret->b = true;
		return word(s, STR("true"));
	case 'f':
		ret->type = JSON_BOOL;
		return word(s, STR("false"));
	case 'n':
		return word(s, STR("null"));
	default:
		if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
			return parse_number(s, ret);
		return fail(s, "invalid value");
	}
}

struct json *json_parse(struct arena *a, struct str in, const struct json_limits *limits,
			struct err *err)
{
	struct parser s = {
		.a = a, .start = in.p, .p = in.p, .end = in.n ? in.p + in.n : in.p, .err = err};
	struct json v;
	int rc;

	s.depth_max = limits && limits->depth ? limits->depth : JSON_DEPTH_MAX;
	s.repeats = limits ? limits->repeats : NULL;
	s.nodes_left = limits && limits->nodes ? limits->nodes : SIZE_MAX;
	if (in.n >= UINT32_MAX) {
		err_set(err, ERR_LIMIT, "more than 4 GiB of JSON");
		return NULL;
	}
	if (in.n == 0) {
		err_set(err, ERR_PARSE, "unexpected end of JSON input");
		return NULL;
	}
	rc = parse_value(&s, &v, 0);
	if (!rc) {
		skip_space(&s);
		if (s.p < s.end)
			rc = fail(&s, "something follows the value");
	}
	free(s.items);
	free(s.members);
	return rc ? NULL : arena_dup(a, &v, sizeof(v));
}
