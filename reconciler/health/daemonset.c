/* A DaemonSet is current when each node that wants its pod has the new one, available. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	int64_t want = json_int(json_at(o, "status", "desiredNumberScheduled"), -1),
		updated = json_int(json_at(o, "status", "updatedNumberScheduled"), 0),
		available = json_int(json_at(o, "status", "numberAvailable"), 0);

	if (health_stale(o) || want < 0)
		return health_wait(a, "the latest spec has not been looked at yet");
	if (updated < want &&
	    !str_is(json_str(json_at(o, "spec", "updateStrategy", "type")), "OnDelete"))
		return health_wait(a, "%ld of %ld pods are updated", (long)updated, (long)want);
	if (available < want)
		return health_wait(a, "%ld of %ld pods are available", (long)available, (long)want);
	return HEALTHY;
}

const struct health health_daemonset = {.group = "apps", .kind = "DaemonSet", .check = check};
