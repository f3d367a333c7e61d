/*
 * Skipping through JSON text that is known to be well-formed: what an object's header is read
 * with. Trusts the text's shape but not its end. Pure.
 */
#include "lib/json/json.h"

#include "lib/base/pure.h"

/* Behind the string whose opening quote stands at p. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		p = memchr(p, '"', (size_t)(end - p));
		if (!p)
			return end;
		size_t slashes = 0;
		while (p[-1 - (ptrdiff_t)slashes] == '\\')
			slashes++;
		if (slashes % 2 == 0)
			return p + 1;
	}
	return end;
}

/* Behind the value at p; containers by counting brackets outside of strings. */
static const char *skip_value(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		char c = *p;

		if (c == '"') {
			p = skip_string(p, end);
			if (!depth)
				return p;
			continue;
		}
		if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (!depth)
				return p;
			if (!--depth)
				return p + 1;
		} else if (!depth && c == ',') {
			return p;
		}
		p++;
	}
	return p;
}

bool json_scan_next(struct json_scan *s, struct str *ret_key, struct str *ret_value)
{
	const char *p = s->rest.p, *end = p + s->rest.n, *key, *value;

	if (p >= end || *p != (s->begun ? ',' : '{'))
		return false;
	s->begun = true;
	if (++p >= end || *p != '"')
		return false;
	key = p + 1;
	p = skip_string(p, end);
	if (p >= end || *p != ':')
		return false;
	*ret_key = (struct str){key, (size_t)(p - 1 - key)};
	value = p + 1;
	p = skip_value(value, end);
	*ret_value = (struct str){value, (size_t)(p - value)};
	s->rest = (struct str){p, (size_t)(end - p)};
	return true;
}
