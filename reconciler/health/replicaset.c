/* A ReplicaSet is current when all its pods are available. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	int64_t want = json_int(json_at(o, "spec", "replicas"), 1),
		all = json_int(json_at(o, "status", "replicas"), 0),
		available = json_int(json_at(o, "status", "availableReplicas"), 0);

	if (health_stale(o))
		return health_wait(a, "the latest spec has not been looked at yet");
	if (health_condition_is(o, "ReplicaFailure", "True"))
		return health_wait(a, "pods cannot be made: %.*s",
				   STR_ARG(json_str(json_get(condition_find(o, "ReplicaFailure"),
							     STR("message")))));
	if (available < want || all > want)
		return health_wait(a, "%ld of %ld replicas are available", (long)available,
				   (long)want);
	return HEALTHY;
}

const struct health health_replicaset = {.group = "apps", .kind = "ReplicaSet", .check = check};
