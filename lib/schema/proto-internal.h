/* What reading and writing the protobuf form share. */
#ifndef PLUMB_SCHEMA_PROTO_INTERNAL_H
#define PLUMB_SCHEMA_PROTO_INTERNAL_H

#include "lib/schema/schema.h"

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* ---- proto_read.c: fields as they stand on the wire ---- */
struct reader {
	struct arena *a;
	struct err *err;
	size_t nodes;
	int depth;
};

struct raw {
	uint32_t number;
	enum wire wire;
	uint64_t n;
	struct str bytes;
};

/* Sets ERR_BAD_REQUEST; -1. */
int proto_bad(struct reader *r, const char *what);
bool proto_take_varint(struct str *in, uint64_t *ret);
/* 1 = a field, 0 = the end, -1 = malformed. */
int proto_take_field(struct reader *r, struct str *in, struct raw *ret);
/* The field of that number in a small message, as well-known types are; the last one counts. */
int proto_pick(struct reader *r, struct str in, uint32_t number, struct raw *ret);

/* Values that are no messages of the schema; NULL with r->err. */
struct json *proto_text(struct reader *r, const struct raw *f);
struct json *proto_time(struct reader *r, const struct raw *f, bool micro);
struct json *proto_int_or_string(struct reader *r, const struct raw *f);
struct json *proto_quantity(struct reader *r, const struct raw *f);
struct json *proto_duration(struct reader *r, const struct raw *f);
struct json *proto_anything(struct reader *r, const struct raw *f);
struct json *proto_double(struct reader *r, const struct raw *f);
struct json *proto_bytes(struct reader *r, const struct raw *f);
struct json *proto_whole(struct reader *r, const struct raw *f, bool boolean);

#define PROTO_DEPTH_MAX 64
#define PROTO_NODES_MAX 1000000

/* ---- proto.c ---- */
/* The members of a definition's schema that are a schema or something else: in JSON either, in this
 * form a message with room for both. */
enum proto_union {
	PROTO_PLAIN, /* none of them */
	PROTO_SCHEMA_OR_ARRAY,
	PROTO_SCHEMA_OR_BOOL,
	PROTO_SCHEMA_OR_STRINGS
};
enum proto_union proto_union_of(const struct schema *s, const struct schema **ret_member);

#endif
