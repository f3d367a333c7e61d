/*
 * One object, many versions, over the wire: what is written in one version is read, listed,
 * watched, selected, patched and applied in another, and nothing is lost on the way.
 */
#include "tests/unit/apiserver/live.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define HPA(v) "/apis/autoscaling/" v "/namespaces/default/horizontalpodautoscalers"
#define EVENTS(v) "/apis/events.k8s.io/" v "/namespaces/default/events"
#define INGRESS(v) "/apis/networking.k8s.io/" v "/namespaces/default/ingresses"
#define SLICES(v) "/apis/discovery.k8s.io/" v "/namespaces/default/endpointslices"
#define PDB(v) "/apis/policy/" v "/namespaces/default/poddisruptionbudgets"

static const char *quoted(const char *text)
{
	static char out[4][4096];
	static int at;
	char *o = out[at++ % 4];

	snprintf(o, sizeof(out[0]), "%s", text);
	for (char *p = o; *p; p++)
		if (*p == '\'')
			*p = '"';
	return o;
}

static bool told(const char *text)
{
	return said(quoted(text));
}

static int post(const char *path, const char *body)
{
	return ASK(&admin, "POST", path, quoted(body));
}

static int get(const char *path)
{
	return ASK(&admin, "GET", path, NULL);
}

static int patch(const char *path, const char *type, const char *body)
{
	forget(&last);
	http_client_call(admin.client, &(struct http_call){.method = "PATCH",
							   .path = str_c(path),
							   .content_type = type,
							   .body = str_c(quoted(body)),
							   .done = on_done,
							   .arg = &last});
	turn_until(&last.done, 1);
	return last.status;
}

#define MERGE "application/merge-patch+json"
#define STRATEGIC "application/strategic-merge-patch+json"
#define JSON_PATCH "application/json-patch+json"
#define APPLY "application/apply-patch+yaml"

#define TARGET "'scaleTargetRef':{'apiVersion':'apps/v1','kind':'Deployment','name':'d'}"
#define FULL                                                                                       \
	"{'metadata':{'name':'a'},'spec':{" TARGET ",'maxReplicas':9,'metrics':["                  \
	"{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization',"              \
	"'averageUtilization':33}}},"                                                              \
	"{'type':'Object','object':{'describedObject':{'kind':'Service','name':'x'},"              \
	"'metric':{'name':'rps'},'target':{'type':'Value','value':'5'}}}],"                        \
	"'behavior':{'scaleUp':{'stabilizationWindowSeconds':7}}}}"

/* autoscaling/v1 keeps in annotations what it has no fields for, and gives it back. */
void test_convert__hpa_v1_loses_nothing(void **state)
{
	struct buf v1 = {0};

	(void)state;
	setup();
	assert_int_equal(post(HPA("v2"), FULL), 201);
	assert_int_equal(get(HPA("v1") "/a"), 200);
	assert_true(told("'apiVersion':'autoscaling/v1'"));
	assert_true(told("'targetCPUUtilizationPercentage':33"));
	assert_true(told("autoscaling.alpha.kubernetes.io/metrics"));
	assert_true(told("autoscaling.alpha.kubernetes.io/behavior"));
	assert_false(told("'metrics':["));
	buf_str(&v1, buf_view(&last.body));
	assert_int_equal(ASK(&admin, "PUT", HPA("v1") "/a", buf_cstr(&v1)), 200);
	assert_int_equal(get(HPA("v2") "/a"), 200);
	assert_true(told("'averageUtilization':33"));
	assert_true(told("'describedObject':{'kind':'Service','name':'x'}"));
	assert_true(told("'stabilizationWindowSeconds':7"));
	assert_false(told("autoscaling.alpha.kubernetes.io"));
	buf_release(&v1);
	teardown();
}

void test_convert__hpa_v2beta1_is_flat(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post(HPA("v2beta1"),
			      "{'metadata':{'name':'b'},'spec':{" TARGET ",'maxReplicas':2,"
			      "'metrics':[{'type':'Pods','pods':{'metricName':'m',"
			      "'targetAverageValue':'3'}}]}}"),
			 201);
	assert_true(told("'apiVersion':'autoscaling/v2beta1'"));
	assert_true(told("'metricName':'m'"));
	assert_int_equal(get(HPA("v2beta2") "/b"), 200);
	assert_true(told("'apiVersion':'autoscaling/v2beta2'"));
	assert_true(told("'metric':{'name':'m'}"));
	assert_true(told("'averageValue':'3'"));
	assert_true(told("'type':'AverageValue'"));
	teardown();
}

/* Patches speak the version that they are sent in; so do the managed fields they leave. */
void test_convert__patches_in_the_asked_version(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post(HPA("v2"), FULL), 201);
	assert_int_equal(
		patch(HPA("v1") "/a", MERGE, "{'spec':{'targetCPUUtilizationPercentage':44}}"),
		200);
	assert_true(told("'targetCPUUtilizationPercentage':44"));
	assert_int_equal(patch(HPA("v1") "/a", STRATEGIC, "{'spec':{'maxReplicas':8}}"), 200);
	assert_int_equal(patch(HPA("v1") "/a", JSON_PATCH,
			       "[{'op':'test','path':'/spec/targetCPUUtilizationPercentage',"
			       "'value':44},{'op':'replace','path':'/spec/maxReplicas',"
			       "'value':7}]"),
			 200);
	assert_int_equal(get(HPA("v2") "/a"), 200);
	assert_true(told("'averageUtilization':44"));
	assert_true(told("'maxReplicas':7"));
	assert_true(told("'apiVersion':'autoscaling/v1','time'"));
	assert_true(told("'f:targetCPUUtilizationPercentage':{}"));
	teardown();
}

void test_convert__apply_in_the_asked_version(void **state)
{
	static const char config[] =
		"{'apiVersion':'autoscaling/v1','kind':"
		"'HorizontalPodAutoscaler','metadata':{'name':'c'},'spec':{" TARGET
		",'maxReplicas':3,'targetCPUUtilizationPercentage':50}}";

	(void)state;
	setup();
	assert_int_equal(patch(HPA("v1") "/c?fieldManager=me", APPLY, config), 201);
	assert_true(told("'operation':'Apply','apiVersion':'autoscaling/v1'"));
	assert_int_equal(patch(HPA("v1") "/c?fieldManager=me", APPLY, config), 200);
	assert_int_equal(get(HPA("v2") "/c"), 200);
	assert_true(told("'averageUtilization':50"));
	assert_int_equal(patch(HPA("v1") "/c?fieldManager=other", APPLY,
			       "{'apiVersion':'autoscaling/v1','kind':'HorizontalPodAutoscaler',"
			       "'metadata':{'name':'c'},'spec':{'maxReplicas':4}}"),
			 409);
	assert_true(told(".spec.maxReplicas"));
	/* a configuration is in the version that its path says */
	assert_int_equal(patch(HPA("v1") "/c?fieldManager=other", APPLY,
			       "{'apiVersion':'autoscaling/v2','kind':'HorizontalPodAutoscaler',"
			       "'metadata':{'name':'c'}}"),
			 400);
	teardown();
}

#define REGARDING "'regarding':{'kind':'Pod','name':'p','namespace':'default'}"
#define NEW_EVENT                                                                                  \
	"{'metadata':{'name':'e'},'eventTime':'2026-01-02T03:04:05.000006Z','action':'Pull',"      \
	"'reason':'Pulled','note':'done','type':'Normal','reportingController':'x/y',"             \
	"'reportingInstance':'i'," REGARDING "}"

/* The same Events under two groups: names, fields to select by, rules. */
void test_convert__events_in_both_groups(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post(EVENTS("v1"), NEW_EVENT), 201);
	assert_true(told("'note':'done'"));
	assert_int_equal(get(NS "events/e"), 200);
	assert_true(told("'apiVersion':'v1'"));
	assert_true(told("'message':'done'"));
	assert_true(told("'involvedObject':{'kind':'Pod'"));
	assert_true(told("'reportingComponent':'x/y'"));
	assert_int_equal(get(EVENTS("v1") "?fieldSelector=regarding.name%3Dp"), 200);
	assert_true(told("'kind':'EventList','apiVersion':'events.k8s.io/v1'"));
	assert_true(told("'name':'e'"));
	assert_int_equal(get(EVENTS("v1") "?fieldSelector=regarding.name%3Dq"), 200);
	assert_false(told("'name':'e'"));
	assert_int_equal(get(EVENTS("v1") "?fieldSelector=involvedObject.name%3Dp"), 400);
	assert_int_equal(get(NS "events?fieldSelector=involvedObject.name%3Dp"), 200);
	assert_true(told("'name':'e'"));
	assert_int_equal(ASK(&admin, "GET", EVENTS("v1beta1"), NULL, "Accept",
			     "application/json;as=Table;v=v1;g=meta.k8s.io"),
			 200);
	assert_true(told("'Pulled','pod/p'"));
	assert_int_equal(ASK(&admin, "DELETE", EVENTS("v1") "/e", NULL), 200);
	assert_int_equal(get(NS "events/e"), 404);
	teardown();
}

/* events.k8s.io/v1 is strict where the core group is not. */
void test_convert__rules_know_the_version(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post(EVENTS("v1"), "{'metadata':{'name':'f'}," REGARDING "}"), 422);
	assert_true(told("eventTime"));
	assert_int_equal(post(EVENTS("v1"),
			      "{'metadata':{'name':'f'},'eventTime':'2026-01-02T03:04:05.000006Z',"
			      "'action':'a','reason':'r','type':'Normal','deprecatedCount':3,"
			      "'reportingController':'x/y','reportingInstance':'i'," REGARDING "}"),
			 422);
	assert_true(told("needs to be unset"));
	assert_int_equal(post(NS "events", "{'metadata':{'name':'f'},'count':3,'involvedObject':{"
					   "'kind':'Pod','name':'p','namespace':'default'}}"),
			 201);
	assert_int_equal(get(EVENTS("v1") "/f"), 200);
	assert_true(told("'deprecatedCount':3"));
	teardown();
}

void test_convert__ingress_backends(void **state)
{
	(void)state;
	setup();
	assert_int_equal(
		post(INGRESS("v1beta1"),
		     "{'metadata':{'name':'i'},'spec':{'backend':{'serviceName':'s',"
		     "'servicePort':80},'rules':[{'http':{'paths':[{'path':'/x','backend':{"
		     "'serviceName':'t','servicePort':'web'}}]}}]}}"),
		201);
	assert_true(told("'serviceName':'s'"));
	assert_int_equal(get(INGRESS("v1") "/i"), 200);
	assert_true(told("'defaultBackend':{'service':{'name':'s','port':{'number':80}}}"));
	assert_true(told("'service':{'name':'t','port':{'name':'web'}}"));
	assert_true(told("'pathType':'ImplementationSpecific'"));
	assert_false(told("'serviceName'"));
	teardown();
}

void test_convert__slices_and_their_topology(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post(SLICES("v1beta1"),
			      "{'metadata':{'name':'s'},'addressType':'IPv4','endpoints':[{"
			      "'addresses':['10.0.0.1'],'topology':{'a':'b',"
			      "'topology.kubernetes.io/zone':'z'}}]}"),
			 201);
	assert_int_equal(get(SLICES("v1") "/s"), 200);
	assert_true(told("'deprecatedTopology':{'a':'b'}"));
	assert_true(told("'zone':'z'"));
	assert_int_equal(get(SLICES("v1beta1") "/s"), 200);
	assert_true(told("'topology.kubernetes.io/zone':'z'"));
	assert_false(told("deprecatedTopology"));
	teardown();
}

/* An empty selector meant nothing in policy/v1beta1 and means everything in v1. */
void test_convert__empty_selectors_of_budgets(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post(PDB("v1beta1"), "{'metadata':{'name':'none'},'spec':{"
					      "'minAvailable':1,'selector':{}}}"),
			 201);
	assert_true(told("'selector':{}"));
	assert_int_equal(get(PDB("v1") "/none"), 200);
	assert_true(told("'operator':'Exists'"));
	assert_int_equal(post(PDB("v1"), "{'metadata':{'name':'all'},'spec':{'minAvailable':1,"
					 "'selector':{}}}"),
			 201);
	assert_true(told("'selector':{}"));
	assert_int_equal(get(PDB("v1beta1") "/all"), 200);
	assert_true(told("'operator':'DoesNotExist'"));
	teardown();
}

static void on_event(void *arg, struct str bytes)
{
	struct result *r = arg;

	buf_str(&r->body, bytes);
	r->done++;
}

/* A watch, begun in one version, sees what is written in another in its own. */
void test_convert__watches_in_the_asked_version(void **state)
{
	struct result seen = {0};
	struct http_running *w;

	(void)state;
	setup();
	w = http_client_call(admin.client, &(struct http_call){.method = "GET",
							       .path = STR(EVENTS("v1") "?watch=1"),
							       .head = on_head,
							       .data = on_event,
							       .done = on_done,
							       .arg = &seen});
	turn_until(&seen.heads, 1);
	assert_int_equal(post(NS "events", "{'metadata':{'name':'g'},'message':'m',"
					   "'involvedObject':{'namespace':'default'}}"),
			 201);
	turn_until(&seen.done, 1);
	assert_true(str_find(buf_view(&seen.body), STR("\"apiVersion\":\"events.k8s.io/v1\"")) > 0);
	assert_true(str_find(buf_view(&seen.body), STR("\"note\":\"m\"")) > 0);
	http_call_cancel(w);
	forget(&seen);
	teardown();
}

/* The stored bytes are what a reader of the stored version gets, whoever wrote them. */
void test_convert__deletes_and_lists_of_deleted(void **state)
{
	(void)state;
	setup();
	assert_int_equal(
		post(HPA("v1"), "{'metadata':{'name':'d'},'spec':{" TARGET ",'maxReplicas':3}}"),
		201);
	assert_int_equal(ASK(&admin, "DELETE", HPA("v1"), NULL), 200);
	assert_true(told("'apiVersion':'autoscaling/v1','kind':'HorizontalPodAutoscaler'") ||
		    told("'kind':'HorizontalPodAutoscaler','apiVersion':'autoscaling/v1'"));
	assert_int_equal(get(HPA("v2") "/d"), 404);
	teardown();
}

void test_convert__discovery_prefers_the_stable_version(void **state)
{
	(void)state;
	setup();
	assert_int_equal(get("/apis/autoscaling"), 200);
	assert_true(told("'versions':[{'groupVersion':'autoscaling/v2','version':'v2'},"
			 "{'groupVersion':'autoscaling/v1','version':'v1'},"
			 "{'groupVersion':'autoscaling/v2beta2','version':'v2beta2'}"));
	assert_true(told("'preferredVersion':{'groupVersion':'autoscaling/v2'"));
	teardown();
}

/* Reviews answer in the version that they are asked in. */
void test_convert__reviews(void **state)
{
	(void)state;
	setup();
	assert_int_equal(post("/apis/authentication.k8s.io/v1beta1/selfsubjectreviews", "{}"), 201);
	assert_true(told("'apiVersion':'authentication.k8s.io/v1beta1'"));
	assert_true(told("'username':'root'"));
	assert_int_equal(post("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}"), 201);
	assert_true(told("'apiVersion':'authentication.k8s.io/v1'"));
	assert_int_equal(post("/apis/authentication.k8s.io/v1beta1/tokenreviews", "{}"), 404);
	teardown();
}
