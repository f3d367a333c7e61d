/*
 * ResourceQuotas as writers meet them: exactly as many as there is room for, whatever comes at
 * once, and a status that says so.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NS "/api/v1/namespaces/default/"
#define QUOTAS NS "resourcequotas"
#define PODS NS "pods"

static void begin(void)
{
	alone_begin();
	assert_int_equal(status_of("POST", NS "serviceaccounts", NULL,
				   "{\"metadata\":{\"name\":\"default\"}}"),
			 201);
}

static void quota(const char *name, const char *spec)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec);
	if (status_of("POST", QUOTAS, NULL, buf_cstr(&text)) != 201)
		fail_msg("%s", buf_cstr(&last_body));
}

/* Returns the status; the answer is in last_body. */
static int pod(const char *name, const char *spec, const char *container)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text,
		   "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"containers\":[{\"name\":\"c\","
		   "\"image\":\"x\"%s}]}}",
		   name, spec, container);
	return status_of("POST", PODS, NULL, buf_cstr(&text));
}

static void expect(const char *part)
{
	if (!has(buf_view(&last_body), part))
		fail_msg("%s\nlacks %s", buf_cstr(&last_body), part);
}

static void expect_status(const char *name, const char *part)
{
	AUTO(buf) struct buf path = {0};

	buf_printf(&path, QUOTAS "/%s", name);
	assert_int_equal(status_of("GET", buf_cstr(&path), NULL, NULL), 200);
	expect(part);
}

#define CPU(request, limit)                                                                        \
	",\"resources\":{\"requests\":{\"cpu\":\"" request "\"},\"limits\":{\"cpu\":\"" limit "\"" \
	"}}"

void test_admission_quota__as_many_as_there_is_room_for_in_one_turn(void **state)
{
	struct asked *q[40];
	size_t made_n = 0, refused = 0;

	(void)state;
	begin();
	quota("q", "\"hard\":{\"configmaps\":\"7\"}");
	for (size_t i = 0; i < ARRAY_LEN(q); i++) { /* all of them wait before the turn */
		AUTO(buf) struct buf text = {0};

		q[i] = xalloc(sizeof(**q));
		assert_true(core_route(STR("POST"), STR(NS "configmaps"), STR_NONE, &q[i]->req));
		buf_printf(&text, "{\"metadata\":{\"name\":\"c%zu\"}}", i);
		q[i]->req.arena = &q[i]->a;
		q[i]->req.body = arena_str(&q[i]->a, buf_view(&text));
		q[i]->req.content_type = STR("application/json");
		q[i]->req.user = (struct admission_user){.name = STR("bob")};
		q[i]->req.sink = &test_sink;
		core_submit(core, &q[i]->req);
	}
	core_turn(core);
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		made_n += q[i]->status == 201;
		refused += q[i]->status == 403;
		ask_free(q[i]);
	}
	assert_int_equal(made_n, 7);
	assert_int_equal(refused, 33);
	expect_status("q", "\"used\":{\"configmaps\":\"7\"}");
	assert_int_equal(status_of("DELETE", NS "configmaps/c0", NULL, NULL), 200);
	expect_status("q", "\"used\":{\"configmaps\":\"6\"}");
	alone_end();
}

void test_admission_quota__the_refusal_names_what_is_over(void **state)
{
	(void)state;
	begin();
	quota("q", "\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"1\",\"secrets\":\"5\"}");
	assert_int_equal(pod("a", "", CPU("400m", "1")), 201);
	assert_int_equal(pod("b", "", CPU("400m", "1")), 201);
	assert_int_equal(pod("c", "", CPU("400m", "1")), 403);
	expect("pods \\\"c\\\" is forbidden: exceeded quota: q, requested: "
	       "pods=1,requests.cpu=400m, used: pods=2,requests.cpu=800m, limited: "
	       "pods=2,requests.cpu=1");
	expect("\"reason\":\"Forbidden\"");
	expect_status("q", "\"used\":{\"pods\":\"2\",\"requests.cpu\":\"800m\",\"secrets\":\"0\"}");
	alone_end();
}

void test_admission_quota__containers_must_say_what_is_limited(void **state)
{
	(void)state;
	begin();
	quota("q", "\"hard\":{\"limits.cpu\":\"2\",\"requests.memory\":\"1Gi\"}");
	assert_int_equal(pod("a", "", CPU("1", "1")), 403);
	expect("failed quota: q: must specify requests.memory for: c");
	assert_int_equal(pod("a", "", ""), 403);
	expect("failed quota: q: must specify limits.cpu for: c; requests.memory for: c");
	alone_end();
}

void test_admission_quota__ended_pods_use_nothing(void **state)
{
	(void)state;
	begin();
	quota("q", "\"hard\":{\"pods\":\"1\",\"count/pods\":\"2\"}");
	assert_int_equal(pod("a", "", ""), 201);
	assert_int_equal(pod("b", "", ""), 403);
	assert_int_equal(status_of("PATCH", PODS "/a/status", "application/merge-patch+json",
				   "{\"status\":{\"phase\":\"Succeeded\"}}"),
			 200);
	expect_status("q", "\"used\":{\"count/pods\":\"1\",\"pods\":\"0\"}");
	assert_int_equal(pod("b", "", ""), 201);
	assert_int_equal(pod("c", "", ""), 403);
	alone_end();
}

void test_admission_quota__scopes_choose_pods(void **state)
{
	(void)state;
	begin();
	quota("best", "\"hard\":{\"pods\":\"1\"},\"scopes\":[\"BestEffort\"]");
	quota("ending", "\"hard\":{\"pods\":\"1\"},\"scopes\":[\"Terminating\"]");
	assert_int_equal(pod("a", "", ""), 201);
	assert_int_equal(pod("b", "", ""), 403);
	expect("exceeded quota: best");
	assert_int_equal(pod("c", "", CPU("1", "1")), 201);
	assert_int_equal(pod("d", "\"activeDeadlineSeconds\":5,", CPU("1", "1")), 201);
	assert_int_equal(pod("e", "\"activeDeadlineSeconds\":5,", CPU("1", "1")), 403);
	expect("exceeded quota: ending");
	alone_end();
}

void test_admission_quota__services_grow_by_updates(void **state)
{
	(void)state;
	begin();
	quota("q", "\"hard\":{\"services.nodeports\":\"1\"}");
	assert_int_equal(status_of("POST", NS "services", NULL,
				   "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"NodePort\","
				   "\"ports\":[{\"name\":\"a\",\"port\":80}]}}"),
			 201);
	assert_int_equal(status_of("PATCH", NS "services/s", "application/merge-patch+json",
				   "{\"spec\":{\"ports\":[{\"name\":\"a\",\"port\":80},{\"name\":"
				   "\"b\",\"port\":81}]}}"),
			 403);
	expect("services.nodeports=1");
	assert_int_equal(status_of("PATCH", NS "services/s", "application/merge-patch+json",
				   "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"),
			 200);
	assert_int_equal(status_of("PATCH", NS "services/s", "application/merge-patch+json",
				   "{\"spec\":{\"type\":\"ClusterIP\"}}"),
			 200);
	expect_status("q", "\"used\":{\"services.nodeports\":\"0\"}");
	alone_end();
}

void test_admission_quota__claims_count_by_class(void **state)
{
#define CLAIM(name)                                                                                \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"storageClassName\":\"fast\","           \
	"\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"6Gi\"}}}}"
	(void)state;
	begin();
	quota("q", "\"hard\":{\"fast.storageclass.storage.k8s.io/requests.storage\":\"10Gi\","
		   "\"requests.storage\":\"100Gi\"}");
	assert_int_equal(status_of("POST", NS "persistentvolumeclaims", NULL, CLAIM("a")), 201);
	assert_int_equal(status_of("POST", NS "persistentvolumeclaims", NULL, CLAIM("b")), 403);
	expect("requested: fast.storageclass.storage.k8s.io/requests.storage=6Gi, used: "
	       "fast.storageclass.storage.k8s.io/requests.storage=6Gi, limited: "
	       "fast.storageclass.storage.k8s.io/requests.storage=10Gi");
	alone_end();
}

void test_admission_quota__what_is_there_counts_and_dry_runs_do_not(void **state)
{
	(void)state;
	begin();
	assert_int_equal(
		status_of("POST", "/apis/apps/v1/namespaces/default/deployments", NULL,
			  "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{"
			  "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{"
			  "\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
			  "\"image\":\"x\"}]}}}}"),
		201);
	quota("q", "\"hard\":{\"count/deployments.apps\":\"1\",\"configmaps\":\"1\"}");
	expect_status("q", "\"used\":{\"configmaps\":\"0\",\"count/deployments.apps\":\"1\"}");
	for (int i = 0; i < 3; i++)
		assert_int_equal(status_of("POST", NS "configmaps?dryRun=All", NULL,
					   "{\"metadata\":{\"name\":\"x\"}}"),
				 201);
	assert_int_equal(
		status_of("POST", NS "configmaps", NULL, "{\"metadata\":{\"name\":\"x\"}}"), 201);
	assert_int_equal(status_of("POST", NS "configmaps?dryRun=All", NULL,
				   "{\"metadata\":{\"name\":\"y\"}}"),
			 403);
	/* A quota that changes counts by its new word at once. */
	assert_int_equal(status_of("PATCH", QUOTAS "/q", "application/merge-patch+json",
				   "{\"spec\":{\"hard\":{\"configmaps\":\"2\"}}}"),
			 200);
	assert_int_equal(
		status_of("POST", NS "configmaps", NULL, "{\"metadata\":{\"name\":\"y\"}}"), 201);
	assert_int_equal(status_of("DELETE", QUOTAS "/q", NULL, NULL), 200);
	assert_int_equal(
		status_of("POST", NS "configmaps", NULL, "{\"metadata\":{\"name\":\"z\"}}"), 201);
	alone_end();
}

/* A request that waits for a webhook takes no room meanwhile, and what it finds then counts. */
void test_admission_quota__who_waits_for_a_webhook_holds_no_place(void **state)
{
	struct asked *q[2];
	int won = 0, lost = 0;

	(void)state;
	begin();
	quota("q", "\"hard\":{\"configmaps\":\"1\"}");
	assert_int_equal(
		status_of("POST",
			  "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
			  NULL,
			  "{\"metadata\":{\"name\":\"w\"},\"webhooks\":[{\"name\":\"a.x.io\","
			  "\"admissionReviewVersions\":[\"v1\"],\"sideEffects\":\"None\","
			  "\"clientConfig\":{\"url\":\"https://example.com/a\"},\"rules\":[{"
			  "\"operations\":[\"*\"],\"apiGroups\":[\"\"],\"apiVersions\":[\"*\"],"
			  "\"resources\":[\"configmaps\"]}]}]}"),
		201);
	q[0] = ask_core("POST", NS "configmaps", NULL, "{\"metadata\":{\"name\":\"a\"}}");
	q[1] = ask_core("POST", NS "configmaps", NULL, "{\"metadata\":{\"name\":\"b\"}}");
	assert_int_equal(ncalls, 2);
	expect_status("q", "\"used\":{\"configmaps\":\"0\"}");
	answer_review("\"allowed\":true");
	answer_review("\"allowed\":true");
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		won += q[i]->status == 201;
		lost += q[i]->status == 403;
		ask_free(q[i]);
	}
	assert_int_equal(won, 1);
	assert_int_equal(lost, 1);
	expect_status("q", "\"used\":{\"configmaps\":\"1\"}");
	alone_end();
}
