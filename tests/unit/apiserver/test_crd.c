/*
 * CustomResourceDefinitions over the wire: a kind is there as soon as its definition is, keeps what
 * its schema says, and goes with it.
 */
#include "tests/unit/apiserver/live.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CRDS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define CRD CRDS "/widgets.example.com"
#define V1 "/apis/example.com/v1/namespaces/default/widgets"
#define V2 "/apis/example.com/v2/namespaces/default/widgets"

#define META                                                                                       \
	"{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","       \
	"\"metadata\":{\"name\":\"widgets.example.com\"},\"spec\":{\"group\":\"example.com\","     \
	"\"scope\":\"Namespaced\",\"names\":{\"plural\":\"widgets\",\"kind\":\"Widget\","          \
	"\"shortNames\":[\"wd\"],\"categories\":[\"all\"]},\"versions\":["
#define SCHEMA                                                                                     \
	"\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"spec\":{"          \
	"\"type\":\"object\",\"required\":[\"size\"],\"properties\":{"                             \
	"\"size\":{\"type\":\"integer\",\"minimum\":1},"                                           \
	"\"color\":{\"type\":\"string\",\"default\":\"red\",\"pattern\":\"^[a-z]+$\"},"            \
	"\"replicas\":{\"type\":\"integer\"}}},"                                                   \
	"\"status\":{\"type\":\"object\",\"properties\":{\"phase\":{\"type\":\"string\"},"         \
	"\"replicas\":{\"type\":\"integer\"},\"selector\":{\"type\":\"string\"}}}}}},"             \
	"\"subresources\":{\"status\":{},\"scale\":{\"specReplicasPath\":\".spec.replicas\","      \
	"\"statusReplicasPath\":\".status.replicas\",\"labelSelectorPath\":\".status.selector\"}}" \
	",\"additionalPrinterColumns\":[{\"name\":\"Color\",\"type\":\"string\","                  \
	"\"jsonPath\":\".spec.color\"}]"
#define FIRST "{\"name\":\"v1\",\"served\":true,\"storage\":true," SCHEMA "}"
#define SECOND ",{\"name\":\"v2\",\"served\":true,\"storage\":false," SCHEMA "}"
#define WIDGET(version, name, spec)                                                                \
	"{\"apiVersion\":\"example.com/" version "\",\"kind\":\"Widget\",\"metadata\":{\"name\":"  \
	"\"" name "\"},\"spec\":" spec "}"

static int patch(const char *path, const char *type, const char *body)
{
	forget(&last);
	http_client_call(admin.client, &(struct http_call){.method = "PATCH",
							   .path = str_c(path),
							   .content_type = type,
							   .body = str_c(body),
							   .done = on_done,
							   .arg = &last});
	turn_until(&last.done, 1);
	return last.status;
}

static void define(void)
{
	setup();
	assert_int_equal(ASK(&admin, "POST", CRDS, META FIRST "]}}"), 201);
	assert_true(said("\"type\":\"Established\""));
	assert_true(said("\"storedVersions\":[\"v1\"]"));
	assert_true(said("\"listKind\":\"WidgetList\""));
	assert_false(said("finalizers")); /* not before it is deleted */
}

static void gone(const char *path)
{
	int status = 0;

	for (int i = 0; i < 10000 && status != 404; i++)
		status = ASK(&admin, "GET", path, NULL);
	assert_int_equal(status, 404);
}

void test_crd__is_served_at_once(void **state)
{
	(void)state;
	define();
	assert_int_equal(ASK(&admin, "GET", V1, NULL), 200);
	assert_true(said("\"kind\":\"WidgetList\""));
	assert_int_equal(ASK(&admin, "GET", "/apis/example.com/v1", NULL), 200);
	assert_true(said("\"shortNames\":[\"wd\"]"));
	assert_true(said("\"widgets/scale\""));
	assert_int_equal(ASK(&admin, "GET", "/openapi/v3/apis/example.com/v1", NULL), 200);
	assert_true(said("com.example.v1.Widget"));
	assert_true(said("\"default\":\"red\""));
	assert_int_equal(ASK(&alice, "GET", V1, NULL), 403);
	assert_int_equal(ASK(&admin, "POST", CRDS, META FIRST "]}}"), 409);
	teardown();
}

void test_crd__objects_follow_the_schema(void **state)
{
	(void)state;
	define();
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "a", "{\"size\":2,\"x\":1}")), 201);
	assert_true(said("\"color\":\"red\""));
	assert_false(said("\"x\":1"));
	assert_true(said("\"generation\":1"));
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "b", "{\"color\":\"B\"}")), 422);
	assert_true(said("spec.size"));
	assert_true(said("spec.color in body should match '^[a-z]+$'"));
	assert_int_equal(
		ASK(&admin, "POST", V1 "?fieldValidation=Strict", WIDGET("v1", "b", "{\"y\":1}")),
		400);
	assert_int_equal(ASK(&admin, "GET", V1, NULL, "Accept",
			     "application/json;as=Table;v=v1;g=meta.k8s.io"),
			 200);
	assert_true(said("\"name\":\"Color\""));
	assert_true(said("[\"a\",\"red\"]"));
	teardown();
}

void test_crd__patches_and_status(void **state)
{
	(void)state;
	define();
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "a", "{\"size\":2}")), 201);
	assert_int_equal(patch(V1 "/a", "application/strategic-merge-patch+json", "{}"), 415);
	assert_int_equal(patch(V1 "/a", "application/merge-patch+json",
			       "{\"spec\":{\"size\":3},\"status\":{\"phase\":\"x\"}}"),
			 200);
	assert_true(said("\"generation\":2"));
	assert_false(said("\"phase\""));
	assert_int_equal(patch(V1 "/a/status", "application/merge-patch+json",
			       "{\"spec\":{\"size\":9},\"status\":{\"phase\":\"x\"}}"),
			 200);
	assert_true(said("\"phase\":\"x\""));
	assert_true(said("\"size\":3"));
	assert_true(said("\"generation\":2"));
	assert_int_equal(patch(V1 "/a?fieldManager=m&force=true", "application/apply-patch+yaml",
			       WIDGET("v1", "a", "{\"size\":4,\"color\":\"blue\"}")),
			 200);
	assert_true(said("\"f:color\""));
	teardown();
}

void test_crd__scale(void **state)
{
	(void)state;
	define();
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "a", "{\"size\":2,\"replicas\":3}")),
			 201);
	assert_int_equal(patch(V1 "/a/status", "application/merge-patch+json",
			       "{\"status\":{\"replicas\":2,\"selector\":\"app=w\"}}"),
			 200);
	assert_int_equal(ASK(&admin, "GET", V1 "/a/scale", NULL), 200);
	assert_true(said("\"spec\":{\"replicas\":3}"));
	assert_true(said("\"selector\":\"app=w\""));
	assert_int_equal(
		patch(V1 "/a/scale", "application/merge-patch+json", "{\"spec\":{\"replicas\":5}}"),
		200);
	assert_int_equal(ASK(&admin, "GET", V1 "/a", NULL), 200);
	assert_true(said("\"replicas\":5"));
	teardown();
}

void test_crd__versions(void **state)
{
	(void)state;
	define();
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "a", "{\"size\":2}")), 201);
	assert_int_equal(ASK(&admin, "GET", V2, NULL), 404);
	assert_int_equal(ASK(&admin, "PUT", CRD, META FIRST SECOND "]}}"), 422);
	assert_int_equal(patch(CRD, "application/merge-patch+json",
			       "{\"spec\":{\"versions\":[" FIRST SECOND "]}}"),
			 200);
	assert_int_equal(ASK(&admin, "GET", V2 "/a", NULL), 200);
	assert_true(said("\"apiVersion\":\"example.com/v2\""));
	assert_int_equal(ASK(&admin, "POST", V2, WIDGET("v2", "b", "{\"size\":2}")), 201);
	assert_true(said("\"apiVersion\":\"example.com/v2\""));
	assert_int_equal(ASK(&admin, "GET", V1 "/b", NULL), 200);
	assert_true(said("\"apiVersion\":\"example.com/v1\""));
	teardown();
}

void test_crd__takes_its_objects_along(void **state)
{
	(void)state;
	define();
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "a", "{\"size\":2}")), 201);
	assert_int_equal(ASK(&admin, "POST", V1,
			     "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":"
			     "{\"name\":\"held\",\"finalizers\":[\"example.com/x\"]},\"spec\":{"
			     "\"size\":1}}"),
			 201);
	assert_int_equal(ASK(&admin, "DELETE", CRD, NULL), 200);
	gone(V1 "/a");
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "b", "{\"size\":2}")), 405);
	assert_int_equal(ASK(&admin, "GET", CRD, NULL), 200);
	assert_int_equal(patch(V1 "/held", "application/merge-patch+json",
			       "{\"metadata\":{\"finalizers\":null}}"),
			 200);
	gone(CRD);
	assert_int_equal(ASK(&admin, "GET", V1, NULL), 404);
	assert_int_equal(ASK(&admin, "GET", "/apis/example.com/v1", NULL), 404);
	assert_int_equal(ASK(&admin, "POST", CRDS, META FIRST "]}}"), 201);
	assert_int_equal(ASK(&admin, "GET", V1, NULL), 200);
	assert_true(said("\"items\":[]"));
	teardown();
}

void test_crd__what_is_built_in_stays(void **state)
{
	static const char crd
		[] = "{\"metadata\":{\"name\":\"deployments.apps.io\"},\"spec\":{\"group\":\"apps."
		     "io\","
		     "\"scope\":\"Cluster\",\"names\":{\"plural\":\"gitrepositories\",\"kind\":"
		     "\"X\"},"
		     "\"versions\":[]}}",
	     flux[] = "{\"metadata\":{\"name\":\"gitrepositories.source.toolkit.fluxcd.io\"},"
		      "\"spec\":{"
		      "\"group\":\"source.toolkit.fluxcd.io\",\"scope\":\"Namespaced\",\"names\":{"
		      "\"plural\":\"gitrepositories\",\"kind\":\"GitRepository\"},\"versions\":[{"
		      "\"name\":\"v1beta9\",\"served\":true,\"storage\":true,\"schema\":{"
		      "\"openAPIV3Schema\":{\"type\":\"object\"}}}]}}";

	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "POST", CRDS, crd), 422);
	assert_int_equal(ASK(&admin, "POST", CRDS, flux), 201);
	assert_int_equal(ASK(&admin, "GET", "/apis/source.toolkit.fluxcd.io/v1beta9", NULL), 404);
	assert_int_equal(
		ASK(&admin, "GET", "/apis/source.toolkit.fluxcd.io/v1/gitrepositories", NULL), 200);
	assert_int_equal(
		ASK(&admin, "DELETE", CRDS "/gitrepositories.source.toolkit.fluxcd.io", NULL), 200);
	gone(CRDS "/gitrepositories.source.toolkit.fluxcd.io");
	assert_int_equal(
		ASK(&admin, "GET", "/apis/source.toolkit.fluxcd.io/v1/gitrepositories", NULL), 200);
	teardown();
}

void test_crd__survives_a_restart(void **state)
{
	struct err err = {0};
	struct core *again;

	(void)state;
	define();
	assert_int_equal(ASK(&admin, "POST", V1, WIDGET("v1", "a", "{\"size\":2}")), 201);
	again = core_new(&(struct core_opts){.store = store,
					     .seed = 2,
					     .now = wall,
					     .now_arg = loop,
					     .service_cidr = "10.96.0.0/16"},
			 &err);
	assert_non_null(again);
	const struct kind *k = core_kind_find(again, STR("example.com"), STR("v1"), STR("widgets"));
	assert_non_null(k);
	assert_non_null(core_get(again, k, STR("default"), STR("a")));
	core_free(again);
	teardown();
}

/* ---- schemas that become stricter ---- */

#define TS "/apis/example.com/v1/namespaces/default/ts"
#define MERGE "application/merge-patch+json"

/* ' stands for ". */
static char *quoted(const char *text)
{
	static char out[4096];

	snprintf(out, sizeof(out), "%s", text);
	for (char *p = out; *p; p++)
		if (*p == '\'')
			*p = '"';
	return out;
}

static void set_schema(const char *spec)
{
	char body[4096];

	snprintf(body, sizeof(body),
		 "[{'op':'replace','path':'/spec/versions/0/schema/openAPIV3Schema','value':{'type'"
		 ":'object','properties':{'spec':%s}}}]",
		 spec);
	if (patch(CRDS "/ts.example.com", "application/json-patch+json", quoted(body)) != 200)
		fail_msg("%s", buf_cstr(&last.body));
}

#define KEYED(item)                                                                                \
	"{'type':'array','x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['k'],'"      \
	"items':" item "}"
#define LAX "{'type':'object','x-kubernetes-preserve-unknown-fields':true}"
#define FIELD "{'type':'string','enum':['notfoo']}"
#define ITEM "{'type':'object','required':['k'],'properties':{'k':{'type':'string'},'f':" FIELD "}}"
#define STRICT                                                                                     \
	"{'type':'object','required':['needed'],'properties':{'f':" FIELD                          \
	",'needed':{'type':'string'},'n':{'type':'integer','x-kubernetes-validations':[{'rule':"   \
	"'self > 5'}]},'s':{'type':'object','properties':{'f':" FIELD                              \
	"}},'l':" KEYED(ITEM) ",'m':{'type':'object','additionalProperties':" FIELD                \
			      "},'a':{'type':'array','items':" FIELD "}}}"

void test_crd__what_was_wrong_before_may_stay(void **state)
{
	static const char crd[] =
		"{'metadata':{'name':'ts.example.com'},'spec':{'group':'example.com','scope':"
		"'Namespaced','names':{'plural':'ts','kind':'T'},'versions':[{'name':'v1','served':"
		"true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object','properties':{"
		"'spec':" LAX "}}}}]}}";
	static const char t[] = "{'apiVersion':'example.com/"
				"v1','kind':'T','metadata':{'name':'t'},'spec':{'f':'foo',"
				"'n':3,'s':{'f':'foo'},'l':[{'k':'one','f':'foo'},{'k':'two'}],'m':"
				"{'x':'foo'},'a':["
				"'foo','notfoo']}}";
	static const struct {
		const char *body;
		int status;
	} cases[] = {
		{"{'metadata':{'labels':{'a':'b'}}}", 200},
		/* Something else in the same object: what is wrong with the object itself counts.
		 */
		{"{'spec':{'f':'notfoo'}}", 422},
		{"{'spec':{'needed':'x'}}", 200},
		{"{'spec':{'f':'bar'}}", 422},
		{"{'spec':{'s':{'f':'bar'}}}", 422},
		{"{'spec':{'m':{'y':'notfoo'}}}", 200},
		{"{'spec':{'m':{'y':'bar'}}}", 422},
		{"{'spec':{'l':[{'k':'two'},{'k':'one','f':'foo'},{'k':'three','f':'notfoo'}]}}",
		 200},
		{"{'spec':{'l':[{'k':'one','f':'foo'},{'k':'four','f':'foo'}]}}", 422},
		/* Items of a list without keys are nobody's successors. */
		{"{'spec':{'a':['foo','notfoo','notfoo']}}", 422},
		{"{'spec':{'n':4}}", 422},
		{"{'spec':{'n':null}}", 200},
	};

	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "POST", CRDS, quoted(crd)), 201);
	assert_int_equal(ASK(&admin, "POST", TS, quoted(t)), 201);
	set_schema(STRICT);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (patch(TS "/t", MERGE, quoted(cases[i].body)) != cases[i].status)
			fail_msg("%s: %d %s", cases[i].body, last.status, buf_cstr(&last.body));
	assert_int_equal(patch(TS "/t", MERGE, quoted("{'spec':{'m':{'z':'bar'}}}")), 422);
	assert_true(said("\"field\":\"spec.m.z\""));
	/* A new one has no past. */
	assert_int_equal(
		ASK(&admin, "POST", TS,
		    quoted("{'apiVersion':'example.com/v1','kind':'T','metadata':{'name':'u'},"
			   "'spec':{'needed':'x','f':'foo'}}")),
		422);
	teardown();
}

/* What old kubectls make of the old form: where anything goes it lists nothing. */
void test_crd__the_old_form_lists_no_part_of_what_is_loose(void **state)
{
	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", CRDS,
		    META "{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
			 "\"openAPIV3Schema\":{\"type\":\"object\","
			 "\"x-kubernetes-preserve-unknown-fields\":true}}},{\"name\":\"v2\","
			 "\"served\":true,\"storage\":false,\"schema\":{\"openAPIV3Schema\":{"
			 "\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\","
			 "\"x-kubernetes-preserve-unknown-fields\":true,\"properties\":{\"a\":{"
			 "\"type\":\"string\"}}},\"list\":{\"type\":\"array\",\"nullable\":true,"
			 "\"items\":{\"type\":\"string\"}}}}}}]}}"),
		201);
	assert_int_equal(ASK(&admin, "GET", "/openapi/v2", NULL, "Accept", "application/json"),
			 200);
	assert_true(said("\"com.example.v1.Widget\":{\"type\":\"object\","
			 "\"x-kubernetes-group-version-kind\""));
	assert_true(said("\"spec\":{\"x-kubernetes-preserve-unknown-fields\":true}"));
	assert_true(said("\"list\":{}"));
	teardown();
}
