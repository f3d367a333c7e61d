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

static void each(struct admission_req *r, const char *plural,
		 void (*fn)(void *arg, const struct json *o), struct authz *z)
{
	const struct admission_scan all = {RBAC, plural, STR_NONE, STR_NONE};

	r->reader->each(r->reader->ctx, &all, r->a, fn, z);
}

struct authz *rights_of_all(struct admission_req *r)
{
	struct authz *z = authz_new();

	each(r, "roles", take_role, z);
	each(r, "clusterroles", take_role, z);
	each(r, "rolebindings", take_binding, z);
	each(r, "clusterrolebindings", take_binding, z);
	return z;
}

static struct str attribute(const struct json *o, const char *name)
{
	return json_str_or(json_get(o, str_c(name)), STR(""));
}

bool authorizer_allows(const struct authz *z, const struct admission_user *user,
		       const struct json *attributes)
{
	static const struct str groups[] = {{"system:serviceaccounts", 22},
					    {"system:authenticated", 20}};
	struct admission_user account = {.name = attribute(attributes, "user"),
					 .groups = groups,
					 .ngroups = ARRAY_LEN(groups)};
	struct authz_ask q = {.user = account.name.n ? &account : user,
			      .verb = attribute(attributes, "verb"),
			      .group = attribute(attributes, "group"),
			      .resource = attribute(attributes, "resource"),
			      .subresource = attribute(attributes, "subresource"),
			      .namespace = attribute(attributes, "namespace"),
			      .name = attribute(attributes, "name"),
			      .path = json_str(json_get(attributes, STR("path")))};

	return user_in_group(q.user, "system:masters") || authz_allows(z, &q, NULL);
}

int authorizer_may(void *arg, const struct json *attributes, struct str *ret_reason)
{
	struct admission_req *r = arg;
	struct authz *z = rights_of_all(r);
	bool allowed = authorizer_allows(z, &r->user, attributes);

	authz_free(z);
	*ret_reason = STR("");
	return allowed;
}
