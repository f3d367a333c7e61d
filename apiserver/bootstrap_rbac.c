/*
 * The roles that every cluster has, as a table: Kubernetes' own, whose names and meaning people
 * rely on, and those of Plumb's processes, just wide enough. Pure data.
 */
#include "apiserver/bootstrap.h"
#include "lib/json/json.h"

#define READ "get list watch"
#define WRITE "create delete deletecollection patch update"
#define ALL "create delete deletecollection get list patch update watch"

/* A rule: words separated by spaces. group "core" is the empty one, "-" makes `what` paths; a word
 * of `what` that begins with "=" is the name of a resource. */
struct row {
	const char *role, *verbs, *groups, *what;
};

#define WORKLOADS                                                                                  \
	"daemonsets deployments deployments/rollback deployments/scale replicasets "               \
	"replicasets/scale statefulsets statefulsets/scale"
#define CORE_EDIT                                                                                  \
	"configmaps events persistentvolumeclaims pods replicationcontrollers "                    \
	"replicationcontrollers/scale services"

#define GITOPS                                                                                     \
	"kustomize.toolkit.fluxcd.io source.toolkit.fluxcd.io helm.toolkit.fluxcd.io "             \
	"image.toolkit.fluxcd.io notification.toolkit.fluxcd.io plumb.dev"

#define APPROVER(name) "system:certificates.k8s.io:" name
#define CSR "system:certificates.k8s.io:certificatesigningrequests:"

#define TO_VIEW "system:aggregate-to-view"
#define TO_EDIT "system:aggregate-to-edit"
#define TO_ADMIN "system:aggregate-to-admin"

static const struct row rules[] = {
	{"cluster-admin", "*", "*", "*"},
	{"cluster-admin", "*", "-", "*"},

	{TO_VIEW, READ, "core",
	 "bindings configmaps endpoints events limitranges namespaces namespaces/status "
	 "persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status "
	 "replicationcontrollers replicationcontrollers/scale replicationcontrollers/status "
	 "resourcequotas resourcequotas/status serviceaccounts services services/status"},
	{TO_VIEW, READ, "apps",
	 "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
	 "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
	 "statefulsets/scale statefulsets/status"},
	{TO_VIEW, READ, "batch", "cronjobs cronjobs/status jobs jobs/status"},
	{TO_VIEW, READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"},
	{TO_VIEW, READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"},
	{TO_VIEW, READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"},
	{TO_VIEW, READ, "discovery.k8s.io", "endpointslices"},
	{TO_VIEW, READ, "events.k8s.io", "events"},
	{TO_VIEW, READ, "metrics.k8s.io", "pods nodes"},
	{TO_VIEW, READ, GITOPS, "*"},

	{TO_EDIT, READ, "core",
	 "bindings endpoints limitranges namespaces namespaces/status pods/log pods/status "
	 "replicationcontrollers/status resourcequotas resourcequotas/status services/status "
	 "persistentvolumeclaims/status"},
	{TO_EDIT, ALL, "core", CORE_EDIT " secrets serviceaccounts"},
	{TO_EDIT, ALL, "core", "pods/attach pods/exec pods/portforward pods/proxy services/proxy"},
	{TO_EDIT, "create", "core", "pods/eviction serviceaccounts/token"},
	{TO_EDIT, "impersonate", "core", "serviceaccounts"},
	{TO_EDIT, ALL, "apps", WORKLOADS},
	{TO_EDIT, READ, "apps", "controllerrevisions */status"},
	{TO_EDIT, ALL, "batch", "cronjobs jobs"},
	{TO_EDIT, READ, "batch", "*/status"},
	{TO_EDIT, ALL, "autoscaling", "horizontalpodautoscalers"},
	{TO_EDIT, ALL, "networking.k8s.io", "ingresses networkpolicies"},
	{TO_EDIT, ALL, "policy", "poddisruptionbudgets"},
	{TO_EDIT, READ, "discovery.k8s.io", "endpointslices"},
	{TO_EDIT, READ, "events.k8s.io", "events"},
	{TO_EDIT, ALL, "coordination.k8s.io", "leases"},
	{TO_EDIT, ALL, GITOPS, "*"},

	{TO_ADMIN, READ, "core",
	 "bindings endpoints limitranges namespaces namespaces/status pods/log pods/status "
	 "replicationcontrollers/status resourcequotas resourcequotas/status services/status "
	 "persistentvolumeclaims/status"},
	{TO_ADMIN, ALL, "core", CORE_EDIT " secrets serviceaccounts"},
	{TO_ADMIN, ALL, "core", "pods/attach pods/exec pods/portforward pods/proxy services/proxy"},
	{TO_ADMIN, "create", "core", "pods/eviction serviceaccounts/token"},
	{TO_ADMIN, "impersonate", "core", "serviceaccounts"},
	{TO_ADMIN, ALL, "apps", WORKLOADS},
	{TO_ADMIN, READ, "apps", "controllerrevisions */status"},
	{TO_ADMIN, ALL, "batch", "cronjobs jobs"},
	{TO_ADMIN, READ, "batch", "*/status"},
	{TO_ADMIN, ALL, "autoscaling", "horizontalpodautoscalers"},
	{TO_ADMIN, ALL, "networking.k8s.io", "ingresses networkpolicies"},
	{TO_ADMIN, ALL, "policy", "poddisruptionbudgets"},
	{TO_ADMIN, READ, "discovery.k8s.io", "endpointslices"},
	{TO_ADMIN, READ, "events.k8s.io", "events"},
	{TO_ADMIN, ALL, "coordination.k8s.io", "leases"},
	{TO_ADMIN, "create", "authorization.k8s.io", "localsubjectaccessreviews"},
	{TO_ADMIN, ALL, "rbac.authorization.k8s.io", "rolebindings roles"},
	{TO_ADMIN, ALL, GITOPS, "*"},

	{"system:basic-user", "create", "authorization.k8s.io",
	 "selfsubjectaccessreviews selfsubjectrulesreviews"},
	{"system:basic-user", "create", "authentication.k8s.io", "selfsubjectreviews"},
	{"system:discovery", "get", "-",
	 "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version "
	 "/version/"},
	{"system:public-info-viewer", "get", "-", "/healthz /livez /readyz /version /version/"},
	{"system:monitoring", "get", "-",
	 "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"},
	{"system:service-account-issuer-discovery", "get", "-",
	 "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks "
	 "/openid/v1/jwks/"},
	{"system:auth-delegator", "create", "authentication.k8s.io", "tokenreviews"},
	{"system:auth-delegator", "create", "authorization.k8s.io", "subjectaccessreviews"},
	{"system:kubelet-api-admin", READ " proxy", "core", "nodes"},
	{"system:kubelet-api-admin", "*", "core",
	 "nodes/log nodes/metrics nodes/proxy nodes/stats nodes/healthz nodes/configz nodes/pods"},

	{"system:kube-scheduler", "create patch update", "core events.k8s.io", "events"},
	{"system:kube-scheduler", ALL, "coordination.k8s.io", "leases"},
	{"system:kube-scheduler", READ, "core",
	 "namespaces nodes persistentvolumeclaims persistentvolumes replicationcontrollers "
	 "services"},
	{"system:kube-scheduler", "delete " READ, "core", "pods"},
	{"system:kube-scheduler", "create", "core", "bindings pods/binding"},
	{"system:kube-scheduler", "patch update", "core",
	 "pods/status persistentvolumeclaims persistentvolumes"},
	{"system:kube-scheduler", READ, "apps", "replicasets statefulsets"},
	{"system:kube-scheduler", READ, "policy", "poddisruptionbudgets"},
	{"system:kube-scheduler", READ, "scheduling.k8s.io", "priorityclasses"},
	{"system:kube-scheduler", READ, "storage.k8s.io",
	 "csidrivers csinodes csistoragecapacities storageclasses volumeattachments"},
	{"system:kube-scheduler", "create", "authentication.k8s.io", "tokenreviews"},
	{"system:kube-scheduler", "create", "authorization.k8s.io", "subjectaccessreviews"},

	/* Garbage collection and namespace deletion reach every kind. */
	{"system:kube-controller-manager", "delete deletecollection get list patch update watch",
	 "*", "*"},
	{"system:kube-controller-manager", "create", "core",
	 "configmaps endpoints events persistentvolumeclaims persistentvolumes pods pods/eviction "
	 "replicationcontrollers secrets serviceaccounts serviceaccounts/token services"},
	{"system:kube-controller-manager", "create", "events.k8s.io", "events"},
	{"system:kube-controller-manager", "create", "apps", "controllerrevisions replicasets"},
	{"system:kube-controller-manager", "create", "batch", "jobs"},
	{"system:kube-controller-manager", "create", "discovery.k8s.io", "endpointslices"},
	{"system:kube-controller-manager", "create", "coordination.k8s.io", "leases"},
	{"system:kube-controller-manager", "create", "authentication.k8s.io", "tokenreviews"},
	{"system:kube-controller-manager", "create", "authorization.k8s.io",
	 "subjectaccessreviews"},
	/* Aggregated ClusterRoles get rules that the controller has not. */
	{"system:kube-controller-manager", "escalate", "rbac.authorization.k8s.io", "clusterroles"},
	{"system:kube-controller-manager", "approve sign", "certificates.k8s.io", "signers"},
	{"system:kube-controller-manager", "get", "-", "*"},

	{"system:node", "create patch update " READ, "core", "nodes"},
	{"system:node", "patch update", "core", "nodes/status pods/status"},
	{"system:node", "delete " READ, "core", "pods"},
	{"system:node", "create", "core", "pods/eviction serviceaccounts/token"},
	{"system:node", "create patch update", "core events.k8s.io", "events"},
	{"system:node", READ, "core",
	 "configmaps secrets services endpoints namespaces persistentvolumeclaims"},
	/* The finalizer of those that the node holds. */
	{"system:node", "patch " READ, "core", "persistentvolumes"},
	{"system:node", "get", "core", "serviceaccounts"},
	{"system:node", "create delete get patch update", "coordination.k8s.io", "leases"},
	{"system:node", READ " create", "certificates.k8s.io", "certificatesigningrequests"},
	{"system:node", READ, "discovery.k8s.io", "endpointslices"},
	{"system:node", READ, "node.k8s.io", "runtimeclasses"},
	{"system:node", READ, "storage.k8s.io", "csidrivers volumeattachments"},
	{"system:node", "create delete get patch update", "storage.k8s.io", "csinodes"},
	{"system:node", "create", "authentication.k8s.io", "tokenreviews"},
	{"system:node", "create", "authorization.k8s.io",
	 "localsubjectaccessreviews subjectaccessreviews"},

	{"system:node-proxier", READ, "core", "endpoints namespaces nodes pods services"},
	{"system:node-proxier", READ, "discovery.k8s.io", "endpointslices"},
	{"system:node-proxier", READ, "networking.k8s.io", "networkpolicies servicecidrs"},
	{"system:node-proxier", "create patch update", "core events.k8s.io", "events"},

	{"system:node-bootstrapper", "create get list watch", "certificates.k8s.io",
	 "certificatesigningrequests"},
	{CSR "nodeclient", "create", "certificates.k8s.io",
	 "certificatesigningrequests/nodeclient"},
	{CSR "selfnodeclient", "create", "certificates.k8s.io",
	 "certificatesigningrequests/selfnodeclient"},
	{"plumb:node-servers", "create", "certificates.k8s.io",
	 "certificatesigningrequests/nodeproxy certificatesigningrequests/selfnodeserver"},
	{APPROVER("kube-apiserver-client-approver"), "approve", "certificates.k8s.io",
	 "signers =kubernetes.io/kube-apiserver-client"},
	{APPROVER("kube-apiserver-client-kubelet-approver"), "approve", "certificates.k8s.io",
	 "signers =kubernetes.io/kube-apiserver-client-kubelet"},
	{APPROVER("kubelet-serving-approver"), "approve", "certificates.k8s.io",
	 "signers =kubernetes.io/kubelet-serving"},
	{APPROVER("legacy-unknown-approver"), "approve", "certificates.k8s.io",
	 "signers =kubernetes.io/legacy-unknown"},

	/* It applies whatever the repository declares. */
	{"system:plumb:reconciler", "*", "*", "*"},
	{"system:plumb:reconciler", "*", "-", "*"},
	{NULL, NULL, NULL, NULL}};

static const struct {
	const char *name, *role, *kind, *subject;
} bindings[] = {
	{"cluster-admin", "cluster-admin", "Group", "system:masters"},
	{"system:basic-user", "system:basic-user", "Group", "system:authenticated"},
	{"system:discovery", "system:discovery", "Group", "system:authenticated"},
	{"system:public-info-viewer", "system:public-info-viewer", "Group",
	 "system:authenticated system:unauthenticated"},
	{"system:monitoring", "system:monitoring", "Group", "system:monitoring"},
	{"system:service-account-issuer-discovery", "system:service-account-issuer-discovery",
	 "Group", "system:serviceaccounts"},
	{"system:kube-scheduler", "system:kube-scheduler", "User", "system:kube-scheduler"},
	{"system:kube-controller-manager", "system:kube-controller-manager", "User",
	 "system:kube-controller-manager"},
	{"system:node", "system:node", NULL, NULL}, /* nodes have it by being nodes: rights.c */
	{"plumb:node-bootstrapper", "system:node-bootstrapper", "Group", "system:bootstrappers"},
	{"plumb:node-autoapprove-bootstrap", CSR "nodeclient", "Group", "system:bootstrappers"},
	{"plumb:node-autoapprove-certificate-rotation", CSR "selfnodeclient", "Group",
	 "system:nodes"},
	{"plumb:node-servers", "plumb:node-servers", "Group", "system:nodes"},
	{"system:node-proxier", "system:node-proxier", "User", "system:kube-proxy"},
	{"system:plumb:reconciler", "system:plumb:reconciler", "User", "system:plumb:reconciler"},
	{"plumb:apiserver", "system:kubelet-api-admin", "Group", "plumb:apiserver"},
};

static void add_words(struct arena *a, struct json *o, const char *key, const char *words)
{
	struct json *v = json_set_array(a, o, key);
	struct str rest = str_c(words), w;

	while (str_next(&rest, ' ', &w))
		json_append_str(a, v, str_is(w, "core") ? STR("") : w);
}

static void add_what(struct arena *a, struct json *o, const char *key, const char *words)
{
	struct json *v = json_set_array(a, o, key);
	struct str rest = str_c(words), w;

	while (str_next(&rest, ' ', &w)) {
		if (str_starts(w, STR("=")))
			json_append_str(a, json_set_array(a, o, "resourceNames"),
					str_sub(w, 1, w.n));
		else
			json_append_str(a, v, w);
	}
}

static struct json *skeleton(struct arena *a, const char *kind, const char *name)
{
	return json_build(a, "{s:s,s:s,s:{s:s,s:{s:s},s:{s:s}}}", "kind", kind, "apiVersion",
			  "rbac.authorization.k8s.io/v1", "metadata", "name", name, "labels",
			  "kubernetes.io/bootstrapping", "rbac-defaults", "annotations",
			  "rbac.authorization.kubernetes.io/autoupdate", "true");
}

#define AGGREGATE "rbac.authorization.k8s.io/aggregate-to-"

/* The three roles for people gather the rules of others, by labels that anybody's roles may bear.
 */
static const struct gathering {
	const char *name, *from[2]; /* the roles that come with the cluster, by name */
	const char *label, *also;
} gatherings[] = {
	{"view", {TO_VIEW, NULL}, AGGREGATE "view", AGGREGATE "edit"},
	{"edit", {TO_EDIT, "view"}, AGGREGATE "edit", AGGREGATE "admin"},
	{"admin", {"edit", TO_ADMIN}, AGGREGATE "admin", NULL},
};

static void label_source(struct arena *a, struct json *o, const char *role)
{
	for (size_t i = 0; i < ARRAY_LEN(gatherings); i++)
		if (str_is(str_c(gatherings[i].from[0]), role) ||
		    (gatherings[i].from[1] && str_is(str_c(gatherings[i].from[1]), role)))
			json_set_str(a, json_at(o, "metadata", "labels"), gatherings[i].label,
				     STR("true"));
}

static const struct row *role_object(struct arena *a, const struct row *row, struct json **ret)
{
	const char *role = row->role;
	struct json *o = skeleton(a, "ClusterRole", role), *list = json_set_array(a, o, "rules");

	for (; row->role && str_is(str_c(row->role), role); row++) {
		struct json *r = json_append_object(a, list);
		bool paths = str_is(str_c(row->groups), "-");
		if (!paths)
			add_words(a, r, "apiGroups", row->groups);
		add_what(a, r, paths ? "nonResourceURLs" : "resources", row->what);
		add_words(a, r, "verbs", row->verbs);
	}
	label_source(a, o, role);
	*ret = o;
	return row;
}

static bool has_rule(const struct json *list, const struct json *rule)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (json_equal(json_item(list, i), rule))
			return true;
	return false;
}

static void add_rules(struct arena *a, struct json *to, const struct json *from)
{
	const struct json *theirs = json_get(from, STR("rules"));
	struct json *list = json_set_array(a, to, "rules");

	for (size_t i = 0; i < json_len(theirs); i++)
		if (!has_rule(list, json_item(theirs, i)))
			json_append(a, list, json_item(theirs, i));
}

/* The roles come with the rules that the controller is going to find, so that they are worth
 * something before it runs. */
static void gather(struct arena *a, const struct json *all,
		   void (*fn)(void *arg, const char *plural, struct json *o), void *arg)
{
	struct json *made = json_new(a, JSON_OBJECT);

	for (size_t i = 0; i < ARRAY_LEN(gatherings); i++) {
		const struct gathering *g = &gatherings[i];
		struct json *o = skeleton(a, "ClusterRole", g->name);

		for (size_t j = 0; j < ARRAY_LEN(g->from) && g->from[j]; j++) {
			const struct json *from = json_get(all, str_c(g->from[j]));

			add_rules(a, o, from ? from : json_get(made, str_c(g->from[j])));
		}
		json_set(a, o, STR("aggregationRule"),
			 json_build(a, "{s:[{s:{s:s}}]}", "clusterRoleSelectors", "matchLabels",
				    g->label, "true"));
		label_source(a, o, g->name);
		json_set(a, made, str_c(g->name), o);
		fn(arg, "clusterroles", o);
	}
}

void bootstrap_rbac(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg)
{
	struct json *all = json_new(a, JSON_OBJECT), *o;
	const struct row *row = rules;

	while (row->role) {
		row = role_object(a, row, &o);
		json_set(a, all, json_str(json_at(o, "metadata", "name")), o);
		fn(arg, "clusterroles", o);
	}
	gather(a, all, fn, arg);
	for (size_t i = 0; i < ARRAY_LEN(bindings); i++) {
		o = skeleton(a, "ClusterRoleBinding", bindings[i].name);
		json_set(a, o, STR("roleRef"),
			 json_build(a, "{s:s,s:s,s:s}", "apiGroup", "rbac.authorization.k8s.io",
				    "kind", "ClusterRole", "name", bindings[i].role));
		struct str rest = str_c(bindings[i].subject), who;
		struct json *subjects = rest.n ? json_set_array(a, o, "subjects") : NULL;
		while (str_next(&rest, ' ', &who))
			json_append(a, subjects,
				    json_build(a, "{s:s,s:s,s:S}", "kind", bindings[i].kind,
					       "apiGroup", "rbac.authorization.k8s.io", "name",
					       who));
		fn(arg, "clusterrolebindings", o);
	}
}
