/* What is written into the status of a pod that fits nowhere. */
#ifndef PLUMB_SCHEDULER_UNSCHEDULABLE_H
#define PLUMB_SCHEDULER_UNSCHEDULABLE_H

#include "scheduler/core.h"

/* Why, and on which node room is being made for it: a strategic merge patch of the status, in the
 * arena; NULL when it says so already. */
const struct json *unschedulable_status(const struct sched_pod *pod, struct str message,
					int64_t wall_ns, struct arena *a);

#endif
