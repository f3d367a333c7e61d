/*
 * JSONPath by walking: each step is read from the text when a value has come to it, and the first
 * way that leads to the end wins. Nothing is allocated; depth is bounded by the path's length.
 *
 * Pure.
 */
#include "lib/json/jsonpath.h"

#include <string.h>

#include "lib/base/pure.h"

enum step_type { STEP_NAME, STEP_INDEX, STEP_ALL, STEP_FILTER, STEP_BAD };

struct step {
	enum step_type type;
	struct str name; /* of STEP_NAME, perhaps with backslashes; what a STEP_FILTER says */
	int64_t index;
};

static bool name_ends(char c)
{
	return c == '.' || c == '[' || c == ']' || c == '{' || c == '}';
}

static struct step dotted(struct str *rest)
{
	struct step s = {.type = STEP_NAME};
	size_t n = 0;

	while (n < rest->n && !name_ends(rest->p[n]))
		n += rest->p[n] == '\\' && n + 1 < rest->n ? 2 : 1;
	s.name = str_sub(*rest, 0, n);
	*rest = str_sub(*rest, n, rest->n);
	if (str_is(s.name, "*"))
		s.type = STEP_ALL;
	else if (!s.name.n)
		s.type = STEP_BAD;
	return s;
}

/* Where the bracket closes: one that stands in quotes does not count. */
static ptrdiff_t bracket_end(struct str s)
{
	char quote = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (quote)
			quote = s.p[i] == quote ? 0 : quote;
		else if (s.p[i] == '\'' || s.p[i] == '"')
			quote = s.p[i];
		else if (s.p[i] == ']')
			return (ptrdiff_t)i;
	}
	return -1;
}

static struct step bracket(struct str *rest)
{
	ptrdiff_t end = bracket_end(*rest);
	struct step s = {.type = STEP_BAD};
	struct str in;

	if (end < 0)
		return s;
	in = str_trim(str_sub(*rest, 0, (size_t)end));
	*rest = str_sub(*rest, (size_t)end + 1, rest->n);
	if (str_is(in, "*"))
		s.type = STEP_ALL;
	else if (in.n > 3 && str_starts(in, STR("?(")) && str_ends(in, STR(")")))
		s = (struct step){.type = STEP_FILTER, .name = str_sub(in, 2, in.n - 3)};
	else if (in.n >= 2 && (in.p[0] == '\'' || in.p[0] == '"') && in.p[in.n - 1] == in.p[0])
		s = (struct step){.type = STEP_NAME, .name = str_sub(in, 1, in.n - 2)};
	else if (!str_to_i64(in, &s.index))
		s.type = STEP_INDEX;
	return s;
}

/* Takes one step off; rest must not be empty. */
static struct step next_step(struct str *rest)
{
	char c = rest->p[0];

	*rest = str_sub(*rest, 1, rest->n);
	if (c == '[')
		return bracket(rest);
	if (c == '.' && rest->n && rest->p[0] == '[') {
		*rest = str_sub(*rest, 1, rest->n);
		return bracket(rest);
	}
	return c == '.' ? dotted(rest) : (struct step){.type = STEP_BAD};
}

static struct str bare(struct str path)
{
	path = str_trim(path);
	if (path.n >= 2 && path.p[0] == '{' && path.p[path.n - 1] == '}')
		path = str_trim(str_sub(path, 1, path.n - 2));
	if (path.n && (path.p[0] == '$' || path.p[0] == '@'))
		path = str_sub(path, 1, path.n);
	return path;
}

static struct json *walk(const struct json *v, struct str rest);

static struct json *member(const struct json *v, struct str name)
{
	char plain[JSONPATH_MAX];
	size_t n = 0;

	if (!memchr(name.p, '\\', name.n))
		return json_get(v, name);
	for (size_t i = 0; i < name.n && n < sizeof(plain); i++) {
		if (name.p[i] == '\\' && i + 1 < name.n)
			i++;
		plain[n++] = name.p[i];
	}
	return json_get(v, (struct str){plain, n});
}

static struct json *each(const struct json *v, struct str rest)
{
	struct json *found = NULL;

	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < v->n && !found; i++)
		found = walk(&v->items[i], rest);
	for (size_t i = 0; json_is(v, JSON_OBJECT) && i < v->n && !found; i++)
		found = walk(&v->members[i].value, rest);
	return found;
}

/* ---- filters: a path, an operator, a literal ---- */

static bool literal_is(const struct json *v, struct str text, int *ret_order)
{
	char quote = text.n ? text.p[0] : 0;
	int64_t number;

	if (text.n >= 2 && (quote == '\'' || quote == '"') && text.p[text.n - 1] == quote) {
		*ret_order = str_cmp(json_str(v), str_sub(text, 1, text.n - 2));
		return json_is(v, JSON_STRING);
	}
	if (str_is(text, "true") || str_is(text, "false")) {
		*ret_order = json_bool(v, false) != str_is(text, "true");
		return json_is(v, JSON_BOOL);
	}
	if (str_to_i64(text, &number) || !json_is(v, JSON_INT))
		return false;
	*ret_order = v->i < number ? -1 : v->i > number;
	return true;
}

static bool compare(const struct json *v, struct str op, struct str literal)
{
	int order = 0;

	if (!v || !literal_is(v, str_trim(literal), &order))
		return str_is(op, "!=") && v;
	if (str_is(op, "=="))
		return order == 0;
	if (str_is(op, "!="))
		return order != 0;
	if (str_is(op, "<=") || str_is(op, "<"))
		return order < 0 || (op.n == 2 && !order);
	return order > 0 || (op.n == 2 && !order);
}

static bool passes(const struct json *v, struct str filter)
{
	static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		struct str op = str_c(ops[i]);
		ptrdiff_t at = str_find(filter, op);

		if (at >= 0)
			return compare(walk(v, bare(str_sub(filter, 0, (size_t)at))), op,
				       str_sub(filter, (size_t)at + op.n, filter.n));
	}
	return walk(v, bare(filter)) != NULL;
}

static struct json *filtered(const struct json *v, struct str filter, struct str rest)
{
	struct json *found = NULL;

	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < v->n && !found; i++)
		if (passes(&v->items[i], filter))
			found = walk(&v->items[i], rest);
	return found;
}

static struct json *walk(const struct json *v, struct str rest)
{
	struct step s;

	if (!v || !rest.n || str_is(rest, "."))
		return (struct json *)(uintptr_t)v;
	s = next_step(&rest);
	switch (s.type) {
	case STEP_NAME:
		return walk(member(v, s.name), rest);
	case STEP_INDEX:
		if (!json_is(v, JSON_ARRAY))
			return NULL;
		s.index += s.index < 0 ? (int64_t)v->n : 0;
		return s.index < 0 ? NULL : walk(json_item(v, (size_t)s.index), rest);
	case STEP_ALL:
		return each(v, rest);
	case STEP_FILTER:
		return filtered(v, s.name, rest);
	case STEP_BAD:
		break;
	}
	return NULL;
}

bool jsonpath_ok(struct str path)
{
	struct str rest = bare(path);

	if (!rest.n || path.n > JSONPATH_MAX)
		return false;
	while (rest.n && !str_is(rest, "."))
		if (next_step(&rest).type == STEP_BAD)
			return false;
	return true;
}

struct json *jsonpath_first(const struct json *v, struct str path)
{
	struct str rest = bare(path);

	return !rest.n || path.n > JSONPATH_MAX ? NULL : walk(v, rest);
}
