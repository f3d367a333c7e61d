/* Disruption budgets over plain lists. */
#include "fake.h"

extern const struct controller controller_disruption;

static struct fake *start(const char *spec)
{
	struct fake *f = fake_new(&controller_disruption);
	char text[600];

	snprintf(text, sizeof(text),
		 "{'apiVersion':'policy/v1','kind':'PodDisruptionBudget','metadata':{'name':'b',"
		 "'namespace':'a','uid':'b-1','generation':2},'spec':{'selector':{'matchLabels':"
		 "{'app':'web'}},%s}}",
		 spec);
	fake_add(f, &res_poddisruptionbudgets, text);
	fake_add(f, &res_replicasets,
		 "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'web','namespace':"
		 "'a','uid':'rs-1'},'spec':{'replicas':4}}");
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text),
			 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'web-%d','namespace':"
			 "'a','labels':{'app':'web'},'ownerReferences':[{'apiVersion':'apps/v1',"
			 "'kind':'ReplicaSet','name':'web','uid':'rs-1','controller':true}]},"
			 "'status':{'phase':'Running','conditions':[{'type':'Ready','status':"
			 "'True'}]}}",
			 i);
		fake_add(f, &res_pods, text);
	}
	fake_settle(f, "a", "b");
	return f;
}

static int64_t status(struct fake *f, const char *field)
{
	return json_int(
		json_get(json_at(fake_get(f, &res_poddisruptionbudgets, "a", "b"), "status"),
			 str_c(field)),
		-1);
}

void test_disruption__what_is_above_the_minimum_may_go(void **state)
{
	struct fake *f = start("'minAvailable':2");

	(void)state;
	assert_int_equal(status(f, "expectedPods"), 3);
	assert_int_equal(status(f, "currentHealthy"), 3);
	assert_int_equal(status(f, "desiredHealthy"), 2);
	assert_int_equal(status(f, "disruptionsAllowed"), 1);
	assert_int_equal(status(f, "observedGeneration"), 2);
	fake_merge(f, &res_pods, "a", "web-0", "{'status':{'conditions':null}}");
	fake_settle(f, "a", "b");
	assert_int_equal(status(f, "disruptionsAllowed"), 0);
	fake_free(f);
}

void test_disruption__percentages_are_of_what_shall_be(void **state)
{
	struct fake *f = start("'maxUnavailable':'50%'");

	(void)state;
	assert_int_equal(status(f, "expectedPods"), 4);
	assert_int_equal(status(f, "desiredHealthy"), 2);
	assert_int_equal(status(f, "disruptionsAllowed"), 1);
	fake_free(f);
}

void test_disruption__what_an_eviction_spent_counts_until_the_pod_is_gone(void **state)
{
	struct fake *f = start("'minAvailable':1");

	(void)state;
	assert_int_equal(status(f, "disruptionsAllowed"), 2);
	fake_merge(f, &res_poddisruptionbudgets, "a", "b",
		   "{'status':{'disruptionsAllowed':1,'disruptedPods':{'web-1':"
		   "'2023-11-14T22:13:20Z'}}}");
	fake_settle(f, "a", "b");
	assert_int_equal(status(f, "disruptionsAllowed"), 1);
	assert_int_equal(f->requeue_ns, 120 * NS_PER_S);
	f->now_ns += 121 * NS_PER_S;
	fake_settle(f, "a", "b");
	assert_int_equal(status(f, "disruptionsAllowed"), 2);
	fake_free(f);
}

void test_disruption__without_a_scale_nothing_may_go(void **state)
{
	struct fake *f = start("'maxUnavailable':1");

	(void)state;
	assert_int_equal(status(f, "disruptionsAllowed"), 0); /* 3 of 4: one is missing already */
	fake_remove(f, fake_find(f, &res_replicasets, STR("a"), STR("web")));
	fake_settle(f, "a", "b");
	assert_int_equal(status(f, "disruptionsAllowed"), 0);
	fake_free(f);
}
