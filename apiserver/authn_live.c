/*
 * A token is good as long as what it speaks for exists: its ServiceAccount, and the Pod, Secret or
 * Node that it is bound to, each with the same uid. The core's thread.
 */
#include "apiserver/authn.h"
#include "apiserver/core.h"

static bool same_object(const struct core *c, const char *plural, struct str namespace,
			struct str name, struct str uid)
{
	const struct kind *k = core_kind_find(c, STR(""), STR("v1"), str_c(plural));
	const struct obj *o = k ? core_get(c, k, namespace, name) : NULL;

	return o && (!uid.n || str_eq(o->uid, uid));
}

int authn_still_exists(const struct core *c, const struct token_claims *k, struct err *err)
{
	if (!same_object(c, "serviceaccounts", k->namespace, k->account, k->account_uid))
		return err_set(err, ERR_UNAUTHORIZED, "the token's service account is gone");
	if (!k->bound_kind.n)
		return 0;
	bool node = str_is(k->bound_kind, "node");
	const char *plural = node ? "nodes" : str_is(k->bound_kind, "pod") ? "pods" : "secrets";
	if (!same_object(c, plural, node ? STR_NONE : k->namespace, k->bound_name, k->bound_uid))
		return err_set(err, ERR_UNAUTHORIZED, "what the token was bound to is gone");
	return 0;
}
