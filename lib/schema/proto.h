/*
 * Objects in Kubernetes' protobuf form, as newer kubectl sends them: read into trees by the same
 * schema that everything else reads, and written for clients that take nothing else. Pure; input
 * is hostile.
 */
#ifndef PLUMB_SCHEMA_PROTO_H
#define PLUMB_SCHEMA_PROTO_H

#include "lib/base/buf.h"
#include "lib/schema/schema.h"

/* True when `in` begins as the protobuf form does. */
bool proto_is(struct str in);
/*
 * The object in the envelope, with its apiVersion and kind. Zero values that stand for absence are
 * left out. Texts may point into `in`. ERR_BAD_REQUEST when malformed or of an unknown kind.
 */
struct json *proto_decode(struct arena *a, struct str in, struct err *err);

/* Whether the type has this form: ours and definitions' have none. */
bool proto_has(const struct schema *s);
/*
 * The same way back: an object, a list of them, a Status or PartialObjectMetadata(List), as an
 * answer holds them, is added to `out`. ERR_NOT_ACCEPTABLE, and nothing is added, when the kind has
 * no protobuf form: custom resources.
 */
MUST_USE int proto_encode(const struct json *v, struct buf *out, struct err *err);
/* A watch event, {"type":…,"object":…}, as it goes over the wire: with its length before it. */
MUST_USE int proto_encode_event(const struct json *event, struct buf *out, struct err *err);

#endif
