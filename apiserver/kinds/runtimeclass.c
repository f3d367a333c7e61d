/* RuntimeClasses: ways to run a pod's containers. Pure. */
#include "apiserver/kinds/rules.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Handler", "string", "What runs them.", .path = ".handler"),
	COL_AGE,
	{0},
};

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath scheduling = SPATH_FIELD(NULL, "scheduling"),
		     list = SPATH_FIELD(&scheduling, "tolerations"),
		     /* said twice in Kubernetes' own paths, too */
		tolerations = SPATH_FIELD(&list, "tolerations"),
		     overhead = SPATH_FIELD(NULL, "overhead");
	const struct json *s = json_get(next, STR("scheduling")),
			  *all = json_get(s, STR("tolerations")),
			  *fixed = json_at(next, "overhead", "podFixed");

	rule_labels(c, &scheduling, "nodeSelector", json_get(s, STR("nodeSelector")));
	rule_tolerations(c, &tolerations, json_get(s, STR("tolerations")));
	if (fixed)
		rule_quantities(c, &overhead, json_build(c->a, "{s:o}", "limits", fixed));
	rule_name(c, NULL, "handler",
		  json_new_str(c->a, json_str_or(json_get(next, STR("handler")), STR(""))),
		  name_check_dns1123_label);
	for (size_t i = 0; i < json_len(all); i++) {
		struct spath here = SPATH_INDEX(&list, i);

		for (size_t k = 0; k < i; k++)
			if (json_equal(json_item(all, i), json_item(all, k)))
				rule_duplicate(c, &here, NULL, json_item(all, i));
	}
	if (live)
		rule_immutable(c, NULL, next, live, "handler");
}

const struct kind kind_runtimeclass = {
	.group = "node.k8s.io",
	.version = "v1",
	.kind = "RuntimeClass",
	.plural = "runtimeclasses",
	.schema_name = "io.k8s.api.node.v1.RuntimeClass",
	.columns = columns,
	.validate = validate,
};
