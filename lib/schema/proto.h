/*
 * Objects in Kubernetes' protobuf form, as newer kubectl sends them: read into trees by the same
 * schema that everything else reads. Only ever read, never written: every client that sends
 * protobuf also takes JSON. Pure; input is hostile.
 */
#ifndef PLUMB_SCHEMA_PROTO_H
#define PLUMB_SCHEMA_PROTO_H

#include "lib/schema/schema.h"

/* True when `in` begins as the protobuf form does. */
bool proto_is(struct str in);
/*
 * The object in the envelope, with its apiVersion and kind. Zero values that stand for absence are
 * left out. Texts may point into `in`. ERR_BAD_REQUEST when malformed or of an unknown kind.
 */
struct json *proto_decode(struct arena *a, struct str in, struct err *err);

#endif
