/* RoleBindings: who has a role within a namespace. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

const struct kind kind_rolebinding = {
	.group = "rbac.authorization.k8s.io",
	.version = "v1",
	.kind = "RoleBinding",
	.plural = "rolebindings",
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.rbac.v1.RoleBinding",
	.columns = rbac_binding_columns,
	.row = rbac_binding_row,
	.set_defaults = rbac_binding_defaults,
	.validate = rbac_binding_validate,
	.name_check = name_check_path_segment,
};
