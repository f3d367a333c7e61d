/*
 * Conditions of Applications that are warnings: nothing fails by them, and nothing is silent. On
 * the role's loop; memory is the caller's arena.
 */
#include "reconciler/argo.h"
#include "reconciler/argo_orphans.h"
#include "reconciler/argo_project.h"

static void add(struct arena *a, struct json *list, const char *type, const char *message)
{
	json_append(a, list, json_build(a, "{s:s,s:s}", "type", type, "message", message));
}

struct json *argo_warnings(const struct unit *u, struct arena *a)
{
	struct json *list = json_new(a, JSON_ARRAY);
	const struct argo *g = u->argo;
	const struct json *project = argo_project(u, a);
	const char *orphans = argo_orphans_text(u, a);

	if (u->shared_told)
		add(a, list, "SharedResourceWarning", u->shared_told);
	if (orphans)
		add(a, list, "OrphanedResourceWarning", orphans);
	application_unheeded(a, obj_tree(u->o, a), list);
	if (project)
		project_unheeded(a, project, list);
	if (g->strange)
		add(a, list, "UnsupportedWarning", g->strange);
	return list;
}
