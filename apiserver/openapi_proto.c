/*
 * A Swagger 2.0 document as gnostic's protobuf message. The tree is walked by tables that say which
 * member goes into which field; members that no table names are left out, but for extensions
 * ("x-…"), which go along as text.
 *
 * Pure. Specification: google/gnostic openapiv2/OpenAPIv2.proto.
 */
#include "apiserver/openapi.h"

#include <string.h>

#include "lib/base/pure.h"

enum how {
	AS_TEXT,
	AS_TEXTS,
	AS_FLAG,
	AS_INT,
	AS_DOUBLE,
	AS_ANY,
	AS_ANYS, /* values of any type, as YAML text */
	AS_MESSAGE,
	AS_MESSAGES,
	AS_NAMED,      /* an object: a message that repeats (name, message) */
	AS_PARAMETERS, /* each in the messages that its place asks for */
};

struct message;
struct row {
	const char *member;
	uint8_t number;
	enum how how;
	const struct message *of;
	uint8_t wrap;  /* field of a message around the value, 0 = none */
	uint8_t pairs; /* AS_NAMED: field that repeats the pairs */
};

struct message {
	const struct row *rows;
	size_t nrows;
	uint8_t extensions; /* field of "x-…", 0 = none */
};

#define MESSAGE(name, ext)                                                                         \
	static const struct message name = {name##_rows, ARRAY_LEN(name##_rows), ext}

static const struct message schema;
static const struct row schema_rows[] = {
	{"$ref", 1, AS_TEXT, NULL, 0, 0},
	{"format", 2, AS_TEXT, NULL, 0, 0},
	{"title", 3, AS_TEXT, NULL, 0, 0},
	{"description", 4, AS_TEXT, NULL, 0, 0},
	{"default", 5, AS_ANY, NULL, 0, 0},
	{"multipleOf", 6, AS_DOUBLE, NULL, 0, 0},
	{"maximum", 7, AS_DOUBLE, NULL, 0, 0},
	{"exclusiveMaximum", 8, AS_FLAG, NULL, 0, 0},
	{"minimum", 9, AS_DOUBLE, NULL, 0, 0},
	{"exclusiveMinimum", 10, AS_FLAG, NULL, 0, 0},
	{"maxLength", 11, AS_INT, NULL, 0, 0},
	{"minLength", 12, AS_INT, NULL, 0, 0},
	{"pattern", 13, AS_TEXT, NULL, 0, 0},
	{"maxItems", 14, AS_INT, NULL, 0, 0},
	{"minItems", 15, AS_INT, NULL, 0, 0},
	{"uniqueItems", 16, AS_FLAG, NULL, 0, 0},
	{"maxProperties", 17, AS_INT, NULL, 0, 0},
	{"minProperties", 18, AS_INT, NULL, 0, 0},
	{"required", 19, AS_TEXTS, NULL, 0, 0},
	{"enum", 20, AS_ANYS, NULL, 0, 0},
	{"additionalProperties", 21, AS_MESSAGE, &schema, 1, 0},
	{"type", 22, AS_TEXT, NULL, 1, 0},
	{"items", 23, AS_MESSAGE, &schema, 1, 0},
	{"allOf", 24, AS_MESSAGES, &schema, 0, 0},
	{"properties", 25, AS_NAMED, &schema, 0, 1},
};
MESSAGE(schema, 31);

static const struct row parameter_rows[] = {
	{"required", 1, AS_FLAG, NULL, 0, 0},
	{"in", 2, AS_TEXT, NULL, 0, 0},
	{"description", 3, AS_TEXT, NULL, 0, 0},
	{"name", 4, AS_TEXT, NULL, 0, 0},
};
MESSAGE(parameter, 0);
static const struct row path_parameter_rows[] = {{"type", 5, AS_TEXT, NULL, 0, 0}};
MESSAGE(path_parameter, 0);
static const struct row query_parameter_rows[] = {{"type", 6, AS_TEXT, NULL, 0, 0}};
MESSAGE(query_parameter, 0);
static const struct row body_parameter_rows[] = {
	{"name", 2, AS_TEXT, NULL, 0, 0},
	{"in", 3, AS_TEXT, NULL, 0, 0},
	{"required", 4, AS_FLAG, NULL, 0, 0},
	{"schema", 5, AS_MESSAGE, &schema, 0, 0},
};
MESSAGE(body_parameter, 0);

static const struct row response_rows[] = {
	{"description", 1, AS_TEXT, NULL, 0, 0},
	{"schema", 2, AS_MESSAGE, &schema, 1, 0},
};
MESSAGE(response, 5);

static const struct row operation_rows[] = {
	{"parameters", 8, AS_PARAMETERS, NULL, 0, 0},
	{"responses", 9, AS_NAMED, &response, 1, 1},
};
MESSAGE(operation, 13);

static const struct row path_rows[] = {
	{"get", 2, AS_MESSAGE, &operation, 0, 0},   {"put", 3, AS_MESSAGE, &operation, 0, 0},
	{"post", 4, AS_MESSAGE, &operation, 0, 0},  {"delete", 5, AS_MESSAGE, &operation, 0, 0},
	{"patch", 8, AS_MESSAGE, &operation, 0, 0}, {"parameters", 9, AS_PARAMETERS, NULL, 0, 0},
};
MESSAGE(path, 10);

static const struct row info_rows[] = {
	{"title", 1, AS_TEXT, NULL, 0, 0},
	{"version", 2, AS_TEXT, NULL, 0, 0},
};
MESSAGE(info, 7);

static const struct row document_rows[] = {
	{"swagger", 1, AS_TEXT, NULL, 0, 0},
	{"info", 2, AS_MESSAGE, &info, 0, 0},
	{"paths", 8, AS_NAMED, &path, 0, 2},
	{"definitions", 9, AS_NAMED, &schema, 0, 1},
};
MESSAGE(document, 16);

/* ---- the wire ---- */

static void put_varint(uint64_t v, struct buf *out)
{
	for (; v >= 0x80; v >>= 7)
		buf_putc(out, (char)(v | 0x80));
	buf_putc(out, (char)v);
}

static void put_bytes(uint8_t number, struct str s, struct buf *out)
{
	put_varint((uint64_t)number << 3 | 2, out);
	put_varint(s.n, out);
	buf_str(out, s);
}

static void put_number(uint8_t number, uint64_t v, struct buf *out)
{
	put_varint((uint64_t)number << 3, out);
	put_varint(v, out);
}

static void put_double(uint8_t number, double v, struct buf *out)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put_varint((uint64_t)number << 3 | 1, out);
	for (int i = 0; i < 8; i++, bits >>= 8)
		buf_putc(out, (char)bits);
}

static void put_wrapped(const struct row *r, struct str s, struct buf *out)
{
	AUTO(buf) struct buf around = {0};

	if (!r->wrap) {
		put_bytes(r->number, s, out);
		return;
	}
	put_bytes(r->wrap, s, &around);
	put_bytes(r->number, buf_view(&around), out);
}

static void put_message(const struct message *m, const struct json *v, struct buf *out);

/* Any{yaml}: JSON is YAML. */
static void put_any(uint8_t number, const struct json *v, struct buf *out)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf any = {0};

	json_write(v, &text);
	put_bytes(2, buf_view(&text), &any);
	put_bytes(number, buf_view(&any), out);
}

static void put_extension(uint8_t number, const struct json_member *m, struct buf *out)
{
	AUTO(buf) struct buf named = {0};

	put_bytes(1, m->key, &named);
	put_any(2, &m->value, &named);
	put_bytes(number, buf_view(&named), out);
}

static void put_named(const struct row *r, const struct json *v, struct buf *out)
{
	const struct row value = {.number = 2, .wrap = r->wrap};
	AUTO(buf) struct buf all = {0};

	for (size_t i = 0; json_is(v, JSON_OBJECT) && i < json_len(v); i++) {
		AUTO(buf) struct buf pair = {0};
		AUTO(buf) struct buf body = {0};
		put_bytes(1, v->members[i].key, &pair);
		put_message(r->of, &v->members[i].value, &body);
		put_wrapped(&value, buf_view(&body), &pair);
		put_bytes(r->pairs, buf_view(&pair), &all);
	}
	put_bytes(r->number, buf_view(&all), out);
}

/* ParametersItem{Parameter{BodyParameter | NonBodyParameter{Query… | Path…}}} */
static void put_parameter(uint8_t number, const struct json *p, struct buf *out)
{
	struct str in = json_str(json_get(p, STR("in")));
	bool is_path = str_is(in, "path");
	AUTO(buf) struct buf body = {0};
	AUTO(buf) struct buf kind = {0};
	AUTO(buf) struct buf item = {0};
	AUTO(buf) struct buf outer = {0};

	if (str_is(in, "body")) {
		put_message(&body_parameter, p, &body);
		put_bytes(1, buf_view(&body), &item);
	} else {
		put_message(&parameter, p, &body);
		put_message(is_path ? &path_parameter : &query_parameter, p, &body);
		put_bytes(is_path ? 4 : 3, buf_view(&body), &kind);
		put_bytes(2, buf_view(&kind), &item);
	}
	put_bytes(1, buf_view(&item), &outer);
	put_bytes(number, buf_view(&outer), out);
}

static bool is_list(enum how how)
{
	return how == AS_TEXTS || how == AS_ANYS || how == AS_MESSAGES || how == AS_PARAMETERS;
}

static void put_value(const struct row *r, const struct json *v, struct buf *out)
{
	AUTO(buf) struct buf body = {0};

	/* Extension servers' parts may be of any shape. */
	if (is_list(r->how) && !json_is(v, JSON_ARRAY))
		return;
	switch (r->how) {
	case AS_TEXT:
		put_wrapped(r, json_str(v), out);
		break;
	case AS_FLAG:
		put_number(r->number, json_bool(v, false), out);
		break;
	case AS_INT:
		put_number(r->number, (uint64_t)json_int(v, 0), out);
		break;
	case AS_DOUBLE:
		put_double(r->number, json_double(v, 0), out);
		break;
	case AS_ANY:
		put_any(r->number, v, out);
		break;
	case AS_TEXTS:
		for (size_t i = 0; i < json_len(v); i++)
			put_bytes(r->number, json_str(json_item(v, i)), out);
		break;
	case AS_ANYS:
		for (size_t i = 0; i < json_len(v); i++)
			put_any(r->number, json_item(v, i), out);
		break;
	case AS_MESSAGE:
		if (json_is(v, JSON_BOOL)) { /* "additionalProperties": or any at all, or none */
			put_number(2, json_bool(v, false), &body);
			put_bytes(r->number, buf_view(&body), out);
			break;
		}
		put_message(r->of, v, &body);
		put_wrapped(r, buf_view(&body), out);
		break;
	case AS_MESSAGES:
		for (size_t i = 0; i < json_len(v); i++) {
			buf_reset(&body);
			put_message(r->of, json_item(v, i), &body);
			put_bytes(r->number, buf_view(&body), out);
		}
		break;
	case AS_NAMED:
		put_named(r, v, out);
		break;
	case AS_PARAMETERS:
		for (size_t i = 0; i < json_len(v); i++)
			put_parameter(r->number, json_item(v, i), out);
		break;
	}
}

static void put_message(const struct message *m, const struct json *v, struct buf *out)
{
	for (size_t i = 0; json_is(v, JSON_OBJECT) && i < json_len(v); i++) {
		const struct json_member *member = &v->members[i];
		if (m->extensions && str_starts(member->key, STR("x-"))) {
			put_extension(m->extensions, member, out);
			continue;
		}
		for (size_t k = 0; k < m->nrows; k++) {
			if (str_is(member->key, m->rows[k].member))
				put_value(&m->rows[k], &member->value, out);
		}
	}
}

void openapi_proto_write(const struct json *v, struct buf *out)
{
	put_message(&document, v, out);
}
