/*
 * x-kubernetes-validations: rules in CEL that a CustomResourceDefinition's schema sets for values.
 * Compiled with the schema, in its arena; evaluated when a custom resource is written. Pure.
 * Specification: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel.
 */
#ifndef PLUMB_SCHEMA_CRD_RULES_H
#define PLUMB_SCHEMA_CRD_RULES_H

#include "lib/schema/schema.h"

/* The rules of an OpenAPI schema into the type made of it, which is complete but for them. */
void crd_rules_build(struct arena *a, struct schema *s, const struct json *openapi);
/* What is wrong with the rules of a type and those below; `at` is the schema's path. */
void crd_rules_judge(const struct schema *s, struct str at, struct schema_problems *ps);

/*
 * An object of the type against its rules. `old` NULL on create. Does not look at objects whose
 * problems so far make rules meaningless, and says so.
 */
void crd_rules_check(const struct schema *s, const struct json *next, const struct json *old,
		     struct schema_problems *ps);

#endif
