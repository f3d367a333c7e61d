/*
 * Rules and defaults of the kinds that came later, and conversions over objects that nobody would
 * send in good faith.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/convert.h"
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/versions.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

static struct arena a;

static struct json *parse(const char *text)
{
	char *copy = arena_cstr(&a, str_c(text));
	struct err err = {0};
	struct json *v;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	v = json_parse(&a, str_c(copy), NULL, &err);
	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static const struct kind *find(const char *kind, const char *version)
{
	for (size_t i = 0; kind_registry[i]; i++)
		if (!strcmp(kind_registry[i]->kind, kind) &&
		    (!version || !strcmp(kind_registry[i]->version, version)))
			return kind_registry[i];
	fail_msg("no kind %s", kind);
	return NULL;
}

static const struct schema *schema_of(const struct kind *k)
{
	return schema_find(str_c(k->schema_name));
}

/* Defaults, preparation and rules, in the core's order. Answers the problems, a line each. */
static const char *written(const char *kind, const char *sub, struct json *next,
			   const struct json *live)
{
	const struct kind *k = find(kind, NULL);
	struct kind_ctx c = {.a = &a, .now_ns = NOW, .problems = {.a = &a}, .subresource = sub};
	AUTO(buf) struct buf out = {0};

	schema_default(&a, schema_of(k), next);
	if (k->set_defaults)
		k->set_defaults(&c, next);
	if (k->prepare)
		k->prepare(&c, next, live);
	schema_check(schema_of(k), next, &c.problems, &c.problems);
	if (k->validate)
		k->validate(&c, next, live);
	for (size_t i = 0; i < c.problems.n; i++)
		buf_printf(&out, "%s%.*s: %.*s", i ? "\n" : "", STR_ARG(c.problems.v[i].field),
			   STR_ARG(c.problems.v[i].message));
	return arena_cstr(&a, buf_view(&out));
}

static struct json *made(const char *kind, const char *text)
{
	struct json *v = parse(text);

	assert_string_equal(written(kind, NULL, v, NULL), "");
	return v;
}

static void refused(const char *kind, const char *text, const char *why)
{
	const char *said = written(kind, NULL, parse(text), NULL);

	if (!strstr(said, why))
		fail_msg("'%s' lacks '%s'", said, why);
}

static void same(const struct json *x, const char *text)
{
	AUTO(buf) struct buf b = {0};

	json_write(x, &b);
	if (!json_equal(x, parse(text)))
		fail_msg("%s is not %s", buf_cstr(&b), text);
}

/* ---- conversions ---- */

static const char *const odd[] = {
	"{}",
	"{'metadata':null,'spec':null,'status':null}",
	"{'metadata':{'annotations':null},'spec':{'rules':null,'metrics':null}}",
	"{'spec':[],'status':'x','endpoints':{},'metadata':[]}",
	"{'spec':{'rules':[null,1,{'http':[]},{'http':{'paths':[null,{'backend':7}]}}]}}",
	"{'spec':{'defaultBackend':{'service':[]},'backend':{'serviceName':{}}}}",
	"{'endpoints':[null,[],{'topology':[]},{'topology':{'topology.kubernetes.io/zone':1}}]}",
	"{'spec':{'selector':[]},'status':{'conditions':{}}}",
	"{'spec':{'metrics':[null,7,{'type':3,'resource':[]},{'type':'Resource','resource':{}}],"
	"'behavior':7},'status':{'currentMetrics':[{'type':'Pods','pods':{'current':[]}}]}}",
	"{'metadata':{'annotations':{'autoscaling.alpha.kubernetes.io/metrics':'[1,{},[]]',"
	"'autoscaling.alpha.kubernetes.io/behavior':'[',"
	"'autoscaling.alpha.kubernetes.io/conditions':'{}',"
	"'autoscaling.alpha.kubernetes.io/current-metrics':'null'}}}",
};

void test_versions__conversions_survive_odd_objects(void **state)
{
	(void)state;
	for (size_t i = 0; kind_registry[i]; i++) {
		const struct kind *k = kind_registry[i];

		for (size_t n = 0; k->stored && n < ARRAY_LEN(odd); n++) {
			convert_from_stored(&a, k, parse(odd[n]));
			convert_to_stored(&a, k, k->stored, parse(odd[n]));
		}
	}
	arena_release(&a);
}

/* Old versions are of kinds that are stored in their own name, never of one another. */
void test_versions__lead_to_stored_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; kind_registry[i]; i++) {
		const struct kind *k = kind_registry[i];

		if (!k->stored)
			continue;
		assert_null(k->stored->stored);
		assert_string_equal(k->plural, k->stored->plural);
		assert_true(!k->from_stored == !k->to_stored);
		assert_null(k->validate);
	}
}

void test_versions__kept_annotations(void **state)
{
	struct json *o = parse("{'metadata':{'annotations':{'x':'not json','y':'[1]'}}}");

	(void)state;
	assert_null(version_take(&a, o, "x"));
	assert_null(version_take(&a, o, "z"));
	same(version_take(&a, o, "y"), "[1]");
	same(o, "{'metadata':{'annotations':{'x':'not json'}}}");
	version_keep(&a, o, "z", parse("{'k':2}"));
	same(version_take(&a, o, "z"), "{'k':2}");
	arena_release(&a);
}

void test_versions__every_hpa_metric_comes_back(void **state)
{
	static const char *const metrics[] = {
		"{'type':'Resource','resource':{'name':'memory','target':{'type':'AverageValue',"
		"'averageValue':'1Gi'}}}",
		"{'type':'ContainerResource','containerResource':{'name':'cpu','container':'c',"
		"'target':{'type':'Utilization','averageUtilization':5}}}",
		"{'type':'Pods','pods':{'metric':{'name':'m','selector':{'matchLabels':{'a':'b'}}},"
		"'target':{'type':'AverageValue','averageValue':'3'}}}",
		"{'type':'Object','object':{'describedObject':{'kind':'K','name':'n'},"
		"'metric':{'name':'m'},'target':{'type':'AverageValue','averageValue':'3'}}}",
		"{'type':'External','external':{'metric':{'name':'m'},'target':{'type':'Value',"
		"'value':'9'}}}",
	};
	static const char *const versions[] = {"v1", "v2beta1", "v2beta2"};

	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(versions); v++)
		for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
			const struct kind *k = find("HorizontalPodAutoscaler", versions[v]);
			struct json *o = parse(arena_printf(
				&a,
				"{'apiVersion':'autoscaling/v2','kind':'HorizontalPodAutoscaler',"
				"'spec':{'metrics':[%s]}}",
				metrics[i]));
			struct json *was = json_copy(&a, o);
			AUTO(buf) struct buf text = {0};

			convert_from_stored(&a, k, o);
			if (k->to_stored)
				assert_null(json_pointer(o, STR("/spec/metrics/0/pods/metric")));
			convert_to_stored(&a, k, k->stored, o);
			json_del(o, STR("metadata"));
			json_write(was, &text);
			same(o, buf_cstr(&text));
		}
	arena_release(&a);
}

/* ---- kinds ---- */

#define POD "{'containers':[{'name':'c','image':'i'}]}"

void test_versions__replication_controllers(void **state)
{
	struct json *o = made("ReplicationController",
			      "{'metadata':{'name':'a'},'spec':{'template':{'metadata':{'labels':{"
			      "'x':'y'}},'spec':" POD "}}}");

	(void)state;
	same(json_at(o, "spec", "selector"), "{'x':'y'}");
	same(json_at(o, "metadata", "labels"), "{'x':'y'}");
	same(json_at(o, "spec", "replicas"), "1");
	refused("ReplicationController", "{'spec':{'replicas':-1,'selector':{'a':'b'}}}",
		"spec.replicas: Invalid value: -1");
	refused("ReplicationController", "{'spec':{'selector':{'a':'b'}}}",
		"spec.template: Required value");
	refused("ReplicationController",
		"{'spec':{'selector':{'a':'b'},'template':{'metadata':{'labels':{'a':'c'}},"
		"'spec':" POD "}}}",
		"`selector` does not match template `labels`");
	arena_release(&a);
}

static const char *request_pem(void)
{
	struct buf key = {0}, csr = {0}, out = {0};
	struct err err = {0};
	const char *text;

	assert_int_equal(csr_create("jane", NULL, NULL, &key, &csr, &err), 0);
	base64_encode(buf_view(&csr), &out);
	text = arena_cstr(&a, buf_view(&out));
	buf_release(&key);
	buf_release(&csr);
	buf_release(&out);
	return text;
}

static const char *csr(const char *signer, const char *rest)
{
	return arena_printf(&a,
			    "{'metadata':{'name':'r'},'spec':{'request':'%s','signerName':'%s',"
			    "'usages':['client auth']%s}}",
			    request_pem(), signer, rest);
}

void test_versions__certificate_requests(void **state)
{
	(void)state;
	made("CertificateSigningRequest", csr("example.com/x", ""));
	refused("CertificateSigningRequest", csr("x", ""), "spec.signerName: Invalid value");
	refused("CertificateSigningRequest", csr("com/x", ""), "at least two segments");
	refused("CertificateSigningRequest", csr("kubernetes.io/legacy-unknown", ""), "legacy");
	refused("CertificateSigningRequest", csr("example.com/x", ",'expirationSeconds':599"),
		"may not specify a duration less than 600 seconds");
	refused("CertificateSigningRequest",
		"{'spec':{'request':'eA==','signerName':'a.b/c','usages':['flying']}}",
		"PEM block type must be CERTIFICATE REQUEST");
	refused("CertificateSigningRequest",
		"{'spec':{'request':'eA==','signerName':'a.b/c','usages':['flying']}}",
		"spec.usages[0]: Unsupported value: \"flying\"");
	arena_release(&a);
}

/* Approval writes conditions only; nobody takes a verdict back or gives one by /status. */
void test_versions__certificate_verdicts(void **state)
{
	struct json *live = made("CertificateSigningRequest", csr("example.com/x", "")), *next;
	const char *said;

	(void)state;
	next = json_copy(&a, live);
	json_set(
		&a, next, STR("status"),
		parse("{'certificate':'eA==','conditions':[{'type':'Approved','status':'True'}]}"));
	said = written("CertificateSigningRequest", "approval", next, live);
	assert_string_equal(said, "");
	assert_null(json_at(next, "status", "certificate"));
	assert_true(json_str(json_pointer(next, STR("/status/conditions/0/lastUpdateTime"))).n > 0);
	live = next;
	next = json_copy(&a, live);
	json_del(json_get(next, STR("status")), STR("conditions"));
	said = written("CertificateSigningRequest", "status", next, live);
	assert_non_null(strstr(said, "may not remove a condition of type \"Approved\""));
	next = json_copy(&a, live);
	json_append(&a, json_at(next, "status", "conditions"),
		    parse("{'type':'Denied','status':'True'}"));
	said = written("CertificateSigningRequest", "approval", next, live);
	assert_non_null(strstr(said, "mutually exclusive"));
	arena_release(&a);
}

void test_versions__storage(void **state)
{
	struct json *o = made("CSIDriver", "{'metadata':{'name':'d'},'spec':{}}");

	(void)state;
	same(json_at(o, "spec", "attachRequired"), "true");
	same(json_at(o, "spec", "fsGroupPolicy"), "'ReadWriteOnceWithFSType'");
	same(json_at(o, "spec", "volumeLifecycleModes"), "['Persistent']");
	refused("CSIDriver", "{'spec':{'tokenRequests':[{'audience':'a'},{'audience':'a'}]}}",
		"Duplicate value");
	refused("CSINode", "{'spec':{'drivers':[{'name':'a'}]}}", "nodeID: Required value");
	refused("VolumeAttachment", "{'spec':{'attacher':'a','source':{}}}",
		"spec.nodeName: Invalid value");
	refused("VolumeAttachment", "{'spec':{'attacher':'a','nodeName':'n','source':{}}}",
		"must specify exactly one");
	refused("VolumeAttributesClass", "{'driverName':'a'}",
		"parameters: Required value: must contain at least one key/value pair");
	arena_release(&a);
}

void test_versions__flow_control(void **state)
{
	(void)state;
	made("PriorityLevelConfiguration",
	     "{'metadata':{'name':'p'},'spec':{'type':'Limited','limited':{'limitResponse':{"
	     "'type':'Queue','queuing':{}}}}}");
	refused("PriorityLevelConfiguration", "{'metadata':{'name':'p'},'spec':{'type':'Exempt'}}",
		"must be 'Exempt' if and only if `name` is 'exempt'");
	refused("PriorityLevelConfiguration",
		"{'metadata':{'name':'p'},'spec':{'type':'Limited','limited':{'limitResponse':{"
		"'type':'Queue','queuing':{'queues':2,'handSize':3}}}}}",
		"should not be greater than queues");
	refused("FlowSchema",
		"{'metadata':{'name':'f'},'spec':{'matchingPrecedence':1,"
		"'priorityLevelConfiguration':{'name':'p'}}}",
		"only the schema named 'exempt' may have matchingPrecedence 1");
	refused("FlowSchema",
		"{'metadata':{'name':'f'},'spec':{'priorityLevelConfiguration':{'name':'p'},"
		"'rules':[{'subjects':[{'kind':'User','group':{'name':'g'}}]}]}}",
		"user is required when subject kind is 'User'");
	arena_release(&a);
}

void test_versions__addresses(void **state)
{
	(void)state;
	assert_null(find("IPAddress", NULL)->name_check(STR("10.0.0.1")));
	assert_null(find("IPAddress", NULL)->name_check(STR("2001:db8::1")));
	assert_non_null(find("IPAddress", NULL)->name_check(STR("010.0.0.1")));
	assert_non_null(find("IPAddress", NULL)->name_check(STR("2001:db8:0::1")));
	made("ServiceCIDR",
	     "{'metadata':{'name':'s'},'spec':{'cidrs':['10.0.0.0/8','fd00::/64']}}");
	refused("ServiceCIDR", "{'spec':{'cidrs':['10.0.0.0/33']}}", "must be a valid CIDR");
	refused("ServiceCIDR", "{'spec':{'cidrs':['10.0.0.0/8','11.0.0.0/8']}}",
		"no more than one IP for each IP family");
	arena_release(&a);
}
