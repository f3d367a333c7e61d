/*
 * The condition of a pod that fits nowhere, since when, and the node that it was promised. Pure, in
 * the caller's arena.
 */
#include "scheduler/unschedulable.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

const struct json *unschedulable_status(const struct sched_pod *pod, struct str message,
					int64_t wall_ns, struct arena *a)
{
	const struct json *tree = obj_tree(pod->obj, a);
	const struct json *had = condition_find(tree, "PodScheduled");
	struct str nominated = json_str(json_at(tree, "status", "nominatedNodeName"));
	char text[TIME_TEXT_MAX];
	struct str since = time_format(wall_ns, text);
	struct json *status;

	if (str_is(json_str(json_at(had, "status")), "False")) {
		if (str_eq(json_str(json_at(had, "message")), message) &&
		    str_is(json_str(json_at(had, "reason")), "Unschedulable") &&
		    str_eq(nominated, pod->nominated))
			return NULL;
		since = json_str_or(json_at(had, "lastTransitionTime"), since);
	}
	status = json_build(a, "{s:[{s:s, s:s, s:s, s:S, s:S, s:n}]}", "conditions", "type",
			    "PodScheduled", "status", "False", "reason", "Unschedulable", "message",
			    message, "lastTransitionTime", arena_str(a, since), "lastProbeTime");
	if (pod->nominated.n)
		json_set_str(a, status, "nominatedNodeName", pod->nominated);
	else if (nominated.n)
		json_set(a, status, STR("nominatedNodeName"), json_new(a, JSON_NULL));
	return status;
}
