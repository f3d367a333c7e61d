/*
 * schema_check(): does a value fit its type? Two voices: built-in kinds complain as Go's decoder
 * and Kubernetes' hand-written validation do, custom resources as its OpenAPI validator does.
 *
 * Pure; recursion is as deep as the parser let the value be. Paths are made only for problems.
 */
#include "lib/schema/schema-internal.h"

#include "lib/base/codec.h"
#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/schema/limits.h"

#include "lib/base/pure.h"

struct check {
	struct schema_problems *problems, *unknown;
	struct arena *a;
	const struct json *old; /* of an update; or NULL */
};

static const struct json *old_at(const struct check *c, const struct spath *at)
{
	return at ? at->old : c->old;
}

static void check(struct check *c, const struct schema *s, const struct json *v,
		  const struct spath *at);

static const char *last_part(const char *name)
{
	const char *dot = name ? strrchr(name, '.') : NULL;
	return dot ? dot + 1 : name ? name : "";
}

/* "v1.PodSpec", "[]v1.Container", "map[string]string": how Go prints the type. */
static void go_type(const struct schema *s, struct buf *out)
{
	switch (s->type) {
	case SCHEMA_BOOL:
		buf_puts(out, "bool");
		return;
	case SCHEMA_INT:
		buf_puts(out, s->format ? s->format : "int64");
		return;
	case SCHEMA_NUMBER:
		buf_puts(out, "float64");
		return;
	case SCHEMA_ARRAY:
		buf_puts(out, "[]");
		go_type(s->item, out);
		return;
	case SCHEMA_MAP:
		buf_puts(out, "map[string]");
		go_type(s->item, out);
		return;
	case SCHEMA_BYTES:
		buf_puts(out, "[]uint8");
		return;
	case SCHEMA_OBJECT:
		buf_printf(out, "v1.%s", last_part(s->name));
		return;
	case SCHEMA_ANY:
	case SCHEMA_STRING:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_DURATION:
		break;
	}
	buf_puts(out, "string");
}

static const char *json_word(const struct json *v)
{
	static const char *const words[] = {"null",   "bool",  "number", "number",
					    "string", "array", "object"};
	return words[v->type];
}

static const char *openapi_word(const struct schema *s)
{
	switch (s->type) {
	case SCHEMA_BOOL:
		return "boolean";
	case SCHEMA_INT:
		return "integer";
	case SCHEMA_NUMBER:
		return "number";
	case SCHEMA_ARRAY:
		return "array";
	case SCHEMA_MAP:
	case SCHEMA_OBJECT:
		return "object";
	case SCHEMA_ANY:
	case SCHEMA_STRING:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_DURATION:
	case SCHEMA_BYTES:
		break;
	}
	return "string";
}

static void wrong_custom(struct check *c, const struct schema *s, const struct json *v,
			 const struct spath *at)
{
	struct str path = spath_text(c->a, at);
	const char *got = v->type == JSON_INT    ? "integer"
			  : v->type == JSON_BOOL ? "boolean"
						 : json_word(v);
	schema_problem(c->problems, "FieldValueTypeInvalid", path, v->src,
		       "Invalid value: \"%s\": %.*s in body must be of type %s: \"%s\"", got,
		       STR_ARG(path), openapi_word(s), got);
}

static void wrong_type(struct check *c, const struct schema *s, const struct json *v,
		       const struct spath *at)
{
	if (s->flags & SCHEMA_F_CUSTOM) {
		wrong_custom(c, s, v, at);
		return;
	}
	AUTO(buf) struct buf type = {0};
	go_type(s, &type);
	struct str path = spath_go(c->a, at);
	const struct spath *in = at;
	while (in && (!in->in || in->in->type != SCHEMA_OBJECT))
		in = in->up;
	const char *holder = in ? last_part(in->in->name) : last_part(s->name);
	struct str number =
		v->type == JSON_NUM ? arena_strf(c->a, " %.*s", (int)v->n, v->s) : STR_NONE;
	if (v->type == JSON_INT && s->type == SCHEMA_INT)
		number = arena_strf(c->a, " %lld", (long long)v->i);
	schema_problem(c->problems, "FieldValueTypeInvalid", STR_NONE, v->src,
		       "json: cannot unmarshal %s%.*s into Go struct field %s.%.*s of type %.*s",
		       json_word(v), STR_ARG(number), holder, STR_ARG(path), (int)type.n, type.p);
}

static void bad_text(struct check *c, const struct schema *s, const struct json *v,
		     const struct spath *at, const char *why)
{
	if (!(s->flags & SCHEMA_F_CUSTOM)) {
		schema_problem(c->problems, "FieldValueTypeInvalid", STR_NONE, v->src, "%s", why);
		return;
	}
	struct str path = spath_text(c->a, at);
	schema_problem(c->problems, "FieldValueInvalid", path, v->src,
		       "Invalid value: \"%.*s\": %.*s in body must be of type %s: \"%.*s\"",
		       (int)v->n, v->s, STR_ARG(path),
		       s->format                 ? s->format
		       : s->type == SCHEMA_BYTES ? "byte"
						 : "date-time",
		       (int)v->n, v->s);
}

static void check_enum(struct check *c, const struct schema *s, const struct json *v,
		       const struct spath *at)
{
	AUTO(buf) struct buf list = {0};
	for (const char *const *e = s->enums; *e; e++) {
		if (str_is(json_str(v), *e))
			return;
		buf_printf(&list, "%s\"%s\"", list.n ? ", " : "", *e);
	}
	if (!v->n && !(s->flags & SCHEMA_F_CUSTOM))
		return;
	AUTO(buf) struct buf got = {0};
	json_write(v, &got);
	schema_problem(c->problems, "FieldValueNotSupported", spath_text(c->a, at), v->src,
		       "Unsupported value: %.*s: supported values: %.*s", (int)got.n, got.p,
		       (int)list.n, list.p);
}

static void check_quantity(struct check *c, const struct schema *s, const struct json *v,
			   const struct spath *at)
{
	struct quantity q;
	if (v->type == JSON_INT)
		return;
	struct str text = v->type == JSON_NUM ? (struct str){v->s, v->n} : json_str(v);
	if (!text.p)
		wrong_type(c, s, v, at);
	else if (quantity_parse(str_trim(text), &q))
		bad_text(c, s, v, at,
			 "quantities must match the regular expression "
			 "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

/* Go reads these with all six digits only. */
static bool has_micros(struct str s)
{
	for (size_t i = 20; i < 26; i++)
		if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.p[19] == '.' && s.n > 26 && (s.p[26] < '0' || s.p[26] > '9');
}

static void check_time(struct check *c, const struct schema *s, const struct json *v,
		       const struct spath *at)
{
	struct instant when;
	bool micro = s->type == SCHEMA_MICRO_TIME;
	if (v->type != JSON_STRING) {
		wrong_type(c, s, v, at);
	} else if (instant_parse(json_str(v), &when) || (micro && !has_micros(json_str(v)))) {
		char *why =
			arena_printf(c->a,
				     "parsing time \"%.*s\" as \"2006-01-02T15:04:05%sZ07:00\": "
				     "cannot parse \"%.*s\" as \"2006\"",
				     (int)v->n, v->s, micro ? ".000000" : "", (int)v->n, v->s);
		bad_text(c, s, v, at, why);
	}
}

static bool duration_ok(struct str text)
{
	int64_t ns;
	return !duration_parse(text, &ns);
}

static void check_duration(struct check *c, const struct schema *s, const struct json *v,
			   const struct spath *at)
{
	if (v->type != JSON_STRING)
		wrong_type(c, s, v, at);
	else if (!duration_ok(json_str(v)))
		schema_problem(
			c->problems, "FieldValueInvalid", spath_text(c->a, at), v->src,
			"Invalid value: \"%.*s\": must be a duration such as 30s, 5m or 1h30m",
			(int)v->n, v->s);
}

static void check_bytes(struct check *c, const struct schema *s, const struct json *v,
			const struct spath *at)
{
	if (v->type != JSON_STRING) {
		wrong_type(c, s, v, at);
		return;
	}
	AUTO(buf) struct buf out = {0};
	if (base64_decode_lines(json_str(v), &out))
		bad_text(c, s, v, at, "illegal base64 data");
	buf_wipe(&out);
}

static void check_int(struct check *c, const struct schema *s, const struct json *v,
		      const struct spath *at)
{
	bool whole = v->type == JSON_INT;
	if (!whole && v->type == JSON_NUM && s->flags & SCHEMA_F_CUSTOM) {
		double d = json_double(v, 0.5);
		whole = d >= -9.2e18 && d <= 9.2e18 && (double)(int64_t)d == d;
	}
	bool narrow = s->format && !strcmp(s->format, "int32") && !(s->flags & SCHEMA_F_CUSTOM);
	if (!whole || (narrow && (v->i > INT32_MAX || v->i < INT32_MIN)))
		wrong_type(c, s, v, at);
}

static bool is_empty(const struct schema *s, const struct json *v)
{
	if (s->flags & SCHEMA_F_CUSTOM)
		return !v;
	if (schema_absent(v))
		return true;
	return (v->type == JSON_STRING || v->type == JSON_ARRAY) && v->n == 0;
}

static void check_object(struct check *c, const struct schema *s, const struct json *v,
			 const struct spath *at)
{
	const struct json_member *m = json_members(v);
	for (size_t i = 0; i < json_len(v); i++) {
		struct spath here = {.up = at, .name = m[i].key, .in = s};
		here.old = json_get(old_at(c, at), m[i].key);
		const struct schema_field *f = schema_field(s, m[i].key);
		if (f) {
			check(c, f->type, &m[i].value, &here);
		} else if (s->item) {
			check(c, s->item, &m[i].value, &here);
		} else if (c->unknown && !(s->flags & SCHEMA_F_PRESERVE_UNKNOWN)) {
			struct str path = spath_text(c->a, &here);
			schema_problem(c->unknown, "FieldValueInvalid", path, m[i].value.src,
				       "unknown field \"%.*s\"", STR_ARG(path));
		}
	}
	for (size_t i = 0; i < s->nfields; i++) {
		const struct schema_field *f = &s->fields[i];
		if (!f->required || !is_empty(s, json_get(v, str_c(f->name))))
			continue;
		struct spath here = {.up = at, .name = str_c(f->name), .in = s};
		schema_problem(c->problems, "FieldValueRequired", spath_text(c->a, &here), v->src,
			       "Required value");
	}
}

static void check_array(struct check *c, const struct schema *s, const struct json *v,
			const struct spath *at)
{
	for (size_t i = 0; i < json_len(v); i++) {
		struct spath here = {.up = at, .index = i, .in = s};
		here.old = schema_same_item(s, old_at(c, at), json_item(v, i));
		check(c, s->item, json_item(v, i), &here);
	}
	if (s->flags & SCHEMA_F_CUSTOM)
		limits_check_unique(c->problems, s, v, at);
}

static void check_map(struct check *c, const struct schema *s, const struct json *v,
		      const struct spath *at)
{
	const struct json_member *m = json_members(v);
	for (size_t i = 0; i < json_len(v); i++) {
		struct spath here = {.up = at, .name = m[i].key, .in = s};
		here.old = json_get(old_at(c, at), m[i].key);
		check(c, s->item, &m[i].value, &here);
	}
}

static bool expects(const struct schema *s, const struct json *v)
{
	switch (s->type) {
	case SCHEMA_STRING:
		return v->type == JSON_STRING;
	case SCHEMA_BOOL:
		return v->type == JSON_BOOL;
	case SCHEMA_NUMBER:
		return v->type == JSON_INT || v->type == JSON_NUM;
	case SCHEMA_OBJECT:
	case SCHEMA_MAP:
		return v->type == JSON_OBJECT;
	case SCHEMA_ARRAY:
		return v->type == JSON_ARRAY;
	case SCHEMA_INT_OR_STRING:
		return v->type == JSON_STRING || v->type == JSON_INT;
	case SCHEMA_ANY:
	case SCHEMA_INT:
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_DURATION:
	case SCHEMA_BYTES:
		break;
	}
	return true;
}

static void check_value(struct check *c, const struct schema *s, const struct json *v,
			const struct spath *at)
{
	switch (s->type) {
	case SCHEMA_OBJECT:
		check_object(c, s, v, at);
		break;
	case SCHEMA_MAP:
		check_map(c, s, v, at);
		break;
	case SCHEMA_ARRAY:
		check_array(c, s, v, at);
		break;
	case SCHEMA_INT:
		check_int(c, s, v, at);
		break;
	case SCHEMA_QUANTITY:
		check_quantity(c, s, v, at);
		break;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		check_time(c, s, v, at);
		break;
	case SCHEMA_DURATION:
		check_duration(c, s, v, at);
		break;
	case SCHEMA_BYTES:
		check_bytes(c, s, v, at);
		break;
	case SCHEMA_ANY:
	case SCHEMA_STRING:
	case SCHEMA_NUMBER:
	case SCHEMA_BOOL:
	case SCHEMA_INT_OR_STRING:
		break;
	}
}

static void check_one(struct check *c, const struct schema *s, const struct json *v,
		      const struct spath *at)
{
	if (v->type == JSON_NULL) {
		if (s->flags & SCHEMA_F_CUSTOM && s->type != SCHEMA_ANY &&
		    !(s->flags & SCHEMA_F_NULLABLE))
			wrong_type(c, s, v, at);
		return;
	}
	if (!expects(s, v)) {
		wrong_type(c, s, v, at);
		return;
	}
	check_value(c, s, v, at);
	if (s->enums && v->type == JSON_STRING)
		check_enum(c, s, v, at);
	if (s->limits)
		limits_check(c->problems, s, v, at);
}

static void check(struct check *c, const struct schema *s, const struct json *v,
		  const struct spath *at)
{
	const struct json *old = old_at(c, at);
	size_t before = c->problems->n, dropped = c->problems->dropped;

	check_one(c, s, v, at);
	if (!old || c->problems->n == before || !json_equal(v, old))
		return;
	c->problems->n = before;
	c->problems->dropped = dropped;
}

void schema_check(const struct schema *s, const struct json *v, struct schema_problems *problems,
		  struct schema_problems *unknown)
{
	struct check c = {.problems = problems, .unknown = unknown, .a = problems->a};
	if (unknown && !unknown->a)
		unknown->a = problems->a;
	if (s && v)
		check(&c, s, v, NULL);
}

void schema_check_update(const struct schema *s, const struct json *v, const struct json *old,
			 struct schema_problems *problems)
{
	struct check c = {.problems = problems, .a = problems->a, .old = old};

	if (s && v)
		check(&c, s, v, NULL);
}
