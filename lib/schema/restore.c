/*
 * Whether a merged tree can be an object of a built-in type again, and if not, why, in the words
 * that a strategic merge patch is refused with: the patch is at fault then, not the object. What
 * can't be told here is left to the decoder. Pure.
 * Specification: k8s.io/apimachinery/pkg/runtime (converter.go).
 */
#include "lib/schema/schema-internal.h"

#include <stdlib.h>

#include "lib/base/pure.h"

/* How Go calls what a tree holds. */
static const char *go_kind(const struct json *v)
{
	static const char *const kinds[] = {
		[JSON_NULL] = "invalid", [JSON_BOOL] = "bool",     [JSON_INT] = "int64",
		[JSON_NUM] = "float64",  [JSON_STRING] = "string", [JSON_ARRAY] = "slice",
		[JSON_OBJECT] = "map"};

	return kinds[v->type];
}

static bool unrecognized(const struct schema *s, struct buf *why)
{
	const char *type = s->type == SCHEMA_BOOL     ? "bool"
			   : s->type == SCHEMA_STRING ? "string"
			   : s->type == SCHEMA_NUMBER ? "float64"
			   : s->format                ? s->format
						      : "int64";

	buf_printf(why, "unrecognized type: %s", type);
	return true;
}

static bool object_problem(const struct schema *s, const struct json *v, struct buf *why)
{
	if (!json_is(v, JSON_OBJECT)) {
		buf_printf(why, "cannot restore struct from: %s", go_kind(v));
		return true;
	}
	for (size_t i = 0; i < s->nfields; i++)
		if (schema_restore_problem(s->fields[i].type, json_get(v, str_c(s->fields[i].name)),
					   why))
			return true;
	return false;
}

static bool map_problem(const struct schema *s, const struct json *v, struct buf *why)
{
	if (!json_is(v, JSON_OBJECT)) {
		buf_printf(why, "cannot restore map from %s", go_kind(v));
		return true;
	}
	for (size_t i = 0; i < json_len(v); i++)
		if (schema_restore_problem(s->item, &v->members[i].value, why))
			return true;
	return false;
}

static bool list_problem(const struct schema *s, const struct json *v, struct buf *why)
{
	if (!json_is(v, JSON_ARRAY)) {
		buf_printf(why, "cannot restore slice from %s", go_kind(v));
		return true;
	}
	for (size_t i = 0; i < json_len(v); i++)
		if (schema_restore_problem(s->item, json_item(v, i), why))
			return true;
	return false;
}

bool schema_restore_problem(const struct schema *s, const struct json *v, struct buf *why)
{
	bool number = json_is(v, JSON_INT) || json_is(v, JSON_NUM);

	if (!s || !v || json_is(v, JSON_NULL))
		return false;
	switch (s->type) {
	case SCHEMA_OBJECT:
		return object_problem(s, v, why);
	case SCHEMA_MAP:
		return map_problem(s, v, why);
	case SCHEMA_ARRAY:
		return list_problem(s, v, why);
	case SCHEMA_BOOL:
		return !json_is(v, JSON_BOOL) && unrecognized(s, why);
	case SCHEMA_STRING:
		return !json_is(v, JSON_STRING) && !number && unrecognized(s, why);
	case SCHEMA_INT:
	case SCHEMA_NUMBER:
		return !number && unrecognized(s, why);
	case SCHEMA_ANY:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_DURATION:
	case SCHEMA_BYTES:
		break;
	}
	return false;
}

/* ---- a tree as Go prints it ---- */

static int by_key(const void *x, const void *y)
{
	const struct json_member *const *a = x, *const *b = y;

	return str_cmp((*a)->key, (*b)->key);
}

static void members_text(struct arena *a, const struct json *v, struct buf *out)
{
	const struct json_member **sorted = arena_array(a, json_len(v) + 1, sizeof(*sorted));

	for (size_t i = 0; i < json_len(v); i++)
		sorted[i] = &v->members[i];
	qsort(sorted, json_len(v), sizeof(*sorted), by_key);
	buf_puts(out, "map[");
	for (size_t i = 0; i < json_len(v); i++) {
		if (i)
			buf_putc(out, ' ');
		buf_str(out, sorted[i]->key);
		buf_putc(out, ':');
		schema_go_text(a, &sorted[i]->value, out);
	}
	buf_putc(out, ']');
}

void schema_go_text(struct arena *a, const struct json *v, struct buf *out)
{
	switch (v->type) {
	case JSON_NULL:
		buf_puts(out, "<nil>");
		return;
	case JSON_STRING:
		buf_str(out, json_str(v));
		return;
	case JSON_OBJECT:
		members_text(a, v, out);
		return;
	case JSON_ARRAY:
		buf_putc(out, '[');
		for (size_t i = 0; i < json_len(v); i++) {
			if (i)
				buf_putc(out, ' ');
			schema_go_text(a, json_item(v, i), out);
		}
		buf_putc(out, ']');
		return;
	case JSON_BOOL:
	case JSON_INT:
	case JSON_NUM:
		json_write(v, out);
	}
}
