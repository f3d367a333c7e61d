/* Argo CD's kinds. Applications are reconciled, AppProjects limit them, ApplicationSets are stored.
 * Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Sync Status", "string", "Whether the cluster matches the source."),
	COL("Health Status", "string", "How the objects stand."),
	COL("Revision", "string", "The commit that was compared with.", .priority = 1),
	COL("Project", "string", "The AppProject that it belongs to.", .priority = 1),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *status = json_get(o, STR("status"));

	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(status, "sync", "status")));
	cell_str(c, cells, json_str(json_at(status, "health", "status")));
	cell_str(c, cells, json_str(json_at(status, "sync", "revision")));
	cell_str(c, cells, json_str(json_at(o, "spec", "project")));
}

static const char *const application_short_names[] = {"app", "apps", NULL};

const struct kind kind_application = {
	.group = "argoproj.io",
	.version = "v1alpha1",
	.kind = "Application",
	.plural = "applications",
	.short_names = application_short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.argoproj.v1alpha1.Application",
	.columns = columns,
	.row = row,
};

static const char *const appproject_short_names[] = {"appproj", "appprojs", NULL};

const struct kind kind_appproject = {
	.group = "argoproj.io",
	.version = "v1alpha1",
	.kind = "AppProject",
	.plural = "appprojects",
	.short_names = appproject_short_names,
	.flags = KIND_NAMESPACED | KIND_GENERATION,
	.schema_name = "io.argoproj.v1alpha1.AppProject",
};

static const char *const applicationset_short_names[] = {"appset", "appsets", NULL};

const struct kind kind_applicationset = {
	.group = "argoproj.io",
	.version = "v1alpha1",
	.kind = "ApplicationSet",
	.plural = "applicationsets",
	.short_names = applicationset_short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.argoproj.v1alpha1.ApplicationSet",
};
