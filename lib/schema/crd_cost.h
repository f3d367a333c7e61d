/*
 * What a definition's rules may cost, one by one and together: those that can't be afforded are
 * problems. Limits and words are Kubernetes'. Pure.
 */
#ifndef PLUMB_SCHEMA_CRD_COST_H
#define PLUMB_SCHEMA_CRD_COST_H

#include "lib/schema/schema.h"

#define CRD_COST_UNBOUNDED UINT64_MAX

/* Of one schema; zeroed but for ps. */
struct crd_costs {
	struct schema_problems *ps;
	uint64_t total;
	struct {
		uint64_t cost;
		struct str at;
	} most[4]; /* the dearest first */
};

/*
 * An expression of `cost` at the path, which ends in ".rule" or ".messageExpression", under a type
 * of whose values there can be `many`.
 */
void crd_cost_add(struct crd_costs *c, const struct schema *s, uint64_t many, uint64_t cost,
		  struct str at);
/* How many there can be below a value of which there can be `many`. */
uint64_t crd_cost_below(const struct schema *s, uint64_t many);
/* When all have been added: `at` is the schema's path. */
void crd_cost_end(struct crd_costs *c, struct str at);

#endif
