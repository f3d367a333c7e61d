/* The ReplicationController and the aggregation of ClusterRoles over plain lists. */
#include "fake.h"

extern const struct controller controller_replicationcontroller, controller_clusterroleaggregation;

#define RC                                                                                         \
	"{'apiVersion':'v1','kind':'ReplicationController','metadata':{'name':'old',"              \
	"'namespace':'a','uid':'rc-1'},'spec':{'replicas':2,'selector':{'app':'old'},"             \
	"'template':{'metadata':{'labels':{'app':'old'}},"                                         \
	"'spec':{'containers':[{'name':'c','image':'i'}]}}}}"

void test_replicationcontroller__keeps_its_pods(void **state)
{
	struct fake *f = fake_new(&controller_replicationcontroller);
	const struct json *owner, *status;

	(void)state;
	fake_add(f, &res_replicationcontrollers, RC);
	fake_settle(f, "a", "old");
	assert_int_equal(fake_count(f, &res_pods), 2);
	owner = meta_controller(f->v[1].tree);
	assert_true(str_is(json_str(json_at(owner, "kind")), "ReplicationController"));
	assert_true(str_is(json_str(json_at(owner, "apiVersion")), "v1"));
	status = json_at(fake_get(f, &res_replicationcontrollers, "a", "old"), "status");
	assert_int_equal(json_int(json_at(status, "replicas"), -1), 2);
	fake_merge(f, &res_replicationcontrollers, "a", "old", "{'spec':{'replicas':1}}");
	fake_settle(f, "a", "old");
	assert_int_equal(fake_count(f, &res_pods), 1);
	fake_free(f);
}

/* A plain map that is empty would pick every pod of the namespace: it picks none. */
void test_replicationcontroller__adopts_by_its_map(void **state)
{
	struct fake *f = fake_new(&controller_replicationcontroller);

	(void)state;
	fake_add(f, &res_replicationcontrollers, RC);
	fake_add(f, &res_pods,
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'stray','namespace':'a',"
		 "'labels':{'app':'old'}},'spec':{},'status':{'phase':'Running'}}");
	fake_add(f, &res_pods,
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'other','namespace':'a',"
		 "'labels':{'app':'new'}},'spec':{},'status':{'phase':'Running'}}");
	fake_settle(f, "a", "old");
	assert_non_null(meta_controller(fake_get(f, &res_pods, "a", "stray")));
	assert_null(meta_controller(fake_get(f, &res_pods, "a", "other")));
	assert_int_equal(fake_count(f, &res_pods), 3);
	fake_free(f);
}

#define ROLE(name, labels, rest)                                                                   \
	"{'apiVersion':'rbac.authorization.k8s.io/"                                                \
	"v1','kind':'ClusterRole','metadata':{'name':'" name "','labels':{" labels "}}," rest "}"
#define RULE(resource) "{'apiGroups':[''],'resources':['" resource "'],'verbs':['get']}"

static size_t rules_of(struct fake *f, const char *name)
{
	return json_len(json_at(fake_get(f, &res_clusterroles, "", name), "rules"));
}

void test_clusterroleaggregation__gathers_each_rule_once(void **state)
{
	struct fake *f = fake_new(&controller_clusterroleaggregation);

	(void)state;
	fake_add(f, &res_clusterroles,
		 ROLE("all", "",
		      "'aggregationRule':{'clusterRoleSelectors':["
		      "{'matchLabels':{'to':'all'}},{'matchLabels':{'also':'1'}}]}"));
	fake_add(f, &res_clusterroles, ROLE("b", "'to':'all'", "'rules':[" RULE("pods") "]"));
	fake_add(f, &res_clusterroles,
		 ROLE("a", "'also':'1'", "'rules':[" RULE("nodes") "," RULE("pods") "]"));
	fake_add(f, &res_clusterroles, ROLE("c", "'to':'none'", "'rules':[" RULE("x") "]"));
	fake_settle(f, "", "all");
	assert_int_equal(rules_of(f, "all"), 2);
	assert_int_equal(rules_of(f, "c"), 1);
	fake_merge(f, &res_clusterroles, "", "a", "{'metadata':{'labels':{'also':'2'}}}");
	fake_settle(f, "", "all");
	assert_int_equal(rules_of(f, "all"), 1);
	fake_merge(f, &res_clusterroles, "", "b", "{'metadata':{'labels':{'to':'2'}}}");
	fake_settle(f, "", "all");
	assert_int_equal(rules_of(f, "all"), 0);
	fake_free(f);
}
