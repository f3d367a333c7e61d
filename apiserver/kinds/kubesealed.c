/* kubeseal's SealedSecrets, opened by our own controllers where sealed-secrets doesn't run. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Status", "string", "Why the Secret was not made."),
	COL("Synced", "string", "Whether the Secret was made."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_get(condition_find(o, "Synced"), STR("message"))));
	cell_str(c, cells, json_str(json_get(condition_find(o, "Synced"), STR("status"))));
	cell_age(c, cells, o);
}

const struct kind kind_kubesealed = {
	.group = "bitnami.com",
	.version = "v1alpha1",
	.kind = "SealedSecret",
	.plural = "sealedsecrets",
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "com.bitnami.v1alpha1.SealedSecret",
	.columns = columns,
	.row = row,
};
