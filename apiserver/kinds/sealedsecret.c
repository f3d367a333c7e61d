/* SealedSecrets: Secrets that may lie in git. Only the cluster can open them. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Synced", "string", "Whether the Secret was made."),
	COL("Status", "string", "Why not."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_get(condition_find(o, "Synced"), STR("status"))));
	cell_str(c, cells, json_str(json_get(condition_find(o, "Synced"), STR("message"))));
	cell_age(c, cells, o);
}

const struct kind kind_sealedsecret = {
	.group = "plumb.dev",
	.version = "v1",
	.kind = "SealedSecret",
	.plural = "sealedsecrets",
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "dev.plumb.v1.SealedSecret",
	.columns = columns,
	.row = row,
};
