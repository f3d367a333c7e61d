/*
 * Events as events.k8s.io says them: the same objects as the core group's, under better names.
 * Pure. Specification: pkg/apis/events/v1 (conversion).
 */
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/versions.h"

#include "lib/base/pure.h"

extern const struct kind kind_event;

static const struct rename names[] = {
	{"involvedObject", "regarding"},
	{"message", "note"},
	{"reportingComponent", "reportingController"},
	{"source", "deprecatedSource"},
	{"firstTimestamp", "deprecatedFirstTimestamp"},
	{"lastTimestamp", "deprecatedLastTimestamp"},
	{"count", "deprecatedCount"},
	{0},
};

static void from_stored(struct arena *a, struct json *o)
{
	rename_from_stored(a, o, names);
}

static void to_stored(struct arena *a, struct json *o)
{
	rename_to_stored(a, o, names);
}

static const char *const selectable[] = {"regarding.kind",
					 "regarding.namespace",
					 "regarding.name",
					 "regarding.uid",
					 "regarding.apiVersion",
					 "regarding.resourceVersion",
					 "regarding.fieldPath",
					 "reason",
					 "reportingController",
					 "type",
					 NULL};

#define EVENT(v)                                                                                   \
	{                                                                                          \
		.group = "events.k8s.io", .version = v, .kind = "Event", .plural = "events",       \
		.stored = &kind_event, .schema_name = "io.k8s.api.events." v ".Event",             \
		.selectable = selectable, .field = field_at, .from_stored = from_stored,           \
		.to_stored = to_stored                                                             \
	}

const struct kind kind_event_events_v1 = EVENT("v1");
const struct kind kind_event_events_v1beta1 = EVENT("v1beta1");
