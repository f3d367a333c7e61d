/*
 * What a GitRepository says of itself: artifact, Ready, events. Written only when it changed, so
 * that polling writes nothing. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"

static void set_artifact(struct source *s, struct arena *a, struct json *status, int64_t now)
{
	char when[TIME_TEXT_MAX];
	const char *digest = arena_printf(a, "sha1:%s", s->commit);
	struct str t = time_format(now, when);

	json_set(a, status, STR("artifact"),
		 json_build(a, "{s:s,s:s,s:s,s:s,s:S}", "revision", s->revision, "digest", digest,
			    "path", "", "url", s->url, "lastUpdateTime", t));
}

struct str source_branch(const struct source *s, struct arena *a)
{
	const struct json *ref = json_at(obj_tree(s->o, a), "spec", "ref");
	static const char *const others[] = {"tag", "semver", "name", "commit"};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (json_str(json_get(ref, str_c(others[i]))).n)
			return STR_NONE;
	}
	return json_str_or(json_get(ref, STR("branch")), STR("master"));
}

void source_report(struct source *s, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_copy(&a, obj_tree(s->o, &a)), *status, *conditions;
	bool ok = err->code == ERR_NONE, changed, moved;
	int64_t now = loop_wall(s->r->loop);
	struct str message = ok ? arena_strf(&a, "stored artifact for revision '%s'", s->revision)
				: str_c(err->msg);
	struct str handled = meta_annotation(o, REQUESTED_AT);

	status = json_set_object(&a, o, "status");
	changed = condition_set(&a, o, "Ready", ok ? "True" : "False",
				ok ? "Succeeded" : "GitOperationFailed", message, now);
	conditions = json_get(status, STR("conditions"));
	changed |= json_int(json_get(status, STR("observedGeneration")), 0) != s->o->generation;
	changed |= handled.n &&
		   !str_eq(handled, json_str(json_get(status, STR("lastHandledReconcileAt"))));
	/* After a restart everything looks new; what the status says already isn't. */
	moved = ok && !str_is(json_str(json_at(status, "artifact", "revision")), s->revision);
	changed |= moved;
	if (!changed && !statusq_busy(s->r->statuses, &res_gitrepositories, s->o))
		return;
	if (!ok && (!s->error || strcmp(s->error, err->msg) != 0)) {
		log_warn("cannot fetch", "source", s->key, "error", err->msg);
		recorder_event(s->r->recorder, o, "Warning", "GitOperationFailed", "%s", err->msg);
	}
	free(s->error);
	s->error = ok ? NULL : xstrdup(err->msg);
	if (ok && moved)
		recorder_event(s->r->recorder, o, "Normal", "NewArtifact", "%.*s",
			       STR_ARG(message));

	struct json *patch = json_build(&a, "{s:o,s:I}", "conditions", conditions,
					"observedGeneration", s->o->generation);
	if (ok)
		set_artifact(s, &a, patch, now);
	if (handled.n)
		json_set_str(&a, patch, "lastHandledReconcileAt", handled);
	statusq_put(s->r->statuses, &res_gitrepositories, s->o,
		    json_build(&a, "{s:o}", "status", patch));
}
