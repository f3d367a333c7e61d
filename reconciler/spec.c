/*
 * The fields of a Kustomization's spec, those that are carried out: a field that comes to the API
 * and not to this table is refused, so that nothing is ever ignored in silence. Must not judge
 * values that have a place of their own for it. Computes only; any thread.
 */
#include "reconciler/spec.h"

#include "lib/base/pure.h"

static const char *const done[] = {
	"argo", /* of Applications, see application.c */
	"buildMetadata",
	"commonMetadata",
	"components",
	"decryption",
	"deletionPolicy",
	"dependsOn",
	"force",
	"healthCheckExprs",
	"healthChecks",
	"ignoreMissingComponents",
	"images",
	"interval",
	"kubeConfig",
	"namePrefix",
	"nameSuffix",
	"patches",
	"path",
	"postBuild",
	"prune",
	"retryInterval",
	"serviceAccountName",
	"sourceRef",
	"suspend",
	"targetNamespace",
	"timeout",
	"wait",
};

/* An empty value asks for nothing. */
static bool asks(const struct json *v)
{
	if (json_is(v, JSON_STRING))
		return json_str(v).n > 0;
	if (json_is(v, JSON_ARRAY) || json_is(v, JSON_OBJECT))
		return json_len(v) > 0;
	return !json_is(v, JSON_NULL) && (!json_is(v, JSON_BOOL) || json_bool(v, false));
}

static bool is_done(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(done); i++) {
		if (str_is(name, done[i]))
			return true;
	}
	return false;
}

int unit_spec_check(const struct json *spec, struct err *err)
{
	const struct json_member *m = json_members(spec);

	for (size_t i = 0; m && i < json_len(spec); i++) {
		if (!is_done(m[i].key) && asks(&m[i].value))
			return err_set(err, ERR_UNSUPPORTED, "spec.%.*s is not supported",
				       STR_ARG(m[i].key));
	}
	if (json_str(json_at(spec, "decryption", "serviceAccountName")).n)
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.decryption.serviceAccountName is not supported, name a Secret "
			       "with the keys in secretRef");
	return 0;
}
