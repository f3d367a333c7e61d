/* The smaller steps of admission, as writers meet them: nodes' fence, classes, claims, Secrets. */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NS "/api/v1/namespaces/default/"
#define PODS NS "pods"
#define MERGE "application/merge-patch+json"
#define POD(name, spec)                                                                            \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{" spec                                    \
	"\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}"

static void make(const char *path, const char *body)
{
	if (status_of("POST", path, NULL, body) != 201)
		fail_msg("%s: %s", path, buf_cstr(&last_body));
}

static void begin(void)
{
	alone_begin();
	make(NS "serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}");
}

static void expect(const char *part)
{
	if (!has(buf_view(&last_body), part))
		fail_msg("%s\nlacks %s", buf_cstr(&last_body), part);
}

static void expect_not(const char *part)
{
	if (has(buf_view(&last_body), part))
		fail_msg("%s\nhas %s", buf_cstr(&last_body), part);
}

/* ---- nodes ---- */

/* As the identity of node n1. */
static int as_node(const char *method, const char *path, const char *type, const char *body)
{
	static const struct str groups[] = {{"system:nodes", 12}};
	struct asked *q = xalloc(sizeof(*q));
	int status;

	q->req.arena = &q->a;
	assert_true(core_route(str_c(method), str_c(path), STR_NONE, &q->req));
	q->req.content_type = str_c(type ? type : "application/json");
	q->req.body = body ? arena_str(&q->a, str_c(body)) : STR_NONE;
	q->req.user = (struct admission_user){
		.name = STR("system:node:n1"), .groups = groups, .ngroups = 1};
	q->req.sink = &test_sink;
	core_submit(core, &q->req);
	core_turn(core);
	buf_reset(&last_body);
	buf_str(&last_body, buf_view(&q->body));
	status = q->status;
	ask_free(q);
	return status;
}

void test_admission_steps__a_node_only_lets_go_of_its_volumes(void **state)
{
	const char *path = "/api/v1/persistentvolumes/pvc-1";
	const char *spec = "\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"capacity\":{"
			   "\"storage\":\"1Gi\"},\"hostPath\":{\"path\":\"/v\"}}}";
	AUTO(free)
	char *volume = xasprintf("{\"metadata\":{\"name\":\"pvc-1\",\"labels\":{\"plumb.dev/"
				 "node\":\"n1\"},\"finalizers\":[\"plumb.dev/local-volume\"]},%s",
				 spec);

	(void)state;
	begin();
	make("/api/v1/persistentvolumes", volume);
	assert_int_equal(
		as_node("PATCH", path, MERGE,
			"{\"metadata\":{\"finalizers\":[\"kubernetes.io/pv-protection\"]}}"),
		403);
	assert_int_equal(status_of("DELETE", path, NULL, NULL), 200);
	assert_int_equal(as_node("PATCH", path, MERGE,
				 "{\"metadata\":{\"finalizers\":[\"kubernetes.io/pv-protection\"],"
				 "\"labels\":{\"x\":\"y\"}}}"),
			 403);
	assert_int_equal(as_node("PATCH", path, MERGE, "{\"metadata\":{\"finalizers\":[]}}"), 403);
	assert_int_equal(
		as_node("PATCH", path, MERGE,
			"{\"metadata\":{\"finalizers\":[\"kubernetes.io/pv-protection\"]}}"),
		200);
	assert_int_equal(as_node("DELETE", path, NULL, NULL), 403);
	assert_int_equal(status_of("PATCH", path, MERGE, "{\"metadata\":{\"finalizers\":[]}}"),
			 200);
	assert_int_equal(as_node("POST", "/api/v1/persistentvolumes", NULL, volume), 403);
	alone_end();
}

void test_admission_steps__a_node_registers_itself_only(void **state)
{
	(void)state;
	begin();
	assert_int_equal(as_node("POST", "/api/v1/nodes", NULL,
				 "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"kubernetes.io/os\":"
				 "\"linux\",\"mine\":\"x\"}}}"),
			 201);
	expect("{\"key\":\"node.kubernetes.io/not-ready\",\"effect\":\"NoSchedule\"}");
	assert_int_equal(as_node("POST", "/api/v1/nodes", NULL, "{\"metadata\":{\"name\":\"n2\"}}"),
			 403);
	expect("node \\\"n1\\\" is not allowed to modify node \\\"n2\\\"");
	assert_int_equal(as_node("PATCH", "/api/v1/nodes/n1", MERGE,
				 "{\"metadata\":{\"labels\":{\"node-role.kubernetes.io/control-"
				 "plane\":\"\"}}}"),
			 403);
	expect("is not allowed to modify labels: node-role.kubernetes.io/control-plane");
	assert_int_equal(as_node("PATCH", "/api/v1/nodes/n1", MERGE,
				 "{\"metadata\":{\"labels\":{\"x.node-restriction.kubernetes.io/"
				 "a\":\"b\"}}}"),
			 403);
	assert_int_equal(
		as_node("PATCH", "/api/v1/nodes/n1", MERGE, "{\"spec\":{\"taints\":null}}"), 403);
	expect("is not allowed to modify taints");
	assert_int_equal(as_node("PATCH", "/api/v1/nodes/n1", MERGE,
				 "{\"metadata\":{\"labels\":{\"mine\":\"y\"}}}"),
			 200);
	assert_int_equal(
		status_of("PATCH", "/api/v1/nodes/n1", MERGE, "{\"spec\":{\"taints\":null}}"), 200);
	alone_end();
}

void test_admission_steps__a_node_touches_its_own_pods_only(void **state)
{
	(void)state;
	begin();
	make(PODS, POD("own", "\"nodeName\":\"n1\","));
	make(PODS, POD("other", "\"nodeName\":\"n2\","));
	assert_int_equal(
		as_node("PATCH", PODS "/own/status", MERGE, "{\"status\":{\"phase\":\"Running\"}}"),
		200);
	assert_int_equal(as_node("PATCH", PODS "/other/status", MERGE,
				 "{\"status\":{\"phase\":\"Running\"}}"),
			 403);
	assert_int_equal(
		as_node("PATCH", PODS "/own", MERGE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"),
		403);
	expect("can only create and delete mirror pods");
	assert_int_equal(as_node("DELETE", PODS "/other", NULL, NULL), 403);
	assert_int_equal(as_node("POST", PODS "/other/eviction", NULL,
				 "{\"metadata\":{\"name\":\"other\"}}"),
			 403);
	expect("can only evict pods with spec.nodeName set to itself");
	assert_int_equal(as_node("DELETE", PODS "/own", NULL, NULL), 200);
	alone_end();
}

void test_admission_steps__mirror_pods_name_their_node_and_nothing_else(void **state)
{
#define MIRROR(uid, spec)                                                                          \
	"{\"metadata\":{\"name\":\"m\",\"annotations\":{\"kubernetes.io/config.mirror\":\"x\"},"   \
	"\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n1\","           \
	"\"controller\":true,\"uid\":\"%s\"}]},\"spec\":{\"nodeName\":\"n1\"," spec                \
	"\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}"
	AUTO(arena) struct arena a = {0};
	const char *uid;

	(void)state;
	begin();
	make("/api/v1/nodes", "{\"metadata\":{\"name\":\"n1\"}}");
	uid = arena_cstr(&a,
			 meta_uid(json_parse(&a, arena_str(&a, buf_view(&last_body)), NULL, NULL)));
	assert_int_equal(as_node("POST", PODS, NULL, POD("m", "\"nodeName\":\"n1\",")), 403);
	expect("can only create mirror pods");
	assert_int_equal(as_node("POST", PODS, NULL, arena_printf(&a, MIRROR(, ""), "no")), 403);
	assert_int_equal(as_node("POST", PODS, NULL,
				 arena_printf(&a,
					      MIRROR(, "\"volumes\":[{\"name\":\"s\",\"secret\":{"
						       "\"secretName\":\"x\"}}],"),
					      uid)),
			 403);
	expect("can not create pods that reference secrets");
	assert_int_equal(
		as_node("POST", PODS, NULL,
			arena_printf(&a, MIRROR(, "\"serviceAccountName\":\"default\","), uid)),
		403);
	assert_int_equal(as_node("POST", PODS, NULL, arena_printf(&a, MIRROR(, ""), uid)), 201);
	expect_not("kube-api-access");
	assert_int_equal(as_node("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases",
				 NULL, "{\"metadata\":{\"name\":\"n1\"}}"),
			 403);
	alone_end();
}

/* ---- classes ---- */

void test_admission_steps__a_pod_carries_its_runtime_class(void **state)
{
	(void)state;
	begin();
	make("/apis/node.k8s.io/v1/runtimeclasses",
	     "{\"metadata\":{\"name\":\"vm\"},\"handler\":\"vm\",\"overhead\":{\"podFixed\":{"
	     "\"cpu\":"
	     "\"250m\"}},\"scheduling\":{\"nodeSelector\":{\"vm\":\"yes\"},\"tolerations\":[{"
	     "\"key\":\"vm\",\"operator\":\"Exists\"}]}}");
	make(PODS, POD("a", "\"runtimeClassName\":\"vm\",\"nodeSelector\":{\"z\":\"1\"},"));
	expect("\"overhead\":{\"cpu\":\"250m\"}");
	expect("\"nodeSelector\":{\"z\":\"1\",\"vm\":\"yes\"}");
	expect("{\"key\":\"vm\",\"operator\":\"Exists\"}");
	assert_int_equal(status_of("POST", PODS, NULL,
				   POD("b", "\"runtimeClassName\":\"vm\",\"nodeSelector\":{\"vm\":"
					    "\"no\"},")),
			 403);
	expect("conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; "
	       "pod.spec.nodeSelector[vm] = no");
	assert_int_equal(status_of("POST", PODS, NULL, POD("b", "\"runtimeClassName\":\"none\",")),
			 403);
	expect("pod rejected: RuntimeClass \\\"none\\\" not found");
	assert_int_equal(status_of("POST", PODS, NULL, POD("b", "\"overhead\":{\"cpu\":\"1\"},")),
			 403);
	expect("Pod Overhead set without corresponding RuntimeClass defined Overhead");
	alone_end();
}

void test_admission_steps__priorities_are_the_classes(void **state)
{
#define CLASSES "/apis/scheduling.k8s.io/v1/priorityclasses"
	(void)state;
	begin();
	make(CLASSES, "{\"metadata\":{\"name\":\"low\"},\"value\":5,\"globalDefault\":true}");
	assert_int_equal(status_of("POST", CLASSES, NULL,
				   "{\"metadata\":{\"name\":\"two\"},\"value\":6,\"globalDefault\":"
				   "true}"),
			 403);
	expect("PriorityClass low is already marked as default");
	make(PODS, POD("a", ""));
	expect("\"priority\":5");
	assert_int_equal(status_of("POST", PODS, NULL, POD("b", "\"priority\":9,")), 403);
	expect("the integer value of priority (9) must not be provided in pod spec");
	alone_end();
}

#define CLAIM(name, more)                                                                          \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{" more                                    \
	"\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}"

void test_admission_steps__claims_get_the_newest_default_class(void **state)
{
#define SC(name, more)                                                                             \
	"{\"metadata\":{\"name\":\"" name "\",\"annotations\":{\"storageclass.kubernetes.io/"      \
	"is-default-class\":\"true\"}},\"provisioner\":\"x\"" more "}"
#define SCS "/apis/storage.k8s.io/v1/storageclasses"
#define CLAIMS NS "persistentvolumeclaims"
#define GROW "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}"
	(void)state;
	begin();
	make(SCS, SC("old", ""));
	now_ns += 10 * NS_PER_S;
	make(SCS, SC("new", ",\"allowVolumeExpansion\":true"));
	make(CLAIMS, CLAIM("a", ""));
	expect("\"storageClassName\":\"new\"");
	expect("\"finalizers\":[\"kubernetes.io/pvc-protection\"]");
	make(CLAIMS, CLAIM("b", "\"storageClassName\":\"\","));
	expect_not("\"new\"");
	make(CLAIMS, CLAIM("c", "\"storageClassName\":\"old\","));
	assert_int_equal(status_of("PATCH", CLAIMS "/a", MERGE, GROW), 422);
	expect("spec is immutable after creation");
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(status_of("PATCH", i ? CLAIMS "/a/status" : CLAIMS "/c/status",
					   MERGE, "{\"status\":{\"phase\":\"Bound\"}}"),
				 200);
	assert_int_equal(status_of("PATCH", CLAIMS "/a", MERGE, GROW), 200);
	assert_int_equal(status_of("PATCH", CLAIMS "/c", MERGE, GROW), 403);
	expect("the storageclass that provisions the pvc must support resize");
	alone_end();
}

void test_admission_steps__ingresses_get_the_default_class(void **state)
{
#define ING "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
#define BACKEND "\"defaultBackend\":{\"service\":{\"name\":\"s\",\"port\":{\"number\":80}}}"
	(void)state;
	begin();
	make("/apis/networking.k8s.io/v1/ingressclasses",
	     "{\"metadata\":{\"name\":\"nginx\",\"annotations\":{\"ingressclass.kubernetes.io/"
	     "is-default-class\":\"true\"}},\"spec\":{\"controller\":\"x.y/z\"}}");
	make(ING, "{\"metadata\":{\"name\":\"a\"},\"spec\":{" BACKEND "}}");
	expect("\"ingressClassName\":\"nginx\"");
	make(ING,
	     "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"ingressClassName\":\"own\"," BACKEND "}}");
	expect("\"ingressClassName\":\"own\"");
	alone_end();
}

void test_admission_steps__an_account_may_limit_secrets(void **state)
{
	(void)state;
	begin();
	make(NS "serviceaccounts",
	     "{\"metadata\":{\"name\":\"tight\",\"annotations\":{\"kubernetes.io/enforce-mountable-"
	     "secrets\":\"true\"}},\"secrets\":[{\"name\":\"mine\"}]}");
	assert_int_equal(
		status_of("POST", PODS, NULL,
			  POD("a", "\"serviceAccountName\":\"tight\",\"volumes\":[{"
				   "\"name\":\"v\",\"secret\":{\"secretName\":\"yours\"}}],")),
		403);
	expect("volume with secret.secretName=\\\"yours\\\" is not allowed because service account "
	       "tight does not reference that secret");
	assert_int_equal(
		status_of("POST", PODS, NULL,
			  POD("a", "\"serviceAccountName\":\"tight\",\"volumes\":[{"
				   "\"name\":\"v\",\"secret\":{\"secretName\":\"mine\"}}],")),
		201);
	alone_end();
}
