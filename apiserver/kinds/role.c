/* Roles: what may be done within a namespace. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	(void)live;
	rbac_rules_validate(c, next, true);
}

const struct kind kind_role = {
	.group = "rbac.authorization.k8s.io",
	.version = "v1",
	.kind = "Role",
	.plural = "roles",
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.rbac.v1.Role",
	.columns = rbac_role_columns,
	.validate = validate,
	.name_check = name_check_path_segment,
};
