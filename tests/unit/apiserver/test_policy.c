/* ValidatingAdmissionPolicies in a core: which requests they are about, and how they end. */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define ADM "/apis/admissionregistration.k8s.io/v1/"
#define POLICIES ADM "validatingadmissionpolicies"
#define BINDINGS ADM "validatingadmissionpolicybindings"
#define MAPS "/api/v1/namespaces/default/configmaps"
#define MERGE "application/merge-patch+json"

static char *quoted(struct arena *a, const char *text)
{
	char *s = arena_cstr(a, str_c(text));

	for (char *p = s; *p; p++)
		if (*p == '\'')
			*p = '"';
		else if (*p == '~')
			*p = '\'';
	return s;
}

/* Bodies are written with ' for " and ~ for '. */
static int ask(const char *method, const char *path, const char *body)
{
	AUTO(arena) struct arena a = {0};

	return status_of(method, path, strcmp(method, "PATCH") ? NULL : MERGE,
			 body ? quoted(&a, body) : NULL);
}

static void make(const char *path, const char *body)
{
	if (ask("POST", path, body) != 201)
		fail_msg("%s: %s", path, buf_cstr(&last_body));
}

static void expect(const char *part)
{
	if (!has(buf_view(&last_body), part))
		fail_msg("%s\nlacks %s", buf_cstr(&last_body), part);
}

#define RULES(resources)                                                                           \
	"'matchConstraints':{'resourceRules':[{'apiGroups':['*'],'apiVersions':['*'],"             \
	"'operations':['*'],'resources':['" resources "']}]}"
#define POLICY(resources, more) "{'metadata':{'name':'p'},'spec':{" RULES(resources) "," more "}}"
#define MAP(name, data) "{'metadata':{'name':'" name "'},'data':{" data "}}"

static void begin(const char *policy, const char *binding)
{
	alone_begin();
	make(POLICIES, policy);
	make(BINDINGS, binding ? binding
			       : "{'metadata':{'name':'b'},'spec':{'policyName':'p',"
				 "'validationActions':['Deny']}}");
}

void test_policy__denies(void **state)
{
	(void)state;
	begin(POLICY("configmaps",
		     "'validations':[{'expression':'object.data.a == ~x~','message':'a is x'}]"),
	      NULL);
	make(MAPS, MAP("fine", "'a':'x'"));
	assert_int_equal(ask("POST", MAPS, MAP("bad", "'a':'y'")), 422);
	expect("\"message\":\"configmaps \\\"bad\\\" is forbidden: ValidatingAdmissionPolicy 'p' "
	       "with binding 'b' denied request: a is x\"");
	expect("\"reason\":\"Invalid\"");
	expect("\"causes\":[{\"message\":\"ValidatingAdmissionPolicy 'p'");
	assert_int_equal(ask("PATCH", MAPS "/fine", "{'data':{'a':'y'}}"), 422);
	assert_int_equal(ask("POST", MAPS, MAP("none", "'b':'y'")), 422);
	expect("expression 'object.data.a == 'x'' resulted in error: no such key: a");
	assert_int_equal(ask("POST", "/api/v1/namespaces", "{'metadata':{'name':'n'}}"), 201);
	alone_end();
}

void test_policy__reasons_have_their_codes(void **state)
{
	(void)state;
	begin(POLICY("configmaps", "'validations':[{'expression':'false','reason':'Forbidden'}]"),
	      NULL);
	assert_int_equal(ask("POST", MAPS, MAP("a", "")), 403);
	expect("denied request: failed expression: false");
	alone_end();
}

void test_policy__selects_by_labels_names_and_exclusions(void **state)
{
	(void)state;
	begin("{'metadata':{'name':'p'},'spec':{'matchConstraints':{'resourceRules':[{'apiGroups':"
	      "[''],'apiVersions':['v1'],'operations':['CREATE'],'resources':['configmaps']}],"
	      "'excludeResourceRules':[{'apiGroups':[''],'apiVersions':['v1'],'operations':['*'],"
	      "'resources':['configmaps'],'resourceNames':['free']}],"
	      "'objectSelector':{'matchLabels':{'l':'1'}}},"
	      "'validations':[{'expression':'false'}]}}",
	      NULL);
	make(MAPS, MAP("unlabelled", ""));
	make(MAPS, "{'metadata':{'name':'free','labels':{'l':'1'}}}");
	assert_int_equal(ask("POST", MAPS, "{'metadata':{'name':'x','labels':{'l':'1'}}}"), 422);
	assert_int_equal(ask("PATCH", MAPS "/free", "{'data':{'a':'y'}}"), 200);
	alone_end();
}

void test_policy__old_objects_and_deletes(void **state)
{
	(void)state;
	begin(POLICY("configmaps",
		     "'validations':[{'expression':'request.operation != ~DELETE~ || "
		     "(object == null && !has(oldObject.data))','messageExpression':"
		     "'~has ~ + oldObject.data.a'},{'expression':'oldObject == null || "
		     "object == null || object.data.a >= oldObject.data.a'}]"),
	      NULL);
	make(MAPS, MAP("a", "'a':'5'"));
	assert_int_equal(ask("PATCH", MAPS "/a", "{'data':{'a':'4'}}"), 422);
	assert_int_equal(ask("PATCH", MAPS "/a", "{'data':{'a':'6'}}"), 200);
	assert_int_equal(ask("DELETE", MAPS "/a", "{}"), 422);
	expect("denied request: has 6");
	alone_end();
}

void test_policy__variables_are_shared_and_evaluated_once_needed(void **state)
{
	(void)state;
	begin(POLICY("configmaps", "'variables':[{'name':'n','expression':'int(object.data.n)'},"
				   "{'name':'m','expression':'variables.n * 2'},"
				   "{'name':'unused','expression':'object.data.nothing'}],"
				   "'validations':[{'expression':'variables.m < 10 && variables.n "
				   "+ variables.m < "
				   "10'}]"),
	      NULL);
	make(MAPS, MAP("a", "'n':'3'"));
	assert_int_equal(ask("POST", MAPS, MAP("b", "'n':'4'")), 422);
	assert_int_equal(ask("POST", MAPS, MAP("c", "'n':'x'")), 422);
	expect("resulted in error: type conversion error");
	alone_end();
}

#define PARAMS                                                                                     \
	POLICY("configmaps", "'paramKind':{'apiVersion':'v1','kind':'Secret'},"                    \
			     "'validations':[{'expression':'params == null || "                    \
			     "object.metadata.name in params.metadata.labels'}]")

void test_policy__parameters_by_selector(void **state)
{
	(void)state;
	begin(PARAMS, "{'metadata':{'name':'b'},'spec':{'policyName':'p','validationActions':["
		      "'Deny'],'paramRef':{'selector':{'matchLabels':{'use':'1'}},"
		      "'parameterNotFoundAction':'Allow'}}}");
	make(MAPS, MAP("anything", ""));
	make("/api/v1/namespaces/default/secrets",
	     "{'metadata':{'name':'s','labels':{'use':'1','a':'','b':''}}}");
	make("/api/v1/namespaces/default/secrets",
	     "{'metadata':{'name':'t','labels':{'use':'1','a':''}}}");
	make(MAPS, MAP("a", ""));
	assert_int_equal(ask("POST", MAPS, MAP("b", "")), 422);
	alone_end();
}

void test_policy__without_a_param_ref_params_are_null(void **state)
{
	(void)state;
	begin(PARAMS, NULL);
	make(MAPS, MAP("a", ""));
	alone_end();
}

void test_policy__failures_may_be_ignored(void **state)
{
	(void)state;
	begin(POLICY("configmaps", "'failurePolicy':'Ignore','validations':[{'expression':"
				   "'object.data.a == ~x~'}]"),
	      NULL);
	make(MAPS, MAP("none", "'b':'y'"));
	assert_int_equal(ask("POST", MAPS, MAP("bad", "'a':'y'")), 422);
	alone_end();
}

void test_policy__what_it_costs_is_bounded(void **state)
{
	static const char digits[] = "[0,1,2,3,4,5,6,7,8,9]";
	AUTO(buf) struct buf b = {0};

	(void)state;
	buf_puts(&b, "{'metadata':{'name':'p'},'spec':{" RULES("configmaps") ",'validations':[{"
									     "'expression':'");
	for (char c = 'a'; c < 'i'; c++)
		buf_printf(&b, "%s.all(%c, ", digits, c);
	buf_puts(&b, "true))))))))'}]}}");
	begin(buf_cstr(&b), NULL);
	assert_int_equal(ask("POST", MAPS, MAP("a", "")), 422);
	expect("resulted in error: operation cancelled: actual cost limit exceeded");
	alone_end();
}

void test_policy__policies_are_never_about_policies(void **state)
{
	(void)state;
	begin(POLICY("*", "'validations':[{'expression':'false'}]"), NULL);
	assert_int_equal(ask("POST", MAPS, MAP("a", "")), 422);
	assert_int_equal(ask("DELETE", BINDINGS "/b", "{}"), 200);
	make(MAPS, MAP("a", ""));
	alone_end();
}

void test_policy__other_versions_are_matched(void **state)
{
	(void)state;
	begin("{'metadata':{'name':'p'},'spec':{'matchConstraints':{'resourceRules':[{'apiGroups':"
	      "['autoscaling'],'apiVersions':['v1'],'operations':['*'],'resources':["
	      "'horizontalpodautoscalers']}]},'validations':[{'expression':"
	      "'object.apiVersion == ~autoscaling/v1~ && "
	      "object.spec.targetCPUUtilizationPercentage < 90'}]}}",
	      NULL);
#define HPA(name, percent)                                                                         \
	"{'metadata':{'name':'" name "'},'spec':{'maxReplicas':3,'scaleTargetRef':{'kind':"        \
	"'Deployment','name':'d','apiVersion':'apps/v1'},'metrics':[{'type':'Resource',"           \
	"'resource':{'name':'cpu','target':{'type':'Utilization','averageUtilization':" percent    \
	"}}}]}}"
	make("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", HPA("a", "50"));
	assert_int_equal(ask("POST",
			     "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
			     HPA("b", "95")),
			 422);
	alone_end();
}

void test_policy__connections(void **state)
{
	(void)state;
	begin(POLICY("pods/exec", "'validations':[{'expression':'request.operation == ~CONNECT~ && "
				  "object.command[0] == ~ls~','reason':'Forbidden'}]"),
	      NULL);
	assert_true(core_ask_is_watched(core, ADMIT_CONNECT));
	asking = true;
	assert_int_equal(ask("POST", "/api/v1/namespaces/default/pods/x/exec?command=ls", NULL),
			 200);
	assert_int_equal(ask("POST", "/api/v1/namespaces/default/pods/x/exec?command=sh", NULL),
			 403);
	expect("denied request");
	assert_int_equal(ask("GET", "/api/v1/namespaces/default/pods/x/attach", NULL), 200);
	asking = false;
	alone_end();
}

void test_policy__all_have_their_say(void **state)
{
	(void)state;
	begin(POLICY("configmaps", "'validations':[{'expression':'false','message':'one'},"
				   "{'expression':'false','message':'two'}]"),
	      NULL);
	make(POLICIES, "{'metadata':{'name':'q'},'spec':{" RULES(
			       "configmaps") ",'validations':[{'expression':'false'}]}}");
	make(BINDINGS, "{'metadata':{'name':'c'},'spec':{'policyName':'q',"
		       "'validationActions':['Warn','Audit']}}");
	noting = true;
	AUTO(arena) struct arena a = {0};
	struct asked *q = ask_core("POST", MAPS, NULL, quoted(&a, MAP("a", "")));
	assert_int_equal(q->status, 422);
	assert_true(told(q, "denied request: one"));
	assert_false(told(q, "denied request: two"));
	assert_true(has(buf_view(&q->warnings), "ValidatingAdmissionPolicy 'q'"));
	assert_true(has(buf_view(&q->notes), "\\\"policy\\\":\\\"q\\\""));
	ask_free(q);
	noting = false;
	alone_end();
}
