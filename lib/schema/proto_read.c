/*
 * The wire of the protobuf form: fields one after another, and the values that are no messages of
 * a schema (times, quantities, numbers). Must never read beyond the message. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/schema/proto-internal.h"

#include "lib/base/pure.h"

#define GO_ZERO_TIME INT64_C(-62135596800)
#define LAST_TIME INT64_C(253402300799) /* the last second of the year 9999 */

int proto_bad(struct reader *r, const char *what)
{
	return err_set(r->err, ERR_BAD_REQUEST, "protobuf body: %s", what);
}

bool proto_take_varint(struct str *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
		uint8_t b = (uint8_t)*in->p;
		in->p++;
		in->n--;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* 1 = a field, 0 = the end, -1 = malformed. */
int proto_take_field(struct reader *r, struct str *in, struct raw *ret)
{
	uint64_t key, n;

	if (!in->n)
		return 0;
	if (!proto_take_varint(in, &key) || key >> 3 == 0 || key >> 3 > 536870911)
		return proto_bad(r, "broken field key");
	*ret = (struct raw){.number = (uint32_t)(key >> 3), .wire = (enum wire)(key & 7)};
	switch (key & 7) {
	case WIRE_VARINT:
		return proto_take_varint(in, &ret->n) ? 1 : proto_bad(r, "broken number");
	case WIRE_FIXED64:
	case WIRE_FIXED32:
		n = (key & 7) == WIRE_FIXED64 ? 8 : 4;
		break;
	case WIRE_BYTES:
		if (!proto_take_varint(in, &n))
			return proto_bad(r, "broken length");
		break;
	default:
		return proto_bad(r, "unknown wire type");
	}
	if (n > in->n)
		return proto_bad(r, "field is longer than its message");
	ret->bytes = str_sub(*in, 0, (size_t)n);
	in->p += n;
	in->n -= (size_t)n;
	return 1;
}

struct json *proto_text(struct reader *r, const struct raw *f)
{
	if (f->wire != WIRE_BYTES || !str_is_utf8(f->bytes)) {
		proto_bad(r, "text expected");
		return NULL;
	}
	return json_new_str(r->a, f->bytes);
}

/* The field of that number in a small message, as well-known types are; the last one counts. */
int proto_pick(struct reader *r, struct str in, uint32_t number, struct raw *ret)
{
	struct raw f;
	int rc;

	*ret = (struct raw){0};
	while ((rc = proto_take_field(r, &in, &f)) > 0) {
		if (f.number == number)
			*ret = f;
	}
	return rc;
}

struct json *proto_time(struct reader *r, const struct raw *f, bool micro)
{
	char out[TIME_TEXT_MAX];
	struct raw s, n;

	if (f->wire != WIRE_BYTES || proto_pick(r, f->bytes, 1, &s) ||
	    proto_pick(r, f->bytes, 2, &n)) {
		proto_bad(r, "time expected");
		return NULL;
	}
	int64_t sec = (int64_t)s.n, ns = (int64_t)n.n;
	if ((sec == 0 && ns == 0) || sec == GO_ZERO_TIME)
		return json_new(r->a, JSON_NULL);
	if (sec < GO_ZERO_TIME || sec > LAST_TIME || ns < 0 || ns >= NS_PER_S) {
		proto_bad(r, "time is out of range");
		return NULL;
	}
	struct instant at = {sec, (int32_t)ns};
	return json_new_str(r->a, instant_format(at, micro, out));
}

struct json *proto_int_or_string(struct reader *r, const struct raw *f)
{
	struct raw type, i, s;

	if (f->wire != WIRE_BYTES || proto_pick(r, f->bytes, 1, &type) ||
	    proto_pick(r, f->bytes, 2, &i) || proto_pick(r, f->bytes, 3, &s)) {
		proto_bad(r, "number or text expected");
		return NULL;
	}
	if (type.n == 1)
		return s.wire == WIRE_BYTES ? proto_text(r, &s) : json_new_str(r->a, STR(""));
	return json_new_int(r->a, (int32_t)(uint32_t)i.n);
}

struct json *proto_quantity(struct reader *r, const struct raw *f)
{
	struct raw s;

	if (f->wire != WIRE_BYTES || proto_pick(r, f->bytes, 1, &s)) {
		proto_bad(r, "quantity expected");
		return NULL;
	}
	return s.wire == WIRE_BYTES ? proto_text(r, &s) : json_new_str(r->a, STR("0"));
}

struct json *proto_duration(struct reader *r, const struct raw *f)
{
	AUTO(buf) struct buf out = {0};
	struct raw n;

	if (f->wire != WIRE_BYTES || proto_pick(r, f->bytes, 1, &n)) {
		proto_bad(r, "duration expected");
		return NULL;
	}
	duration_format((int64_t)n.n, &out);
	return json_new_str(r->a, buf_view(&out));
}

/* RawExtension, FieldsV1, JSON: a message whose first field holds JSON. */
struct json *proto_anything(struct reader *r, const struct raw *f)
{
	struct raw s;
	struct json_limits limits = {.depth = PROTO_DEPTH_MAX, .nodes = PROTO_NODES_MAX};

	if (f->wire != WIRE_BYTES || proto_pick(r, f->bytes, 1, &s)) {
		proto_bad(r, "message expected");
		return NULL;
	}
	if (s.wire != WIRE_BYTES || !s.bytes.n)
		return json_new(r->a, JSON_NULL);
	return json_parse(r->a, s.bytes, &limits, r->err);
}

struct json *proto_double(struct reader *r, const struct raw *f)
{
	double d;
	char out[40];
	AUTO(buf) struct buf b = {0};

	if (f->wire != WIRE_FIXED64) {
		proto_bad(r, "number expected");
		return NULL;
	}
	memcpy(&d, f->bytes.p, sizeof(d));
	/* The shortest text that is this number again. */
	for (int digits = 15; digits <= 17; digits++) {
		buf_reset(&b);
		buf_printf(&b, "%.*g", digits, d);
		if (strtod(buf_cstr(&b), NULL) == d)
			break;
	}
	if (b.n >= sizeof(out) || d != d || d > 1e300 || d < -1e300) {
		proto_bad(r, "number is out of range");
		return NULL;
	}
	return json_parse(r->a, arena_str(r->a, buf_view(&b)), NULL, r->err);
}

struct json *proto_bytes(struct reader *r, const struct raw *f)
{
	AUTO(buf) struct buf b = {0};

	if (f->wire != WIRE_BYTES) {
		proto_bad(r, "bytes expected");
		return NULL;
	}
	base64_encode(f->bytes, &b);
	return json_new_str(r->a, buf_view(&b));
}

struct json *proto_whole(struct reader *r, const struct raw *f, bool boolean)
{
	if (f->wire != WIRE_VARINT) {
		proto_bad(r, "number expected");
		return NULL;
	}
	return boolean ? json_new_bool(r->a, f->n != 0) : json_new_int(r->a, (int64_t)f->n);
}
