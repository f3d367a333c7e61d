/*
 * metrics.k8s.io: what nodes and pods use. Nobody writes them and nothing of them is stored: the
 * front asks the kubelets when somebody wants to know (resmetrics.c). Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/quantity.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Cpu", "string", "CPU time a second."),
	COL("Memory", "string", "Memory that can't be had back at once."),
	COL("Window", "string", "The time that it was measured over."),
	{0},
};

static void add(const struct json *usage, const char *what, __int128 *sum)
{
	struct quantity q;

	if (!quantity_parse(json_str(json_get(usage, str_c(what))), &q))
		*sum += q.nano;
}

static void cell_quantity(struct kind_ctx *c, struct json *cells, __int128 nano,
			  enum quantity_format format)
{
	AUTO(buf) struct buf text = {0};

	quantity_format((struct quantity){nano, format}, &text);
	cell_str(c, cells, buf_view(&text));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *list = json_get(o, STR("containers")), *usage;
	__int128 cpu = 0, memory = 0;

	for (size_t i = 0; i < MAX(json_len(list), 1u); i++) {
		usage = json_get(list ? json_item(list, i) : o, STR("usage"));
		add(usage, "cpu", &cpu);
		add(usage, "memory", &memory);
	}
	cell_name(c, cells, o);
	cell_quantity(c, cells, cpu, QUANTITY_DECIMAL_SI);
	cell_quantity(c, cells, memory, QUANTITY_BINARY_SI);
	cell_str(c, cells, json_str(json_get(o, STR("window"))));
}

const struct kind kind_nodemetrics = {
	.group = "metrics.k8s.io",
	.version = "v1beta1",
	.kind = "NodeMetrics",
	.plural = "nodes",
	.list_kind = "NodeMetricsList",
	.singular = "",
	.flags = KIND_READ_ONLY,
	.schema_name = "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics",
	.columns = columns,
	.row = row,
};

const struct kind kind_podmetrics = {
	.group = "metrics.k8s.io",
	.version = "v1beta1",
	.kind = "PodMetrics",
	.plural = "pods",
	.list_kind = "PodMetricsList",
	.singular = "",
	.flags = KIND_READ_ONLY | KIND_NAMESPACED,
	.schema_name = "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics",
	.columns = columns,
	.row = row,
};
