/* Rules of CustomResourceDefinitions that stand by themselves. Pure. */
#ifndef PLUMB_APISERVER_RULES_CRD_H
#define PLUMB_APISERVER_RULES_CRD_H

#include "apiserver/kinds/rules.h"

/* All of spec. live NULL on create: what it had is not judged again. (rules_crdspec.c) */
void crd_spec_validate(struct kind_ctx *c, const struct json *next, const struct json *live);
/* A version's selectableFields, against its schema. */
void crd_selectable_validate(struct kind_ctx *c, const struct spath *at,
			     const struct json *version);
/* Who defines something in a group of Kubernetes' own says who approved it. live NULL on create. */
void crd_approval_validate(struct kind_ctx *c, const struct json *next, const struct json *live);
/* The status' word on that, for those groups only. */
void crd_approval_condition(struct kind_ctx *c, struct json *o);

#endif
