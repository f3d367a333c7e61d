/*
 * Types out of CustomResourceDefinitions: the structural OpenAPI schema of a version becomes the
 * same `struct schema` that built-in kinds have. Pure; everything lives in the given arena.
 */
#ifndef PLUMB_SCHEMA_CRD_SCHEMA_H
#define PLUMB_SCHEMA_CRD_SCHEMA_H

#include "lib/schema/schema.h"

/*
 * The type of a version's objects. `openapi` (openAPIV3Schema, or NULL: anything goes) must live in
 * `a` or outlive it. Whatever makes no sense is read as "anything"; crd_schema_check() tells.
 * preserve: unknown fields stay everywhere.
 */
const struct schema *crd_schema_build(struct arena *a, const struct json *openapi, bool preserve);

/* The rules of structural schemas, in Kubernetes' words; `at` is the path of `openapi`. */
void crd_schema_check(const struct json *openapi, struct str at, struct schema_problems *problems);

/* Nulls that stand where neither null nor a default may: dropped in place, as Kubernetes does
 * before it fills defaults. */
void crd_schema_drop_nulls(const struct schema *s, struct json *v);

#endif
