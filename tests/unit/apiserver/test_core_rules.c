/*
 * Rules of kinds, each by a body that breaks it and what is said of it then. Found by holding the
 * API server against a kube-apiserver (tests/differential).
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NS "/api/v1/namespaces/default/"
#define MERGE "application/merge-patch+json"
#define JSON_PATCH "application/json-patch+json"

static bool said(const char *part)
{
	return has(buf_view(&last_body), part);
}

struct bad {
	const char *target, *spec, *field; /* members beside metadata; of the cause */
};

static void make(const char *target, const char *body)
{
	if (status_of("POST", target, NULL, body) != 201)
		fail_msg("%s", buf_cstr(&last_body));
}

static void begin(void)
{
	alone_begin();
	make(NS "serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}");
}

static void refused(const struct bad *all, size_t n)
{
	begin();
	for (size_t i = 0; i < n; i++) {
		AUTO(buf) struct buf body = {0};
		AUTO(buf) struct buf field = {0};

		buf_printf(&body, "{\"metadata\":{\"name\":\"x\"},%s}", all[i].spec);
		buf_printf(&field, "\"field\":\"%s\"", all[i].field);
		if (status_of("POST", all[i].target, NULL, buf_cstr(&body)) != 422 ||
		    !said(buf_cstr(&field)))
			fail_msg("%s %s: %s", all[i].target, all[i].spec, buf_cstr(&last_body));
	}
	alone_end();
}

#define LIMIT(item) "\"spec\":{\"limits\":[{" item "}]}"
#define QUOTA(spec) "\"spec\":{\"hard\":{\"pods\":\"1\"}," spec "}"
#define SELECT(expression) "\"scopeSelector\":{\"matchExpressions\":[{" expression "}]}"

void test_core_rules__bounds_of_namespaces(void **state)
{
	static const struct bad all[] = {
		{NS "limitranges", LIMIT("\"type\":\"\""), "spec.limits[0].type"},
		{NS "limitranges", LIMIT("\"type\":\"Opaque\""), "spec.limits[0].type"},
		{NS "limitranges", LIMIT("\"type\":\"Pod\",\"max\":{\"app\":\"1\"}"),
		 "spec.limits[0].max[app]"},
		{NS "limitranges", LIMIT("\"type\":\"Pod\",\"max\":{\"storage\":\"1\"}"),
		 "spec.limits[0].max[storage]"},
		{NS "limitranges", LIMIT("\"type\":\"PersistentVolumeClaim\""),
		 "spec.limits[0].limits"},
		{NS "limitranges",
		 LIMIT("\"type\":\"Container\",\"maxLimitRequestRatio\":{\"cpu\":\"500m\"}"),
		 "spec.limits[0].maxLimitRequestRatio[cpu]"},
		{NS "limitranges",
		 LIMIT("\"type\":\"Container\",\"min\":{\"cpu\":\"2\"},\"default\":{\"cpu\":"
		       "\"1\"}"),
		 "spec.limits[0].default[cpu]"},
		{NS "resourcequotas", "\"spec\":{\"hard\":{\"app\":\"1\"}}", "spec.hard[app]"},
		{NS "resourcequotas", "\"spec\":{\"hard\":{\"example.com/k\":\"100m\"}}",
		 "spec.hard[example.com/k]"},
		{NS "resourcequotas", QUOTA("\"scopes\":[\"x\"]"), "spec.scopes"},
		{NS "resourcequotas",
		 "\"spec\":{\"hard\":{\"services\":\"1\"},\"scopes\":[\"BestEffort\"]}",
		 "spec.scopes"},
		{NS "resourcequotas", QUOTA(SELECT("\"scopeName\":\"x\",\"operator\":\"Exists\"")),
		 "spec.scopeSelector.matchExpressions.scopeName"},
		{NS "resourcequotas",
		 QUOTA(SELECT("\"scopeName\":\"PriorityClass\",\"operator\":\"In\"")),
		 "spec.scopeSelector.matchExpressions.values"},
		{"/api/v1/namespaces", "\"spec\":{\"finalizers\":[\"x\"]}", "spec.finalizers"},
	};

	(void)state;
	refused(all, ARRAY_LEN(all));
}

#define STORAGE "/apis/storage.k8s.io/v1/"
#define RBAC "/apis/rbac.authorization.k8s.io/v1/"
#define TOPOLOGY(list) "\"provisioner\":\"p\",\"allowedTopologies\":[" list "]"
#define ZONE(key, values)                                                                          \
	"{\"matchLabelExpressions\":[{\"key\":\"" key "\",\"values\":[" values "]}]}"
#define DRIVER(more) "\"spec\":{\"drivers\":[{\"name\":\"d.example.com\"," more "}]}"

void test_core_rules__what_is_of_the_cluster(void **state)
{
	static const struct bad all[] = {
		{STORAGE "storageclasses", "\"provisioner\":\"a b\"", "provisioner"},
		{STORAGE "storageclasses", "\"provisioner\":\"p\",\"parameters\":{\"\":\"x\"}",
		 "parameters"},
		{STORAGE "storageclasses", TOPOLOGY(ZONE("..", "\"a\"")),
		 "allowedTopologies[0].matchLabelExpressions[0].key"},
		{STORAGE "storageclasses", TOPOLOGY(ZONE("z", "\"a\",\"a\"")),
		 "allowedTopologies[0].matchLabelExpressions[0].values[1]"},
		{STORAGE "storageclasses", TOPOLOGY(ZONE("z", "\"a\"") "," ZONE("z", "\"a\"")),
		 "allowedTopologies[1].matchLabelExpressions"},
		{STORAGE "csinodes", DRIVER("\"nodeID\":\"n\",\"topologyKeys\":[\" \"]"),
		 "spec.drivers[0]"},
		{STORAGE "csinodes", DRIVER("\"nodeID\":\"n\",\"allocatable\":{\"count\":-1}"),
		 "spec.drivers[0].allocatable.count"},
		{RBAC "clusterroles", "\"aggregationRule\":{\"clusterRoleSelectors\":[]}",
		 "aggregationRule.clusterRoleSelectors"},
		{"/apis/node.k8s.io/v1/runtimeclasses", "\"handler\":\"\"", "handler"},
		{"/apis/node.k8s.io/v1/runtimeclasses",
		 "\"handler\":\"h\",\"scheduling\":{\"tolerations\":[{\"operator\":\"Exists\"},{"
		 "\"operator\":\"Exists\"}]}",
		 "scheduling.tolerations[1]"},
	};

	(void)state;
	refused(all, ARRAY_LEN(all));
}

#define POD(more) "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]," more "}"
#define IN_C(more) "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"," more "}]}"
#define PATH(name) "{\"" name "\":{\"name\":\"n\",\"items\":[{\"key\":\"k\",\"path\":\"p\"}]}}"

void test_core_rules__pods(void **state)
{
	static const struct bad all[] = {
		{NS "pods", POD("\"hostAliases\":[{\"ip\":\"x\"}]"), "spec.hostAliases[0].ip"},
		{NS "pods", POD("\"dnsConfig\":{\"options\":[{\"value\":\"v\"}]}"),
		 "spec.dnsConfig.options[0]"},
		{NS "pods", POD("\"dnsConfig\":{\"nameservers\":[\"x\"]}"),
		 "spec.dnsConfig.nameservers[0]"},
		{NS "pods", POD("\"dnsConfig\":{\"searches\":[\"a_b\"]}"),
		 "spec.dnsConfig.searches[0]"},
		{NS "pods", POD("\"readinessGates\":[{\"conditionType\":\"a b\"}]"),
		 "spec.readinessGates[0].conditionType"},
		{NS "pods", POD("\"securityContext\":{\"supplementalGroups\":[2147483648]}"),
		 "spec.securityContext.supplementalGroups[0]"},
		{NS "pods",
		 POD("\"volumes\":[{\"name\":\"v\",\"projected\":{\"sources\":[" PATH(
			 "configMap") "," PATH("secret") "]}}]"),
		 "spec.volumes[0].projected"},
		{NS "pods",
		 POD("\"volumes\":[{\"name\":\"v\",\"iscsi\":{\"targetPortal\":\"p\",\"iqn\":\"x\","
		     "\"lun\":1}}]"),
		 "spec.volumes[0].iscsi.iqn"},
		{NS "pods",
		 IN_C("\"env\":[{\"name\":\"E\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":"
		      "\"limits.cpu\",\"divisor\":\"2\"}}}]"),
		 "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor"},
		{NS "pods", IN_C("\"envFrom\":[{\"secretRef\":{\"name\":\"A\"}}]"),
		 "spec.containers[0].envFrom[0].secretRef.name"},
		{NS "pods",
		 POD("\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"initContainers\":[{\"name\":"
		     "\"i\",\"image\":\"i\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/"
		     "v\",\"subPath\":\"a\",\"subPathExpr\":\"b\"}]}]"),
		 "spec.initContainers[0].volumeMounts[0].subPathExpr"},
		{NS "configmaps",
		 "\"data\":{},\"metadata\":{\"name\":\"x\",\"ownerReferences\":[{\"kind\":\"Pod\"}]"
		 "}",
		 "metadata.ownerReferences.uid"},
	};

	(void)state;
	refused(all, ARRAY_LEN(all));
}

/* What a kind's own rules refuse is invalid, whatever a quota or a limit would say of it. */
void test_core_rules__nonsense_is_invalid_before_it_is_too_much(void **state)
{
	(void)state;
	begin();
	make(NS "limitranges", "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"limits\":[{\"type\":"
			       "\"Pod\",\"max\":{\"cpu\":\"1\"}}]}}");
	assert_int_equal(status_of("POST", NS "pods", NULL,
				   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}"),
			 422);
	assert_int_equal(status_of("POST", NS "pods", NULL,
				   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{"
				   "\"name\":\"c\",\"image\":\"i\"}]}}"),
			 403);
	alone_end();
}

void test_core_rules__a_deletion_that_cannot_be_read_deletes_nothing(void **state)
{
	(void)state;
	begin();
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"}}");
	assert_int_equal(
		status_of("DELETE", NS "configmaps/a", NULL, "{\"gracePeriodSeconds\":\"x\"}"),
		400);
	assert_int_equal(status_of("GET", NS "configmaps/a", NULL, NULL), 200);
	alone_end();
}

void test_core_rules__a_patch_may_replace_what_is_not_there(void **state)
{
	(void)state;
	begin();
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"},\"data\":{\"x\":\"y\"}}");
	assert_int_equal(status_of("PATCH", NS "configmaps/a", JSON_PATCH,
				   "[{\"op\":\"replace\",\"path\":\"/data/z\",\"value\":\"1\"}]"),
			 200);
	assert_true(said("\"z\":\"1\""));
	assert_int_equal(status_of("PATCH", NS "configmaps/a", JSON_PATCH, "[{\"path\":\"/a\"}]"),
			 422);
	assert_int_equal(status_of("PATCH", NS "configmaps/a", JSON_PATCH, "[1]"), 400);
	alone_end();
}

/* A zero that Go can't tell from absence isn't written; one that it can is. */
void test_core_rules__zeros_are_written_where_they_say_something(void **state)
{
	(void)state;
	begin();
	make(NS "pods", "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"hostNetwork\":false,"
			"\"enableServiceLinks\":false,\"nodeName\":\"\",\"containers\":[{\"name\":"
			"\"c\",\"image\":\"i\",\"stdin\":false}]}}");
	assert_false(said("hostNetwork"));
	assert_false(said("\"stdin\""));
	assert_false(said("nodeName"));
	assert_true(said("\"enableServiceLinks\":false"));
	make(NS "configmaps", "{\"metadata\":{\"name\":\"c\"},\"binaryData\":{\"x\":null}}");
	assert_true(said("\"x\":\"\""));
	alone_end();
}

void test_core_rules__odds_and_ends(void **state)
{
	(void)state;
	begin();
	make("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
	     "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"podSelector\":{},\"egress\":[{\"ports\":[{"
	     "}]}]}}");
	make(NS "serviceaccounts",
	     "{\"metadata\":{\"name\":\"s\"},\"secrets\":[{\"name\":\"x\",\"uid\":\"u-1\"}]}");
	assert_false(said("u-1"));
	make(NS "services", "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIP\":\"None\","
			    "\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":5}}}}");
	assert_false(said("sessionAffinityConfig"));
	make(NS "services", "{\"metadata\":{\"name\":\"t\"},\"spec\":{\"ports\":[{\"port\":80}],"
			    "\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{"
			    "\"clientIP\":{}}}}");
	assert_true(said("\"timeoutSeconds\":10800"));
	assert_int_equal(status_of("PUT", NS "configmaps/none?dryRun=All", NULL,
				   "{\"metadata\":{\"name\":\"none\"}}"),
			 404);
	make(NS "configmaps", "{\"metadata\":{\"name\":\"c\"}}");
	assert_int_equal(status_of("PUT", NS "configmaps/c?dryRun=All", NULL,
				   "{\"metadata\":{\"name\":\"c\"},\"data\":{\"x\":\"y\"}}"),
			 200);
	assert_true(said("resourceVersion"));
	alone_end();
}

#define WORKLOAD(more)                                                                             \
	"\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{"               \
	"\"containers\":"                                                                          \
	"[{\"name\":\"c\",\"image\":\"i\"}]}}" more "}"

void test_core_rules__where_kubernetes_says_it_is(void **state)
{
	static const struct bad all[] = {
		{"/api/v1/nodes", "\"spec\":{\"taints\":[{\"key\":\"\"}]}",
		 "metadata.taints[0].key"},
		{"/api/v1/nodes", "\"spec\":{\"taints\":[{\"key\":\"k\"}]}",
		 "metadata.taints[0].effect"},
		{"/api/v1/nodes", "\"spec\":{\"podCIDRs\":[\"x\"]}", "spec.podCIDRs[0]"},
		{STORAGE "volumeattachments",
		 "\"spec\":{\"attacher\":\"d\",\"nodeName\":\"n\",\"source\":{}}", "spec.source"},
		{NS "persistentvolumeclaims",
		 "\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{"
		 "\"storage\":\"1\"}},\"dataSource\":{\"name\":\"n\"}}",
		 "spec.dataSource.kind"},
		{"/api/v1/persistentvolumes",
		 "\"spec\":{\"gcePersistentDisk\":{\"pdName\":\"d\",\"partition\":300}}",
		 "spec.persistentDisk.partition"},
		{"/apis/apps/v1/namespaces/default/daemonsets", WORKLOAD(""),
		 "spec.template.metadata.labels"},
		{NS "pods",
		 POD("\"affinity\":{\"podAffinity\":{"
		     "\"requiredDuringSchedulingIgnoredDuringExecution\":[{\"topologyKey\":\"z\","
		     "\"namespaces\":[\"A\"]}]}}"),
		 "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]."
		 "namespace"},
	};

	(void)state;
	refused(all, ARRAY_LEN(all));
}

void test_core_rules__what_subresources_are_about(void **state)
{
	(void)state;
	begin();
	make("/apis/apps/v1/namespaces/default/replicasets",
	     "{\"metadata\":{\"name\":\"r\"}," WORKLOAD(
		     ",\"selector\":{\"matchLabels\":{\"a\":\"b\"}}") "}");
	assert_int_equal(status_of("PATCH", "/apis/apps/v1/namespaces/default/replicasets/r/scale",
				   MERGE, "{\"spec\":{\"replicas\":-1}}"),
			 422);
	assert_true(said("\"kind\":\"Scale\""));
	assert_int_equal(status_of("PUT", "/apis/apps/v1/namespaces/default/replicasets/r/scale",
				   NULL, "{\"metadata\":{\"name\":\"other\"}}"),
			 400);
	make(NS "pods", "{\"metadata\":{\"name\":\"p\"}," POD("\"hostNetwork\":true") "}");
	assert_int_equal(
		status_of("POST", NS "pods/p/binding", NULL,
			  "{\"metadata\":{\"name\":\"other\"},\"target\":{\"name\":\"n\"}}"),
		400);
	assert_int_equal(status_of("POST", NS "pods/p/binding", NULL,
				   "{\"metadata\":{\"name\":\"p\"},\"target\":{\"name\":\"n\"}}"),
			 201);
	assert_true(said("\"code\":201"));
	assert_int_equal(status_of("PATCH", NS "pods/p/status", MERGE,
				   "{\"status\":{\"podIPs\":[{\"ip\":\"x\"}]}}"),
			 422);
	make("/api/v1/nodes",
	     "{\"metadata\":{\"name\":\"n\"},\"status\":{\"capacity\":{\"cpu\":\"4\"}}}");
	assert_true(said("\"allocatable\":{\"cpu\":\"4\"}"));
	assert_int_equal(status_of("POST", "/apis/events.k8s.io/v1/namespaces/default/events", NULL,
				   "{\"metadata\":{\"name\":\"e\"}}"),
			 422);
	assert_true(said("Event \\\"e\\\" is invalid"));
	alone_end();
}
