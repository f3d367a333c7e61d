/* What may stand in a Service, and what a change of its type leaves. */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define ALL "/api/v1/namespaces/default/services"
#define MERGE "application/merge-patch+json"

static struct asked *put(const char *name, const char *spec)
{
	AUTO(arena) struct arena a = {0};

	return ask_core(
		"POST", ALL, NULL,
		arena_printf(&a, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec));
}

static void refused(const char *spec, const char *why)
{
	struct asked *q = put("bad", spec);

	if (q->status != 422 || !told(q, why))
		fail_msg("%s: %d %.*s", spec, q->status, (int)q->body.n, q->body.p);
	ask_free(q);
}

/* The Service "s" with that patched into its spec. */
static struct asked *become(const char *spec)
{
	AUTO(arena) struct arena a = {0};

	return ask_core("PATCH", ALL "/s", MERGE, arena_printf(&a, "{\"spec\":{%s}}", spec));
}

static void holds(struct asked *q, const char *part, bool there)
{
	if (told(q, part) != there)
		fail_msg("%s %s: %.*s", part, there ? "is missing" : "is there", (int)q->body.n,
			 q->body.p);
}

#define PORTS "\"ports\":[{\"port\":80}]"

void test_service__what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	alone_begin();
	refused("\"ports\":[{\"port\":80,\"nodePort\":30001}]", "may not be used when");
	refused("\"type\":\"NodePort\",\"clusterIP\":\"None\"," PORTS, "may not be set to 'None'");
	refused(PORTS ",\"externalTrafficPolicy\":\"Local\"", "externally-accessible");
	refused("\"type\":\"ExternalName\",\"externalName\":\"a_b\"", "RFC 1123");
	refused(PORTS ",\"loadBalancerSourceRanges\":[\"10.0.0.0/8\"]", "may only be used when");
	refused(PORTS ",\"externalIPs\":[\"127.0.0.1\"]", "loopback");
	refused(PORTS ",\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{"
		      "\"timeoutSeconds\":100000}}",
		"less than 86400");
	refused(PORTS ",\"ipFamilyPolicy\":\"RequireDualStack\"", "dual-stack");
	alone_end();
}

void test_service__a_change_of_type_takes_what_belonged_to_it(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	q = put("s", "\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\"," PORTS);
	assert_int_equal(q->status, 201);
	holds(q, "\"healthCheckNodePort\":", true);
	holds(q, "\"nodePort\":", true);
	ask_free(q);
	q = become("\"type\":\"ClusterIP\"");
	assert_int_equal(q->status, 200);
	holds(q, "\"healthCheckNodePort\":", false);
	holds(q, "\"nodePort\":", false);
	holds(q, "\"externalTrafficPolicy\":", false);
	holds(q, "\"allocateLoadBalancerNodePorts\":", false);
	holds(q, "\"clusterIP\":\"10.96.", true);
	ask_free(q);
	q = become("\"type\":\"ExternalName\",\"externalName\":\"example.org\"");
	assert_int_equal(q->status, 200);
	holds(q, "\"clusterIP\":", false);
	holds(q, "\"ipFamilies\":", false);
	ask_free(q);
	q = become("\"type\":\"NodePort\",\"externalName\":null");
	assert_int_equal(q->status, 200);
	holds(q, "\"clusterIP\":\"10.96.", true);
	holds(q, "\"nodePort\":", true);
	ask_free(q);
	alone_end();
}

/* As Go's clients write what they leave open. */
void test_service__what_is_empty_is_not_said(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	q = put("s", "\"externalTrafficPolicy\":\"\",\"clusterIP\":\"\",\"loadBalancerClass\":null,"
		     "\"allocateLoadBalancerNodePorts\":null,\"healthCheckNodePort\":0,"
		     "\"sessionAffinityConfig\":{},\"ports\":[{\"port\":80,\"nodePort\":0}]");
	if (q->status != 201)
		fail_msg("%.*s", (int)q->body.n, q->body.p);
	ask_free(q);
	alone_end();
}

void test_service__a_balancer_that_needs_no_node_ports_gets_none(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	q = put("s", "\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false," PORTS);
	assert_int_equal(q->status, 201);
	holds(q, "\"nodePort\":", false);
	ask_free(q);
	alone_end();
}

void test_service__endpoints_are_addresses_that_may_be_reached(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", "/api/v1/namespaces/default/endpoints", NULL,
				   "{\"metadata\":{\"name\":\"e\"},\"subsets\":[{\"addresses\":[{"
				   "\"ip\":\"127.0.0.1\"}],\"ports\":[{\"port\":80}]}]}"),
			 422);
	assert_int_equal(
		status_of("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
			  NULL,
			  "{\"metadata\":{\"name\":\"e\"},\"addressType\":\"IPv4\",\"endpoints\":[{"
			  "\"addresses\":[\"fd00::1\"]}]}"),
		422);
	assert_int_equal(
		status_of(
			"POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", NULL,
			"{\"metadata\":{\"name\":\"e\"},\"addressType\":\"IPv4\",\"endpoints\":[{"
			"\"addresses\":[\"10.1.2.3\"]}],\"ports\":[{\"name\":\"\",\"port\":80}]}"),
		201);
	assert_int_equal(
		status_of("POST", "/apis/networking.k8s.io/v1/ingressclasses", NULL,
			  "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"controller\":\"x\"}}"),
		422);
	alone_end();
}

/* One sentence, as Kubernetes says it, for what `kubectl apply` shows. */
void test_service__an_address_stays(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	refused("\"clusterIP\":\"10.0.0.12\"," PORTS,
		"spec.clusterIPs: Invalid value: []string{\\\"10.0.0.12\\\"}: failed to allocate");
	ask_free(put("s", "\"clusterIP\":\"None\"," PORTS));
	q = become("\"clusterIP\":\"10.0.0.12\"");
	assert_int_equal(q->status, 422);
	holds(q,
	      "Service \\\"s\\\" is invalid: spec.clusterIPs[0]: Invalid value: "
	      "[]string{\\\"10.0.0.12\\\"}: may not change once set\"",
	      true);
	ask_free(q);
	alone_end();
}
