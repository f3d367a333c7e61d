/*
 * What Applications add to rendering: which files of a folder are read, fields of kustomizations,
 * the annotation that says whose an object is. Pure.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/application.h"
#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

/* As Argo CD tells kinds of sources apart: a chart at the path is Helm's. */
static int check_helm(struct render *r, struct str dir, struct err *err)
{
	const char *path =
		dir.n ? arena_printf(r->a, "%.*s/Chart.yaml", STR_ARG(dir)) : "Chart.yaml";
	struct git_files files = {0};
	struct err none = {0};

	if (r->env->load(r->env->ctx, path, &files, &none) || !files.n)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "%s: Helm charts are not supported", path);
}

static bool picked(const struct render_pick *p, struct str rest)
{
	if (!p->recurse && str_find(rest, STR("/")) >= 0)
		return false;
	if (p->include.n && !argo_glob(p->include, rest, false))
		return false;
	return !p->exclude.n || !argo_glob(p->exclude, rest, false);
}

static struct str within(struct str dir, struct str path)
{
	bool below = dir.n && str_starts(path, dir) && path.n > dir.n;

	return below ? str_sub(path, dir.n + 1, path.n) : path;
}

/* Argo CD would make objects of them. */
static int check_jsonnet(const struct render *r, const struct git_files *files, struct str dir,
			 struct err *err)
{
	for (size_t i = 0; i < files->njsonnet; i++) {
		if (picked(r->o->pick, within(dir, files->jsonnet[i])))
			return err_set(err, ERR_UNSUPPORTED, "%.*s: Jsonnet is not supported",
				       STR_ARG(files->jsonnet[i]));
	}
	return 0;
}

/*
 * A hook may leave its name to others: it gets one that is the same whenever this revision is
 * synced, and another in the next.
 */
void render_name_hook(struct render *r, struct json *v)
{
	struct json *meta = json_get(v, STR("metadata"));
	struct str begin = json_str(json_get(meta, STR("generateName")));

	if (!begin.n || meta_name(v).n || !argo_hook_phases(v, NULL))
		return;
	json_set_str(r->a, meta, "name",
		     arena_strf(r->a, "%.*s%.*s-%u", STR_ARG(begin), STR_ARG(r->o->hook_suffix),
				++r->nhooks));
}

int render_pick_files(struct render *r, struct git_files *files, struct str dir, struct err *err)
{
	size_t n = 0;

	if (check_helm(r, dir, err) || check_jsonnet(r, files, dir, err))
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		struct str path = files->v[i].path;

		if (str_eq(path, dir) || picked(r->o->pick, within(dir, path)))
			files->v[n++] = files->v[i];
	}
	files->n = n;
	return 0;
}

bool render_may_be_missing(const struct render_opts *o, const struct json *object)
{
	return o->tracked_as.n && argo_option(object, "SkipDryRunOnMissingResource=true");
}

void render_tracking(struct arena *a, struct json *object, struct str app)
{
	struct json *meta = json_set_object(a, object, "metadata");

	json_set_str(a, json_set_object(a, meta, "annotations"), ARGO_TRACKING,
		     argo_tracking(a, app, object));
}

/* Texts are replaced, lists grow, maps are merged. Images have a rule of their own. */
void render_overlay(struct arena *a, struct json *k, const struct json *overlay)
{
	const struct json_member *m = json_members(overlay);

	for (size_t i = 0; m && i < json_len(overlay); i++) {
		const char *key = arena_cstr(a, m[i].key);
		const struct json_member *in = json_members(&m[i].value);

		if (!strcmp(key, "images"))
			continue;
		if (m[i].value.type == JSON_ARRAY) {
			struct json *list = json_set_array(a, k, key);

			for (size_t n = 0; n < json_len(&m[i].value); n++)
				json_append(a, list, json_item(&m[i].value, n));
		} else if (m[i].value.type == JSON_OBJECT) {
			struct json *map = json_set_object(a, k, key);

			for (size_t n = 0; n < json_len(&m[i].value); n++)
				json_set(a, map, in[n].key, &in[n].value);
		} else {
			json_set(a, k, m[i].key, &m[i].value);
		}
	}
}
