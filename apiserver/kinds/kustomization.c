/* Kustomizations: what of a source is applied, and how. The API is Flux's own. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL_AGE,
	COL("Ready", "string", "Whether the last revision is applied."),
	COL("Status", "string", "What the last attempt said."),
	{0},
};

static struct str ready_member(const struct json *o, const char *member)
{
	return json_str(json_get(condition_find(o, "Ready"), str_c(member)));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_age(c, cells, o);
	cell_str(c, cells, ready_member(o, "status"));
	cell_str(c, cells, ready_member(o, "message"));
}

static const char *const short_names[] = {"ks", NULL};

const struct kind kind_kustomization = {
	.group = "kustomize.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "Kustomization",
	.plural = "kustomizations",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.kustomize.v1.Kustomization",
	.columns = columns,
	.row = row,
};
