/*
 * Objects, lists and watch events written in the protobuf form. What is absent is not written:
 * readers take it for Go's zero value, or nil. Must never write half a message: what the form has
 * no numbers for is refused before anything is written. Pure.
 * Specification: k8s.io/apimachinery/pkg/runtime/serializer/protobuf.
 */
#include "lib/schema/proto.h"

#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/schema/proto-internal.h"

#include "lib/base/pure.h"

#define META "io.k8s.apimachinery.pkg.apis.meta.v1."

static void put_varint(struct buf *out, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		buf_putc(out, (char)(v | 128));
	buf_putc(out, (char)v);
}

static void put_key(struct buf *out, uint32_t number, enum wire wire)
{
	put_varint(out, (uint64_t)number << 3 | wire);
}

static void put_number(struct buf *out, uint32_t number, uint64_t v)
{
	put_key(out, number, WIRE_VARINT);
	put_varint(out, v);
}

static void put_bytes(struct buf *out, uint32_t number, struct str s)
{
	put_key(out, number, WIRE_BYTES);
	put_varint(out, s.n);
	buf_str(out, s);
}

/* A message's length stands before it, and is known when it is written: it moves over then. */
static size_t begin(struct buf *out, uint32_t number)
{
	put_key(out, number, WIRE_BYTES);
	return out->n;
}

static void end(struct buf *out, size_t at)
{
	struct buf head = {0};
	size_t n = out->n - at;

	put_varint(&head, n);
	buf_put(out, head.p, head.n);
	memmove(out->p + at + head.n, out->p + at, n);
	memcpy(out->p + at, head.p, head.n);
	buf_release(&head);
}

static void put_object(const struct schema *s, const struct json *v, struct buf *out);
static void put_value(const struct schema *s, const struct json *v, uint32_t number,
		      struct buf *out);

/* ---- well-known types ---- */

static void put_time(const struct json *v, uint32_t number, struct buf *out)
{
	size_t at = begin(out, number);
	struct instant t;

	if (!instant_parse(json_str(v), &t)) {
		put_number(out, 1, (uint64_t)t.s);
		put_number(out, 2, (uint64_t)t.ns);
	}
	end(out, at);
}

static void put_int_or_string(const struct json *v, uint32_t number, struct buf *out)
{
	size_t at = begin(out, number);

	put_number(out, 1, json_is(v, JSON_STRING));
	if (json_is(v, JSON_STRING))
		put_bytes(out, 3, json_str(v));
	else
		put_number(out, 2, (uint64_t)json_int(v, 0));
	end(out, at);
}

/* Quantities are texts that may stand as numbers. */
static void put_quantity(const struct json *v, uint32_t number, struct buf *out)
{
	size_t at = begin(out, number);
	AUTO(buf) struct buf text = {0};

	if (json_is(v, JSON_STRING))
		buf_str(&text, json_str(v));
	else
		json_write(v, &text);
	put_bytes(out, 1, buf_view(&text));
	end(out, at);
}

static void put_duration(const struct json *v, uint32_t number, struct buf *out)
{
	size_t at = begin(out, number);
	int64_t ns;

	if (!duration_parse(json_str(v), &ns))
		put_number(out, 1, (uint64_t)ns);
	end(out, at);
}

static void put_double(const struct json *v, uint32_t number, struct buf *out)
{
	double d = json_double(v, 0);

	put_key(out, number, WIRE_FIXED64);
	buf_put(out, &d, sizeof(d));
}

static void put_base64(const struct json *v, uint32_t number, struct buf *out)
{
	AUTO(buf) struct buf raw = {0};

	if (!base64_decode_lines(json_str(v), &raw))
		put_bytes(out, number, buf_view(&raw));
}

/* ---- anything, and the members of schemas that are one thing or another ---- */

static void put_schema_or(enum proto_union kind, const struct schema *s, const struct json *v,
			  struct buf *out)
{
	if (json_is(v, JSON_OBJECT)) {
		if (kind == PROTO_SCHEMA_OR_BOOL)
			put_number(out, 1, 1);
		put_value(s, v, kind == PROTO_SCHEMA_OR_BOOL ? 2 : 1, out);
	} else if (json_is(v, JSON_BOOL)) {
		put_number(out, 1, json_bool(v, false));
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		if (kind == PROTO_SCHEMA_OR_ARRAY)
			put_value(s, json_item(v, i), 2, out);
		else
			put_bytes(out, 2, json_str(json_item(v, i)));
	}
}

static void put_any(const struct schema *s, const struct json *v, uint32_t number, struct buf *out)
{
	const struct schema *member;
	enum proto_union kind = proto_union_of(s, &member);
	size_t at = begin(out, number);
	AUTO(buf) struct buf text = {0};

	if (kind != PROTO_PLAIN) {
		put_schema_or(kind, member, v, out);
	} else {
		json_write(v, &text);
		put_bytes(out, 1, buf_view(&text));
	}
	end(out, at);
}

/* ---- values ---- */

static void put_list(const struct schema *s, const struct json *v, uint32_t number, struct buf *out)
{
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		put_value(s->item, json_item(v, i), number, out);
}

static void put_map(const struct schema *s, const struct json *v, uint32_t number, struct buf *out)
{
	for (size_t i = 0; json_is(v, JSON_OBJECT) && i < json_len(v); i++) {
		size_t at = begin(out, number), inner;

		put_bytes(out, 1, v->members[i].key);
		if (s->item->type == SCHEMA_ARRAY) { /* a message around the items */
			inner = begin(out, 2);
			put_list(s->item, &v->members[i].value, 1, out);
			end(out, inner);
		} else {
			put_value(s->item, &v->members[i].value, 2, out);
		}
		end(out, at);
	}
}

static void put_value(const struct schema *s, const struct json *v, uint32_t number,
		      struct buf *out)
{
	size_t at;

	switch (s->type) {
	case SCHEMA_STRING:
		put_bytes(out, number, json_str(v));
		return;
	case SCHEMA_INT:
		put_number(out, number, (uint64_t)json_int(v, 0));
		return;
	case SCHEMA_BOOL:
		put_number(out, number, json_bool(v, false));
		return;
	case SCHEMA_NUMBER:
		put_double(v, number, out);
		return;
	case SCHEMA_OBJECT:
		at = begin(out, number);
		put_object(s, v, out);
		end(out, at);
		return;
	case SCHEMA_INT_OR_STRING:
		put_int_or_string(v, number, out);
		return;
	case SCHEMA_QUANTITY:
		put_quantity(v, number, out);
		return;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		put_time(v, number, out);
		return;
	case SCHEMA_DURATION:
		put_duration(v, number, out);
		return;
	case SCHEMA_BYTES:
		put_base64(v, number, out);
		return;
	case SCHEMA_ANY:
		put_any(s, v, number, out);
		return;
	case SCHEMA_MAP:
		put_map(s, v, number, out);
		return;
	case SCHEMA_ARRAY:
		put_list(s, v, number, out);
		return;
	}
}

/* ---- messages ---- */

/* Fields whose path of embedded messages begins with these; in messages of their own below it. */
static void put_embedded(const struct schema *s, const struct json *v, uint32_t outer,
			 struct buf *out)
{
	uint32_t done = 0;

	for (size_t i = 0; i < s->nfields; i++) {
		uint32_t at = (s->fields[i].proto >> 8) & 15, around = s->fields[i].proto >> 12;
		uint32_t first = outer || !around ? at : around;
		size_t from;

		if (!at || (outer && around != outer) || done & 1U << first ||
		    !json_get(v, str_c(s->fields[i].name)))
			continue;
		done |= 1U << first;
		from = begin(out, first);
		for (size_t k = 0; k < s->nfields; k++) {
			const struct schema_field *f = &s->fields[k];
			const struct json *m = json_get(v, str_c(f->name));

			if (m && f->proto >> 8 == (outer << 4 | first) && !json_is(m, JSON_NULL))
				put_value(f->type, m, f->proto & 255, out);
		}
		if (!outer)
			put_embedded(s, v, first, out);
		end(out, from);
	}
}

static void put_object(const struct schema *s, const struct json *v, struct buf *out)
{
	bool embeds = false;

	for (size_t i = 0; i < json_len(v) && json_is(v, JSON_OBJECT); i++) {
		const struct schema_field *f = schema_field(s, v->members[i].key);

		if (!f || !f->proto || json_is(&v->members[i].value, JSON_NULL))
			continue;
		if (f->proto >> 8)
			embeds = true;
		else
			put_value(f->type, &v->members[i].value, f->proto, out);
	}
	if (embeds)
		put_embedded(s, v, 0, out);
}

/* ---- whole answers ---- */

/* What an answer is written as: its own type, or a list's or metadata's. */
struct shape {
	const struct schema *whole, *meta, *item;
	bool item_meta; /* items are metadata only */
};

static int find_shape(const struct json *v, struct shape *ret, struct err *err)
{
	struct str version = json_str(json_get(v, STR("apiVersion"))),
		   kind = json_str(json_get(v, STR("kind")));

	*ret = (struct shape){.whole = schema_find_kind(version, kind)};
	if (str_is(kind, "Status") && str_is(version, "v1"))
		ret->whole = schema_find(STR(META "Status"));
	if (ret->whole && proto_has(ret->whole))
		return 0;
	*ret = (struct shape){.meta = schema_find(STR(META "ListMeta"))};
	if (str_starts(version, STR("meta.k8s.io/")) && str_is(kind, "PartialObjectMetadata")) {
		ret->meta = schema_find(STR(META "ObjectMeta"));
		return 0;
	}
	if (str_starts(version, STR("meta.k8s.io/")) && str_is(kind, "PartialObjectMetadataList")) {
		ret->item_meta = true;
		return 0;
	}
	if (kind.n > 4 && str_ends(kind, STR("List")))
		ret->item = schema_find_kind(version, str_sub(kind, 0, kind.n - 4));
	if (ret->item && proto_has(ret->item))
		return 0;
	return err_set(err, ERR_NOT_ACCEPTABLE, "%.*s of %.*s has no protobuf form",
		       (int)MIN(kind.n, 64), kind.p ? kind.p : "", (int)MIN(version.n, 100),
		       version.p ? version.p : "");
}

static void put_meta(const struct schema *s, const struct json *v, struct buf *out)
{
	size_t at = begin(out, 1);

	put_object(s, json_get(v, STR("metadata")), out);
	end(out, at);
}

static void put_body(const struct shape *sh, const struct json *v, struct buf *out)
{
	const struct json *items = json_get(v, STR("items"));

	if (sh->whole) {
		put_object(sh->whole, v, out);
		return;
	}
	put_meta(sh->meta, v, out);
	for (size_t i = 0; (sh->item || sh->item_meta) && i < json_len(items); i++) {
		size_t at = begin(out, 2);

		if (sh->item)
			put_object(sh->item, json_item(items, i), out);
		else
			put_meta(schema_find(STR(META "ObjectMeta")), json_item(items, i), out);
		end(out, at);
	}
}

int proto_encode(const struct json *v, struct buf *out, struct err *err)
{
	struct shape sh;
	size_t at;

	if (find_shape(v, &sh, err))
		return -1;
	buf_put(out, "k8s", 4);
	at = begin(out, 1);
	put_bytes(out, 1, json_str(json_get(v, STR("apiVersion"))));
	put_bytes(out, 2, json_str(json_get(v, STR("kind"))));
	end(out, at);
	at = begin(out, 2);
	put_body(&sh, v, out);
	end(out, at);
	put_bytes(out, 3, STR(""));
	put_bytes(out, 4, STR(""));
	return 0;
}

int proto_encode_event(const struct json *event, struct buf *out, struct err *err)
{
	AUTO(buf) struct buf object = {0};
	AUTO(buf) struct buf message = {0};
	size_t at;

	if (proto_encode(json_get(event, STR("object")), &object, err))
		return -1;
	put_bytes(&message, 1, json_str(json_get(event, STR("type"))));
	at = begin(&message, 2);
	put_bytes(&message, 1, buf_view(&object));
	end(&message, at);
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_putc(out, (char)(message.n >> shift));
	buf_str(out, buf_view(&message));
	return 0;
}
