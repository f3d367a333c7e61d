/*
 * The roles that every cluster has, as a table: Kubernetes' own, whose names and meaning people
 * rely on, and those of Plumb's processes, just wide enough. Pure data.
 */
#include "apiserver/bootstrap.h"
#include "lib/json/json.h"

#define READ "get list watch"
#define WRITE "create delete deletecollection patch update"
#define ALL "create delete deletecollection get list patch update watch"

/* A rule: words separated by spaces. group "core" is the empty one, "-" makes `what` paths. */
struct row {
	const char *role, *verbs, *groups, *what;
};

#define WORKLOADS                                                                                  \
	"daemonsets deployments deployments/rollback deployments/scale replicasets "               \
	"replicasets/scale statefulsets statefulsets/scale"
#define CORE_EDIT                                                                                  \
	"configmaps events persistentvolumeclaims pods replicationcontrollers "                    \
	"replicationcontrollers/scale services"

static const struct row rules[] = {
	{"cluster-admin", "*", "*", "*"},
	{"cluster-admin", "*", "-", "*"},

	{"view", READ, "core",
	 "bindings configmaps endpoints events limitranges namespaces namespaces/status "
	 "persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status "
	 "replicationcontrollers replicationcontrollers/scale replicationcontrollers/status "
	 "resourcequotas resourcequotas/status serviceaccounts services services/status"},
	{"view", READ, "apps",
	 "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
	 "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
	 "statefulsets/scale statefulsets/status"},
	{"view", READ, "batch", "cronjobs cronjobs/status jobs jobs/status"},
	{"view", READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"},
	{"view", READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"},
	{"view", READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"},
	{"view", READ, "discovery.k8s.io", "endpointslices"},
	{"view", READ, "events.k8s.io", "events"},
	{"view", READ, "metrics.k8s.io", "pods nodes"},
	{"view", READ, "kustomize.toolkit.fluxcd.io source.toolkit.fluxcd.io plumb.dev", "*"},

	{"edit", READ, "core",
	 "bindings endpoints limitranges namespaces namespaces/status pods/log pods/status "
	 "replicationcontrollers/status resourcequotas resourcequotas/status services/status "
	 "persistentvolumeclaims/status"},
	{"edit", ALL, "core", CORE_EDIT " secrets serviceaccounts"},
	{"edit", "get " WRITE, "core",
	 "pods/attach pods/exec pods/portforward pods/proxy services/proxy"},
	{"edit", "create", "core", "pods/eviction serviceaccounts/token"},
	{"edit", "impersonate", "core", "serviceaccounts"},
	{"edit", ALL, "apps", WORKLOADS},
	{"edit", READ, "apps", "controllerrevisions */status"},
	{"edit", ALL, "batch", "cronjobs jobs"},
	{"edit", READ, "batch", "*/status"},
	{"edit", ALL, "autoscaling", "horizontalpodautoscalers"},
	{"edit", ALL, "networking.k8s.io", "ingresses networkpolicies"},
	{"edit", ALL, "policy", "poddisruptionbudgets"},
	{"edit", READ, "discovery.k8s.io", "endpointslices"},
	{"edit", READ, "events.k8s.io", "events"},
	{"edit", ALL, "coordination.k8s.io", "leases"},
	{"edit", ALL, "kustomize.toolkit.fluxcd.io source.toolkit.fluxcd.io plumb.dev", "*"},

	{"admin", READ, "core",
	 "bindings endpoints limitranges namespaces namespaces/status pods/log pods/status "
	 "replicationcontrollers/status resourcequotas resourcequotas/status services/status "
	 "persistentvolumeclaims/status"},
	{"admin", ALL, "core", CORE_EDIT " secrets serviceaccounts"},
	{"admin", "get " WRITE, "core",
	 "pods/attach pods/exec pods/portforward pods/proxy services/proxy"},
	{"admin", "create", "core", "pods/eviction serviceaccounts/token"},
	{"admin", "impersonate", "core", "serviceaccounts"},
	{"admin", ALL, "apps", WORKLOADS},
	{"admin", READ, "apps", "controllerrevisions */status"},
	{"admin", ALL, "batch", "cronjobs jobs"},
	{"admin", READ, "batch", "*/status"},
	{"admin", ALL, "autoscaling", "horizontalpodautoscalers"},
	{"admin", ALL, "networking.k8s.io", "ingresses networkpolicies"},
	{"admin", ALL, "policy", "poddisruptionbudgets"},
	{"admin", READ, "discovery.k8s.io", "endpointslices"},
	{"admin", READ, "events.k8s.io", "events"},
	{"admin", ALL, "coordination.k8s.io", "leases"},
	{"admin", "create", "authorization.k8s.io", "localsubjectaccessreviews"},
	{"admin", ALL, "rbac.authorization.k8s.io", "rolebindings roles"},
	{"admin", ALL, "kustomize.toolkit.fluxcd.io source.toolkit.fluxcd.io plumb.dev", "*"},

	{"system:basic-user", "create", "authorization.k8s.io",
	 "selfsubjectaccessreviews selfsubjectrulesreviews"},
	{"system:basic-user", "create", "authentication.k8s.io", "selfsubjectreviews"},
	{"system:discovery", "get", "-",
	 "/ /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version "
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
	{"system:kube-scheduler", "patch update", "core", "pods/status persistentvolumeclaims"},
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
	 "replicationcontrollers secrets serviceaccounts serviceaccounts/token"},
	{"system:kube-controller-manager", "create", "events.k8s.io", "events"},
	{"system:kube-controller-manager", "create", "apps", "controllerrevisions replicasets"},
	{"system:kube-controller-manager", "create", "batch", "jobs"},
	{"system:kube-controller-manager", "create", "discovery.k8s.io", "endpointslices"},
	{"system:kube-controller-manager", "create", "coordination.k8s.io", "leases"},
	{"system:kube-controller-manager", "create", "authentication.k8s.io", "tokenreviews"},
	{"system:kube-controller-manager", "create", "authorization.k8s.io",
	 "subjectaccessreviews"},
	{"system:kube-controller-manager", "approve sign", "certificates.k8s.io", "signers"},
	{"system:kube-controller-manager", "get", "-", "*"},

	{"system:node", "create patch update " READ, "core", "nodes"},
	{"system:node", "patch update", "core", "nodes/status pods/status"},
	{"system:node", "delete " READ, "core", "pods"},
	{"system:node", "create", "core", "pods/eviction serviceaccounts/token"},
	{"system:node", "create patch update", "core events.k8s.io", "events"},
	{"system:node", READ, "core", "configmaps secrets services endpoints namespaces"},
	{"system:node", "get", "core", "persistentvolumeclaims persistentvolumes serviceaccounts"},
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
	{"system:public-info-viewer", "system:public-info-viewer", "Group", "system:authenticated"},
	{"system:monitoring", "system:monitoring", "Group", "system:monitoring"},
	{"system:service-account-issuer-discovery", "system:service-account-issuer-discovery",
	 "Group", "system:serviceaccounts"},
	{"system:kube-scheduler", "system:kube-scheduler", "User", "system:kube-scheduler"},
	{"system:kube-controller-manager", "system:kube-controller-manager", "User",
	 "system:kube-controller-manager"},
	{"system:node", "system:node", "Group", "system:nodes"},
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

static struct json *skeleton(struct arena *a, const char *kind, const char *name)
{
	return json_build(a, "{s:s,s:s,s:{s:s,s:{s:s},s:{s:s}}}", "kind", kind, "apiVersion",
			  "rbac.authorization.k8s.io/v1", "metadata", "name", name, "labels",
			  "kubernetes.io/bootstrapping", "rbac-defaults", "annotations",
			  "rbac.authorization.kubernetes.io/autoupdate", "true");
}

/* Others add to the three roles for people by labelling roles of their own. */
static void add_aggregation(struct arena *a, struct json *o, const char *role)
{
	static const char *const names[] = {"view", "edit", "admin"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!str_is(str_c(role), names[i]))
			continue;
		const char *label =
			arena_printf(a, "rbac.authorization.k8s.io/aggregate-to-%s", names[i]);
		json_set(a, o, STR("aggregationRule"),
			 json_build(a, "{s:[{s:{s:s}}]}", "clusterRoleSelectors", "matchLabels",
				    label, "true"));
		if (i == 2)
			return;
		label = arena_printf(a, "rbac.authorization.k8s.io/aggregate-to-%s", names[i + 1]);
		json_set_str(a, json_at(o, "metadata", "labels"), label, STR("true"));
	}
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
		add_words(a, r, paths ? "nonResourceURLs" : "resources", row->what);
		add_words(a, r, "verbs", row->verbs);
	}
	add_aggregation(a, o, role);
	*ret = o;
	return row;
}

void bootstrap_rbac(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg)
{
	const struct row *row = rules;
	struct json *o;

	while (row->role) {
		row = role_object(a, row, &o);
		fn(arg, "clusterroles", o);
	}
	for (size_t i = 0; i < ARRAY_LEN(bindings); i++) {
		o = skeleton(a, "ClusterRoleBinding", bindings[i].name);
		json_set(a, o, STR("roleRef"),
			 json_build(a, "{s:s,s:s,s:s}", "apiGroup", "rbac.authorization.k8s.io",
				    "kind", "ClusterRole", "name", bindings[i].role));
		json_set(a, o, STR("subjects"),
			 json_build(a, "[{s:s,s:s,s:s}]", "kind", bindings[i].kind, "apiGroup",
				    "rbac.authorization.k8s.io", "name", bindings[i].subject));
		fn(arg, "clusterrolebindings", o);
	}
}
