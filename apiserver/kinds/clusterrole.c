/* ClusterRoles: what may be done, cluster-wide or wherever they are bound. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	(void)live;
	rbac_rules_validate(c, next, false);
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
