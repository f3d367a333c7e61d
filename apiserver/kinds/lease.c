/*
 * Leases: who leads, and which node still lives.
 *
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Holder", "string", "Who holds it."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "spec", "holderIdentity")));
	cell_age(c, cells, o);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *seconds = json_at(next, "spec", "leaseDurationSeconds");

	(void)live;
	if (json_is(seconds, JSON_INT) && seconds->i <= 0)
		rule_invalid(c, &at, "leaseDurationSeconds", seconds, "must be greater than 0");
	rule_non_negative(c, &at, json_get(next, STR("spec")), "leaseTransitions");
}

const struct kind kind_lease = {
	.group = "coordination.k8s.io",
	.version = "v1",
	.kind = "Lease",
	.plural = "leases",
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED,
	.schema_name = "io.k8s.api.coordination.v1.Lease",
	.columns = columns,
	.row = row,
	.validate = validate,
};
