/* RBAC's rules gathered through the reader that admission has. Pure; the caller frees them. */
#include "apiserver/admission/rights_of_all.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define RBAC "rbac.authorization.k8s.io"

static void take_role(void *arg, const struct json *o)
{
	authz_role(arg, meta_namespace(o), meta_name(o), o);
}

static void take_binding(void *arg, const struct json *o)
{
	authz_binding(arg, meta_namespace(o), meta_name(o), o);
}

struct authz *rights_of_all(struct admission_req *r)
{
	const struct admission_reader *rd = r->reader;
	struct authz *z = authz_new();

	rd->each(rd->ctx, RBAC, "roles", STR_NONE, r->a, take_role, z);
	rd->each(rd->ctx, RBAC, "clusterroles", STR_NONE, r->a, take_role, z);
	rd->each(rd->ctx, RBAC, "rolebindings", STR_NONE, r->a, take_binding, z);
	rd->each(rd->ctx, RBAC, "clusterrolebindings", STR_NONE, r->a, take_binding, z);
	return z;
}
