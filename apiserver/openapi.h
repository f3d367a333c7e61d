/*
 * OpenAPI documents of the served kinds, made from their schemas: what `kubectl explain` reads,
 * what older kubectl checks manifests and builds patches by, and where newer kubectl looks whether
 * the server can check fields itself. Pure; documents are made anew with every call.
 */
#ifndef PLUMB_APISERVER_OPENAPI_H
#define PLUMB_APISERVER_OPENAPI_H

#include "apiserver/kinds/kind.h"

struct openapi {
	const struct kind *const *kinds;
	size_t n;
};

/* GET /openapi/v3: where each group version's document is. */
void openapi_v3_index(const struct openapi *o, struct buf *out);
/* One group version's, "api/v1" or "apis/apps/v1". False when nothing of it is served. */
bool openapi_v3(const struct openapi *o, struct str group_version, struct buf *out);
/* Everything in one: Swagger 2.0. */
void openapi_v2_json(const struct openapi *o, struct buf *out);
/* The same as gnostic's openapi.v2.Document message: kubectl 1.20 takes nothing else. */
void openapi_v2_proto(const struct openapi *o, struct buf *out);

/* openapi_proto.c: a Swagger 2.0 tree as such a message. */
void openapi_proto_write(const struct json *document, struct buf *out);

#endif
