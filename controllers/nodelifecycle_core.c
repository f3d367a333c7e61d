/*
 * Nodes: signs of life, conditions, taints, and who tolerates them for how long. Pure.
 */
#include "controllers/nodelifecycle_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define UNREACHABLE "node.kubernetes.io/unreachable"
#define NOT_READY "node.kubernetes.io/not-ready"

/* What the API server's admission gives pods that say nothing about these two taints. */
enum { DEFAULT_TOLERATION_S = 300 };

bool node_is_ready(const struct json *node)
{
	return str_is(json_str(json_at(condition_find(node, "Ready"), "status")), "True");
}

int64_t node_last_heard(const struct json *node, const struct json *lease)
{
	int64_t by_lease = meta_time_ns(json_at(lease, "spec", "renewTime"));
	int64_t by_status =
		meta_time_ns(json_at(condition_find(node, "Ready"), "lastHeartbeatTime"));

	return MAX(MAX(by_lease, by_status), meta_created_ns(node));
}

bool node_set_unknown(struct arena *a, struct json *node, int64_t now_ns)
{
	static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure",
					    "PIDPressure"};
	bool changed = false;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct json *c = condition_find(node, types[i]);

		if (str_is(json_str(json_at(c, "status")), "Unknown"))
			continue;
		condition_set(a, node, types[i], "Unknown",
			      c ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
			      c ? STR("Kubelet stopped posting node status.")
				: STR("Kubelet never posted node status."),
			      now_ns);
		changed = true;
	}
	return changed;
}

/* ---- taints ---- */

struct rule {
	const char *condition, *status; /* condition NULL: spec.unschedulable */
	const char *key, *effect;
};
static const struct rule rules[] = {
	{"Ready", "Unknown", UNREACHABLE, "NoSchedule"},
	{"Ready", "Unknown", UNREACHABLE, "NoExecute"},
	{"Ready", "False", NOT_READY, "NoSchedule"},
	{"Ready", "False", NOT_READY, "NoExecute"},
	{"MemoryPressure", "True", "node.kubernetes.io/memory-pressure", "NoSchedule"},
	{"DiskPressure", "True", "node.kubernetes.io/disk-pressure", "NoSchedule"},
	{"PIDPressure", "True", "node.kubernetes.io/pid-pressure", "NoSchedule"},
	{"NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable", "NoSchedule"},
	{NULL, NULL, "node.kubernetes.io/unschedulable", "NoSchedule"},
};

static bool rule_holds(const struct rule *r, const struct json *node)
{
	if (!r->condition)
		return json_bool(json_at(node, "spec", "unschedulable"), false);
	return str_is(json_str(json_at(condition_find(node, r->condition), "status")), r->status);
}

static ptrdiff_t find_taint(const struct json *taints, const struct rule *r)
{
	for (size_t i = 0; i < json_len(taints); i++) {
		const struct json *t = json_item(taints, i);

		if (str_is(json_str(json_at(t, "key")), r->key) &&
		    str_is(json_str(json_at(t, "effect")), r->effect))
			return (ptrdiff_t)i;
	}
	return -1;
}

/* What people add carries no time, and tolerations are counted from it. */
static bool note_when_added(struct arena *a, struct json *taints, struct str now)
{
	bool changed = false;

	for (size_t i = 0; i < json_len(taints); i++) {
		struct json *t = json_item(taints, i);

		if (!str_is(json_str(json_at(t, "effect")), "NoExecute") ||
		    json_str(json_at(t, "timeAdded")).n)
			continue;
		json_set_str(a, t, "timeAdded", now);
		changed = true;
	}
	return changed;
}

bool node_set_taints(struct arena *a, struct json *node, int64_t now_ns)
{
	struct json *spec = json_set_object(a, node, "spec");
	struct json *taints = json_set_array(a, spec, "taints");
	bool changed = false;
	char text[TIME_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct rule *r = &rules[i];
		ptrdiff_t at = find_taint(taints, r);
		struct json *t;

		if (rule_holds(r, node) == (at >= 0))
			continue;
		changed = true;
		if (at >= 0) {
			json_remove(taints, (size_t)at);
			continue;
		}
		t = json_append_object(a, taints);
		json_set_str(a, t, "key", str_c(r->key));
		json_set_str(a, t, "effect", str_c(r->effect));
		json_set_str(a, t, "timeAdded", time_format(now_ns, text));
	}
	changed |= note_when_added(a, taints, time_format(now_ns, text));
	if (!json_len(taints))
		json_del(spec, STR("taints"));
	return changed;
}

/* ---- eviction ---- */

static bool tolerates(const struct json *o, const struct json *taint)
{
	struct str key = json_str(json_at(o, "key")), op = json_str(json_at(o, "operator"));
	struct str effect = json_str(json_at(o, "effect"));
	bool exists = str_is(op, "Exists");

	if (effect.n && !str_eq(effect, json_str(json_at(taint, "effect"))))
		return false;
	if (key.n ? !str_eq(key, json_str(json_at(taint, "key"))) : !exists)
		return false;
	return exists || str_eq(json_str(json_at(o, "value")), json_str(json_at(taint, "value")));
}

/* Until when one taint is tolerated. Of several tolerations that match, the first counts. */
static int64_t tolerated_until(const struct json *pod, const struct json *taint)
{
	const struct json *all = json_at(pod, "spec", "tolerations"), *seconds;
	int64_t added = meta_time_ns(json_at(taint, "timeAdded")), least;
	struct str key = json_str(json_at(taint, "key"));
	size_t i = 0;

	while (i < json_len(all) && !tolerates(json_item(all, i), taint))
		i++;
	if (i == json_len(all) && !str_is(key, UNREACHABLE) && !str_is(key, NOT_READY))
		return 0;
	seconds = json_at(json_item(all, i), "tolerationSeconds");
	if (i < json_len(all) && !seconds)
		return INT64_MAX;
	least = i < json_len(all) ? MAX(json_int(seconds, 0), 0) : DEFAULT_TOLERATION_S;
	if (least > INT64_MAX / (2 * NS_PER_S))
		return INT64_MAX;
	return added + least * NS_PER_S;
}

int64_t pod_evict_at(const struct json *pod, const struct json *node)
{
	const struct json *taints = json_at(node, "spec", "taints");
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < json_len(taints); i++) {
		const struct json *t = json_item(taints, i);

		if (str_is(json_str(json_at(t, "effect")), "NoExecute"))
			at = MIN(at, tolerated_until(pod, t));
	}
	return at;
}
