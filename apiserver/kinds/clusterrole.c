/* ClusterRoles: what may be done, cluster-wide or wherever they are bound. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *rule = json_get(next, STR("aggregationRule")),
			  *all = json_get(rule, STR("clusterRoleSelectors"));
	struct spath at = SPATH_FIELD(NULL, "aggregationRule"),
		     list = SPATH_FIELD(&at, "clusterRoleSelectors");

	(void)live;
	rbac_rules_validate(c, next, false);
	if (rule && !json_len(all))
		rule_required(c, &list, NULL,
			      "at least one clusterRoleSelector required if aggregationRule is "
			      "non-nil");
	for (size_t i = 0; i < json_len(all); i++) {
		struct spath here = SPATH_INDEX(&list, i);
		size_t before = c->problems.n;

		rule_selector(c, &here, NULL, json_item(all, i));
		if (c->problems.n != before)
			rule_invalid(c, &here, NULL, json_item(all, i), "invalid label selector.");
	}
}

const struct kind kind_clusterrole = {
	.group = "rbac.authorization.k8s.io",
	.version = "v1",
	.kind = "ClusterRole",
	.plural = "clusterroles",
	.flags = KIND_PUT_MAKES | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.rbac.v1.ClusterRole",
	.columns = rbac_role_columns,
	.validate = validate,
	.name_check = name_check_path_segment,
};
