/*
 * Admission webhooks as writers meet them: when they are asked, what they see, what their answers
 * do, and that a request which waits for them has no effect until they have answered.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define GROUP "/apis/admissionregistration.k8s.io/v1/"
#define MUTATING GROUP "mutatingwebhookconfigurations"
#define VALIDATING GROUP "validatingwebhookconfigurations"
#define CMS "/api/v1/namespaces/default/configmaps"
#define CM(name, data) "{\"metadata\":{\"name\":\"" name "\"},\"data\":{" data "}}"
#define RULE(ops, groups, resources)                                                               \
	"\"rules\":[{\"operations\":[" ops "],\"apiGroups\":[" groups "],\"apiVersions\":[\"*\"]," \
	"\"resources\":[" resources "]}]"
#define HOOK(name, more)                                                                           \
	"{\"name\":\"" name ".x.io\",\"admissionReviewVersions\":[\"v1\"],\"sideEffects\":"        \
	"\"None\",\"clientConfig\":{\"url\":\"https://example.com/" name "\"}," more "}"
#define ALL_CMS RULE("\"*\"", "\"\"", "\"configmaps\"")

static void configure(const char *where, const char *name, const char *hooks)
{
	AUTO(buf) struct buf text = {0};
	int status;

	buf_printf(&text, "{\"metadata\":{\"name\":\"%s\"},\"webhooks\":[%s]}", name, hooks);
	status = status_of("POST", where, NULL, buf_cstr(&text));
	if (status != 201)
		fail_msg("%d: %s", status, buf_cstr(&last_body));
}

void test_webhook__a_write_waits_for_its_validators(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v", HOOK("a", ALL_CMS) "," HOOK("b", ALL_CMS));
	q = ask_core("POST", CMS, NULL, CM("x", "\"k\":\"v\""));
	assert_int_equal(q->status, 0);
	assert_int_equal(ncalls, 2);
	assert_true(has(calls[0]->url, "https://example.com/"));
	assert_int_equal(calls[0]->timeout_ns, 10 * NS_PER_S);
	assert_true(called_with("\"operation\":\"CREATE\""));
	assert_true(
		called_with("\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"ConfigMap\"}"));
	assert_true(called_with("\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":"
				"\"configmaps\"}"));
	assert_true(called_with("\"username\":\"bob\""));
	assert_true(called_with("\"oldObject\":null"));
	assert_true(called_with("\"data\":{\"k\":\"v\"}"));
	assert_true(called_with("\"CreateOptions\""));
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 404);
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 0);
	answer_review("\"allowed\":true,\"warnings\":[\"be\\ncareful\"]");
	assert_int_equal(q->status, 201);
	assert_true(has(buf_view(&q->warnings), "be careful\n"));
	assert_int_equal(made, 2);
	ask_free(q);
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 200);
	alone_end();
}

void test_webhook__what_is_asked_is_what_is_stored(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct asked *q;
	struct str uid, name;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	q = ask_core("POST", CMS, NULL, "{\"metadata\":{\"generateName\":\"x-\"}}");
	const struct json *o = json_at(json_parse(&a, arena_str(&a, calls[0]->body), NULL, NULL),
				       "request", "object", "metadata");
	uid = json_str(json_get(o, STR("uid")));
	name = json_str(json_get(o, STR("name")));
	assert_true(uid.n == 36 && name.n == 7);
	now_ns += 3 * NS_PER_S;
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 201);
	assert_int_equal(made, 1);
	assert_true(told(q, arena_cstr(&a, uid)) && told(q, arena_cstr(&a, name)));
	ask_free(q);
	alone_end();
}

void test_webhook__denials_are_the_webhooks_words(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	answer_review("\"allowed\":false,\"status\":{\"message\":\"not today\",\"reason\":"
		      "\"Forbidden\",\"code\":403}");
	assert_int_equal(q->status, 403);
	assert_true(told(q, "admission webhook \\\"a.x.io\\\" denied the request: not today"));
	assert_true(told(q, "\"reason\":\"Forbidden\""));
	ask_free(q);
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	answer_review("\"allowed\":false,\"status\":{\"code\":200,\"status\":\"Success\"}");
	assert_int_equal(q->status, 400);
	assert_true(told(q, "denied the request without explanation"));
	assert_true(told(q, "\"status\":\"Failure\""));
	ask_free(q);
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 404);
	alone_end();
}

void test_webhook__failures_fail_or_are_ignored(void **state)
{
	static const char *const bad[] = {
		"[]", "{", "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
		"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"response\":"
		"{\"uid\":\"other\",\"allowed\":true}}",
		"{\"kind\":\"X\",\"apiVersion\":\"v1\",\"response\":{\"allowed\":true}}"};
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	configure(VALIDATING, "w",
		  HOOK("b",
		       "\"failurePolicy\":\"Ignore\"," RULE("\"CREATE\"", "\"\"", "\"secrets\"")));
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	answer_text("", "dial tcp: connection refused");
	assert_int_equal(q->status, 500);
	assert_true(told(q, "failed calling webhook \\\"a.x.io\\\": dial tcp: connection refused"));
	ask_free(q);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		q = ask_core("POST", CMS, NULL, CM("x", ""));
		answer_text(bad[i], NULL);
		assert_int_equal(q->status, 500);
		assert_true(told(q, "failed calling webhook"));
		ask_free(q);
	}
	q = ask_core("POST", "/api/v1/namespaces/default/secrets", NULL,
		     "{\"metadata\":{\"name\":\"s\"}}");
	answer_text("", "context deadline exceeded");
	assert_int_equal(q->status, 201);
	ask_free(q);
	alone_end();
}

void test_webhook__mutating_ones_see_what_those_before_them_made(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(MUTATING, "m",
		  HOOK("a", "\"reinvocationPolicy\":\"IfNeeded\"," ALL_CMS) "," HOOK("b", ALL_CMS));
	configure(VALIDATING, "v", HOOK("c", ALL_CMS));
	q = ask_core("POST", CMS, NULL, CM("x", "\"k\":\"v\""));
	assert_int_equal(ncalls, 1);
	assert_true(has(calls[0]->name, "a.x.io"));
	answer_patch("[{\"op\":\"add\",\"path\":\"/data/a\",\"value\":\"1\"}]");
	assert_int_equal(ncalls, 1);
	assert_true(has(calls[0]->name, "b.x.io"));
	assert_true(called_with("\"data\":{\"k\":\"v\",\"a\":\"1\"}"));
	answer_patch("[{\"op\":\"add\",\"path\":\"/data/b\",\"value\":\"2\"}]");
	assert_int_equal(ncalls, 1); /* what a made stands, but b came after it */
	assert_true(has(calls[0]->name, "a.x.io"));
	assert_true(called_with("\"b\":\"2\""));
	answer_patch("[{\"op\":\"add\",\"path\":\"/data/again\",\"value\":\"3\"}]");
	assert_int_equal(ncalls, 1);
	assert_true(has(calls[0]->name, "c.x.io"));
	assert_true(called_with("\"again\":\"3\""));
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 201);
	assert_true(told(q, "\"data\":{\"k\":\"v\",\"a\":\"1\",\"b\":\"2\",\"again\":\"3\"}"));
	assert_int_equal(made, 4);
	ask_free(q);
	alone_end();
}

void test_webhook__patches_that_may_not_be(void **state)
{
	static const char *const bad[] = {
		"[{\"op\":\"replace\",\"path\":\"/metadata/name\",\"value\":\"y\"}]",
		"[{\"op\":\"remove\",\"path\":\"/nowhere\"}]",
		"[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]", "{}",
		"[{\"op\":\"add\",\"path\":\"/data\",\"value\":7}]"};
	struct asked *q;

	(void)state;
	alone_begin();
	configure(MUTATING, "m", HOOK("a", ALL_CMS));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		q = ask_core("POST", CMS, NULL, CM("x", "\"k\":\"v\""));
		answer_patch(bad[i]);
		assert_true(q->status >= 400);
		ask_free(q);
	}
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 404);
	alone_end();
}

void test_webhook__only_what_the_rules_say(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v",
		  HOOK("a", RULE("\"UPDATE\",\"DELETE\"", "\"\"", "\"configmaps\"")) "," HOOK(
			  "b",
			  "\"namespaceSelector\":{\"matchLabels\":{\"team\":\"blue\"}}"
			  "," ALL_CMS) "," HOOK("c",
						"\"objectSelector\":{\"matchLabels\":{\"l\":"
						"\"1\"}}," ALL_CMS) "," HOOK("d",
									     RULE("\"*\"", "\"*\"",
										  "\"configmap"
										  "s/"
										  "status"
										  "\"")));
	assert_int_equal(status_of("POST", CMS, NULL, CM("x", "")), 201);
	assert_int_equal(made, 0);
	q = ask_core("PATCH", CMS "/x", "application/merge-patch+json",
		     "{\"metadata\":{\"labels\":{\"l\":\"1\"}}}");
	assert_int_equal(ncalls, 2); /* a, and c for the new labels */
	assert_true(called_with("\"operation\":\"UPDATE\""));
	assert_true(called_with("\"PatchOptions\""));
	answer_review("\"allowed\":true");
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 200);
	ask_free(q);
	q = ask_core("DELETE", CMS "/x", NULL, "{\"propagationPolicy\":\"Background\"}");
	assert_int_equal(ncalls, 2);
	assert_true(called_with("\"operation\":\"DELETE\""));
	assert_true(called_with("\"object\":null"));
	assert_true(called_with("\"propagationPolicy\":\"Background\""));
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 200);
	answer_review("\"allowed\":true");
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 200);
	ask_free(q);
	/* Nobody is asked about those who ask. */
	configure(VALIDATING, "all", HOOK("z", RULE("\"*\"", "\"*\"", "\"*/*\"")));
	assert_int_equal(status_of("DELETE", VALIDATING "/v", NULL, NULL), 200);
	assert_int_equal(ncalls, 0);
	alone_end();
}

void test_webhook__collections_ask_about_each_at_once(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	for (int i = 0; i < 5; i++) {
		char text[64];

		snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"x%d\"}}", i);
		assert_int_equal(status_of("POST", CMS, NULL, text), 201);
	}
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	q = ask_core("DELETE", CMS, NULL, NULL);
	assert_int_equal(ncalls, 5);
	assert_int_equal(status_of("GET", CMS "/x0", NULL, NULL), 200);
	for (int i = 0; i < 5; i++)
		answer_review("\"allowed\":true");
	assert_int_equal(q->status, 200);
	assert_int_equal(made, 5);
	assert_int_equal(status_of("GET", CMS "/x0", NULL, NULL), 404);
	ask_free(q);
	alone_end();
}

void test_webhook__what_changed_meanwhile_is_asked_again(void **state)
{
	struct asked *q, *r;

	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", CMS, NULL, CM("x", "\"k\":\"v\"")), 201);
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	q = ask_core("PATCH", CMS "/x", "application/merge-patch+json", "{\"data\":{\"q\":\"1\"}}");
	r = ask_core("PATCH", CMS "/x", "application/merge-patch+json", "{\"data\":{\"r\":\"1\"}}");
	assert_int_equal(ncalls, 2);
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 200);
	answer_review("\"allowed\":true");
	assert_int_equal(r->status, 0);
	assert_true(called_with("\"data\":{\"k\":\"v\",\"q\":\"1\",\"r\":\"1\"}"));
	answer_review("\"allowed\":true");
	assert_int_equal(r->status, 200);
	assert_true(told(r, "\"data\":{\"k\":\"v\",\"q\":\"1\",\"r\":\"1\"}"));
	ask_free(q);
	ask_free(r);
	alone_end();
}

void test_webhook__cancelled_requests_leave_nothing(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	core_cancel(core, &q->req);
	ask_free(q);
	answer_review("\"allowed\":true");
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 404);
	/* Answered, in the queue again, and cancelled there. */
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	core_call_done(core, calls[0], STR("{}"), NULL);
	ncalls = 0;
	core_cancel(core, &q->req);
	core_turn(core);
	assert_int_equal(q->status, 0);
	ask_free(q);
	alone_end();
}

void test_webhook__dry_runs_are_told_and_store_nothing(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v", HOOK("a", ALL_CMS));
	q = ask_core("POST", CMS "?dryRun=All", NULL, CM("x", ""));
	assert_true(called_with("\"dryRun\":true"));
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 201);
	ask_free(q);
	assert_int_equal(status_of("GET", CMS "/x", NULL, NULL), 404);
	alone_end();
}

void test_webhook__subresources_have_bodies_of_their_own(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	assert_int_equal(
		status_of("POST", "/apis/apps/v1/namespaces/default/replicasets", NULL,
			  "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"replicas\":1,\"selector\":{"
			  "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{"
			  "\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}"
			  "]}}}}"),
		201);
	configure(VALIDATING, "v", HOOK("a", RULE("\"*\"", "\"*\"", "\"*/scale\"")));
	q = ask_core("PATCH", "/apis/apps/v1/namespaces/default/replicasets/r/scale",
		     "application/merge-patch+json", "{\"spec\":{\"replicas\":3}}");
	assert_int_equal(ncalls, 1);
	assert_true(called_with(
		"\"kind\":{\"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\"}"));
	assert_true(called_with("\"subResource\":\"scale\""));
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 200);
	ask_free(q);
	alone_end();
}

void test_webhook__connections_are_asked_about(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	assert_false(core_ask_is_watched(core, ADMIT_CONNECT));
	configure(VALIDATING, "v", HOOK("a", RULE("\"CONNECT\"", "\"\"", "\"pods/exec\"")));
	assert_true(core_ask_is_watched(core, ADMIT_CONNECT));
	q = xalloc(sizeof(*q));
	q->req.arena = &q->a;
	assert_true(core_route(STR("POST"), STR("/api/v1/namespaces/default/pods/p/exec"),
			       STR("command=ls&command=-l&stdin=true&container=c"), &q->req));
	q->req.user = (struct admission_user){.name = STR("bob")};
	q->req.sink = &test_sink;
	q->req.ask = true;
	core_submit(core, &q->req);
	core_turn(core);
	assert_int_equal(ncalls, 1);
	assert_true(called_with("\"operation\":\"CONNECT\""));
	assert_true(called_with("\"kind\":\"PodExecOptions\""));
	assert_true(called_with("\"command\":[\"ls\",\"-l\"]"));
	assert_true(called_with("\"subResource\":\"exec\""));
	answer_review("\"allowed\":false");
	assert_int_equal(q->status, 400);
	ask_free(q);
	alone_end();
}

void test_webhook__conditions_decide_too(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	configure(VALIDATING, "v",
		  HOOK("a", ALL_CMS ",\"matchConditions\":[{\"name\":\"c\",\"expression\":"
				    "\"object.metadata.name != 'skip-me'\"},{\"name\":\"d\","
				    "\"expression\":\"request.userInfo.username == 'bob' && "
				    "request.userInfo.extra['scopes'] == ['view']\"}]"));
	assert_int_equal(status_of("POST", CMS, NULL, CM("skip-me", "")), 201);
	assert_int_equal(made, 0);
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	assert_int_equal(ncalls, 1);
	assert_true(called_with("\"username\":\"bob\",\"extra\":{\"scopes\":[\"view\"]}}"));
	answer_review("\"allowed\":true");
	assert_int_equal(q->status, 201);
	ask_free(q);
	/* There is no object on delete: what can't be judged is refused. */
	assert_int_equal(status_of("DELETE", CMS "/x", NULL, NULL), 403);
	alone_end();
}

void test_webhook__configurations_must_make_sense(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", VALIDATING, NULL,
				   "{\"metadata\":{\"name\":\"v\"},\"webhooks\":[" HOOK(
					   "a", ALL_CMS
					   ",\"matchConditions\":[{\"name\":\"c\",\"expression\":"
					   "\"... [] bad\"},{\"name\":\"d\",\"expression\":"
					   "\"unknown.group('').check('x').allowed()\"}]") "]}"),
			 422);
	assert_true(has(buf_view(&last_body), "webhooks[0].matchConditions[0].expression"));
	assert_true(has(buf_view(&last_body), "webhooks[0].matchConditions[1].expression"));
	assert_true(has(buf_view(&last_body), "compilation failed"));
	assert_int_equal(status_of("POST", VALIDATING, NULL,
				   "{\"metadata\":{\"name\":\"v\"},\"webhooks\":[{\"name\":\"a\","
				   "\"admissionReviewVersions\":[\"v2\"],\"clientConfig\":{},"
				   "\"timeoutSeconds\":31}]}"),
			 422);
	assert_true(has(buf_view(&last_body), "exactly one of url or service is required"));
	assert_true(has(buf_view(&last_body), "must include at least one of v1, v1beta1"));
	assert_true(has(buf_view(&last_body), "between 1 and 30 seconds"));
	assert_true(has(buf_view(&last_body), "webhooks[0].sideEffects"));
	assert_true(has(buf_view(&last_body), "at least three segments"));
	alone_end();
}

void test_webhook__the_audit_log_is_told(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	noting = true;
	configure(MUTATING, "m",
		  HOOK("a", ALL_CMS ",\"reinvocationPolicy\":\"IfNeeded\"") "," HOOK(
			  "b", ALL_CMS) "," HOOK("c", ALL_CMS ",\"failurePolicy\":\"Ignore\""));
	configure(VALIDATING, "v", HOOK("d", ALL_CMS));
	q = ask_core("POST", CMS, NULL, CM("x", ""));
	answer_review("\"allowed\":true,\"auditAnnotations\":{\"seen\":\"by a\",\"n\":1}");
	answer_patch("[{\"op\":\"add\",\"path\":\"/data\",\"value\":{\"q\":\"1\"}}]");
	answer_text("", "gone");
	answer_review("\"allowed\":true"); /* a again */
	answer_review("\"allowed\":false,\"auditAnnotations\":{\"why\":\"a \\\"word\\\"\"}");
	assert_int_equal(q->status, 400);
	assert_true(has(buf_view(&q->notes), "\"a.x.io/seen\":\"by a\""));
	assert_false(has(buf_view(&q->notes), "a.x.io/n"));
	assert_true(has(buf_view(&q->notes), "\"d.x.io/why\":\"a \\\"word\\\"\""));
	assert_true(has(buf_view(&q->notes),
			"\"mutation.webhook.admission.k8s.io/round_0_index_0\":"
			"\"{\\\"configuration\\\":\\\"m\\\",\\\"webhook\\\":\\\"a.x.io\\\","
			"\\\"mutated\\\":false}\""));
	assert_true(has(buf_view(&q->notes),
			"\"patch.webhook.admission.k8s.io/round_0_index_1\":"
			"\"{\\\"configuration\\\":\\\"m\\\",\\\"webhook\\\":\\\"b.x.io\\\","
			"\\\"patch\\\":[{"));
	assert_true(has(buf_view(&q->notes),
			"\"failed-open.mutating.webhook.admission.k8s.io/round_0_index_2\":"
			"\"c.x.io\""));
	assert_true(
		has(buf_view(&q->notes), "\"mutation.webhook.admission.k8s.io/round_1_index_0\":"));
	ask_free(q);
	noting = false;
	alone_end();
}

static struct asked *ask_only(const char *method, const char *target, const char *body)
{
	struct asked *q;

	asking = true;
	q = ask_core(method, target, NULL, body);
	asking = false;
	return q;
}

void test_webhook__what_others_carry_out_is_asked_about_too(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	assert_false(core_ask_is_watched(core, ADMIT_CREATE));
	configure(MUTATING, "m",
		  HOOK("r", RULE("\"CREATE\"", "\"authorization.k8s.io\"", "\"*\"")) "," HOOK(
			  "t", RULE("\"CREATE\"", "\"\"", "\"serviceaccounts/token\"")));
	assert_true(core_ask_is_watched(core, ADMIT_CREATE));
	assert_false(core_ask_is_watched(core, ADMIT_CONNECT));
	q = ask_only("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
		     "{\"spec\":{\"resourceAttributes\":{\"verb\":\"get\"}}}");
	assert_true(called_with("\"kind\":\"SelfSubjectAccessReview\""));
	assert_true(called_with("\"resource\":\"selfsubjectaccessreviews\""));
	answer_patch("[{\"op\":\"add\",\"path\":\"/spec/resourceAttributes/resource\",\"value\":"
		     "\"pods\"}]");
	assert_int_equal(q->status, 200);
	assert_true(told(q, "\"resource\":\"pods\""));
	ask_free(q);
	q = ask_only("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", "{}");
	assert_true(called_with("\"kind\":\"TokenRequest\""));
	assert_true(called_with("\"subResource\":\"token\""));
	answer_review("\"allowed\":false");
	assert_int_equal(q->status, 400);
	ask_free(q);
	alone_end();
}
