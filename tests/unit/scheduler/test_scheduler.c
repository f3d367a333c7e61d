/* The scheduler as a whole, against a small API server on a virtual clock. */
#include "tests/unit/controllers/miniapi.h"

#include "scheduler/main.h"

#define ROOM "'status':{'allocatable':{'cpu':'1','memory':'4Gi','pods':'10'}}"

static struct scheduler *start(struct mini *m)
{
	struct scheduler_opts o = {.seed = 1};

	return scheduler_start(&m->client, &o);
}

static void add_node(struct mini *m, const char *name)
{
	mini_add(m, &res_nodes,
		 arena_printf(
			 &m->arena,
			 "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'},'spec':{}," ROOM
			 "}",
			 name));
}

static void add_pod(struct mini *m, const char *name, const char *cpu)
{
	mini_add(m, &res_pods,
		 arena_printf(&m->arena,
			      "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s',"
			      "'namespace':'a'},'spec':{'containers':[{'name':'c','resources':"
			      "{'requests':{'cpu':'%s'}}}]}}",
			      name, cpu));
}

static struct str node_of(struct mini *m, const char *pod)
{
	return json_str(json_at(mini_get(m, &res_pods, "a", pod), "spec", "nodeName"));
}

static void stop(struct mini *m, struct scheduler *s)
{
	scheduler_stop(s);
	mini_free(m);
}

void test_scheduler__binds_and_says_so(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);
	bool said = false;

	(void)state;
	add_node(m, "n1");
	add_pod(m, "p", "500m");
	loop_advance(m->loop, NS_PER_S);
	assert_true(str_is(node_of(m, "p"), "n1"));
	for (size_t i = 0; i < m->n; i++)
		said |= m->v[i].r == &res_events &&
			str_is(json_str(json_at(m->v[i].tree, "reason")), "Scheduled") &&
			str_is(json_str(json_at(m->v[i].tree, "message")),
			       "Successfully assigned a/p to n1");
	assert_true(said);
	assert_true(scheduler_idle(s));
	stop(m, s);
}

/* Hundreds of pods at once don't mean hundreds of writes at once, which would keep the lease's
 * waiting behind them. */
void test_scheduler__only_so_many_writes_are_under_way(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);

	(void)state;
	for (int i = 0; i < 45; i++)
		add_node(m, arena_printf(&m->arena, "n%d", i));
	loop_advance(m->loop, NS_PER_S);
	for (int i = 0; i < 500; i++) /* 50 of them fit nowhere */
		add_pod(m, arena_printf(&m->arena, "p%d", i), "100m");
	m->most_under_way = 0;
	loop_advance(m->loop, 2 * NS_PER_S);
	assert_int_equal(m->binds, 450);
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].r == &res_pods && !json_at(m->v[i].tree, "spec", "nodeName"))
			assert_non_null(condition_find(m->v[i].tree, "PodScheduled"));
	assert_true(m->most_under_way <= 64 + 4);
	stop(m, s);
}

void test_scheduler__waits_and_says_why_then_goes_on(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);
	const struct json *c;

	(void)state;
	add_node(m, "n1");
	add_pod(m, "big", "2");
	add_pod(m, "fits", "600m");
	add_pod(m, "late", "600m");
	loop_advance(m->loop, 2 * NS_PER_S);
	assert_true(str_is(node_of(m, "fits"), "n1"));
	c = condition_find(mini_get(m, &res_pods, "a", "late"), "PodScheduled");
	assert_true(str_is(json_str(json_at(c, "status")), "False"));
	assert_true(str_is(json_str(json_at(c, "reason")), "Unschedulable"));
	assert_true(str_is(json_str(json_at(c, "message")),
			   "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes "
			   "are available: 1 No preemption victims found for incoming pod."));
	/* Room is made: what waited for it is tried again. */
	mini_remove(m, &res_pods, "a", "fits", "Background");
	loop_advance(m->loop, 5 * NS_PER_S);
	assert_true(str_is(node_of(m, "late"), "n1"));
	/* A bigger node comes. */
	mini_add(m, &res_nodes,
		 "{'apiVersion':'v1','kind':'Node','metadata':{'name':'big'},'spec':{},"
		 "'status':{'allocatable':{'cpu':'8','memory':'4Gi','pods':'10'}}}");
	loop_advance(m->loop, 15 * NS_PER_S);
	assert_true(str_is(node_of(m, "big"), "big"));
	stop(m, s);
}

static void check_capacity(struct mini *m)
{
	for (size_t i = 0; i < m->n; i++) {
		int64_t pods = 0;

		if (m->v[i].r != &res_nodes)
			continue;
		for (size_t j = 0; j < m->n; j++)
			pods += m->v[j].r == &res_pods &&
				str_eq(json_str(json_at(m->v[j].tree, "spec", "nodeName")),
				       meta_name(m->v[i].tree));
		assert_true(pods <= 2); /* each asks for 400m of 1 */
	}
}

/* Answers get lost after the write happened, and the scheduler is killed in between. */
void test_scheduler__unclear_answers_never_overfill_a_node(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);
	char name[20];

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add_node(m, name);
	}
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		add_pod(m, name, "400m");
		m->lose_answers = i % 3;
		loop_advance(m->loop, 700 * NS_PER_MS);
		check_capacity(m);
		if (i % 10 == 9) {
			scheduler_stop(s);
			loop_advance(m->loop, 100 * NS_PER_MS);
			s = start(m);
		}
	}
	m->lose_answers = 0;
	loop_advance(m->loop, 60 * NS_PER_S);
	check_capacity(m);
	assert_int_equal(m->binds, 10);
	stop(m, s);
}

void test_scheduler__gives_up_on_a_deleted_pod(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);

	(void)state;
	add_pod(m, "p", "400m");
	loop_advance(m->loop, NS_PER_S);
	mini_remove(m, &res_pods, "a", "p", "Background");
	add_node(m, "n1");
	loop_advance(m->loop, 20 * NS_PER_S);
	assert_int_equal(m->binds, 0);
	assert_true(scheduler_idle(s));
	stop(m, s);
}

/* ---- preemption ---- */

static void add_ranked(struct mini *m, const char *name, int priority)
{
	mini_add(m, &res_pods,
		 arena_printf(&m->arena,
			      "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s',"
			      "'namespace':'a'},'spec':{'priority':%d,'containers':[{'name':'c',"
			      "'resources':{'requests':{'cpu':'800m'}}}]}}",
			      name, priority));
}

void test_scheduler__a_more_important_pod_takes_the_place(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);
	const struct json *pod, *c;

	(void)state;
	m->graceful_pods = true;
	add_node(m, "n1");
	add_ranked(m, "low", 1);
	loop_advance(m->loop, NS_PER_S);
	assert_true(str_is(node_of(m, "low"), "n1"));
	add_ranked(m, "high", 100);
	loop_advance(m->loop, NS_PER_S);
	pod = mini_get(m, &res_pods, "a", "low");
	c = condition_find(pod, "DisruptionTarget");
	assert_true(str_is(json_str(json_at(c, "reason")), "PreemptionByScheduler"));
	assert_true(json_str(json_at(pod, "metadata", "deletionTimestamp")).n > 0);
	pod = mini_get(m, &res_pods, "a", "high");
	assert_int_equal(node_of(m, "high").n, 0);
	assert_true(str_is(json_str(json_at(pod, "status", "nominatedNodeName")), "n1"));
	/* One that comes later and is less important doesn't get in between. */
	add_ranked(m, "late", 50);
	mini_remove(m, &res_pods, "a", "low", "Background");
	loop_advance(m->loop, 5 * NS_PER_S);
	assert_true(str_is(node_of(m, "high"), "n1"));
	assert_int_equal(node_of(m, "late").n, 0);
	stop(m, s);
}

/* ---- volumes ---- */

static void add_user(struct mini *m)
{
	mini_add(m, &res_storageclasses,
		 "{'apiVersion':'storage.k8s.io/v1','kind':'StorageClass','metadata':{'name':'s'},"
		 "'provisioner':'x','volumeBindingMode':'WaitForFirstConsumer'}");
	mini_add(m, &res_persistentvolumeclaims,
		 "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'c',"
		 "'namespace':'a'},'spec':{'storageClassName':'s','accessModes':['ReadWriteOnce'],"
		 "'resources':{'requests':{'storage':'1Gi'}}}}");
	mini_add(m, &res_pods,
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'a'},'spec':{"
		 "'containers':[],'volumes':[{'name':'v','persistentVolumeClaim':{'claimName':'c'}"
		 "}]}}");
}

static struct str selected(struct mini *m)
{
	return meta_annotation(mini_get(m, &res_persistentvolumeclaims, "a", "c"),
			       "volume.kubernetes.io/selected-node");
}

void test_scheduler__a_pod_is_bound_after_its_claims(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);

	(void)state;
	add_node(m, "n1");
	add_user(m);
	loop_advance(m->loop, 2 * NS_PER_S);
	assert_true(str_is(selected(m), "n1"));
	assert_int_equal(node_of(m, "p").n, 0);
	/* The provisioner can't: the pod is placed anew, and the claim told again. */
	mini_merge(m, &res_persistentvolumeclaims, "a", "c",
		   "{'metadata':{'annotations':{'volume.kubernetes.io/selected-node':null}}}");
	loop_advance(m->loop, 10 * NS_PER_S);
	assert_true(str_is(selected(m), "n1"));
	assert_int_equal(node_of(m, "p").n, 0);
	mini_merge(m, &res_persistentvolumeclaims, "a", "c",
		   "{'metadata':{'annotations':{'pv.kubernetes.io/bind-completed':'yes'}},'spec':{"
		   "'volumeName':'pv'}}");
	loop_advance(m->loop, NS_PER_S);
	assert_true(str_is(node_of(m, "p"), "n1"));
	stop(m, s);
}

void test_scheduler__a_deleted_pod_waits_for_nothing(void **state)
{
	struct mini *m = mini_new();
	struct scheduler *s = start(m);

	(void)state;
	add_node(m, "n1");
	add_user(m);
	loop_advance(m->loop, 2 * NS_PER_S);
	mini_remove(m, &res_pods, "a", "p", "Background");
	loop_advance(m->loop, 2 * NS_PER_S);
	assert_true(scheduler_idle(s));
	stop(m, s);
}
