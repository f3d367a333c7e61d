/* A Deployment is current when its whole rollout is out and available. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	int64_t want = json_int(json_at(o, "spec", "replicas"), 1),
		updated = json_int(json_at(o, "status", "updatedReplicas"), 0),
		all = json_int(json_at(o, "status", "replicas"), 0),
		available = json_int(json_at(o, "status", "availableReplicas"), 0);
	const struct json *progress = condition_find(o, "Progressing");

	if (health_stale(o))
		return health_wait(a, "the latest spec has not been looked at yet");
	if (str_is(json_str(json_get(progress, STR("reason"))), "ProgressDeadlineExceeded"))
		return health_fail(a, "the rollout exceeded its progress deadline");
	if (updated < want)
		return health_wait(a, "%ld of %ld replicas are updated", (long)updated, (long)want);
	if (all > updated)
		return health_wait(a, "%ld old replicas are still there", (long)(all - updated));
	if (available < want)
		return health_wait(a, "%ld of %ld replicas are available", (long)available,
				   (long)want);
	return HEALTHY;
}

const struct health health_deployment = {.group = "apps", .kind = "Deployment", .check = check};
