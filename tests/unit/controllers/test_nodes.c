/* Nodes: addresses, signs of life, taints, eviction, pods of vanished nodes; and what each
 * namespace is given. Over plain lists. */
#include "fake.h"

#include "controllers/nodelifecycle_core.h"

extern const struct controller controller_nodeipam, controller_nodelifecycle, controller_podgc,
	controller_serviceaccount, controller_rootca;

static struct controllers_config config = {
	.cluster_net = 10u << 24 | 244u << 16,
	.cluster_bits = 16,
	.node_bits = 24,
};

static struct fake *start(const struct controller *c)
{
	struct fake *f = fake_new(c);

	f->config = &config;
	return f;
}

static const char *at_time(struct fake *f, int64_t ns)
{
	char text[TIME_TEXT_MAX];

	return arena_cstr(&f->arena, time_format(ns, text));
}

static void add_node(struct fake *f, const char *name, const char *cidr)
{
	fake_add(f, &res_nodes,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'},"
			      "'spec':{'podCIDR':'%s'},'status':{'conditions':["
			      "{'type':'Ready','status':'True','lastHeartbeatTime':'%s'}]}}",
			      name, cidr, at_time(f, f->now_ns)));
}

static void renew(struct fake *f, const char *name)
{
	fake_merge(f, &res_leases, "kube-node-lease", name,
		   arena_printf(&f->arena, "{'spec':{'renewTime':'%s'}}", at_time(f, f->now_ns)));
}

static void add_lease(struct fake *f, const char *name)
{
	fake_add(f, &res_leases,
		 arena_printf(&f->arena,
			      "{'apiVersion':'coordination.k8s.io/v1','kind':'Lease',"
			      "'metadata':{'name':'%s','namespace':'kube-node-lease'},"
			      "'spec':{'renewTime':'%s'}}",
			      name, at_time(f, f->now_ns)));
}

static void add_pod(struct fake *f, const char *name, const char *node, const char *tolerations)
{
	fake_add(f, &res_pods,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s',"
			      "'namespace':'a'},'spec':{'nodeName':'%s','tolerations':[%s]},"
			      "'status':{'phase':'Running','conditions':["
			      "{'type':'Ready','status':'True'}]}}",
			      name, node, tolerations));
}

static const struct json *node(struct fake *f, const char *name)
{
	return fake_get(f, &res_nodes, NULL, name);
}

static bool has_taint(struct fake *f, const char *name, const char *key, const char *effect)
{
	const struct json *taints = json_at(node(f, name), "spec", "taints");

	for (size_t i = 0; i < json_len(taints); i++)
		if (str_is(json_str(json_at(json_item(taints, i), "key")), key) &&
		    str_is(json_str(json_at(json_item(taints, i), "effect")), effect))
			return true;
	return false;
}

void test_nodes__each_gets_a_share_of_the_pod_network(void **state)
{
	struct fake *f = start(&controller_nodeipam);

	(void)state;
	add_node(f, "n1", "");
	add_node(f, "n2", "10.244.0.0/24");
	add_node(f, "n3", "");
	fake_settle(f, NULL, "all");
	assert_str(json_str(json_at(node(f, "n1"), "spec", "podCIDR")), "10.244.1.0/24");
	assert_str(json_str(json_at(node(f, "n2"), "spec", "podCIDR")), "10.244.0.0/24");
	assert_str(json_str(json_at(node(f, "n3"), "spec", "podCIDR")), "10.244.2.0/24");
	assert_str(json_str(json_item(json_at(node(f, "n3"), "spec", "podCIDRs"), 0)),
		   "10.244.2.0/24");
	/* A share comes free with its node. */
	fake_remove(f, fake_find(f, &res_nodes, STR_NONE, STR("n2")));
	add_node(f, "n4", "");
	fake_settle(f, NULL, "all");
	assert_str(json_str(json_at(node(f, "n4"), "spec", "podCIDR")), "10.244.0.0/24");
	fake_free(f);
}

void test_nodes__no_share_left_is_said(void **state)
{
	struct fake *f = start(&controller_nodeipam);
	struct controllers_config small = {
		.cluster_net = 10u << 24, .cluster_bits = 24, .node_bits = 24};

	(void)state;
	f->config = &small;
	add_node(f, "n1", "");
	add_node(f, "n2", "");
	fake_run(f, NULL, "all");
	assert_true(fake_had_event(f, "CIDRNotAvailable"));
	assert_str(json_str(json_at(node(f, "n1"), "spec", "podCIDR")), "10.0.0.0/24");
	fake_free(f);
}

void test_nodes__silence_makes_it_unknown_and_a_sign_of_life_heals(void **state)
{
	struct fake *f = start(&controller_nodelifecycle);

	(void)state;
	add_node(f, "n1", "");
	add_node(f, "other", "");
	add_lease(f, "n1");
	add_pod(f, "p", "n1", "");
	fake_settle(f, NULL, "n1");
	assert_true(f->requeue_ns == 40 * NS_PER_S);
	f->now_ns += 39 * NS_PER_S;
	renew(f, "n1");
	f->now_ns += 39 * NS_PER_S;
	fake_settle(f, NULL, "n1");
	assert_true(node_is_ready(node(f, "n1")));
	f->now_ns += 2 * NS_PER_S;
	fake_settle(f, NULL, "n1");
	assert_str(json_str(json_at(condition_find(node(f, "n1"), "Ready"), "status")), "Unknown");
	assert_str(json_str(json_at(condition_find(node(f, "n1"), "Ready"), "reason")),
		   "NodeStatusUnknown");
	assert_true(has_taint(f, "n1", "node.kubernetes.io/unreachable", "NoExecute"));
	assert_true(has_taint(f, "n1", "node.kubernetes.io/unreachable", "NoSchedule"));
	assert_false(pod_ready(fake_get(f, &res_pods, "a", "p")));
	/* The kubelet is back. */
	renew(f, "n1");
	fake_merge(f, &res_nodes, NULL, "n1",
		   "{'status':{'conditions':[{'type':'Ready','status':'True'}]}}");
	fake_settle(f, NULL, "n1");
	assert_null(json_at(node(f, "n1"), "spec", "taints"));
	assert_non_null(fake_get(f, &res_pods, "a", "p"));
	fake_free(f);
}

void test_nodes__pods_leave_when_their_toleration_ends(void **state)
{
	struct fake *f = start(&controller_nodelifecycle);

	(void)state;
	add_node(f, "n1", "");
	add_node(f, "other", "");
	add_pod(f, "usual", "n1", "");
	add_pod(f, "hasty", "n1",
		"{'key':'node.kubernetes.io/unreachable','operator':'Exists',"
		"'effect':'NoExecute','tolerationSeconds':10}");
	add_pod(f, "patient", "n1", "{'operator':'Exists'}");
	f->now_ns += 41 * NS_PER_S;
	fake_settle(f, NULL, "n1");
	assert_int_equal(fake_count(f, &res_pods), 3);
	assert_true(f->requeue_ns == 10 * NS_PER_S);
	f->now_ns += 10 * NS_PER_S;
	fake_run(f, NULL, "n1");
	assert_true(fake_had_event(f, "TaintManagerEviction"));
	assert_null(fake_get(f, &res_pods, "a", "hasty"));
	assert_non_null(fake_get(f, &res_pods, "a", "usual"));
	f->now_ns += 290 * NS_PER_S;
	fake_run(f, NULL, "n1");
	assert_null(fake_get(f, &res_pods, "a", "usual"));
	assert_non_null(fake_get(f, &res_pods, "a", "patient"));
	fake_free(f);
}

void test_nodes__nobody_is_evicted_while_no_node_is_ready(void **state)
{
	struct fake *f = start(&controller_nodelifecycle);

	(void)state;
	add_node(f, "n1", "");
	add_pod(f, "p", "n1", "");
	f->now_ns += 1000 * NS_PER_S;
	fake_settle(f, NULL, "n1");
	f->now_ns += 1000 * NS_PER_S;
	fake_settle(f, NULL, "n1");
	assert_non_null(fake_get(f, &res_pods, "a", "p"));
	fake_free(f);
}

/* Whoever was down itself must not take the others' silence for death. */
void test_nodes__silence_before_our_start_does_not_count(void **state)
{
	struct fake *f = start(&controller_nodelifecycle);
	struct controllers_config fresh = config;

	(void)state;
	add_node(f, "n1", "");
	f->now_ns += 3600 * NS_PER_S;
	fresh.started_ns = f->now_ns;
	f->config = &fresh;
	fake_run(f, NULL, "n1");
	assert_int_equal(f->writes, 0);
	f->now_ns += 41 * NS_PER_S;
	fake_run(f, NULL, "n1");
	assert_false(node_is_ready(node(f, "n1")));
	fake_free(f);
}

void test_nodes__cordoned_and_foreign_taints(void **state)
{
	struct fake *f = start(&controller_nodelifecycle);

	(void)state;
	add_node(f, "n1", "");
	fake_merge(f, &res_nodes, NULL, "n1",
		   "{'spec':{'unschedulable':true,"
		   "'taints':[{'key':'mine','effect':'NoSchedule'}]}}");
	fake_settle(f, NULL, "n1");
	assert_true(has_taint(f, "n1", "node.kubernetes.io/unschedulable", "NoSchedule"));
	fake_merge(f, &res_nodes, NULL, "n1", "{'spec':{'unschedulable':false}}");
	fake_settle(f, NULL, "n1");
	assert_int_equal(json_len(json_at(node(f, "n1"), "spec", "taints")), 1);
	assert_true(has_taint(f, "n1", "mine", "NoSchedule"));
	fake_free(f);
}

void test_nodes__pods_of_a_vanished_node_go_after_a_while(void **state)
{
	struct fake *f = start(&controller_podgc);

	(void)state;
	add_pod(f, "p", "gone", "");
	fake_run(f, "a", "p");
	assert_non_null(fake_get(f, &res_pods, "a", "p"));
	assert_false(pod_ready(fake_get(f, &res_pods, "a", "p")));
	assert_true(f->requeue_ns > 0);
	f->now_ns += 20 * NS_PER_S;
	fake_run(f, "a", "p");
	assert_int_equal(f->writes, 0);
	f->now_ns += 20 * NS_PER_S;
	fake_run(f, "a", "p");
	assert_null(fake_get(f, &res_pods, "a", "p"));
	fake_free(f);
}

void test_nodes__a_node_that_comes_back_keeps_its_pods(void **state)
{
	struct fake *f = start(&controller_podgc);

	(void)state;
	add_pod(f, "p", "n1", "");
	fake_run(f, "a", "p");
	add_node(f, "n1", "");
	f->now_ns += 100 * NS_PER_S;
	fake_settle(f, "a", "p");
	assert_non_null(fake_get(f, &res_pods, "a", "p"));
	assert_null(condition_find(fake_get(f, &res_pods, "a", "p"), "DisruptionTarget"));
	fake_free(f);
}

void test_nodes__pods_deleted_before_they_had_a_node(void **state)
{
	struct fake *f = start(&controller_podgc);

	(void)state;
	add_pod(f, "p", "", "");
	fake_run(f, "a", "p");
	assert_int_equal(f->writes, 0);
	fake_merge(f, &res_pods, "a", "p",
		   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_run(f, "a", "p");
	assert_null(fake_get(f, &res_pods, "a", "p"));
	fake_free(f);
}

void test_namespaces__are_given_an_account_and_the_authority(void **state)
{
	struct fake *f = start(&controller_serviceaccount);
	struct controllers_config with_ca = {.root_ca = STR("PEM")};
	const char *ns = "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'a'}}";

	(void)state;
	fake_add(f, &res_namespaces, ns);
	fake_settle(f, NULL, "a");
	assert_non_null(fake_get(f, &res_serviceaccounts, "a", "default"));
	f->controller = &controller_rootca;
	f->config = &with_ca;
	fake_settle(f, NULL, "a");
	assert_str(json_str(json_at(fake_get(f, &res_configmaps, "a", "kube-root-ca.crt"), "data",
				    "ca.crt")),
		   "PEM");
	/* Changes are undone. */
	fake_merge(f, &res_configmaps, "a", "kube-root-ca.crt", "{'data':{'ca.crt':'evil'}}");
	fake_settle(f, NULL, "a");
	assert_str(json_str(json_at(fake_get(f, &res_configmaps, "a", "kube-root-ca.crt"), "data",
				    "ca.crt")),
		   "PEM");
	fake_free(f);
}

void test_namespaces__get_nothing_while_they_end(void **state)
{
	struct fake *f = start(&controller_serviceaccount);

	(void)state;
	fake_add(f, &res_namespaces,
		 "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'a',"
		 "'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_run(f, NULL, "a");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

/* A taint that people add says nothing of when: it is from when it was seen. */
void test_nodes__a_taint_of_ones_own_evicts_in_time_and_says_why(void **state)
{
	struct fake *f = start(&controller_nodelifecycle);
	const struct json *c;

	(void)state;
	add_node(f, "n1", "");
	add_pod(f, "p", "n1",
		"{'key':'k','operator':'Equal','value':'v','effect':'NoExecute',"
		"'tolerationSeconds':15}");
	add_pod(f, "stays", "n1", "{'key':'k','operator':'Exists'}");
	f->graceful_pods = true;
	fake_merge(f, &res_nodes, NULL, "n1",
		   "{'spec':{'taints':[{'key':'k','value':'v','effect':'NoExecute'}]}}");
	fake_settle(f, NULL, "n1");
	assert_false(meta_deleting(fake_get(f, &res_pods, "a", "p")));
	assert_int_equal(f->requeue_ns, 15 * NS_PER_S);
	f->now_ns += 15 * NS_PER_S;
	fake_run(f, NULL, "n1");
	assert_true(meta_deleting(fake_get(f, &res_pods, "a", "p")));
	c = condition_find(fake_get(f, &res_pods, "a", "p"), "DisruptionTarget");
	assert_true(str_is(json_str(json_at(c, "reason")), "DeletionByTaintManager"));
	assert_false(meta_deleting(fake_get(f, &res_pods, "a", "stays")));
	fake_free(f);
}

void test_nodes__out_of_service_ends_what_is_to_go(void **state)
{
	struct fake *f = start(&controller_podgc);

	(void)state;
	add_node(f, "n1", "");
	fake_merge(f, &res_nodes, NULL, "n1",
		   "{'spec':{'taints':[{'key':'node.kubernetes.io/out-of-service','effect':"
		   "'NoExecute'}]},'status':{'conditions':[{'type':'Ready','status':'Unknown'}]}}");
	add_pod(f, "p", "n1", "");
	fake_run(f, "a", "p");
	assert_int_equal(f->writes, 0);
	fake_merge(f, &res_pods, "a", "p",
		   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_run(f, "a", "p");
	assert_null(fake_get(f, &res_pods, "a", "p"));
	fake_free(f);
}

/* A Job's finalizer holds the pod until its end is counted: it has to have one. */
void test_nodes__who_is_taken_away_has_failed(void **state)
{
	struct fake *f = start(&controller_podgc);
	const struct json *pod;

	(void)state;
	f->graceful_pods = true;
	add_pod(f, "p", "gone", "");
	fake_run(f, "a", "p");
	f->now_ns += 40 * NS_PER_S;
	fake_run(f, "a", "p");
	pod = fake_get(f, &res_pods, "a", "p");
	assert_true(!pod || str_is(json_str(json_at(pod, "status", "phase")), "Failed"));
	assert_true(f->writes >= 2);
	fake_free(f);
}
