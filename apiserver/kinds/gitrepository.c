/* GitRepositories: where sources come from. The API is Flux's own. Pure. */
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

static struct str ready_member(const struct json *o, const char *member)
{
	return json_str(json_get(condition_find(o, "Ready"), str_c(member)));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "spec", "url")));
	cell_age(c, cells, o);
	cell_str(c, cells, ready_member(o, "status"));
	cell_str(c, cells, ready_member(o, "message"));
}

static const char *const short_names[] = {"gitrepo", NULL};

const struct kind kind_gitrepository = {
	.group = "source.toolkit.fluxcd.io",
	.version = "v1",
	.kind = "GitRepository",
	.plural = "gitrepositories",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.source.v1.GitRepository",
	.columns = columns,
	.row = row,
};
