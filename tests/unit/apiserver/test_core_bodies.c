/*
 * What requests come back as, where clients look closely: what an error says it is about, what is
 * written though nobody said it, what a deletion shows. Found by holding the API server against a
 * kube-apiserver (tests/differential).
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NS "/api/v1/namespaces/default/"
#define APPS "/apis/apps/v1/namespaces/default/"
#define MERGE "application/merge-patch+json"
#define APPLY "application/apply-patch+yaml"
#define TEMPLATE                                                                                   \
	"\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{"    \
	"\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"

static bool said(const char *part)
{
	return has(buf_view(&last_body), part);
}

static void make(const char *target, const char *body)
{
	if (status_of("POST", target, NULL, body) != 201)
		fail_msg("%s", buf_cstr(&last_body));
}

void test_core_bodies__what_is_wrong_with_a_request_is_about_no_object(void **state)
{
	(void)state;
	alone_begin();
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"}}");
	assert_int_equal(status_of("GET", NS "configmaps?labelSelector=%3D", NULL, NULL), 400);
	assert_false(said("details"));
	assert_int_equal(status_of("GET", NS "configmaps/a/scale", NULL, NULL), 404);
	assert_true(said("\"details\":{}"));
	assert_int_equal(status_of("GET", NS "configmaps/a/status", NULL, NULL), 404);
	assert_int_equal(status_of("DELETE", NS "configmaps/a?gracePeriodSeconds=x", NULL, NULL),
			 400);
	assert_int_equal(status_of("PUT", NS "configmaps/a", NULL, "{\"data\":{\"x\":\"y\"}}"),
			 400);
	assert_true(said("undeterminable"));
	assert_int_equal(status_of("PATCH", NS "configmaps/a", "application/json-patch+json",
				   "[{\"op\":\"add\",\"path\":\"/no/where\",\"value\":1}]"),
			 422);
	assert_true(said("\"details\":{}"));
	alone_end();
}

void test_core_bodies__a_patch_that_makes_nonsense_is_invalid(void **state)
{
	(void)state;
	alone_begin();
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"}}");
	assert_int_equal(status_of("PATCH", NS "configmaps/a", MERGE, "{\"data\":{\"x\":1}}"), 422);
	assert_true(said("\"details\":{\"causes\":[{\"reason\":\"FieldValueInvalid\""));
	assert_true(said("\"field\":\"patch\""));
	alone_end();
}

void test_core_bodies__nonsense_is_told_before_a_name_that_is_taken(void **state)
{
	(void)state;
	alone_begin();
	make(NS "secrets", "{\"metadata\":{\"name\":\"a\"}}");
	assert_int_equal(status_of("POST", NS "secrets", NULL,
				   "{\"metadata\":{\"name\":\"a\"},\"data\":{\"a b\":\"\"}}"),
			 422);
	assert_int_equal(status_of("POST", NS "secrets", NULL, "{\"metadata\":{\"name\":\"a\"}}"),
			 409);
	assert_true(said("AlreadyExists"));
	/* an address isn't taken for what isn't made */
	make(NS "services", "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":1}]}}");
	assert_int_equal(status_of("POST", NS "services", NULL,
				   "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIP\":"
				   "\"10.96.0.77\",\"ports\":[{\"port\":1}]}}"),
			 409);
	make(NS "services", "{\"metadata\":{\"name\":\"t\"},\"spec\":{\"clusterIP\":"
			    "\"10.96.0.77\",\"ports\":[{\"port\":1}]}}");
	alone_end();
}

void test_core_bodies__what_go_always_writes_is_written(void **state)
{
	(void)state;
	alone_begin();
	make(APPS "statefulsets",
	     "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"volumeClaimTemplates\":[{\"metadata\":{"
	     "\"name\":\"v\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{"
	     "\"requests\":{\"storage\":\"1Gi\"}}}}]," TEMPLATE "}}");
	assert_true(said("\"status\":{\"availableReplicas\":0,\"replicas\":0}"));
	assert_true(said("\"kind\":\"PersistentVolumeClaim\",\"status\":{\"phase\":\"Pending\"}"));
	make(NS "events", "{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"namespace\":"
			  "\"default\"}}");
	assert_true(said("\"reportingComponent\":\"\",\"reportingInstance\":\"\""));
	assert_false(said("f:reportingComponent")); /* it was there before anybody wrote */
	make("/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"},\"status\":{\"capacity\":{\"cpu\":"
			      "\"2\"}}}");
	assert_true(said("\"cpu\":\"2\"")); /* a node comes with its status */
	alone_end();
}

void test_core_bodies__daemonsets_count_their_templates(void **state)
{
	static const char was[] = "\"deprecated.daemonset.template.generation\":\"1\"",
			  is[] = "\"deprecated.daemonset.template.generation\":\"2\"";

	(void)state;
	alone_begin();
	make(APPS "daemonsets", "{\"metadata\":{\"name\":\"a\"},\"spec\":{" TEMPLATE "}}");
	assert_true(said(was));
	assert_int_equal(status_of("PATCH", APPS "daemonsets/a", MERGE,
				   "{\"spec\":{\"minReadySeconds\":3}}"),
			 200);
	assert_true(said(was) && said("\"generation\":2"));
	assert_int_equal(status_of("PATCH", APPS "daemonsets/a", MERGE,
				   "{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"c\":\"d\"}"
				   "}}}}"),
			 200);
	assert_true(said(is));
	alone_end();
}

void test_core_bodies__jobs_have_their_pods_labels(void **state)
{
	(void)state;
	alone_begin();
	make("/apis/batch/v1/namespaces/default/jobs",
	     "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":"
	     "\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}");
	assert_true(said("\"labels\":{\"controller-uid\""));
	alone_end();
}

void test_core_bodies__deletions_show_what_they_come_to(void **state)
{
	(void)state;
	alone_begin();
	make(NS "serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}");
	make(NS "pods", "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
			"\"image\":\"i\"}]}}");
	assert_int_equal(status_of("DELETE", NS "pods/p?dryRun=All", NULL, NULL), 200);
	assert_true(said("\"deletionGracePeriodSeconds\":0"));
	assert_int_equal(status_of("DELETE", NS "pods/p?gracePeriodSeconds=0", NULL, NULL), 200);
	assert_true(said("\"deletionTimestamp\":") && said("\"deletionGracePeriodSeconds\":0"));
	assert_int_equal(status_of("GET", NS "pods/p", NULL, NULL), 404);
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"}}");
	assert_int_equal(
		status_of("DELETE", NS "configmaps/a", NULL, "{\"preconditions\":{\"uid\":\"x\"}}"),
		409);
	assert_true(said("\"kind\":\"ConfigMap\""));
	alone_end();
}

void test_core_bodies__an_empty_list_of_owners_forgets_them(void **state)
{
	(void)state;
	alone_begin();
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"},\"data\":{\"x\":\"y\"}}");
	assert_true(said("managedFields"));
	assert_int_equal(status_of("PUT", NS "configmaps/a", NULL,
				   "{\"metadata\":{\"name\":\"a\",\"managedFields\":[]},\"data\":{"
				   "\"x\":\"y\"}}"),
			 200);
	assert_false(said("managedFields"));
	alone_end();
}

void test_core_bodies__an_apply_is_of_its_kind_and_its_fields(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("PATCH", NS "configmaps/a?fieldManager=m", APPLY,
				   "{\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}"),
			 400);
	assert_int_equal(status_of("PATCH", NS "configmaps/a?fieldManager=m", APPLY,
				   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{"
				   "\"name\":\"a\"},\"nope\":1}"),
			 400);
	assert_true(said("field not declared in schema"));
	assert_int_equal(status_of("PATCH", NS "configmaps/a?fieldManager=m", APPLY,
				   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"a\":"
				   "\"1\"},\"metadata\":{\"name\":\"a\"}}"),
			 201);
	/* the name may be left to the path where it names something */
	assert_int_equal(status_of("PATCH", NS "configmaps/a?fieldManager=m", APPLY,
				   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"}"),
			 200);
	assert_int_equal(status_of("PATCH", NS "configmaps/a?fieldManager=n", APPLY,
				   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"b\":"
				   "\"1\"}}"),
			 200);
	assert_int_equal(status_of("PATCH", NS "configmaps/a?fieldManager=o", APPLY,
				   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"b\":"
				   "\"2\"}}"),
			 409);
	assert_true(said("\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\""));
	alone_end();
}

/* An update by who doesn't know managedFields changes one field's owner, and nothing else. */
void test_core_bodies__an_update_without_owners_keeps_them(void **state)
{
	(void)state;
	alone_begin();
	make(NS "configmaps?fieldManager=m", "{\"metadata\":{\"name\":\"a\"},\"data\":{\"x\":"
					     "\"1\",\"y\":\"2\"}}");
	assert_int_equal(status_of("PUT", NS "configmaps/a?fieldManager=n", NULL,
				   "{\"metadata\":{\"name\":\"a\"},\"data\":{\"x\":\"1\",\"y\":"
				   "\"3\"}}"),
			 200);
	assert_true(said("\"manager\":\"m\"") && said("\"manager\":\"n\""));
	assert_true(said("f:x") && said("f:y"));
	alone_end();
}

#define PV "/api/v1/persistentvolumes"
#define PV_SPEC(more)                                                                              \
	"\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"capacity\":{\"storage\":\"1Gi\"}," more   \
	"}}"

void test_core_bodies__where_a_volumes_data_is_never_changes(void **state)
{
	(void)state;
	alone_begin();
	make(PV, "{\"metadata\":{\"name\":\"a\"}," PV_SPEC("\"hostPath\":{\"path\":\"/x\"}"));
	assert_int_equal(
		status_of("PATCH", PV "/a", MERGE, "{\"spec\":{\"hostPath\":{\"path\":\"/y\"}}}"),
		422);
	assert_true(said("\"field\":\"spec.persistentvolumesource\""));
	assert_int_equal(status_of("PATCH", PV "/a", MERGE,
				   "{\"spec\":{\"capacity\":{\"storage\":\"2Gi\"}}}"),
			 200);
	assert_int_equal(
		status_of("POST", PV, NULL,
			  "{\"metadata\":{\"name\":\"b\"}," PV_SPEC("\"local\":{\"path\":\"/x\"}")),
		422);
	assert_true(said("Local volume requires node affinity"));
	assert_int_equal(
		status_of("POST", PV, NULL,
			  "{\"metadata\":{\"name\":\"b\"}," PV_SPEC(
				  "\"hostPath\":{\"path\":\"/x\"},\"nfs\":{\"server\":\"s\","
				  "\"path\":\"/\"}")),
		422);
	assert_int_equal(
		status_of("POST", PV, NULL,
			  "{\"metadata\":{\"name\":\"b\"}," PV_SPEC("\"volumeMode\":\"Block\"")),
		422);
	assert_true(said("must specify a volume type"));
	alone_end();
}

void test_core_bodies__only_bound_claims_grow(void **state)
{
	const char *grow = "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}";

	(void)state;
	alone_begin();
	make(NS "persistentvolumeclaims",
	     "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
	     "\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
	assert_int_equal(status_of("PATCH", NS "persistentvolumeclaims/a", MERGE, grow), 422);
	assert_int_equal(status_of("PATCH", NS "persistentvolumeclaims/a", MERGE,
				   "{\"spec\":{\"volumeMode\":\"Block\"}}"),
			 422);
	assert_true(said("spec is immutable after creation"));
	assert_int_equal(
		status_of("POST", NS "persistentvolumeclaims", NULL,
			  "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"accessModes\":[\"x\"]}}"),
		422);
	assert_true(said("\"field\":\"spec.resources[storage]\""));
	assert_true(said("\"field\":\"spec.accessModes\""));
	alone_end();
}

void test_core_bodies__what_is_missing_altogether_is_missed(void **state)
{
	(void)state;
	alone_begin();
	make(NS "serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}");
	assert_int_equal(status_of("POST", NS "pods", NULL, "{\"metadata\":{\"name\":\"p\"}}"),
			 422);
	assert_true(said("\"field\":\"spec.containers\""));
	assert_int_equal(status_of("POST", "/apis/batch/v1/namespaces/default/jobs", NULL,
				   "{\"metadata\":{\"name\":\"p\"}}"),
			 422);
	assert_int_equal(
		status_of("POST", NS "pods", NULL,
			  "{\"metadata\":{\"generateName\":\"A\"},\"spec\":{\"containers\":[{"
			  "\"name\":\"c\",\"image\":\"i\"}]}}"),
		422);
	assert_true(said("\"field\":\"metadata.generateName\""));
	assert_int_equal(status_of("POST", NS "pods", NULL,
				   "{\"metadata\":{\"name\":\"p\"},\"spec\":\"x\"}"),
			 400);
	assert_int_equal(
		status_of("POST", NS "podtemplates", NULL, "{\"metadata\":{\"name\":\"p\"}}"), 422);
	assert_true(said("\"field\":\"template.spec.containers\""));
	assert_int_equal(status_of("GET", NS "pods?resourceVersionMatch=Exact", NULL, NULL), 422);
	assert_true(said("\"kind\":\"ListOptions\""));
	alone_end();
}

void test_core_bodies__a_service_account_in_a_rolebinding_may_be_of_here(void **state)
{
	static const char binding[] =
		"{\"metadata\":{\"name\":\"a\"},\"roleRef\":{\"kind\":\"ClusterRole\",\"name\":"
		"\"r\"},"
		"\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"s\"}]}";

	(void)state;
	alone_begin();
	make("/apis/rbac.authorization.k8s.io/v1/clusterroles", "{\"metadata\":{\"name\":\"r\"}}");
	make("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding);
	assert_int_equal(status_of("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
				   NULL, binding),
			 422);
	assert_true(said("\"field\":\"subjects[0].namespace\""));
	assert_int_equal(
		status_of("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", NULL,
			  "{\"metadata\":{\"name\":\"a\"},\"roleRef\":{\"kind\":\"ClusterRole\","
			  "\"name\":"
			  "\"r\"},"
			  "\"subjects\":[{\"kind\":\"User\",\"name\":\"s\",\"apiGroup\":\"x\"}]}"),
		422);
	assert_true(said("\"field\":\"subjects[0].apiGroup\""));
	alone_end();
}

void test_core_bodies__counts_in_a_status_are_counts(void **state)
{
	(void)state;
	alone_begin();
	make(APPS "deployments", "{\"metadata\":{\"name\":\"a\"},\"spec\":{" TEMPLATE "}}");
	assert_int_equal(status_of("PATCH", APPS "deployments/a/status", MERGE,
				   "{\"status\":{\"replicas\":1,\"readyReplicas\":2}}"),
			 422);
	assert_int_equal(status_of("PATCH", APPS "deployments/a/status", MERGE,
				   "{\"status\":{\"replicas\":-1}}"),
			 422);
	assert_int_equal(status_of("PATCH", APPS "deployments/a/status", MERGE,
				   "{\"status\":{\"replicas\":2,\"readyReplicas\":2}}"),
			 200);
	alone_end();
}

void test_core_bodies__odds_and_ends_that_go_refuses(void **state)
{
	(void)state;
	alone_begin();
	make(NS "configmaps", "{\"metadata\":{\"name\":\"a\"}}");
	assert_int_equal(status_of("PATCH", NS "configmaps/a", MERGE, "{\"kind\":\"Secret\"}"),
			 422);
	assert_int_equal(
		status_of("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", NULL,
			  "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"renewTime\":\"2020-01-"
			  "01T00:00:00Z\"}}"),
		400);
	make("/apis/node.k8s.io/v1/runtimeclasses",
	     "{\"metadata\":{\"name\":\"r\"},\"handler\":\"h\"}");
	assert_int_equal(status_of("PATCH", "/apis/node.k8s.io/v1/runtimeclasses/r", MERGE,
				   "{\"scheduling\":{\"tolerations\":[{\"key\":\"..\"}]}}"),
			 422);
	assert_true(said("scheduling.tolerations.tolerations[0].key"));
	alone_end();
}
