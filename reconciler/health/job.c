/* A Job is current when it completed, and failed when it gave up. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	if (health_condition_is(o, "Failed", "True"))
		return health_fail(
			a, "it failed: %.*s",
			STR_ARG(json_str(json_get(condition_find(o, "Failed"), STR("message")))));
	if (health_condition_is(o, "Complete", "True") ||
	    health_condition_is(o, "Suspended", "True"))
		return HEALTHY;
	return health_wait(a, "it has not completed");
}

const struct health health_job = {.group = "batch", .kind = "Job", .check = check};
