/*
 * Field paths: splitting, looking up, matching. Two ways to read the same text, as kustomize has
 * them: a source is looked up exactly, targets are matched by regular expressions that need not
 * cover the whole value. Never makes a field unless asked to; bounded by the path's length.
 *
 * Pure. Memory: the caller's arena; matches point into the tree and are good until it is changed.
 */
#include "reconciler/kustomize/fieldpath.h"

#include "lib/json/yaml.h"
#include "lib/schema/pattern.h"

#include "lib/base/pure.h"

#define PARTS_MAX 64
#define ITEMS_MAX 100000

/* ---- splitting ---- */

static void push(struct arena *a, struct field_path *p, struct str part)
{
	if (p->n % 16 == 0) {
		struct str *v = arena_array(a, p->n + 16, sizeof(*v));

		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
	}
	p->v[p->n++] = part;
}

/* Up to the next separator that isn't escaped; the escapes are taken out. */
static struct str part_of(struct arena *a, struct str *rest, char separator)
{
	AUTO(buf) struct buf out = {0};
	struct str part;

	while (str_next(rest, separator, &part)) {
		bool escaped = part.n && part.p[part.n - 1] == '\\' && rest->p;

		buf_put(&out, part.p, part.n - escaped);
		if (!escaped)
			break;
		buf_putc(&out, separator);
	}
	return arena_str(a, buf_view(&out));
}

/* A bracket holds separators until it is closed; without a `=` in it, it is just a name. */
static struct str bracketed(struct arena *a, struct str part, struct str *rest, char separator)
{
	while (!str_ends(part, STR("]")) && rest->p) {
		struct str more = part_of(a, rest, separator);

		part = arena_strf(a, "%.*s%c%.*s", STR_ARG(part), separator, STR_ARG(more));
	}
	if (str_find(part, STR("=")) < 0 && str_ends(part, STR("]")))
		part = str_sub(part, 1, part.n - 2);
	return part;
}

struct field_path field_path_split(struct arena *a, struct str text, char separator)
{
	struct field_path p = {0};
	struct str rest = text;

	if (!rest.p)
		rest = STR("");
	while (rest.p && p.n < PARTS_MAX) {
		struct str part = part_of(a, &rest, separator);

		if (str_starts(part, STR("[")) && !str_ends(part, STR("]")))
			part = bracketed(a, part, &rest, separator);
		push(a, &p, part);
	}
	if (rest.p) /* deeper than any object: it won't be there */
		push(a, &p, rest);
	return p;
}

/* ---- parts ---- */

static bool is_index(struct str part, size_t *ret)
{
	int64_t i;

	if (str_to_i64(part, &i) || i < 0 || i > ITEMS_MAX)
		return false;
	*ret = (size_t)i;
	return true;
}

static bool is_bracket(struct str part)
{
	return part.n >= 2 && part.p[0] == '[' && part.p[part.n - 1] == ']';
}

static int bracket(struct str part, struct str *ret_key, struct str *ret_value, struct err *err)
{
	if (!str_cut(str_sub(part, 1, part.n - 2), '=', ret_key, ret_value))
		return err_set(err, ERR_INVALID, "%.*s: [field=value] is expected", STR_ARG(part));
	return 0;
}

static const char *type_name(const struct json *v)
{
	if (json_is(v, JSON_ARRAY))
		return "a list";
	return json_is(v, JSON_OBJECT) ? "a map" : "a single value";
}

static int wrong_type(const struct json *v, struct str part, const char *wanted, struct err *err)
{
	return err_set(err, ERR_INVALID, "%.*s is looked for in %s, but there is %s", STR_ARG(part),
		       wanted, type_name(v));
}

static bool absent(const struct json *v)
{
	return !v || json_is(v, JSON_NULL);
}

/* ---- values ---- */

bool field_is_scalar(const struct json *v)
{
	return !json_is(v, JSON_ARRAY) && !json_is(v, JSON_OBJECT);
}

struct str field_text(struct arena *a, const struct json *v)
{
	AUTO(buf) struct buf out = {0};

	if (json_is(v, JSON_STRING))
		return json_str(v);
	if (absent(v) || !field_is_scalar(v))
		return STR("");
	json_write(v, &out);
	return arena_str(a, buf_view(&out));
}

/* YAML 1.2's, which kustomize reads: yes and off are texts. */
static bool is_bool(struct str text)
{
	return str_ieq(text, STR("true")) || str_ieq(text, STR("false"));
}

struct json field_resolve(struct arena *a, struct str text)
{
	struct yaml_docs docs;

	if (!text.n)
		return (struct json){.type = JSON_NULL};
	if (str_find(text, STR("\n")) < 0 &&
	    !yaml_parse(a, arena_str(a, text), 0, NULL, NULL, &docs, NULL) && docs.n == 1 &&
	    field_is_scalar(docs.v[0]) && !json_is(docs.v[0], JSON_STRING) &&
	    json_is(docs.v[0], JSON_BOOL) == is_bool(text))
		return *docs.v[0];
	return *json_new_str(a, text);
}

static int fits(const struct json *v, struct str pattern, struct err *err)
{
	struct arena scratch = {0};
	struct str text = field_text(&scratch, v);
	AUTO(buf) struct buf yaml = {0};
	int found;

	if (!field_is_scalar(v)) {
		yaml_write(v, &yaml);
		text = buf_view(&yaml);
	}
	found = pattern_search(arena_cstr(&scratch, pattern), text);
	if (found < 0)
		err_set(err, ERR_INVALID, "%.*s: not a regular expression that is understood",
			STR_ARG(pattern));
	arena_release(&scratch);
	return found;
}

/* ---- exact lookup ---- */

static int get_item(struct json *v, struct str part, struct json **ret, struct err *err)
{
	struct arena scratch = {0};
	struct str key, value;

	if (bracket(part, &key, &value, err))
		return -1;
	for (size_t i = 0; i < json_len(v) && !*ret; i++) {
		struct json *item = json_item(v, i);
		const struct json *field = key.n ? json_get(item, key) : item;

		if (field && field_is_scalar(field) && str_eq(field_text(&scratch, field), value))
			*ret = item;
	}
	arena_release(&scratch);
	return 0;
}

static int get_part(struct json *v, struct str part, struct json **ret, struct err *err)
{
	bool last = str_is(part, "-"), inside = is_bracket(part);
	size_t i = 0;

	*ret = NULL;
	if (str_is(part, "*"))
		return err_set(err, ERR_INVALID, "* may not stand in a source");
	if (!inside && !last && !is_index(part, &i)) {
		if (!json_is(v, JSON_OBJECT))
			return wrong_type(v, part, "a map", err);
		*ret = json_get(v, part);
		return 0;
	}
	if (!json_is(v, JSON_ARRAY))
		return wrong_type(v, part, "a list", err);
	if (inside)
		return get_item(v, part, ret, err);
	if (last)
		i = json_len(v) - 1;
	*ret = i < json_len(v) ? json_item(v, i) : NULL;
	return 0;
}

int field_get(struct json *tree, const struct field_path *path, struct json **ret, struct err *err)
{
	struct json *v = tree;

	for (size_t i = 0; i < path->n && !absent(v); i++) {
		if (path->v[i].n && get_part(v, path->v[i], &v, err))
			return -1;
	}
	*ret = v;
	return 0;
}

/* ---- matching ---- */

struct matcher {
	struct arena *a;
	const struct field_path *path;
	bool create;
	struct field_matches *out;
};

static int match(struct matcher *m, struct json *v, size_t at, bool made, struct err *err);

static int found(struct matcher *m, struct json *v, bool made, struct err *err)
{
	struct field_matches *l = m->out;

	if (l->n >= ITEMS_MAX)
		return err_set(err, ERR_LIMIT, "too many fields fit");
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct field_match *more = arena_array(m->a, cap, sizeof(*more));

		if (l->n)
			memcpy(more, l->v, l->n * sizeof(*more));
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n++] = (struct field_match){.v = v, .made = made};
	return 0;
}

/* What has to be made where the part at `at` will be looked for. */
static struct json blank(const struct matcher *m, size_t at)
{
	size_t ignored;
	struct json v = {.type = JSON_OBJECT};

	if (at == m->path->n)
		v.type = JSON_NULL;
	else if (is_bracket(m->path->v[at]) || is_index(m->path->v[at], &ignored))
		v.type = JSON_ARRAY;
	return v;
}

static int match_field(struct matcher *m, struct json *v, size_t at, struct err *err)
{
	struct json *field;
	bool made;

	if (!json_is(v, JSON_OBJECT))
		return wrong_type(v, m->path->v[at], "a map", err);
	if (!m->path->v[at].n)
		return err_set(err, ERR_INVALID, "a name is missing in the path");
	field = json_get(v, m->path->v[at]);
	made = absent(field) && m->create;
	if (made) {
		struct json new = blank(m, at + 1);

		field = json_set(m->a, v, m->path->v[at], &new);
	}
	return field ? match(m, field, at + 1, made, err) : 0;
}

static int match_index(struct matcher *m, struct json *v, size_t at, size_t i, struct err *err)
{
	bool made = m->create && i == json_len(v);

	if (made) {
		struct json new = blank(m, at + 1);

		json_append(m->a, v, &new);
	}
	if (i >= json_len(v))
		return err_set(err, ERR_INVALID, "item %zu of %zu", i, json_len(v));
	return match(m, json_item(v, i), at + 1, made, err);
}

static int match_items(struct matcher *m, struct json *v, size_t at, bool made, struct err *err)
{
	size_t before = m->out->n, n = json_len(v);
	struct str key, pattern;

	if (bracket(m->path->v[at], &key, &pattern, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json *item = json_item(v, i), *field = key.n ? json_get(item, key) : item;
		int fit = field ? fits(field, pattern, err) : 0;

		if (fit < 0 || (fit && match(m, item, at + 1, made && i + 1 == n, err)))
			return -1;
	}
	if (!m->create || m->out->n > before || made)
		return 0;
	if (key.n) {
		struct json value = field_resolve(m->a, pattern);

		json_set(m->a, json_append_object(m->a, v), key, &value);
	} else {
		json_append_str(m->a, v, pattern);
	}
	return match_items(m, v, at, true, err);
}

static int match_list(struct matcher *m, struct json *v, size_t at, struct err *err)
{
	struct str part = m->path->v[at];
	size_t i;

	if (!json_is(v, JSON_ARRAY))
		return wrong_type(v, part, "a list", err);
	if (is_index(part, &i))
		return match_index(m, v, at, i, err);
	if (is_bracket(part))
		return match_items(m, v, at, false, err);
	for (i = 0; i < json_len(v); i++) {
		if (match(m, json_item(v, i), at + 1, false, err))
			return -1;
	}
	return 0;
}

static int match(struct matcher *m, struct json *v, size_t at, bool made, struct err *err)
{
	struct str part;
	size_t ignored;

	if (at == m->path->n)
		return found(m, v, made, err);
	part = m->path->v[at];
	if (is_bracket(part) || is_index(part, &ignored) || str_is(part, "*"))
		return match_list(m, v, at, err);
	return match_field(m, v, at, err);
}

int field_match(struct arena *a, struct json *tree, const struct field_path *path, bool create,
		struct field_matches *ret, struct err *err)
{
	struct matcher m = {.a = a, .path = path, .create = create, .out = ret};

	*ret = (struct field_matches){0};
	return match(&m, tree, 0, false, err);
}
