/*
 * From a server's complaint back to the line in the file that caused it. Pure.
 */
#include <string.h>

#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

static struct str place(struct arena *a, const struct rendered *r, uint32_t file, uint32_t line)
{
	struct str path = r->files.v[file].path, head, tail;

	/* A text within a file, which its lines are counted in: see kbuild_patch.c. */
	if (str_rcut(path, '#', &head, &tail) && !r->files.v[file].oid[0])
		path = head;
	return arena_strf(a, "%.*s:%u", STR_ARG(path), line);
}

struct str rendered_place(struct arena *a, const struct rendered *r,
			  const struct rendered_object *o)
{
	return place(a, r, o->file, o->line);
}

/* Takes one step off "a.b[0].c[\"x.y\"]" or "[name=\"x\"]": the key or index text. */
static bool step(struct str *rest, struct str *ret, bool *ret_index)
{
	struct str s = *rest;
	size_t n = 0;

	if (s.n && s.p[0] == '.')
		s = str_sub(s, 1, s.n);
	if (!s.n)
		return false;
	*ret_index = s.p[0] == '[';
	if (*ret_index) {
		const char *end = memchr(s.p, ']', s.n);

		if (!end)
			return false;
		*ret = str_sub(s, 1, (size_t)(end - s.p) - 1);
		*rest = str_sub(s, (size_t)(end - s.p) + 1, s.n);
		return true;
	}
	while (n < s.n && s.p[n] != '.' && s.p[n] != '[')
		n++;
	*ret = str_sub(s, 0, n);
	*rest = str_sub(s, n, s.n);
	return true;
}

static struct str unquote(struct str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return str_sub(s, 1, s.n - 2);
	return s;
}

/* [name="x"]: the item of a list map that has these keys. */
static const struct json *item_by_keys(const struct json *list, struct str keys)
{
	struct str key, want, head;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *item = json_item(list, i);
		struct str rest = keys;
		bool all = true;

		while (all && str_next(&rest, ',', &head)) {
			const struct json *v;
			AUTO(buf) struct buf text = {0};

			if (!str_cut(head, '=', &key, &want))
				return NULL;
			v = json_get(item, key);
			if (json_is(v, JSON_STRING))
				buf_str(&text, json_str(v));
			else
				json_write(v, &text);
			all = v && str_eq(buf_view(&text), unquote(want));
		}
		if (all)
			return item;
	}
	return NULL;
}

static const struct json *follow(const struct json *at, struct str key, bool index)
{
	uint64_t i;

	if (!index)
		return json_get(at, key);
	if (!str_to_u64(key, &i))
		return json_item(at, i);
	if (json_is(at, JSON_OBJECT))
		return json_get(at, unquote(key));
	return item_by_keys(at, key);
}

struct str rendered_field_place(struct arena *a, const struct rendered *r,
				const struct rendered_object *o, struct str field)
{
	const struct json *at = o->tree;
	const struct yaml_src *src, *deepest = NULL;
	struct str key;
	bool index;

	while (at && step(&field, &key, &index)) {
		at = follow(at, key, index);
		src = yaml_src_of(&r->srcs, at);
		if (src)
			deepest = src;
	}
	if (deepest)
		return place(a, r, deepest->file, deepest->line);
	return rendered_place(a, r, o);
}

static bool field_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr(".[]_-=\"", c);
}

static struct str field_at(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] && field_char(s.p[n]))
		n++;
	return str_sub(s, 0, n);
}

struct str message_field(struct str message)
{
	static const struct str quoted[] = {STR("unknown field \""), STR("duplicate field \"")};
	static const struct str plain[] = {STR(" .spec"),  STR(" .data"), STR(" .metadata"),
					   STR(" spec."),  STR(" data."), STR(" metadata."),
					   STR(": .spec"), STR(" .")};

	for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
		ptrdiff_t at = str_find(message, quoted[i]);
		struct str head, tail;

		if (at >= 0 && str_cut(str_sub(message, (size_t)at + quoted[i].n, message.n), '"',
				       &head, &tail))
			return head;
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		ptrdiff_t at = str_find(message, plain[i]);

		if (at >= 0) {
			struct str from = str_sub(message, (size_t)at, message.n);

			while (from.n && (from.p[0] == ' ' || from.p[0] == ':'))
				from = str_sub(from, 1, from.n);
			return field_at(from);
		}
	}
	return STR_NONE;
}
