/* Requests, accounting and the choice of a node. */
#include "cluster.h"

#include "scheduler/plugins/plugin.h"

void test_cycle__requests_are_the_most_needed_at_once(void **state)
{
	struct sched_pod *p = make_pod(
		"p", "",
		"'overhead':{'cpu':'50m'},'initContainers':["
		"{'name':'i1','resources':{'requests':{'cpu':'800m','memory':'10Mi'}}},"
		"{'name':'s','restartPolicy':'Always','resources':{'requests':{'cpu':'100m'}}},"
		"{'name':'i2','resources':{'requests':{'cpu':'900m'}}}],"
		"'containers':[{'name':'a','resources':{'requests':{'cpu':'200m','memory':'1Mi',"
		"'nvidia.com/gpu':'2'}}},{'name':'b','resources':{'requests':{'cpu':'300m'}}}]");

	(void)state;
	/* i2 with the sidecar needs 1000m; the containers with it 600m; overhead on top. */
	assert_int_equal(p->requests.cpu_m, 1050);
	assert_int_equal(p->requests.memory, 10 << 20);
	assert_int_equal(amounts_other(&p->requests, STR("nvidia.com/gpu")), 2);
	assert_int_equal(amounts_other(&p->requests, STR("pods")), 0);
	sched_pod_unref(p);
}

void test_cycle__a_pod_that_asks_nothing_counts_in_scores(void **state)
{
	struct sched_pod *p = make_pod("p", "", "'containers':[{'name':'a'}]");

	(void)state;
	assert_int_equal(p->requests.cpu_m, 0);
	assert_int_equal(p->score_cpu_m, 100);
	assert_int_equal(p->score_memory, INT64_C(200) << 20);
	sched_pod_unref(p);
}

void test_cycle__least_allocated_wins(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node(&c, "n1");
	add_node(&c, "n2");
	const char *first = place(&c, pod_asking("p1", "1", "1Gi"), 1, &a);
	const char *second = place(&c, pod_asking("p2", "1", "1Gi"), 2, &a);

	assert_string_not_equal(first, second);
	sched_cache_release(&c);
}

void test_cycle__the_same_seed_gives_the_same_answer(void **state)
{
	AUTO(arena) struct arena a = {0};
	bool differed = false;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		const char *got[2];

		for (int i = 0; i < 2; i++) {
			struct sched_cache c = {0};

			add_node(&c, "n1");
			add_node(&c, "n2");
			add_node(&c, "n3");
			got[i] = place(&c, pod_asking("p", "1", "1Gi"), seed, &a);
			sched_cache_release(&c);
		}
		assert_string_equal(got[0], got[1]);
		differed |= strcmp(got[0], "n1") != 0;
	}
	assert_true(differed);
}

void test_cycle__says_why_nothing_fits(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	assert_string_equal(why_not(&c, pod_asking("p", "1", "1Gi"), &a),
			    "no nodes available to schedule pods");
	add_node(&c, "n1");
	add_node_with(&c, "n2", "", "'unschedulable':true", "'cpu':'64','memory':'1Ti','pods':'9'");
	add_node_with(&c, "n3", "", "'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]",
		      "'cpu':'64','memory':'1Ti','pods':'9'");
	add_node(&c, "n4");
	assert_string_equal(why_not(&c, pod_asking("p", "3", "8Gi"), &a),
			    "0/4 nodes are available: 1 node(s) had untolerated taint {k: v}, "
			    "1 node(s) were unschedulable, 2 Insufficient cpu, "
			    "2 Insufficient memory.");
	sched_cache_release(&c);
}

void test_cycle__a_pod_that_left_gives_its_room_back(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node_with(&c, "n1", "", "", "'cpu':'1','memory':'1Gi','pods':'10','x.io/y':'1'");
	struct sched_pod *p = make_pod("p1", "",
				       "'containers':[{'name':'c','resources':{'requests':"
				       "{'cpu':'1','x.io/y':'1'}}}]");

	assert_string_equal(place(&c, p, 1, &a), "n1");
	assert_string_equal(why_not(&c, pod_asking("p2", "500m", "1Mi"), &a),
			    "0/1 nodes are available: 1 Insufficient cpu.");
	sched_cache_del_pod(&c, STR("uid-p1"));
	assert_string_equal(place(&c, pod_asking("p2", "500m", "1Mi"), 1, &a), "n1");
	/* An assumption that is confirmed counts once. */
	struct sched_pod *again = pod_asking("p2", "500m", "1Mi");

	sched_cache_set_pod(&c, again, STR("n1"));
	sched_pod_unref(again);
	assert_int_equal(sched_cache_node(&c, STR("n1"))->used.cpu_m, 500);
	assert_int_equal(sched_cache_node(&c, STR("n1"))->npods, 1);
	sched_cache_release(&c);
}

/* Pods may be seen before their node, and outlive it. */
void test_cycle__nodes_come_and_go(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	struct sched_pod *p = pod_asking("p1", "2", "1Gi");

	(void)state;
	sched_cache_set_pod(&c, p, STR("n1"));
	sched_pod_unref(p);
	assert_null(sched_cache_node(&c, STR("n1")));
	add_node(&c, "n1");
	assert_string_equal(why_not(&c, pod_asking("p2", "1", "1Gi"), &a),
			    "0/1 nodes are available: 1 Insufficient cpu.");
	sched_cache_del_node(&c, STR("n1"));
	assert_string_equal(why_not(&c, pod_asking("p2", "1", "1Gi"), &a),
			    "no nodes available to schedule pods");
	sched_cache_del_pod(&c, STR("uid-p1"));
	assert_int_equal(c.by_name.n, 0);
	sched_cache_release(&c);
}

/* Whatever comes, in whatever order: no node is ever filled past what it has. */
void test_cycle__never_past_capacity(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 5);
	for (int round = 0; round < 40; round++) {
		struct sched_cache c = {0};
		AUTO(arena) struct arena a = {0};
		size_t placed = 0, refused = 0;
		char name[20], cpu[20], memory[20];

		for (uint64_t i = 0; i < 1 + rng_below(&rng, 5); i++) {
			snprintf(name, sizeof(name), "n%d", (int)i);
			add_node(&c, name);
		}
		for (int i = 0; i < 120; i++) {
			snprintf(name, sizeof(name), "p%d", i);
			snprintf(cpu, sizeof(cpu), "%dm", (int)rng_below(&rng, 700));
			snprintf(memory, sizeof(memory), "%dMi", (int)rng_below(&rng, 900));
			if (place(&c, pod_asking(name, cpu, memory), rng_u64(&rng), &a)[0])
				placed++;
			else
				refused++;
			if (rng_below(&rng, 4) == 0) {
				snprintf(name, sizeof(name), "uid-p%d",
					 (int)rng_below(&rng, (uint64_t)i + 1));
				sched_cache_del_pod(&c, str_c(name));
			}
			for (size_t n = 0; n < c.n; n++) {
				int64_t sum = 0;

				for (size_t j = 0; j < c.nodes[n]->npods; j++)
					sum += c.nodes[n]->pods[j]->requests.cpu_m;
				assert_int_equal(sum, c.nodes[n]->used.cpu_m);
				assert_true(sum <= c.nodes[n]->allocatable.cpu_m);
				assert_true(c.nodes[n]->used.memory <=
					    c.nodes[n]->allocatable.memory);
				assert_true((int64_t)c.nodes[n]->npods <= c.nodes[n]->max_pods);
			}
		}
		assert_true(placed > 0 && refused + placed == 120);
		sched_cache_release(&c);
	}
}

/* A big cluster isn't searched whole, and each search goes on where the last one stopped. */
void test_cycle__searches_part_of_a_big_cluster(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	struct sched_pod *p = pod_asking("p", "1m", "1Mi");
	struct sched_result r;
	char name[20];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add_node(&c, name);
	}
	sched_pick(&c, p, 1, &a, &r);
	assert_int_equal(r.fit, 420);
	assert_int_equal(c.start, 420);
	sched_pod_unref(p);
	sched_cache_release(&c);
}

void test_cycle__events_wake_by_what_turned_the_pod_down(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	struct sched_pod *big = pod_asking("big", "3", "1Mi");
	struct sched_pod *picky = make_pod("picky", "", "'nodeSelector':{'disk':'ssd'}");
	struct sched_result r;

	(void)state;
	add_node(&c, "n1");
	sched_pick(&c, big, 1, &a, &r);
	assert_true(sched_helped_by(r.rejected_by) & SCHED_POD_GONE);
	assert_true(sched_helped_by(r.rejected_by) & SCHED_NODE_ADDED);
	sched_pick(&c, picky, 1, &a, &r);
	assert_false(sched_helped_by(r.rejected_by) & SCHED_POD_GONE);
	assert_true(sched_helped_by(r.rejected_by) & SCHED_NODE_CHANGED);
	sched_pod_unref(big);
	sched_pod_unref(picky);
	sched_cache_release(&c);
}

void test_cycle__whose_pods_are_ours(void **state)
{
	static const struct {
		const char *spec;
		bool ours, takes_room;
	} cases[] = {
		{"'spec':{}", true, false},
		{"'spec':{'schedulerName':'default-scheduler'}", true, false},
		{"'spec':{'schedulerName':'other'}", false, false},
		{"'spec':{'schedulingGates':[{'name':'g'}]}", false, false},
		{"'spec':{'nodeName':'n1'}", false, true},
		{"'spec':{'nodeName':'n1'},'status':{'phase':'Succeeded'}", false, false},
		{"'spec':{},'status':{'phase':'Failed'}", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct obj *o = make("Pod", "p", "", cases[i].spec);

		assert_int_equal(sched_pod_is_ours(o), cases[i].ours);
		assert_int_equal(sched_pod_takes_room(o), cases[i].takes_room);
		obj_unref(o);
	}
}
