/*
 * Nothing is made in a namespace that isn't there or is going away; the namespaces that the cluster
 * stands on cannot be deleted. Pure.
 */
#include <string.h>

#include "apiserver/admission/admission.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static bool is_namespaces(const struct kind *k)
{
	return !k->group[0] && !strcmp(k->plural, "namespaces");
}

static int refuse_delete(const struct admission_req *r, struct err *err)
{
	static const char *const kept[] = {"default", "kube-system", "kube-public"};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (str_is(r->name, kept[i]))
			return err_set(
				err, ERR_FORBIDDEN,
				"namespaces \"%s\" is forbidden: this namespace may not be deleted",
				kept[i]);
	return 0;
}

static int admit(struct admission_req *r, struct err *err)
{
	const struct json *ns;

	if (is_namespaces(r->kind))
		return r->op == ADMIT_DELETE ? refuse_delete(r, err) : 0;
	if (r->op != ADMIT_CREATE || !(r->kind->flags & KIND_NAMESPACED))
		return 0;
	ns = r->reader->get(r->reader->ctx, "", "namespaces", STR_NONE, r->namespace, r->a);
	if (!ns)
		return err_set(err, ERR_NOT_FOUND, "namespaces \"%.*s\" not found",
			       (int)MIN(r->namespace.n, 253), r->namespace.p);
	if (!json_str(json_at(ns, "metadata", "deletionTimestamp")).n)
		return 0;
	if (!strcmp(r->kind->plural, "events")) /* how a namespace ends may be told in it */
		return 0;
	schema_problem(r->problems, "NamespaceTerminating", STR("metadata.namespace"), 0,
		       "namespace %.*s is being terminated", STR_ARG(r->namespace));
	return err_set(err, ERR_FORBIDDEN,
		       "%s%s%s \"%.*s\" is forbidden: unable to create new content in namespace "
		       "%.*s because it is being terminated",
		       r->kind->plural, r->kind->group[0] ? "." : "", r->kind->group,
		       (int)MIN(r->name.n, 253), r->name.p ? r->name.p : "", STR_ARG(r->namespace));
}

const struct admission admission_namespace_lifecycle = {
	.name = "NamespaceLifecycle", .order = 10, .admit = admit};
