/* Applications as anybody may write them: read without a fault, and never half taken. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kube/obj.h"
#include "reconciler/application.h"
#include "reconciler/argo_project.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int zone(void *ctx, struct str name, int64_t at_s, int32_t *ret)
{
	(void)ctx;
	*ret = (int32_t)(at_s % 50000);
	return name.n & 1 ? 0 : -1;
}

/* It as its own AppProject: what shuts says why. */
static void project(const struct json *v)
{
	const struct project_clock clock = {.now_ns = INT64_C(1772668800000000000), .zone = zone};
	const struct project_object web = {STR("apps"), STR("Deployment"), STR("shop"), STR("web")},
				    space = {STR(""), STR("Namespace"), STR_NONE, STR("shop")};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	project_serves(v, STR("team"));
	project_orphan_known(v, STR("apps"), STR("Deployment"), v);
	project_unheeded(&a, v, json_new(&a, JSON_ARRAY));
	application_unheeded(&a, v, json_new(&a, JSON_ARRAY));
	if (project_window(v, v, &clock, false, &err))
		assert(err.msg[0]);
	if (project_permits(v, &web, &err))
		assert(err.msg[0]);
	if (project_permits(v, &space, &err))
		assert(err.msg[0]);
}

/* The bytes as JSON; and as a pattern beside a text, split at the first zero. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena a = {0};
	struct str in = {(const char *)data, size}, pattern, text;
	struct json *app = json_parse(&a, in, NULL, NULL), *t = NULL;
	struct err err = {0};

	if (str_cut(in, 0, &pattern, &text)) {
		argo_glob(pattern, text, false);
		argo_glob(pattern, text, true);
	}
	/* The server's schema lets nothing else through. */
	if (!json_is(json_get(app, STR("metadata")), JSON_OBJECT) ||
	    (json_at(app, "metadata", "annotations") &&
	     !json_is(json_at(app, "metadata", "annotations"), JSON_OBJECT)))
		return 0;
	project(app);
	argo_hook_phases(app, NULL);
	argo_hook_goes(app, "HookSucceeded");
	argo_option_strange(app);
	argo_wave(app);
	argo_tracking(&a, STR("x"), app);
	if (application_allowed(app, app, false, &err))
		assert(err.msg[0]);
	if (application_translate(&a, app, &t, &err)) {
		assert(t && err.msg[0]);
		return 0;
	}
	assert(application_repository(&a, t));
	argo_keep_ignored(&a, json_at(t, "spec", "argo", "ignore"), json_copy(&a, app), t);
	return 0;
}
