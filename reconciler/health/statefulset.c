/* A StatefulSet is current when every pod is of the update revision and ready. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	int64_t want = json_int(json_at(o, "spec", "replicas"), 1),
		ready = json_int(json_at(o, "status", "readyReplicas"), 0),
		updated = json_int(json_at(o, "status", "updatedReplicas"), 0),
		partition = json_int(
			json_at(o, "spec", "updateStrategy", "rollingUpdate", "partition"), 0);

	if (str_is(json_str(json_at(o, "spec", "updateStrategy", "type")), "OnDelete"))
		return HEALTHY;
	if (health_stale(o))
		return health_wait(a, "the latest spec has not been looked at yet");
	if (ready < want)
		return health_wait(a, "%ld of %ld pods are ready", (long)ready, (long)want);
	if (updated < want - partition && !str_eq(json_str(json_at(o, "status", "currentRevision")),
						  json_str(json_at(o, "status", "updateRevision"))))
		return health_wait(a, "%ld of %ld pods are updated", (long)updated,
				   (long)(want - partition));
	return HEALTHY;
}

const struct health health_statefulset = {.group = "apps", .kind = "StatefulSet", .check = check};
