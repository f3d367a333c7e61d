/* Limits that CustomResourceDefinitions put on values, checked in the words of Kubernetes' OpenAPI
 * validator. Pure. */
#ifndef PLUMB_SCHEMA_LIMITS_H
#define PLUMB_SCHEMA_LIMITS_H

#include "lib/schema/schema-internal.h"

/* s->limits must not be NULL, v is of the right type and not null. */
void limits_check(struct schema_problems *ps, const struct schema *s, const struct json *v,
		  const struct spath *at);
/* Duplicate items of sets and list maps. */
void limits_check_unique(struct schema_problems *ps, const struct schema *s, const struct json *v,
			 const struct spath *at);

#endif
