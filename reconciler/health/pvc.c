/* A PersistentVolumeClaim is current when it is bound. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	struct str phase = json_str(json_at(o, "status", "phase"));

	if (str_is(phase, "Bound"))
		return HEALTHY;
	if (str_is(phase, "Lost"))
		return health_fail(a, "its volume is lost");
	return health_wait(a, "it is not bound");
}

const struct health health_pvc = {.group = "", .kind = "PersistentVolumeClaim", .check = check};
