/*
 * What of Applications and AppProjects is stored and has no effect here. Most of what cannot be
 * done is refused (application.c, argo_project.c); this is what would change nothing about what is
 * deployed, and that somebody may still rely on. Pure.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/application.h"
#include "reconciler/argo_project.h"

#include "lib/base/pure.h"

#define WARNINGS_MAX 20

static void warn(struct arena *a, struct json *list, struct str message)
{
	if (json_len(list) < WARNINGS_MAX)
		json_append(a, list,
			    json_build(a, "{s:s,s:S}", "type", "UnsupportedWarning", "message",
				       message));
}

void application_unheeded(struct arena *a, const struct json *app, struct json *list)
{
	static const struct {
		const char *prefix, *what;
	} notes[] = {{"notifications.argoproj.io/",
		      "Argo CD's notifications are not sent; an Alert of "
		      "notification.toolkit.fluxcd.io tells of Applications"},
		     {"argocd-image-updater.argoproj.io/", "images are not updated"},
		     {"argocd.argoproj.io/hydrate", "there is no hydrator"}};
	const struct json *all = json_at(app, "metadata", "annotations");
	const struct json_member *m = json_members(all);
	bool told[ARRAY_LEN(notes)] = {0};

	for (size_t i = 0; m && i < json_len(all); i++) {
		for (size_t k = 0; k < ARRAY_LEN(notes); k++) {
			if (told[k] || !str_starts(m[i].key, str_c(notes[k].prefix)))
				continue;
			told[k] = true;
			warn(a, list,
			     arena_strf(a, "annotation %.*s: %s",
					STR_ARG(str_sub(m[i].key, 0, 120)), notes[k].what));
		}
	}
}

void project_unheeded(struct arena *a, const struct json *project, struct json *list)
{
	struct str name = meta_name(project);

	if (json_len(json_at(project, "spec", "roles")))
		warn(a, list,
		     arena_strf(a,
				"project '%.*s': spec.roles grants nothing here: who may do what "
				"with Applications is said by RoleBindings",
				STR_ARG(name)));
	if (json_len(json_get(project, STR("status"))))
		warn(a, list,
		     arena_strf(a, "project '%.*s': tokens in its status open nothing here",
				STR_ARG(name)));
}
