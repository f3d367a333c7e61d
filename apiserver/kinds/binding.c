/* Bindings: a pod's way to its node. Created, carried out, never kept (core_sub.c). Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

const struct kind kind_binding = {
	.group = "",
	.version = "v1",
	.kind = "Binding",
	.plural = "bindings",
	.flags = KIND_NAMESPACED | KIND_NO_STORE,
	.schema_name = "io.k8s.api.core.v1.Binding",
};
