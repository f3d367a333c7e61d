/* A Namespace is current unless it is going away. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	if (str_is(json_str(json_at(o, "status", "phase")), "Terminating"))
		return health_wait(a, "it is terminating");
	return HEALTHY;
}

const struct health health_namespace = {.group = "", .kind = "Namespace", .check = check};
