/*
 * A rule costs what one evaluation may cost, as often as its place may occur in a request. Lists
 * and maps without a bound are taken to fill the request with the smallest of their values. Pure;
 * paths live with the problems.
 * Specification: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation.
 */
#include "lib/schema/crd_cost.h"

#include "lib/schema/cel.h"
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

#define RULE_MAX UINT64_C(10000000)
#define SCHEMA_MAX UINT64_C(100000000)
#define BODY_MAX UINT64_C(3145728)

static uint64_t mul(uint64_t x, uint64_t y)
{
	return y && x > UINT64_MAX / y ? UINT64_MAX : x * y;
}

static void exceeds(struct crd_costs *c, struct str at, const char *what, uint64_t cost,
		    uint64_t limit)
{
	double factor = (double)cost / (double)limit;
	struct arena *a = c->ps->a;
	const char *text = "more than 100x";

	if (factor < 1.5)
		text = arena_printf(a, "%fx", factor); /* not "1.0x" */
	else if (factor <= 100)
		text = arena_printf(a, "%.1fx", factor);
	schema_problem(c->ps, "FieldValueForbidden", at, 0,
		       "Forbidden: %s exceeds budget by factor of %s (try simplifying the rule, or "
		       "adding maxItems, maxProperties, and maxLength where arrays, maps, and "
		       "strings are declared)",
		       what, text);
}

static void remember(struct crd_costs *c, uint64_t cost, struct str at)
{
	for (size_t i = 0; i < ARRAY_LEN(c->most); i++) {
		uint64_t less = c->most[i].cost;
		struct str where = c->most[i].at;

		if (cost <= less)
			continue;
		c->most[i].cost = cost;
		c->most[i].at = at;
		cost = less;
		at = where;
	}
}

void crd_cost_add(struct crd_costs *c, const struct schema *s, uint64_t many, uint64_t cost,
		  struct str at)
{
	bool rule = str_ends(at, STR(".rule"));

	if (many == CRD_COST_UNBOUNDED)
		many = BODY_MAX / (cel_size_least(s) + 1);
	if (rule) /* what a rule says is said once */
		cost = mul(cost, many);
	if (cost > RULE_MAX)
		exceeds(c, at, rule ? "estimated rule cost" : "estimated messageExpression cost",
			cost, RULE_MAX);
	c->total = c->total > UINT64_MAX - cost ? UINT64_MAX : c->total + cost;
	remember(c, cost, at);
}

uint64_t crd_cost_below(const struct schema *s, uint64_t many)
{
	const struct schema_limits *l = s->limits;
	int64_t most = -1;

	if (l && s->type == SCHEMA_ARRAY)
		most = l->max_items;
	else if (l)
		most = l->max_properties;
	if (most < 0 || many == CRD_COST_UNBOUNDED)
		return CRD_COST_UNBOUNDED;
	return mul(many, (uint64_t)most);
}

void crd_cost_end(struct crd_costs *c, struct str at)
{
	if (c->total <= SCHEMA_MAX)
		return;
	for (size_t i = 0; i < ARRAY_LEN(c->most) && c->most[i].cost; i++)
		schema_problem(c->ps, "FieldValueForbidden", c->most[i].at, 0,
			       "Forbidden: contributed to estimated rule cost total exceeding cost "
			       "limit for entire OpenAPIv3 schema");
	exceeds(c, at,
		"x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
		c->total, SCHEMA_MAX);
}
