/*
 * What a pod is asked before any of it is run: is it over already, and will this node have it
 * (admit_core.c)? Must never judge a pod twice: what runs keeps running. On the kubelet's loop.
 */
#include <stdio.h>

#include "kubelet/admit_core.h"
#include "kubelet/kubelet.h"
#include "lib/os/fs.h"

/* A phase that is final in the API ends the pod, whoever wrote it: an eviction, a controller, or a
 * kubelet whose disk is lost. */
void pod_notice_end(struct pod *p)
{
	const struct json *status = json_at(p->tree, "status");
	struct str phase = json_str(json_at(status, "phase"));
	bool failed = str_is(phase, "Failed");
	AUTO(arena) struct arena a = {0};

	if ((!failed && !str_is(phase, "Succeeded")) || pod_stopping(&p->spec, &p->obs))
		return;
	pod_on_end(&p->obs, failed ? POD_END_FAILED : POD_END_SUCCEEDED,
		   arena_cstr(&a, json_str_or(json_at(status, "reason"), STR(""))),
		   arena_cstr(&a, json_str_or(json_at(status, "message"), STR(""))));
	pod_wake(p);
}

static size_t others_of(struct pod *p, const struct pod_spec **ret)
{
	struct map_iter it = {0};
	size_t n = 0;

	while (map_next(&p->k->by_uid, &it)) {
		const struct pod *o = it.value;
		if (o != p && !o->removed && !pod_stopping(&o->spec, &o->obs))
			ret[n++] = &o->spec;
	}
	return n;
}

static bool apparmor_enabled(void)
{
	AUTO(buf) struct buf text = {0};

	return !fs_read("/sys/module/apparmor/parameters/enabled", 16, &text, NULL) &&
	       str_starts(buf_view(&text), STR("Y"));
}

/* While it runs out of something the node takes on nothing that would need it. */
static bool room_for(const struct pod *p, struct admit_no *ret)
{
	bool memory = p->k->memory_low && !strcmp(p->spec.qos, "BestEffort");

	if (!memory && !p->k->storage_low)
		return true;
	snprintf(ret->reason, sizeof(ret->reason), "Evicted");
	snprintf(ret->message, sizeof(ret->message), "The node had condition: [%s]. ",
		 memory ? "MemoryPressure" : "DiskPressure");
	return false;
}

void pod_admission(struct pod *p)
{
	struct kubelet *k = p->k;
	AUTO(arena) struct arena a = {0};
	const struct pod_spec **others =
		arena_array(&a, k->by_uid.n + 1, sizeof(struct pod_spec *));
	const struct obj *node =
		k->nodes ? informer_get(k->nodes, STR_NONE, str_c(k->node_name)) : NULL;
	struct admit_in in = {.pod = &p->spec,
			      .node = node ? obj_tree(node, &a) : NULL,
			      .others = others,
			      .nothers = others_of(p, others),
			      .cpu_m = k->resources.cpu_m,
			      .memory = k->resources.memory,
			      .max_pods = NODE_PODS_MAX,
			      .apparmor = apparmor_enabled()};
	struct admit_no why;
	AUTO(free) char *message = NULL;

	pod_notice_end(p);
	if (pod_stopping(&p->spec, &p->obs) || (room_for(p, &why) && pod_admit(&in, &why)))
		return;
	message = xasprintf("Pod was rejected: %s", why.message);
	pod_event(p, "Warning", why.reason, "%s", why.message);
	pod_on_end(&p->obs, POD_END_FAILED, why.reason, message);
	pod_wake(p);
}
