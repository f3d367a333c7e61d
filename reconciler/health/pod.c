/* A Pod is current when it is ready or has succeeded. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	struct str phase = json_str(json_at(o, "status", "phase"));

	if (str_is(phase, "Succeeded") || health_condition_is(o, "Ready", "True"))
		return HEALTHY;
	if (str_is(phase, "Failed"))
		return health_fail(a, "it failed: %.*s",
				   STR_ARG(json_str(json_at(o, "status", "message"))));
	return health_wait(a, "it is %.*s and not ready",
			   STR_ARG(phase.n ? phase : STR("Pending")));
}

const struct health health_pod = {.group = "", .kind = "Pod", .check = check};
