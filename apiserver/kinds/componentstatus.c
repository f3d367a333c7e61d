/*
 * ComponentStatuses: how the cluster's parts are, for those who still ask. Nobody writes them: the
 * core keeps one for each part, and what answers at all has the parts running. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Status", "string", "Whether it is healthy."),
	COL("Message", "string", "What it says."),
	COL("Error", "string", "What is wrong."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *healthy = condition_find(o, "Healthy");
	const struct json *list = json_get(o, STR("conditions"));

	for (size_t i = 0; !healthy && i < json_len(list); i++)
		if (str_is(json_str(json_get(json_item(list, i), STR("type"))), "Healthy"))
			healthy = json_item(list, i);
	cell_name(c, cells, o);
	cell_str(c, cells,
		 str_is(json_str(json_get(healthy, STR("status"))), "True") ? STR("Healthy")
									    : STR("Unhealthy"));
	cell_str(c, cells, json_str(json_get(healthy, STR("message"))));
	cell_str(c, cells, json_str(json_get(healthy, STR("error"))));
}

static const char *const short_names[] = {"cs", NULL};

const struct kind kind_componentstatus = {
	.group = "",
	.version = "v1",
	.kind = "ComponentStatus",
	.plural = "componentstatuses",
	.short_names = short_names,
	.flags = KIND_READ_ONLY,
	.schema_name = "io.k8s.api.core.v1.ComponentStatus",
	.columns = columns,
	.row = row,
};
