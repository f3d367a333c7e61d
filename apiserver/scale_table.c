/* A Scale as a table, which `kubectl get --subresource=scale` asks for. Pure. */
#include "apiserver/kinds/rules.h"
#include "apiserver/table.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Desired", "integer", "How many there shall be."),
	COL("Available", "integer", "How many there are."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_int(c, cells, json_int(json_at(o, "spec", "replicas"), 0));
	cell_int(c, cells, json_int(json_at(o, "status", "replicas"), 0));
	cell_age(c, cells, o);
}

static const struct kind scale = {.group = "autoscaling",
				  .version = "v1",
				  .kind = "Scale",
				  .plural = "scales",
				  .columns = columns,
				  .row = row};

void scale_table(const struct json *v, struct str include, int64_t now_ns, struct buf *out)
{
	buf_puts(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{},"
		      "\"columnDefinitions\":");
	table_columns(&scale, out);
	buf_puts(out, ",\"rows\":[");
	table_row(&scale, v, include, now_ns, out);
	buf_puts(out, "]}");
}
