/*
 * A new Node takes no pods until the node controller has seen it ready: it comes with the taint
 * that the controller takes away. Pure; memory is the request's.
 */
#include "apiserver/admission/admission.h"

#include "lib/base/pure.h"

#define TAINT "node.kubernetes.io/not-ready"

static int admit(struct admission_req *r, struct err *err UNUSED)
{
	struct json *taints;

	if (r->op != ADMIT_CREATE || r->subresource || !admission_is(r, "", "nodes"))
		return 0;
	taints = json_set_array(r->a, json_set_object(r->a, r->object, "spec"), "taints");
	for (size_t i = 0; i < json_len(taints); i++) {
		const struct json *t = json_item(taints, i);

		if (str_is(json_str(json_get(t, STR("key"))), TAINT) &&
		    str_is(json_str(json_get(t, STR("effect"))), "NoSchedule"))
			return 0;
	}
	json_append(r->a, taints,
		    json_build(r->a, "{s:s,s:s}", "key", TAINT, "effect", "NoSchedule"));
	return 0;
}

const struct admission admission_taint_nodes_by_condition = {
	.name = "TaintNodesByCondition", .order = 38, .admit = admit};
