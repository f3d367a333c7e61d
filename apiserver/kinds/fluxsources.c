/* Flux's other sources: what repositories hold beside GitRepositories. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("URL", "string", "Where it is."),
	COL_AGE,
	COL("Ready", "string", "Whether the last fetch went well."),
	COL("Status", "string", "What the last fetch said."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ready = condition_find(o, "Ready");
	static const char *const where[] = {"url", "endpoint", "chart"};
	struct str url = STR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(where) && !url.n; i++)
		url = json_str(json_at(o, "spec", where[i]));
	cell_name(c, cells, o);
	cell_str(c, cells, url);
	cell_age(c, cells, o);
	cell_str(c, cells, json_str(json_get(ready, STR("status"))));
	cell_str(c, cells, json_str(json_get(ready, STR("message"))));
}

static const char *const ocirepository_short_names[] = {"ocirepo", NULL};

const struct kind kind_ocirepository = {
	.group = "source.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "OCIRepository",
	.plural = "ocirepositories",
	.short_names = ocirepository_short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.source.v1.OCIRepository",
	.columns = columns,
	.row = row,
};

static const char *const helmrepository_short_names[] = {"helmrepo", NULL};

const struct kind kind_helmrepository = {
	.group = "source.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "HelmRepository",
	.plural = "helmrepositories",
	.short_names = helmrepository_short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.source.v1.HelmRepository",
	.columns = columns,
	.row = row,
};

static const char *const helmchart_short_names[] = {"hc", NULL};

const struct kind kind_helmchart = {
	.group = "source.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "HelmChart",
	.plural = "helmcharts",
	.short_names = helmchart_short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.source.v1.HelmChart",
	.columns = columns,
	.row = row,
};

const struct kind kind_bucket = {
	.group = "source.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "Bucket",
	.plural = "buckets",
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.source.v1.Bucket",
	.columns = columns,
	.row = row,
};
