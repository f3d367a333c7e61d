/*
 * A pod that leaves its Services. When it is deleted, the controllers take it out of its
 * EndpointSlices and every node's proxy follows: tens of milliseconds, in which clients are still
 * sent to it. So a pod that serves is told to end only after they have had that time; whoever
 * listens until told otherwise loses no connection. Must never use up more than half of the time
 * that the pod has for its end. On the kubelet's thread; nothing is kept.
 */
#include "kubelet/kubelet.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/selector.h"

#define LEAVE_NS (1 * NS_PER_S)

static bool any_ready(const struct pod *p)
{
	for (size_t i = 0; i < p->obs.n; i++)
		if (p->obs.c[i].state == CONT_RUNNING && p->obs.c[i].ready)
			return true;
	return false;
}

static bool is_served_by(struct arena *a, const struct json *service, const struct json *labels)
{
	struct selector s;

	if (selector_from_map(a, json_at(service, "spec", "selector"), &s, &(struct err){0}))
		return false;
	return selector_match_json(&s, labels);
}

static bool serves(const struct pod *p)
{
	AUTO(arena) struct arena a = {0};
	struct obj_set set = informer_list_ns(p->k->services, p->spec.namespace, &a);
	const struct json *labels = json_at(p->spec.json, "metadata", "labels");

	for (size_t i = 0; i < set.n; i++)
		if (is_served_by(&a, obj_tree(set.v[i], &a), labels))
			return true;
	return false;
}

void pod_leave(struct pod *p)
{
	int64_t half_ns = MIN(p->spec.grace_s, INT64_C(3600)) * NS_PER_S / 2;

	if (!p->spec.deleting || p->obs.stop_since || p->obs.gone)
		return;
	if (p->k->services && any_ready(p) && serves(p))
		p->obs.leaves_at = pod_now(p->k).mono + MIN(LEAVE_NS, half_ns);
}
