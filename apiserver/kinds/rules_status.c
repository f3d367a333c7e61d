/* What the status of a workload may count: nothing below zero, and no more than there is. Pure. */
#include <string.h>

#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

void rule_status_counts(struct kind_ctx *c, const struct json *next)
{
	static const char *const counts[] = {"replicas",
					     "observedGeneration",
					     "updatedReplicas",
					     "readyReplicas",
					     "availableReplicas",
					     "unavailableReplicas",
					     "currentReplicas",
					     "desiredReplicas",
					     "fullyLabeledReplicas",
					     "collisionCount",
					     "active",
					     "succeeded",
					     "failed",
					     "currentNumberScheduled",
					     "numberMisscheduled",
					     "desiredNumberScheduled",
					     "numberReady",
					     "updatedNumberScheduled",
					     "numberAvailable",
					     "numberUnavailable"};
	struct spath at = SPATH_FIELD(NULL, "status");
	const struct json *status = json_get(next, STR("status"));

	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		rule_non_negative(c, &at, status, counts[i]);
}

static int64_t count(const struct json *status, const char *field)
{
	return json_int(json_get(status, str_c(field)), 0);
}

void rule_status_replicas(struct kind_ctx *c, const struct json *next)
{
	static const char *const parts[] = {"updatedReplicas", "readyReplicas", "availableReplicas",
					    "currentReplicas", "fullyLabeledReplicas"};
	struct spath at = SPATH_FIELD(NULL, "status");
	const struct json *status = json_get(next, STR("status"));

	rule_status_counts(c, next);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (count(status, parts[i]) > count(status, "replicas"))
			rule_invalid(c, &at, parts[i], json_get(status, str_c(parts[i])),
				     "cannot be greater than status.replicas");
	if (count(status, "availableReplicas") > count(status, "readyReplicas"))
		rule_invalid(c, &at, "availableReplicas",
			     json_get(status, STR("availableReplicas")),
			     "cannot be greater than readyReplicas");
}
