/* Flux' notifications: who calls us, and whom we tell. The API is Flux's own. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL_AGE,
	COL("Ready", "string", "Whether it works."),
	COL("Status", "string", "What stands in its way, or where it listens."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ready = condition_find(o, "Ready");

	cell_name(c, cells, o);
	cell_age(c, cells, o);
	cell_str(c, cells, json_str(json_get(ready, STR("status"))));
	cell_str(c, cells, json_str(json_get(ready, STR("message"))));
}

const struct kind kind_receiver = {
	.group = "notification.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "Receiver",
	.plural = "receivers",
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.notification.v1.Receiver",
	.columns = columns,
	.row = row,
};

const struct kind kind_alert = {
	.group = "notification.toolkit.fluxcd.io",
	.version = "v1beta3",
	.kind = "Alert",
	.plural = "alerts",
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.notification.v1beta3.Alert",
	.columns = columns,
	.row = row,
};

const struct kind kind_provider = {
	.group = "notification.toolkit.fluxcd.io",
	.version = "v1beta3",
	.kind = "Provider",
	.plural = "providers",
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.notification.v1beta3.Provider",
	.columns = columns,
	.row = row,
};
