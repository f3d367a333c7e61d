/* Pods stay on a node that is not ready or unreachable for five minutes, unless they say otherwise;
 * so too when somebody puts a manifest in a pod's place that leaves out what was added. Pure. */
#include "apiserver/admission/admission.h"

#include "lib/base/pure.h"

#define SECONDS 300

static bool tolerates(const struct json *list, const char *taint)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *t = json_item(list, i);
		struct str key = json_str(json_get(t, STR("key"))),
			   effect = json_str(json_get(t, STR("effect")));

		if ((!key.n || str_is(key, taint)) && (!effect.n || str_is(effect, "NoExecute")))
			return true;
	}
	return false;
}

static int admit(struct admission_req *r, struct err *err)
{
	static const char *const taints[] = {"node.kubernetes.io/not-ready",
					     "node.kubernetes.io/unreachable"};
	struct json *spec;

	(void)err;
	if ((r->op != ADMIT_CREATE && r->op != ADMIT_UPDATE) || r->subresource ||
	    !admission_is(r, "", "pods"))
		return 0;
	spec = json_set_object(r->a, r->object, "spec");
	for (size_t i = 0; i < ARRAY_LEN(taints); i++)
		if (!tolerates(json_get(spec, STR("tolerations")), taints[i]))
			json_append(r->a, json_set_array(r->a, spec, "tolerations"),
				    json_build(r->a, "{s:s, s:s, s:s, s:i}", "key", taints[i],
					       "operator", "Exists", "effect", "NoExecute",
					       "tolerationSeconds", SECONDS));
	return 0;
}

const struct admission admission_default_tolerations = {
	.name = "DefaultTolerationSeconds", .order = 40, .admit = admit};
