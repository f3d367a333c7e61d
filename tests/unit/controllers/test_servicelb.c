/* Load balancers that are the nodes themselves. */
#include "fake.h"

extern const struct controller controller_servicelb;

static struct fake *start(void)
{
	struct fake *f = fake_new(&controller_servicelb);

	fake_add(
		f, &res_nodes,
		"{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'},'status':{'addresses':[{"
		"'type':'InternalIP','address':'172.30.0.10'}],'conditions':[{'type':'Ready',"
		"'status':'True'}]}}");
	fake_add(
		f, &res_nodes,
		"{'apiVersion':'v1','kind':'Node','metadata':{'name':'n2'},'status':{'addresses':[{"
		"'type':'InternalIP','address':'172.30.0.11'}],'conditions':[{'type':'Ready',"
		"'status':'True'}]}}");
	return f;
}

/* extra: further members of spec, with a leading comma. */
static void service(struct fake *f, const char *name, int port, const char *extra)
{
	char text[600];

	snprintf(
		text, sizeof(text),
		"{'apiVersion':'v1','kind':'Service','metadata':{'name':'%s','namespace':'a','uid':"
		"'%s'},'spec':{'type':'LoadBalancer','ports':[{'port':%d,'protocol':'TCP'}]%s},"
		"'status':{'loadBalancer':{}}}",
		name, name, port, extra);
	fake_add(f, &res_services, text);
}

static struct str ip(struct fake *f, const char *name, const char *at)
{
	const struct json *s = fake_get(f, &res_services, "a", name);

	return json_str(json_at(
		json_pointer(json_at(s, "status", "loadBalancer", "ingress"), str_c(at)), "ip"));
}

void test_servicelb__gives_the_nodes_addresses(void **state)
{
	struct fake *f = start();

	(void)state;
	service(f, "web", 80, "");
	fake_settle(f, "a", "web");
	assert_str(ip(f, "web", "/0"), "172.30.0.10");
	assert_str(ip(f, "web", "/1"), "172.30.0.11");
	fake_merge(f, &res_nodes, "", "n2",
		   "{'status':{'conditions':[{'type':'Ready','status':'False'}]}}");
	fake_settle(f, "a", "web");
	assert_str(ip(f, "web", "/0"), "172.30.0.10");
	assert_int_equal(ip(f, "web", "/1").n, 0);
	fake_free(f);
}

void test_servicelb__leaves_alone_what_is_anothers(void **state)
{
	struct fake *f = start();

	(void)state;
	service(f, "web", 80, ",'loadBalancerClass':'x.y/z'");
	fake_settle(f, "a", "web");
	assert_int_equal(ip(f, "web", "/0").n, 0);
	service(f, "lb", 81, "");
	fake_merge(f, &res_services, "a", "lb",
		   "{'status':{'loadBalancer':{'ingress':[{'ip':'203.0.113.1'}]}}}");
	fake_settle(f, "a", "lb");
	assert_str(ip(f, "lb", "/0"), "203.0.113.1");
	fake_free(f);
}

void test_servicelb__one_port_is_one_services(void **state)
{
	struct fake *f = start();

	(void)state;
	service(f, "one", 80, "");
	fake_settle(f, "a", "one");
	service(f, "two", 80, "");
	fake_settle(f, "a", "two");
	assert_int_equal(ip(f, "two", "/0").n, 0);
	service(f, "ssh", 22, "");
	fake_settle(f, "a", "ssh");
	assert_int_equal(ip(f, "ssh", "/0").n, 0);
	fake_merge(f, &res_services, "a", "one", "{'spec':{'type':'ClusterIP'}}");
	fake_settle(f, "a", "two");
	assert_str(ip(f, "two", "/0"), "172.30.0.10");
	fake_free(f);
}

void test_servicelb__local_traffic_goes_where_pods_are(void **state)
{
	struct fake *f = start();

	(void)state;
	service(f, "web", 80, ",'externalTrafficPolicy':'Local'");
	fake_add(
		f, &res_endpointslices,
		"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':"
		"'web-x','namespace':'a','labels':{'kubernetes.io/service-name':'web'}},"
		"'addressType':'IPv4','endpoints':[{'addresses':['10.244.1.2'],'nodeName':'n2'}]}");
	fake_settle(f, "a", "web");
	assert_str(ip(f, "web", "/0"), "172.30.0.11");
	assert_int_equal(ip(f, "web", "/1").n, 0);
	fake_free(f);
}
