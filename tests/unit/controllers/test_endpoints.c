/* The EndpointSlice and Endpoints controllers over plain lists. */
#include "fake.h"

#include "controllers/endpoints_core.h"

extern const struct controller controller_endpointslice, controller_endpoints;

#define SERVICE                                                                                    \
	"{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':'a','uid':'s',"  \
	"'labels':{'team':'x'}},'spec':{'clusterIP':'10.96.0.9','ipFamilies':['IPv4'],"            \
	"'selector':{'app':'web'},'ports':[{'name':'http','port':80,'targetPort':'http'},"         \
	"{'name':'admin','port':81,'targetPort':9000}]}}"

static void add_pod(struct fake *f, const char *name, int ip, bool ready)
{
	char text[700];

	snprintf(text, sizeof(text),
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','namespace':'a',"
		 "'labels':{'app':'web'}},'spec':{'nodeName':'n1','containers':[{'name':'c',"
		 "'ports':[{'name':'http','containerPort':8080}]}]},'status':{'phase':'Running',"
		 "'podIP':'10.0.%d.%d','podIPs':[{'ip':'10.0.%d.%d'}],"
		 "'conditions':[{'type':'Ready','status':'%s'}]}}",
		 name, ip / 250, ip % 250, ip / 250, ip % 250, ready ? "True" : "False");
	fake_add(f, &res_pods, text);
}

static struct fake *start(const struct controller *c, const char *service)
{
	struct fake *f = fake_new(c);

	fake_add(f, &res_services, service);
	fake_add(f, &res_nodes,
		 "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1','labels':"
		 "{'topology.kubernetes.io/zone':'z1'}}}");
	return f;
}

static const struct json *slice(struct fake *f, size_t i)
{
	for (size_t n = 0; n < f->n; n++)
		if (f->v[n].r == &res_endpointslices && i-- == 0)
			return f->v[n].tree;
	fail_msg("no slice");
	return NULL;
}

static size_t total(struct fake *f)
{
	size_t sum = 0;

	for (size_t i = 0; i < fake_count(f, &res_endpointslices); i++)
		sum += json_len(json_at(slice(f, i), "endpoints"));
	return sum;
}

void test_endpointslice__lists_the_pods(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);
	const struct json *s, *e;

	(void)state;
	add_pod(f, "one", 1, true);
	add_pod(f, "two", 2, false);
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_endpointslices), 1);
	s = slice(f, 0);
	assert_str(meta_label(s, "kubernetes.io/service-name"), "web");
	assert_str(meta_label(s, "endpointslice.kubernetes.io/managed-by"),
		   "endpointslice-controller.k8s.io");
	assert_str(meta_label(s, "team"), "x");
	assert_str(json_str(json_at(s, "addressType")), "IPv4");
	assert_int_equal(json_int(json_pointer(s, STR("/ports/0/port")), 0), 8080);
	assert_int_equal(json_int(json_pointer(s, STR("/ports/1/port")), 0), 9000);
	e = json_item(json_at(s, "endpoints"), 0);
	assert_str(json_str(json_item(json_at(e, "addresses"), 0)), "10.0.0.1");
	assert_true(json_bool(json_at(e, "conditions", "ready"), false));
	assert_str(json_str(json_at(e, "nodeName")), "n1");
	assert_str(json_str(json_at(e, "zone")), "z1");
	assert_str(json_str(json_at(e, "targetRef", "name")), "one");
	e = json_item(json_at(s, "endpoints"), 1);
	assert_false(json_bool(json_at(e, "conditions", "ready"), true));
	fake_free(f);
}

void test_endpointslice__close_ones_are_hinted(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);
	const struct json *all;

	(void)state;
	add_pod(f, "one", 1, true);
	add_pod(f, "two", 2, false);
	fake_settle(f, "a", "web");
	assert_null(json_at(json_item(json_at(slice(f, 0), "endpoints"), 0), "hints"));
	fake_merge(f, &res_services, "a", "web", "{'spec':{'trafficDistribution':'PreferClose'}}");
	fake_settle(f, "a", "web");
	all = json_at(slice(f, 0), "endpoints");
	assert_str(json_str(json_pointer(all, STR("/0/hints/forZones/0/name"))), "z1");
	assert_null(json_at(json_item(all, 1), "hints"));
	fake_merge(f, &res_services, "a", "web", "{'spec':{'trafficDistribution':null}}");
	fake_settle(f, "a", "web");
	assert_null(json_at(json_item(json_at(slice(f, 0), "endpoints"), 0), "hints"));
	fake_free(f);
}

void test_endpointslice__terminating_pods_serve_but_are_not_ready(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);
	const struct json *c;

	(void)state;
	add_pod(f, "one", 1, true);
	fake_merge(f, &res_pods, "a", "one",
		   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_settle(f, "a", "web");
	c = json_at(json_item(json_at(slice(f, 0), "endpoints"), 0), "conditions");
	assert_false(json_bool(json_at(c, "ready"), true));
	assert_true(json_bool(json_at(c, "serving"), false));
	assert_true(json_bool(json_at(c, "terminating"), false));
	/* Gone from the list when it has finished. */
	fake_merge(f, &res_pods, "a", "one", "{'status':{'phase':'Failed'}}");
	fake_settle(f, "a", "web");
	assert_int_equal(total(f), 0);
	fake_free(f);
}

void test_endpointslice__at_most_a_hundred_each(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);
	char name[20];

	(void)state;
	for (int i = 0; i < 250; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		add_pod(f, name, i, true);
	}
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_endpointslices), 3);
	assert_int_equal(total(f), 250);
	for (size_t i = 0; i < 3; i++)
		assert_true(json_len(json_at(slice(f, i), "endpoints")) <= 100);
	/* One pod less touches one slice. */
	fake_remove(f, fake_find(f, &res_pods, STR("a"), STR("p7")));
	fake_run(f, "a", "web");
	assert_int_equal(total(f), 249);
	assert_true(f->writes <= 2);
	fake_free(f);
}

void test_endpointslice__different_ports_stand_apart(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);

	(void)state;
	add_pod(f, "one", 1, true);
	add_pod(f, "two", 2, true);
	fake_merge(f, &res_pods, "a", "two",
		   "{'spec':{'containers':[{'name':'c','ports':[{'name':'http',"
		   "'containerPort':7070}]}]}}");
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_endpointslices), 2);
	assert_int_equal(total(f), 2);
	fake_free(f);
}

void test_endpointslice__empty_service_keeps_one(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);

	(void)state;
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_endpointslices), 1);
	add_pod(f, "one", 1, true);
	fake_settle(f, "a", "web");
	assert_int_equal(total(f), 1);
	assert_int_equal(fake_count(f, &res_endpointslices), 1);
	fake_free(f);
}

void test_endpointslice__without_selector_it_is_somebody_elses(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);

	(void)state;
	fake_merge(f, &res_services, "a", "web", "{'spec':{'selector':null}}");
	fake_run(f, "a", "web");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

static void put_key(void *ctx, struct str key)
{
	struct buf *b = ctx;

	buf_str(b, key);
	buf_putc(b, ' ');
}

void test_endpointslice__pods_map_to_the_services_that_select_them(void **state)
{
	struct fake *f = start(&controller_endpointslice, SERVICE);
	struct view v = {.arena = &f->arena, .ops = &fake_ops, .ctx = f};
	AUTO(buf) struct buf keys = {0};
	struct err err = {0};
	struct obj *o;

	(void)state;
	fake_add(f, &res_services,
		 "{'apiVersion':'v1','kind':'Service','metadata':{'name':'strict','namespace':'a'},"
		 "'spec':{'selector':{'app':'web','tier':'gold'}}}");
	add_pod(f, "one", 1, true);
	o = obj_from_json(fake_get(f, &res_pods, "a", "one"), &err);
	map_pod_to_services(&v, o, put_key, &keys);
	assert_str(buf_view(&keys), "a/web ");
	obj_unref(o);
	fake_free(f);
}

void test_endpoints__ready_and_not_ready(void **state)
{
	struct fake *f = start(&controller_endpoints, SERVICE);
	const struct json *o, *subset;

	(void)state;
	add_pod(f, "one", 1, true);
	add_pod(f, "two", 2, false);
	add_pod(f, "three", 3, true);
	fake_merge(f, &res_pods, "a", "three",
		   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_settle(f, "a", "web");
	o = fake_get(f, &res_endpoints, "a", "web");
	assert_non_null(o);
	assert_str(meta_label(o, "team"), "x");
	assert_int_equal(json_len(json_at(o, "subsets")), 1);
	subset = json_item(json_at(o, "subsets"), 0);
	assert_int_equal(json_len(json_at(subset, "addresses")), 1);
	assert_int_equal(json_len(json_at(subset, "notReadyAddresses")), 1);
	assert_int_equal(json_len(json_at(subset, "ports")), 2);
	fake_free(f);
}

void test_endpoints__go_with_their_service_unless_a_person_wrote_them(void **state)
{
	struct fake *f = start(&controller_endpoints, SERVICE);

	(void)state;
	fake_settle(f, "a", "web");
	assert_non_null(fake_get(f, &res_endpoints, "a", "web"));
	fake_remove(f, fake_find(f, &res_services, STR("a"), STR("web")));
	fake_settle(f, "a", "web");
	assert_null(fake_get(f, &res_endpoints, "a", "web"));
	fake_add(
		f, &res_endpoints,
		"{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'own','namespace':'a'}}");
	fake_run(f, "a", "own");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

extern const struct controller controller_endpointslicemirroring;

void test_endpointslicemirroring__written_endpoints_get_slices(void **state)
{
	struct fake *f = start(&controller_endpointslicemirroring,
			       "{'apiVersion':'v1','kind':'Service','metadata':{'name':'ext',"
			       "'namespace':'a','uid':'s'},'spec':{'clusterIP':'10.96.0.9'}}");
	const struct json *s;

	(void)state;
	fake_add(f, &res_endpoints,
		 "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'ext','namespace':'a',"
		 "'uid':'e','labels':{'x':'y'}},'subsets':[{'addresses':[{'ip':'10.1.2.3'},{'ip':"
		 "'fd00::1'}],'notReadyAddresses':[{'ip':'10.1.2.4'}],'ports':[{'port':80}]}]}");
	fake_settle(f, "a", "ext");
	assert_int_equal(fake_count(f, &res_endpointslices), 2); /* one a family */
	s = slice(f, 0);
	assert_str(meta_label(s, "kubernetes.io/service-name"), "ext");
	assert_str(meta_label(s, "endpointslice.kubernetes.io/managed-by"),
		   "endpointslicemirroring-controller.k8s.io");
	assert_str(meta_label(s, "x"), "y");
	assert_str(json_str(json_at(meta_controller(s), "kind")), "Endpoints");
	assert_int_equal(json_len(json_at(s, "endpoints")), 2);
	assert_int_equal(json_int(json_pointer(s, STR("/ports/0/port")), 0), 80);
	assert_false(json_bool(json_pointer(s, STR("/endpoints/1/conditions/ready")), true));
	fake_merge(f, &res_endpoints, "a", "ext",
		   "{'subsets':[{'addresses':[{'ip':'10.1.2.9'}],'ports':[{'port':80}]}]}");
	fake_settle(f, "a", "ext");
	assert_int_equal(fake_count(f, &res_endpointslices), 1);
	assert_str(json_str(json_pointer(slice(f, 0), STR("/endpoints/0/addresses/0"))),
		   "10.1.2.9");
	/* With a selector, the slices are another controller's. */
	fake_merge(f, &res_services, "a", "ext", "{'spec':{'selector':{'a':'b'}}}");
	fake_settle(f, "a", "ext");
	assert_int_equal(fake_count(f, &res_endpointslices), 0);
	fake_free(f);
}

void test_endpointslicemirroring__leaves_alone_what_has_slices(void **state)
{
	struct fake *f = start(&controller_endpointslicemirroring,
			       "{'apiVersion':'v1','kind':'Service','metadata':{'name':'ext',"
			       "'namespace':'a','uid':'s'},'spec':{'clusterIP':'10.96.0.9'}}");

	(void)state;
	fake_add(f, &res_endpoints,
		 "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'ext','namespace':'a',"
		 "'uid':'e','labels':{'endpointslice.kubernetes.io/skip-mirror':'true'}},'subsets':"
		 "[{'addresses':[{'ip':'10.1.2.3'}],'ports':[{'port':80}]}]}");
	fake_settle(f, "a", "ext");
	assert_int_equal(fake_count(f, &res_endpointslices), 0);
	fake_free(f);
}
