/*
 * Gives pods their ServiceAccount and, unless pod or account decline, a volume with a token, the
 * cluster's authority and the namespace. Pure.
 * Specification: Kubernetes' ServiceAccount admission controller, with bound tokens.
 */
#include <string.h>

#include "apiserver/admission/admission.h"
#include "lib/base/codec.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define MOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_SECONDS 3607 /* as Kubernetes: an hour, told apart from a person's hour */

static bool wants_token(const struct json *pod, const struct json *account)
{
	const struct json *of_pod = json_at(pod, "spec", "automountServiceAccountToken");

	if (json_is(of_pod, JSON_BOOL))
		return of_pod->b;
	return json_bool(json_get(account, STR("automountServiceAccountToken")), true);
}

static struct json *token_volume(struct arena *a, struct str name)
{
	return json_build(a,
			  "{s:S, s:{s:i, s:[{s:{s:i, s:s}}, {s:{s:s, s:[{s:s, s:s}]}}, "
			  "{s:{s:[{s:s, s:{s:s, s:s}}]}}]}}",
			  "name", name, "projected", "defaultMode", 0644, "sources",
			  "serviceAccountToken", "expirationSeconds", TOKEN_SECONDS, "path",
			  "token", "configMap", "name", "kube-root-ca.crt", "items", "key",
			  "ca.crt", "path", "ca.crt", "downwardAPI", "items", "path", "namespace",
			  "fieldRef", "apiVersion", "v1", "fieldPath", "metadata.namespace");
}

static bool mounts_there(const struct json *container)
{
	const struct json *mounts = json_get(container, STR("volumeMounts"));

	for (size_t i = 0; i < json_len(mounts); i++)
		if (str_is(json_str(json_get(json_item(mounts, i), STR("mountPath"))), MOUNT))
			return true;
	return false;
}

static bool mount_all(struct arena *a, struct json *containers, struct str volume)
{
	bool any = false;

	for (size_t i = 0; i < json_len(containers); i++) {
		struct json *c = json_item(containers, i);

		if (mounts_there(c))
			continue;
		json_append(a, json_set_array(a, c, "volumeMounts"),
			    json_build(a, "{s:S, s:b, s:s}", "name", volume, "readOnly", 1,
				       "mountPath", MOUNT));
		any = true;
	}
	return any;
}

/* Made from the pod's uid, so that the same pod gets the same name. */
static struct str volume_name(struct arena *a, const struct json *pod)
{
	struct rng r;
	char suffix[6];

	rng_seed(&r, str_fnv32(meta_uid(pod)));
	rng_suffix(&r, 5, suffix);
	return arena_strf(a, "kube-api-access-%s", suffix);
}

static bool has_access_volume(const struct json *spec)
{
	const struct json *volumes = json_get(spec, STR("volumes"));

	for (size_t i = 0; i < json_len(volumes); i++)
		if (str_starts(json_str(json_get(json_item(volumes, i), STR("name"))),
			       STR("kube-api-access-")))
			return true;
	return false;
}

static void mount_token(struct arena *a, struct json *pod, struct json *spec)
{
	struct str volume = volume_name(a, pod);
	bool any;

	if (has_access_volume(spec))
		return;
	any = mount_all(a, json_get(spec, STR("containers")), volume);
	any = mount_all(a, json_get(spec, STR("initContainers")), volume) || any;
	if (any)
		json_append(a, json_set_array(a, spec, "volumes"), token_volume(a, volume));
}

/* A mirror of a static pod is as the kubelet made it, and has nothing of the API's. */
static int check_mirror(struct admission_req *r, struct err *err)
{
	const struct json *spec = json_get(r->object, STR("spec")),
			  *volumes = json_get(spec, STR("volumes"));

	if (json_str(json_get(spec, STR("serviceAccountName"))).n)
		return admission_forbid(r, err,
					STR("a mirror pod may not reference service accounts"));
	for (size_t i = 0; i < json_len(volumes); i++) {
		const struct json *v = json_item(volumes, i),
				  *sources = json_at(v, "projected", "sources");

		if (json_get(v, STR("secret")))
			return admission_forbid(r, err,
						STR("a mirror pod may not reference secrets"));
		for (size_t k = 0; k < json_len(sources); k++)
			if (json_get(json_item(sources, k), STR("serviceAccountToken")))
				return admission_forbid(r, err,
							STR("a mirror pod may not use "
							    "ServiceAccountToken volume "
							    "projections"));
	}
	return 0;
}

/* ---- accounts that say which Secrets their pods may use ---- */

static bool listed(const struct json *list, struct str name)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_get(json_item(list, i), STR("name"))), name))
			return true;
	return false;
}

struct limited {
	struct admission_req *r;
	const struct json *account;
	struct err *err;
};

static int limit_env(struct limited *l, const struct json *c, const char *what)
{
	struct str name = json_str(json_get(c, STR("name"))), account = meta_name(l->account);
	const struct json *secrets = json_get(l->account, STR("secrets")),
			  *env = json_get(c, STR("env")), *from = json_get(c, STR("envFrom"));

	for (size_t i = 0; i < json_len(env); i++) {
		const struct json *ref =
			json_at(json_item(env, i), "valueFrom", "secretKeyRef", "name");

		if (ref && !listed(secrets, json_str(ref)))
			return admission_forbid(
				l->r, l->err,
				arena_strf(l->r->a,
					   "%s %.*s with envVar %.*s referencing "
					   "secret.secretName=\"%.*s\" is not allowed because "
					   "service account %.*s does not reference that secret",
					   what, STR_ARG(name),
					   STR_ARG(json_str(json_at(json_item(env, i), "name"))),
					   STR_ARG(json_str(ref)), STR_ARG(account)));
	}
	for (size_t i = 0; i < json_len(from); i++) {
		const struct json *ref = json_at(json_item(from, i), "secretRef", "name");

		if (ref && !listed(secrets, json_str(ref)))
			return admission_forbid(
				l->r, l->err,
				arena_strf(l->r->a,
					   "%s %.*s with envFrom referencing "
					   "secret.secretName=\"%.*s\" is not allowed because "
					   "service account %.*s does not reference that secret",
					   what, STR_ARG(name), STR_ARG(json_str(ref)),
					   STR_ARG(account)));
	}
	return 0;
}

static int limit_pull(struct limited *l, const struct json *pulls)
{
	for (size_t i = 0; i < json_len(pulls); i++) {
		struct str name = json_str(json_get(json_item(pulls, i), STR("name")));

		if (!listed(json_get(l->account, STR("imagePullSecrets")), name))
			return admission_forbid(
				l->r, l->err,
				arena_strf(l->r->a,
					   "imagePullSecrets[%zu].name=\"%.*s\" is not allowed "
					   "because service account %.*s does not reference that "
					   "imagePullSecret",
					   i, STR_ARG(name), STR_ARG(meta_name(l->account))));
	}
	return 0;
}

static int limit_secrets(struct admission_req *r, const struct json *spec,
			 const struct json *account, struct err *err)
{
	static const char *const lists[][2] = {{"initContainers", "init container"},
					       {"containers", "container"}};
	const struct json *volumes = json_get(spec, STR("volumes"));
	struct limited l = {r, account, err};

	for (size_t i = 0; i < json_len(volumes); i++) {
		const struct json *ref = json_at(json_item(volumes, i), "secret", "secretName");

		if (ref && !listed(json_get(account, STR("secrets")), json_str(ref)))
			return admission_forbid(
				r, err,
				arena_strf(r->a,
					   "volume with secret.secretName=\"%.*s\" is not allowed "
					   "because service account %.*s does not reference that "
					   "secret",
					   STR_ARG(json_str(ref)), STR_ARG(meta_name(account))));
	}
	for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
		const struct json *list = json_get(spec, str_c(lists[k][0]));

		for (size_t i = 0; i < json_len(list); i++)
			if (limit_env(&l, json_item(list, i), lists[k][1]))
				return -1;
	}
	return limit_pull(&l, json_get(spec, STR("imagePullSecrets")));
}

static bool limits_secrets(const struct json *account)
{
	return str_is(meta_annotation(account, "kubernetes.io/enforce-mountable-secrets"), "true");
}

/* Containers that come later are held to the same. */
static int check_late(struct admission_req *r, struct err *err)
{
	const struct json *list = json_at(r->object, "spec", "ephemeralContainers");
	struct str name = json_str(json_at(r->object, "spec", "serviceAccountName"));
	struct limited l = {.r = r, .err = err};

	l.account = r->reader->get(r->reader->ctx, "", "serviceaccounts", r->namespace, name, r->a);
	for (size_t i = 0; limits_secrets(l.account) && i < json_len(list); i++)
		if (limit_env(&l, json_item(list, i), "ephemeral container"))
			return -1;
	return 0;
}

static int admit(struct admission_req *r, struct err *err)
{
	const struct json *account;
	struct json *spec;
	struct str name;

	if (!admission_is(r, "", "pods"))
		return 0;
	if (r->op == ADMIT_UPDATE && r->subresource &&
	    !strcmp(r->subresource, "ephemeralcontainers"))
		return check_late(r, err);
	if (r->op != ADMIT_CREATE || r->subresource)
		return 0;
	if (meta_annotation(r->object, "kubernetes.io/config.mirror").p)
		return check_mirror(r, err);
	spec = json_set_object(r->a, r->object, "spec");
	name = json_str_or(json_get(spec, STR("serviceAccountName")),
			   json_str(json_get(spec, STR("serviceAccount"))));
	if (!name.n)
		name = STR("default");
	account = r->reader->get(r->reader->ctx, "", "serviceaccounts", r->namespace, name, r->a);
	if (!account) {
		r->comes = str_is(name, "default"); /* a new namespace's own */
		r->retry_after_s = 1;
		return err_set(err, ERR_FORBIDDEN,
			       "pods \"%.*s\" is forbidden: error looking up service account "
			       "%.*s/%.*s: serviceaccount \"%.*s\" not found",
			       (int)MIN(r->name.n, 253), r->name.p ? r->name.p : "",
			       STR_ARG(r->namespace), (int)MIN(name.n, 200), name.p,
			       (int)MIN(name.n, 200), name.p);
	}
	json_set_str(r->a, spec, "serviceAccountName", name);
	json_set_str(r->a, spec, "serviceAccount", name);
	if (limits_secrets(account) && limit_secrets(r, spec, account, err))
		return -1;
	if (!json_len(json_get(spec, STR("imagePullSecrets"))) &&
	    json_len(json_get(account, STR("imagePullSecrets"))))
		json_set(r->a, spec, STR("imagePullSecrets"),
			 json_get(account, STR("imagePullSecrets")));
	if (wants_token(r->object, account))
		mount_token(r->a, r->object, spec);
	return 0;
}

const struct admission admission_service_account = {
	.name = "ServiceAccount", .order = 30, .admit = admit};
