/*
 * What a node's identity may write, beyond what its rights say: its own Node without taints and
 * without labels that steer others' pods to it, its own Lease and CSINode, pods that stand for its
 * static ones, the status of pods that run on it. Must never let a node that was taken over reach
 * another. Pure; memory is the request's.
 * Specification: plugin/pkg/admission/noderestriction.
 */
#include <string.h>

#include "apiserver/admission/admission.h"
#include "lib/kube/obj.h"
#include "lib/kube/pvnames.h"

#include "lib/base/pure.h"

#define PREFIX "system:node:"
#define MIRROR "kubernetes.io/config.mirror"

struct fence {
	struct admission_req *r;
	struct err *err;
	struct str node;
};

static int refuse(struct fence *f, const char *why)
{
	return admission_forbid(f->r, f->err, str_c(why));
}

/* node "NAME" WHY */
static int refuse_node(struct fence *f, const char *why)
{
	return admission_forbid(
		f->r, f->err,
		arena_strf(f->r->a, "node \"%.*s\" %s", (int)MIN(f->node.n, 253), f->node.p, why));
}

static bool runs_here(const struct fence *f, const struct json *pod)
{
	return str_eq(json_str(json_at(pod, "spec", "nodeName")), f->node);
}

/* ---- pods ---- */

static int check_owner(struct fence *f)
{
	const struct json *owners = json_at(f->r->object, "metadata", "ownerReferences"), *o, *node;

	if (json_len(owners) > 1)
		return refuse_node(f, "can only create pods with a single owner reference set to "
				      "itself");
	o = json_item(owners, 0);
	if (!o || !str_is(json_str(json_get(o, STR("apiVersion"))), "v1") ||
	    !str_is(json_str(json_get(o, STR("kind"))), "Node") ||
	    !str_eq(json_str(json_get(o, STR("name"))), f->node))
		return refuse_node(f, "can only create pods with an owner reference set to itself");
	if (!json_bool(json_get(o, STR("controller")), false))
		return refuse_node(f, "can only create pods with a controller owner reference set "
				      "to itself");
	if (json_bool(json_get(o, STR("blockOwnerDeletion")), false))
		return refuse_node(f, "must not set blockOwnerDeletion on an owner reference");
	node = f->r->reader->get(f->r->reader->ctx, "", "nodes", STR_NONE, f->node, f->r->a);
	if (!node)
		return err_set(f->err, ERR_NOT_FOUND, "nodes \"%.*s\" not found",
			       (int)MIN(f->node.n, 253), f->node.p);
	if (!str_eq(json_str(json_get(o, STR("uid"))), meta_uid(node)))
		return refuse_node(f, "UID mismatch");
	return 0;
}

static bool from_env(const struct json *c, const char *in_env, const char *whole)
{
	const struct json *env = json_get(c, STR("env")), *all = json_get(c, STR("envFrom"));

	for (size_t i = 0; i < json_len(env); i++)
		if (json_at(json_item(env, i), "valueFrom", in_env))
			return true;
	for (size_t i = 0; i < json_len(all); i++)
		if (json_get(json_item(all, i), str_c(whole)))
			return true;
	return false;
}

static bool in_containers(const struct json *spec, const char *in_env, const char *whole)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct json *list = json_get(spec, str_c(lists[l]));

		for (size_t i = 0; i < json_len(list); i++)
			if (from_env(json_item(list, i), in_env, whole))
				return true;
	}
	return false;
}

/* A member of that name, at any depth: volumes speak of Secrets in many ways. */
static bool mentions(const struct json *v, const char *const *names)
{
	if (json_is(v, JSON_ARRAY))
		for (size_t i = 0; i < json_len(v); i++)
			if (mentions(json_item(v, i), names))
				return true;
	if (!json_is(v, JSON_OBJECT))
		return false;
	for (size_t i = 0; i < json_len(v); i++) {
		for (const char *const *n = names; *n; n++)
			if (str_is(v->members[i].key, *n))
				return true;
		if (mentions(&v->members[i].value, names))
			return true;
	}
	return false;
}

static int check_references(struct fence *f)
{
	static const char *const secrets[] = {"secret",
					      "secretRef",
					      "secretName",
					      "nodePublishSecretRef",
					      "nodeStageSecretRef",
					      "controllerPublishSecretRef",
					      NULL};
	static const char *const configs[] = {"configMap", NULL},
				 *const bundles[] = {"clusterTrustBundle", NULL},
				 *const claims[] = {"persistentVolumeClaim", "ephemeral", NULL},
				 *const tokens[] = {"serviceAccountToken", NULL};
	const struct json *spec = json_get(f->r->object, STR("spec")),
			  *volumes = json_get(spec, STR("volumes"));

	if (json_str(json_get(spec, STR("serviceAccountName"))).n || mentions(volumes, tokens))
		return refuse_node(f, "can not create pods that reference a service account");
	if (json_len(json_get(spec, STR("imagePullSecrets"))) || mentions(volumes, secrets) ||
	    in_containers(spec, "secretKeyRef", "secretRef"))
		return refuse_node(f, "can not create pods that reference secrets");
	if (mentions(volumes, configs) || in_containers(spec, "configMapKeyRef", "configMapRef"))
		return refuse_node(f, "can not create pods that reference configmaps");
	if (mentions(volumes, bundles))
		return refuse_node(f, "can not create pods that reference clustertrustbundles");
	if (mentions(volumes, claims))
		return refuse_node(f, "can not create pods that reference persistentvolumeclaims");
	if (json_len(json_get(spec, STR("resourceClaims"))))
		return refuse_node(f, "can not create pods that reference resourceclaims");
	return 0;
}

static int create_pod(struct fence *f)
{
	if (!meta_annotation(f->r->object, MIRROR).p)
		return refuse_node(f, "can only create mirror pods: the pod does not have the "
				      "\"" MIRROR "\" annotation");
	if (!runs_here(f, f->r->object))
		return refuse_node(f, "can only create pods with spec.nodeName set to itself");
	return check_owner(f) || check_references(f) ? -1 : 0;
}

static int pod_status(struct fence *f)
{
	if (f->r->op != ADMIT_UPDATE)
		return refuse(f, "unexpected operation");
	if (!runs_here(f, f->r->old))
		return refuse_node(f, "can only update pod status for pods with spec.nodeName set "
				      "to itself");
	if (!json_equal(json_at(f->r->old, "metadata", "labels"),
			json_at(f->r->object, "metadata", "labels")))
		return refuse_node(f, "cannot update labels through pod status");
	if (!json_equal(json_at(f->r->old, "status", "resourceClaimStatuses"),
			json_at(f->r->object, "status", "resourceClaimStatuses")))
		return refuse_node(f, "cannot update resource claim statues");
	return 0;
}

static int pods(struct fence *f)
{
	const struct admission_req *r = f->r;

	if (r->subresource && !strcmp(r->subresource, "status"))
		return pod_status(f);
	if (r->subresource && !strcmp(r->subresource, "eviction"))
		return runs_here(f, r->old) ? 0
					    : refuse_node(f, "can only evict pods with "
							     "spec.nodeName set to itself");
	if (r->subresource)
		return refuse(f,
			      arena_printf(r->a,
					   "unexpected pod subresource \"%s\", only 'status' and "
					   "'eviction' are allowed",
					   r->subresource));
	if (r->op == ADMIT_CREATE)
		return create_pod(f);
	if (r->op == ADMIT_DELETE)
		return runs_here(f, r->old) ? 0
					    : refuse_node(f, "can only delete pods with "
							     "spec.nodeName set to itself");
	return refuse_node(f, "can only create and delete mirror pods");
}

/* ---- its Node ---- */

static bool ends_in(struct str s, const char *domain)
{
	size_t n = strlen(domain);

	return str_is(s, domain) ||
	       (s.n > n && str_ends(s, str_c(domain)) && s.p[s.n - n - 1] == '.');
}

/* Of the names that are Kubernetes' own, a node may set those that tell what it is. */
static bool label_is_its(struct str key)
{
	static const char *const fine[] = {"kubernetes.io/hostname",
					   "topology.kubernetes.io/zone",
					   "topology.kubernetes.io/region",
					   "failure-domain.beta.kubernetes.io/zone",
					   "failure-domain.beta.kubernetes.io/region",
					   "node.kubernetes.io/instance-type",
					   "beta.kubernetes.io/instance-type",
					   "kubernetes.io/os",
					   "kubernetes.io/arch",
					   "beta.kubernetes.io/os",
					   "beta.kubernetes.io/arch",
					   "node.kubernetes.io/windows-build"};
	struct str domain, name;

	if (!str_cut(key, '/', &domain, &name))
		return true;
	if (ends_in(domain, "node-restriction.kubernetes.io"))
		return false;
	if (!ends_in(domain, "kubernetes.io") && !ends_in(domain, "k8s.io"))
		return true;
	if (ends_in(domain, "kubelet.kubernetes.io") || ends_in(domain, "node.kubernetes.io"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (str_is(key, fine[i]))
			return true;
	return false;
}

static void changed_labels(const struct json *now, const struct json *was, struct buf *out)
{
	for (size_t i = 0; i < json_len(now); i++) {
		struct str key = now->members[i].key;

		if (label_is_its(key) || json_equal(&now->members[i].value, json_get(was, key)))
			continue;
		buf_printf(out, "%s%.*s", out->n ? ", " : "", STR_ARG(key));
	}
}

static void gone_labels(const struct json *now, const struct json *was, struct buf *out)
{
	for (size_t i = 0; i < json_len(was); i++)
		if (!label_is_its(was->members[i].key) && !json_get(now, was->members[i].key))
			buf_printf(out, "%s%.*s", out->n ? ", " : "", STR_ARG(was->members[i].key));
}

static int own_node(struct fence *f)
{
	const struct admission_req *r = f->r;
	const struct json *now = json_at(r->object, "metadata", "labels"),
			  *was = json_at(r->old, "metadata", "labels");
	AUTO(buf) struct buf bad = {0};

	if (!str_eq(r->name, f->node))
		return refuse_node(f, arena_printf(r->a, "is not allowed to modify node \"%.*s\"",
						   (int)MIN(r->name.n, 253),
						   r->name.p ? r->name.p : ""));
	if (r->op != ADMIT_CREATE && r->op != ADMIT_UPDATE)
		return 0;
	if (json_at(r->object, "spec", "configSource"))
		return refuse_node(f, "is not allowed to set configSource");
	if (r->old &&
	    !json_equal(json_at(r->old, "spec", "taints"), json_at(r->object, "spec", "taints")) &&
	    (json_len(json_at(r->old, "spec", "taints")) ||
	     json_len(json_at(r->object, "spec", "taints"))))
		return refuse_node(f, "is not allowed to modify taints");
	changed_labels(now, was, &bad);
	gone_labels(now, was, &bad);
	if (!bad.n)
		return 0;
	if (r->op == ADMIT_CREATE)
		return refuse_node(f, arena_printf(r->a,
						   "is not allowed to set the following labels: %s",
						   buf_cstr(&bad)));
	return refuse(f, arena_printf(r->a, "is not allowed to modify labels: %s", buf_cstr(&bad)));
}

/* ---- the rest ---- */

static int claims(struct fence *f)
{
	static const char *const may[] = {"capacity", "conditions", "allocatedResources",
					  "allocatedResourceStatuses"};
	struct json *both[2];

	if (f->r->op != ADMIT_UPDATE || !f->r->subresource || strcmp(f->r->subresource, "status"))
		return refuse(f, "may only update PVC status");
	both[0] = json_copy(f->r->a, f->r->old);
	both[1] = json_copy(f->r->a, f->r->object);
	for (size_t i = 0; i < 2; i++) {
		struct json *status = json_set_object(f->r->a, both[i], "status"),
			    *meta = json_set_object(f->r->a, both[i], "metadata");

		for (size_t k = 0; k < ARRAY_LEN(may); k++)
			json_del(status, str_c(may[k]));
		json_del(meta, STR("resourceVersion"));
		json_del(meta, STR("managedFields"));
	}
	if (json_equal(both[0], both[1]))
		return 0;
	return refuse_node(f, "is not allowed to update fields other than status.capacity and "
			      "status.conditions");
}

/* Of a volume that it holds and that is being deleted, it takes its own finalizer away. */
static int volume(struct fence *f)
{
	struct arena *a = f->r->a;
	struct json *was, *now;
	const struct json *list;

	if (f->r->op != ADMIT_UPDATE || f->r->subresource ||
	    !str_eq(meta_label(f->r->old, LOCAL_NODE), f->node) ||
	    !json_str(json_at(f->r->old, "metadata", "deletionTimestamp")).n)
		return refuse(f, "may only release deleted volumes that the node holds");
	was = json_copy(a, f->r->old);
	now = json_copy(a, f->r->object);
	list = json_at(was, "metadata", "finalizers");
	for (size_t i = json_len(list); i-- > 0;)
		if (str_is(json_str(json_item(list, i)), LOCAL_FINALIZER))
			json_remove(json_at(was, "metadata", "finalizers"), i);
	for (size_t i = 0; i < 2; i++) {
		struct json *meta = json_at(i ? now : was, "metadata");

		if (!json_len(json_get(meta, STR("finalizers"))))
			json_del(meta, STR("finalizers"));
		json_del(meta, STR("resourceVersion"));
		json_del(meta, STR("managedFields"));
	}
	return json_equal(was, now) ? 0
				    : refuse(f, "may only take the finalizer " LOCAL_FINALIZER
						" away from volumes");
}

static int lease(struct fence *f)
{
	if (!str_is(f->r->namespace, "kube-node-lease"))
		return refuse(f, "can only access leases in the \"kube-node-lease\" system "
				 "namespace");
	if (!str_eq(f->r->name, f->node))
		return refuse(f, "can only access node lease with the same name as the requesting "
				 "node");
	return 0;
}

static bool is_node(const struct admission_user *u)
{
	bool member = false;

	for (size_t i = 0; i < u->ngroups; i++) {
		if (str_is(u->groups[i], "system:masters"))
			return false;
		member |= str_is(u->groups[i], "system:nodes");
	}
	return member && str_starts(u->name, STR(PREFIX));
}

static int admit(struct admission_req *r, struct err *err)
{
	struct fence f = {.r = r, .err = err};

	if (r->op == ADMIT_CONNECT || !is_node(&r->user))
		return 0;
	f.node = str_sub(r->user.name, sizeof(PREFIX) - 1, r->user.name.n);
	if (admission_is(r, "", "pods"))
		return pods(&f);
	if (admission_is(r, "", "nodes"))
		return own_node(&f);
	if (admission_is(r, "", "persistentvolumeclaims"))
		return claims(&f);
	if (admission_is(r, "", "persistentvolumes"))
		return volume(&f);
	if (admission_is(r, "coordination.k8s.io", "leases"))
		return lease(&f);
	if (admission_is(r, "storage.k8s.io", "csinodes") && !str_eq(r->name, f.node))
		return refuse(&f, "can only access CSINode with the same name as the requesting "
				  "node");
	return 0;
}

/* Before TaintNodesByCondition: the taint that a new Node gets is not its own doing. */
const struct admission admission_node_restriction = {
	.name = "NodeRestriction", .order = 25, .admit = admit};
