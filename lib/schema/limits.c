/*
 * Limits of custom resources' values: lengths, ranges, counts, allowed values, combinations.
 *
 * Pure. Reports in the words of Kubernetes' OpenAPI validator, because people search for them.
 */
#include "lib/schema/limits.h"

#include "lib/base/map.h"
#include "lib/schema/pattern.h"

#include "lib/base/pure.h"

struct limit {
	struct schema_problems *ps;
	const struct schema_limits *l;
	const struct json *v;
	const struct spath *at;
};

static size_t characters(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void invalid(const struct limit *c, const char *got, const char *rule)
{
	struct str path = spath_text(c->ps->a, c->at);
	schema_problem(c->ps, "FieldValueInvalid", path, c->v->src,
		       "Invalid value: %s: %.*s in body should %s", got, STR_ARG(path), rule);
}

static const char *text_of(const struct limit *c)
{
	AUTO(buf) struct buf b = {0};
	json_write(c->v, &b);
	return arena_cstr(c->ps->a, str_sub(buf_view(&b), 0, 1000));
}

static void check_text(const struct limit *c)
{
	size_t n = characters(json_str(c->v));
	struct arena *a = c->ps->a;
	if (c->l->max_len >= 0 && n > (size_t)c->l->max_len) {
		schema_problem(c->ps, "FieldValueTooLong", spath_text(a, c->at), c->v->src,
			       "Too long: may not be more than %lld bytes",
			       (long long)c->l->max_len);
	}
	if (c->l->min_len >= 0 && n < (size_t)c->l->min_len)
		invalid(c, text_of(c),
			arena_printf(a, "be at least %lld chars long", (long long)c->l->min_len));
	if (c->l->pattern && !pattern_matches(c->l->pattern, json_str(c->v)))
		invalid(c, text_of(c), arena_printf(a, "match '%s'", c->l->pattern));
}

static void check_number(const struct limit *c)
{
	struct arena *a = c->ps->a;
	double v = json_double(c->v, 0);
	if (c->l->max) {
		double max = json_double(c->l->max, 0);
		if (c->l->exclusive_max ? v >= max : v > max)
			invalid(c, text_of(c),
				arena_printf(a, "be less than %s%g",
					     c->l->exclusive_max ? "" : "or equal to ", max));
	}
	if (c->l->min) {
		double min = json_double(c->l->min, 0);
		if (c->l->exclusive_min ? v <= min : v < min)
			invalid(c, text_of(c),
				arena_printf(a, "be greater than %s%g",
					     c->l->exclusive_min ? "" : "or equal to ", min));
	}
	if (c->l->multiple_of) {
		double q = v / json_double(c->l->multiple_of, 1);
		if (q < -9e15 || q > 9e15 || (double)(int64_t)q != q)
			invalid(c, text_of(c),
				arena_printf(a, "be a multiple of %g",
					     json_double(c->l->multiple_of, 1)));
	}
}

static void check_count(const struct limit *c, int64_t min, int64_t max, const char *what)
{
	struct arena *a = c->ps->a;
	int64_t n = (int64_t)json_len(c->v);
	if (max >= 0 && n > max) {
		schema_problem(c->ps, "FieldValueTooMany", spath_text(a, c->at), c->v->src,
			       "Too many: %lld: must have at most %lld %s", (long long)n,
			       (long long)max, what);
	}
	if (min >= 0 && n < min)
		invalid(c, arena_printf(a, "%lld", (long long)n),
			arena_printf(a, "have at least %lld %s", (long long)min, what));
}

static void check_values(const struct limit *c)
{
	AUTO(buf) struct buf list = {0};
	for (size_t i = 0; i < json_len(c->l->enums); i++) {
		if (json_equal(json_item(c->l->enums, i), c->v))
			return;
		if (i)
			buf_puts(&list, ", ");
		json_write(json_item(c->l->enums, i), &list);
	}
	schema_problem(c->ps, "FieldValueNotSupported", spath_text(c->ps->a, c->at), c->v->src,
		       "Unsupported value: %s: supported values: %.*s", text_of(c), (int)list.n,
		       list.p);
}

static bool fits(const struct limit *c, const struct schema *s)
{
	struct schema_problems ps = {.a = c->ps->a, .max = 1};
	schema_check(s, c->v, &ps, NULL);
	return ps.n == 0;
}

static size_t count_fitting(const struct limit *c, const struct schema *const *list)
{
	size_t n = 0;
	for (; *list; list++)
		n += fits(c, *list);
	return n;
}

static void check_combinations(const struct limit *c)
{
	const struct schema_limits *l = c->l;
	struct str path = spath_text(c->ps->a, c->at);
	const char *why = NULL;
	for (size_t i = 0; l->all_of && l->all_of[i] && !why; i++)
		why = fits(c, l->all_of[i]) ? NULL : "must validate all the schemas (allOf)";
	if (!why && l->any_of && !count_fitting(c, l->any_of))
		why = "must validate at least one schema (anyOf)";
	if (!why && l->one_of && count_fitting(c, l->one_of) != 1)
		why = "must validate one and only one schema (oneOf)";
	if (!why && l->not &&fits(c, l->not ))
		why = "must not validate the schema (not)";
	if (why)
		schema_problem(c->ps, "FieldValueInvalid", path, c->v->src,
			       "Invalid value: \"\": \"%.*s\" %s", STR_ARG(path), why);
}

void limits_check(struct schema_problems *ps, const struct schema *s, const struct json *v,
		  const struct spath *at)
{
	struct limit c = {.ps = ps, .l = s->limits, .v = v, .at = at};
	switch ((enum json_type)v->type) {
	case JSON_STRING:
		check_text(&c);
		break;
	case JSON_INT:
	case JSON_NUM:
		check_number(&c);
		break;
	case JSON_ARRAY:
		check_count(&c, c.l->min_items, c.l->max_items, "items");
		break;
	case JSON_OBJECT:
		check_count(&c, c.l->min_properties, c.l->max_properties, "properties");
		break;
	case JSON_NULL:
	case JSON_BOOL:
		break;
	}
	if (c.l->enums)
		check_values(&c);
	check_combinations(&c);
}

static bool same_item(const struct schema *s, const struct json *a, const struct json *b)
{
	if (s->list != SCHEMA_LIST_MAP)
		return json_equal(a, b);
	for (size_t i = 0; i < SCHEMA_KEYS_MAX && s->keys[i]; i++)
		if (!json_equal(json_get(a, str_c(s->keys[i])), json_get(b, str_c(s->keys[i]))))
			return false;
	return true;
}

/* Identities as text, so that large lists are not compared pairwise. */
static void identity(const struct schema *s, const struct json *item, struct buf *out)
{
	if (s->list != SCHEMA_LIST_MAP) {
		json_write_sorted(item, out);
		return;
	}
	for (size_t i = 0; i < SCHEMA_KEYS_MAX && s->keys[i]; i++) {
		const struct json *key = json_get(item, str_c(s->keys[i]));
		if (key)
			json_write_sorted(key, out);
		buf_putc(out, ',');
	}
}

void limits_check_unique(struct schema_problems *ps, const struct schema *s, const struct json *v,
			 const struct spath *at)
{
	bool unique = s->list != SCHEMA_LIST_ATOMIC || (s->limits && s->limits->unique);
	if (!unique || json_len(v) < 2)
		return;
	AUTO(map) struct map seen = {0};
	AUTO(buf) struct buf id = {0};
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *item = json_item(v, i);
		buf_reset(&id);
		identity(s, item, &id);
		const struct json *before = map_set(&seen, buf_view(&id), (void *)item);
		if (!before || !same_item(s, before, item))
			continue;
		struct spath here = {.up = at, .index = i, .in = s};
		schema_problem(ps, "FieldValueDuplicate", spath_text(ps->a, &here), item->src,
			       "Duplicate value: %.*s", (int)id.n, id.p);
	}
}
