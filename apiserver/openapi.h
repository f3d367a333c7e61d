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
	const struct json *external; /* of extensions (aggregate_openapi()), or NULL */
};

/* GET /openapi/v3: where each group version's document is. */
void openapi_v3_index(const struct openapi *o, struct buf *out);
/* One group version's, "api/v1" or "apis/apps/v1". False when nothing of it is served. */
bool openapi_v3(const struct openapi *o, struct str group_version, struct buf *out);
/* Everything in one: Swagger 2.0. */
void openapi_v2_json(const struct openapi *o, struct buf *out);
/* The same as gnostic's openapi.v2.Document message: kubectl 1.20 takes nothing else. */
void openapi_v2_proto(const struct openapi *o, struct buf *out);

/* openapi_crd.c: a definition's schema, or anything else: anything goes. metadata: the property's
 * schema. */
struct json *openapi_custom(struct arena *a, const struct json *schema, const struct json *metadata,
			    bool v3);

/* ---- openapi_external.c: what others publish ---- */
/* The part of a Swagger 2.0 document that is about the group version; nothing when there is none.
 */
void openapi_part_v2(const struct json *doc, struct str group, struct str version, struct buf *out);
/* Where an index of /openapi/v3 says its document is; STR_NONE. */
struct str openapi_part_v3(struct arena *a, const struct json *index, struct str group,
			   struct str version);
void openapi_merge_v2(struct arena *a, struct json *doc, const struct json *external);
void openapi_merge_v3(struct arena *a, struct json *paths, const struct json *external);

/* openapi_proto.c: a Swagger 2.0 tree as such a message. */
void openapi_proto_write(const struct json *document, struct buf *out);

#endif
