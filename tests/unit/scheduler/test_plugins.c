/* Each plugin by what it turns down and what it prefers. */
#include "cluster.h"

#define ROOM "'cpu':'8','memory':'16Gi','pods':'100'"
#define OWNED "'labels':{'app':'web'},'ownerReferences':[{'uid':'rs','controller':true}]"

static void zones(struct sched_cache *c)
{
	add_node_with(c, "a1", "'topology.kubernetes.io/zone':'a','kubernetes.io/hostname':'a1'",
		      "", ROOM);
	add_node_with(c, "a2", "'topology.kubernetes.io/zone':'a','kubernetes.io/hostname':'a2'",
		      "", ROOM);
	add_node_with(c, "b1", "'topology.kubernetes.io/zone':'b','kubernetes.io/hostname':'b1'",
		      "", ROOM);
}

void test_plugins__node_selector_and_affinity(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node_with(&c, "hdd", "'disk':'hdd','size':'5'", "", ROOM);
	add_node_with(&c, "ssd", "'disk':'ssd','size':'9'", "", ROOM);
	assert_string_equal(place(&c, make_pod("p1", "", "'nodeSelector':{'disk':'ssd'}"), 1, &a),
			    "ssd");
	assert_string_equal(
		place(&c,
		      make_pod("p2", "",
			       "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnored"
			       "DuringExecution':{'nodeSelectorTerms':[{'matchExpressions':["
			       "{'key':'size','operator':'Lt','values':['6']}]}]}}}"),
		      1, &a),
		"hdd");
	assert_string_equal(
		why_not(&c,
			make_pod("p3", "",
				 "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnored"
				 "DuringExecution':{'nodeSelectorTerms':[{}]}}}"),
			&a),
		"0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.");
	for (uint64_t seed = 0; seed < 5; seed++)
		assert_string_equal(
			place(&c,
			      make_pod("p4", "",
				       "'affinity':{'nodeAffinity':{'preferredDuringScheduling"
				       "IgnoredDuringExecution':[{'weight':50,'preference':"
				       "{'matchFields':[{'key':'metadata.name','operator':'In',"
				       "'values':['hdd']}]}}]}}"),
			      seed, &a),
			"hdd");
	sched_cache_release(&c);
}

void test_plugins__taints_are_tolerated_by_key_value_and_effect(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node_with(&c, "n", "", "'taints':[{'key':'gpu','value':'yes','effect':'NoExecute'}]",
		      ROOM);
	assert_string_equal(why_not(&c,
				    make_pod("p", "",
					     "'tolerations':[{'key':'gpu','value':'no'},"
					     "{'key':'gpu','operator':'Exists',"
					     "'effect':'NoSchedule'}]"),
				    &a),
			    "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.");
	assert_string_equal(
		place(&c, make_pod("p1", "", "'tolerations':[{'operator':'Exists'}]"), 1, &a), "n");
	assert_string_equal(
		place(&c, make_pod("p2", "", "'tolerations':[{'key':'gpu','value':'yes'}]"), 1, &a),
		"n");
	sched_cache_release(&c);
}

void test_plugins__a_disliked_node_is_the_last_choice(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node_with(&c, "bad", "", "'taints':[{'key':'k','effect':'PreferNoSchedule'}]", ROOM);
	add_node_with(&c, "good", "", "", ROOM);
	for (uint64_t seed = 0; seed < 5; seed++)
		assert_string_equal(place(&c, make_pod("p", "", "'containers':[]"), seed, &a),
				    "good");
	sched_cache_release(&c);
}

void test_plugins__host_ports_are_given_once(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	const char *spec = "'containers':[{'name':'c','ports':[{'containerPort':80,"
			   "'hostPort':80,'hostIP':'127.0.0.1'}]}]";
	const char *any = "'containers':[{'name':'c','ports':[{'containerPort':80,"
			  "'hostPort':80,'hostIP':'0.0.0.0'}]}]";
	const char *udp = "'containers':[{'name':'c','ports':[{'containerPort':80,"
			  "'hostPort':80,'protocol':'UDP'}]}]";

	(void)state;
	add_node_with(&c, "n", "", "", ROOM);
	assert_string_equal(place(&c, make_pod("p1", "", spec), 1, &a), "n");
	assert_string_equal(why_not(&c, make_pod("p2", "", any), &a),
			    "0/1 nodes are available: 1 node(s) didn't have free ports for the "
			    "requested pod ports.");
	assert_string_equal(place(&c, make_pod("p3", "", udp), 1, &a), "n");
	sched_cache_release(&c);
}

void test_plugins__pods_of_one_owner_spread_by_default(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	char name[20];

	(void)state;
	zones(&c);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_true(place(&c, make_pod(name, OWNED, "'containers':[{'name':'c'}]"),
				  (uint64_t)i, &a)[0]);
	}
	for (size_t i = 0; i < c.n; i++)
		assert_true(c.nodes[i]->npods >= 1);
	/* The zone with one node got as many as the other one, or nearly. */
	assert_true(sched_cache_node(&c, STR("b1"))->npods >= 2);
	sched_cache_release(&c);
}

void test_plugins__topology_spread_is_kept(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	const char *spec = "'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':"
			   "'topology.kubernetes.io/zone','whenUnsatisfiable':'DoNotSchedule',"
			   "'labelSelector':{'matchLabels':{'app':'web'}}}]";
	size_t in_b;
	char name[20];

	(void)state;
	zones(&c);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_true(place(&c, make_pod(name, "'labels':{'app':'web'}", spec), (uint64_t)i,
				  &a)[0]);
		in_b = sched_cache_node(&c, STR("b1"))->npods;
		assert_true(in_b * 2 + 1 >= (size_t)i + 1 - 1 && in_b * 2 <= (size_t)i + 2);
	}
	/* Zone b is cordoned: then the skew would grow. */
	add_node_with(&c, "b1", "'topology.kubernetes.io/zone':'b'", "'unschedulable':true", ROOM);
	assert_true(place(&c, make_pod("p8", "'labels':{'app':'web'}", spec), 1, &a)[0]);
	assert_string_equal(why_not(&c, make_pod("p9", "'labels':{'app':'web'}", spec), &a),
			    "0/3 nodes are available: 1 node(s) were unschedulable, "
			    "2 node(s) didn't match pod topology spread constraints.");
	sched_cache_release(&c);
}

void test_plugins__anti_affinity_keeps_apart_both_ways(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	const char *spec = "'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnored"
			   "DuringExecution':[{'topologyKey':'kubernetes.io/hostname',"
			   "'labelSelector':{'matchLabels':{'app':'web'}}}]}}";

	(void)state;
	zones(&c);
	for (int i = 0; i < 3; i++) {
		char name[20];

		snprintf(name, sizeof(name), "p%d", i);
		assert_true(place(&c, make_pod(name, "'labels':{'app':'web'}", spec), (uint64_t)i,
				  &a)[0]);
	}
	for (size_t i = 0; i < c.n; i++)
		assert_int_equal(c.nodes[i]->npods, 1);
	assert_string_equal(why_not(&c, make_pod("p3", "'labels':{'app':'web'}", spec), &a),
			    "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity "
			    "rules.");
	/* One that has no rule of its own, but that the others don't want. */
	assert_string_equal(why_not(&c, make_pod("p4", "'labels':{'app':'web'}", ""), &a),
			    "0/3 nodes are available: 3 node(s) didn't satisfy existing pods "
			    "anti-affinity rules.");
	assert_true(place(&c, make_pod("p5", "'labels':{'app':'db'}", ""), 1, &a)[0]);
	sched_cache_release(&c);
}

void test_plugins__affinity_follows_and_the_first_may_start(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	const char *spec = "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnored"
			   "DuringExecution':[{'topologyKey':'topology.kubernetes.io/zone',"
			   "'labelSelector':{'matchLabels':{'app':'web'}}}]}}";
	const char *first;

	(void)state;
	zones(&c);
	assert_string_equal(why_not(&c, make_pod("alone", "'labels':{'app':'db'}", spec), &a),
			    "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.");
	first = place(&c, make_pod("p0", "'labels':{'app':'web'}", spec), 3, &a);
	assert_true(first[0]);
	for (uint64_t i = 1; i < 6; i++) {
		char name[20];

		snprintf(name, sizeof(name), "p%d", (int)i);
		assert_int_equal(place(&c, make_pod(name, "'labels':{'app':'db'}", spec), i, &a)[0],
				 first[0]);
	}
	sched_cache_release(&c);
}

/* What those that are there prefer counts, too. */
void test_plugins__placed_pods_preferences_are_heard(void **state)
{
	static const char wish[] =
		"'affinity':{'%s':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':"
		"100,"
		"'podAffinityTerm':{'topologyKey':'kubernetes.io/hostname','labelSelector':{"
		"'matchLabels':{'app':'loud'}}}}]}}";
	char text[400];

	(void)state;
	for (uint64_t seed = 0; seed < 6; seed++) {
		struct sched_cache c = {0};
		AUTO(arena) struct arena a = {0};
		struct sched_pod *p;

		zones(&c);
		snprintf(text, sizeof(text), wish, "podAntiAffinity");
		p = make_pod("shy", "", text);
		sched_cache_set_pod(&c, p, STR("a1"));
		sched_pod_unref(p);
		assert_string_not_equal(
			place(&c, make_pod("l1", "'labels':{'app':'loud'}", ""), seed, &a), "a1");
		snprintf(text, sizeof(text), wish, "podAffinity");
		p = make_pod("fan", "", text);
		sched_cache_set_pod(&c, p, STR("b1"));
		sched_pod_unref(p);
		assert_string_equal(
			place(&c, make_pod("l2", "'labels':{'app':'loud'}", ""), seed, &a), "b1");
		sched_cache_release(&c);
	}
}

static void add_node_having(struct sched_cache *c, const char *name, const char *images)
{
	AUTO(arena) struct arena a = {0};
	struct obj *o =
		make("Node", name, "",
		     arena_printf(&a, "'status':{'allocatable':{" ROOM "},'images':[%s]}", images));

	sched_cache_set_node(c, o);
	obj_unref(o);
}

#define WITH_IMAGE(image) "'containers':[{'name':'c','image':'" image "'}]"

/* Big images draw pods to where they are, small ones don't; names are compared written out. */
void test_plugins__pods_go_where_their_images_are(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	bool elsewhere = false;

	(void)state;
	add_node_having(&c, "n1", "");
	add_node_having(&c, "n2",
			"{'names':['docker.io/library/big:latest'],'sizeBytes':3000000000},"
			"{'names':['docker.io/library/small:1'],'sizeBytes':1000000}");
	add_node_having(&c, "n3", "{'names':['x.io/team/app@sha256:00'],'sizeBytes':900000000}");
	for (uint64_t seed = 0; seed < 8; seed++) {
		struct sched_result r;
		struct sched_pod *p = make_pod("p", "", WITH_IMAGE("big"));

		sched_pick(&c, p, seed, &a, &r);
		assert_true(str_is(r.node->name, "n2"));
		sched_pod_unref(p);
		p = make_pod("p", "", WITH_IMAGE("x.io/team/app@sha256:00"));
		sched_pick(&c, p, seed, &a, &r);
		assert_true(str_is(r.node->name, "n3"));
		sched_pod_unref(p);
		p = make_pod("p", "", WITH_IMAGE("small:1"));
		sched_pick(&c, p, seed, &a, &r);
		elsewhere |= !str_is(r.node->name, "n2");
		sched_pod_unref(p);
	}
	assert_true(elsewhere);
	/* What a node no longer has counts no longer. */
	add_node_having(&c, "n2", "{'names':['docker.io/library/small:1'],'sizeBytes':1}");
	assert_int_equal(c.images.n, 2);
	sched_cache_del_node(&c, STR("n3"));
	assert_int_equal(c.images.n, 1);
	sched_cache_release(&c);
}
