/* DriftReports: what in the cluster differs from git, and what became of it. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Kustomization", "string", "Whose objects drifted."),
	COL("Items", "integer", "How many fields and objects."),
	COL("Mode", "string", "What is done about it."),
	COL("Branch", "string", "Where it is proposed."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "spec", "kustomizationRef", "name")));
	cell_int(c, cells, json_int(json_at(o, "status", "total"), 0));
	cell_str(c, cells, json_str(json_at(o, "spec", "mode")));
	cell_str(c, cells, json_str(json_at(o, "spec", "branch")));
	cell_age(c, cells, o);
}

static const char *const short_names[] = {"drift", NULL};

const struct kind kind_driftreport = {
	.group = "plumb.dev",
	.version = "v1",
	.kind = "DriftReport",
	.plural = "driftreports",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "dev.plumb.v1.DriftReport",
	.columns = columns,
	.row = row,
};
