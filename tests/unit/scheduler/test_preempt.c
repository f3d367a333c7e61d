/* Whom a pod that fits nowhere may push aside, and where. */
#include "cluster.h"

#include "scheduler/preempt.h"

static struct sched_pod *pod_of(const char *name, int priority, const char *cpu, const char *labels,
				const char *more)
{
	AUTO(arena) struct arena a = {0};

	return make_pod(name, arena_printf(&a, "'labels':{%s}", labels),
			arena_printf(&a,
				     "'priority':%d,%s'containers':[{'name':'c','resources':{"
				     "'requests':{'cpu':'%s'}}}]",
				     priority, more, cpu));
}

static void put(struct sched_cache *c, struct sched_pod *p, const char *node)
{
	sched_cache_set_pod(c, p, str_c(node));
	sched_pod_unref(p);
}

/* "n1: a b", or why not. */
static const char *preempt(struct sched_cache *c, struct sched_pod *p, struct arena *a)
{
	struct preemption r;
	struct sched_result of;
	AUTO(buf) struct buf b = {0};
	const struct sched_node *n = c->n ? c->nodes[0] : NULL;
	int64_t used = n ? n->used.cpu_m : 0;

	sched_pick(c, p, 1, a, &of);
	assert_null(of.node);
	sched_preempt(c, p, &of, a, &r);
	if (!r.node) {
		buf_str(&b, r.message);
	} else {
		buf_printf(&b, "%.*s:", STR_ARG(r.node->name));
		for (size_t i = 0; i < r.n; i++)
			buf_printf(&b, " %.*s", STR_ARG(r.victims[i]->name));
	}
	if (n)
		assert_int_equal(n->used.cpu_m, used); /* as it was */
	sched_pod_unref(p);
	return arena_cstr(a, buf_view(&b));
}

void test_preempt__the_least_important_goes(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node(&c, "n1");
	add_node(&c, "n2");
	put(&c, pod_of("low", 1, "1500m", "", ""), "n1");
	put(&c, pod_of("medium", 100, "1500m", "", ""), "n2");
	assert_string_equal(preempt(&c, pod_of("p", 1000, "1500m", "", ""), &a), "n1: low");
	assert_string_equal(preempt(&c, pod_of("p", 100, "1500m", "", ""), &a), "n1: low");
	assert_string_equal(
		preempt(&c, pod_of("p", 1, "1500m", "", ""), &a),
		"preemption: 0/2 nodes are available: 2 No preemption victims found for incoming "
		"pod.");
	assert_string_equal(preempt(&c, pod_of("p", 1000, "3", "", ""), &a),
			    "preemption: 0/2 nodes are available: 2 Insufficient cpu.");
	sched_cache_release(&c);
}

void test_preempt__no_more_go_than_must(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node(&c, "n1");
	put(&c, pod_of("a", 3, "500m", "", ""), "n1");
	put(&c, pod_of("b", 2, "500m", "", ""), "n1");
	put(&c, pod_of("c", 1, "500m", "", ""), "n1");
	put(&c, pod_of("d", 1, "500m", "", ""), "n1");
	assert_string_equal(preempt(&c, pod_of("p", 9, "400m", "", ""), &a), "n1: d");
	assert_string_equal(preempt(&c, pod_of("p", 9, "1200m", "", ""), &a), "n1: b c d");
	sched_cache_release(&c);
}

/* Whose room is being made already isn't looked for a second time, nor are others sent away while
 * somebody leaves. */
void test_preempt__who_leaves_is_enough(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	struct sched_pod *first = pod_of("first", 9, "500m", "", "");
	struct trial kept;

	(void)state;
	add_node(&c, "n1");
	put(&c, pod_of("a", 3, "500m", "", ""), "n1");
	put(&c, pod_of("b", 2, "500m", "", ""), "n1");
	put(&c, pod_of("c", 1, "500m", "", ""), "n1");
	put(&c, pod_of("d", 1, "500m", "", ""), "n1");
	map_set(&c.leaving, STR("uid-b"), &c); /* told a moment ago */
	assert_string_equal(preempt(&c, pod_of("p", 9, "500m", "", ""), &a), "n1:");
	assert_string_equal(preempt(&c, pod_of("p", 9, "1", "", ""), &a), "n1: d");
	/* It leaves for the first: that one waits, another needs room of its own. */
	first->nominated = STR("n1");
	sched_nominate(&c, first);
	sched_pod_ref(first);
	assert_string_equal(
		preempt(&c, first, &a),
		"preemption: not eligible due to a terminating pod on the nominated node.");
	{
		struct sched_pod *p = pod_of("p", 9, "500m", "", "");

		kept = sched_nominated_enter(&c, p, &a);
		assert_string_equal(preempt(&c, p, &a), "n1: d");
		sched_nominated_leave(&c, &kept);
	}
	sched_pod_unref(first);
	sched_cache_release(&c);
}

void test_preempt__never_and_hopeless(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node(&c, "n1");
	put(&c, pod_of("low", 1, "2", "", ""), "n1");
	assert_string_equal(preempt(&c, pod_of("p", 9, "1", "", "'preemptionPolicy':'Never',"), &a),
			    "preemption: not eligible due to preemptionPolicy=Never.");
	assert_string_equal(preempt(&c, pod_of("p", 9, "1", "", "'nodeSelector':{'x':'y'},"), &a),
			    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for "
			    "scheduling.");
	sched_cache_release(&c);
}

static void add_budget(struct sched_cache *c, const char *app, int allowed)
{
	AUTO(arena) struct arena a = {0};
	struct obj *o = make("PodDisruptionBudget", app, "'namespace':'a'",
			     arena_printf(&a,
					  "'spec':{'selector':{'matchLabels':{'app':'%s'}}},"
					  "'status':{'disruptionsAllowed':%d}",
					  app, allowed));

	sched_object_set(&c->budgets, arena_strf(&a, "a/%s", app), o);
	obj_unref(o);
}

void test_preempt__budgets_are_kept_where_it_can_be(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node(&c, "n1");
	add_node(&c, "n2");
	add_budget(&c, "guarded", 0);
	put(&c, pod_of("g", 1, "2", "'app':'guarded'", ""), "n1");
	put(&c, pod_of("free", 5, "2", "", ""), "n2");
	/* Of higher priority, but nobody protects it. */
	assert_string_equal(preempt(&c, pod_of("p", 9, "2", "", ""), &a), "n2: free");
	/* If it must be, the budget doesn't hold. */
	assert_string_equal(preempt(&c, pod_of("p", 4, "2", "", ""), &a), "n1: g");
	add_budget(&c, "guarded", 1);
	assert_string_equal(preempt(&c, pod_of("p", 9, "2", "", ""), &a), "n1: g");
	sched_cache_release(&c);
}

/* The spread forces a second one out. */
void test_preempt__spreading_counts(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	static const char room[] = "'cpu':'10','memory':'4Gi','pods':'10'";
	static const char spread[] =
		"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':"
		"'DoNotSchedule','labelSelector':{'matchExpressions':[{'key':'e2e','operator':"
		"'Exists'}]}}],";

	(void)state;
	add_node_with(&c, "n1", "'z':'1'", "", room);
	add_node_with(&c, "n2", "'z':'2'", "", room);
	put(&c, pod_of("high", 1000, "9", "'e2e':''", ""), "n1");
	put(&c, pod_of("low-1", 1, "3", "'e2e':''", ""), "n2");
	put(&c, pod_of("low-2", 1, "3", "'e2e':''", ""), "n2");
	put(&c, pod_of("low-3", 1, "3", "'e2e':''", ""), "n2");
	assert_string_equal(preempt(&c, pod_of("medium", 100, "3", "'e2e':''", spread), &a),
			    "n2: low-2 low-3");
	sched_cache_release(&c);
}

/* While its victims go, the room is a nominated pod's. */
void test_preempt__the_room_is_kept(void **state)
{
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	struct sched_pod *mine = pod_of("mine", 9, "2", "", ""), *other, *better;
	struct sched_result r;
	struct trial t;

	(void)state;
	add_node(&c, "n1");
	mine->nominated = STR("n1");
	sched_nominate(&c, mine);
	other = pod_of("other", 5, "1", "", "");
	t = sched_nominated_enter(&c, other, &a);
	sched_pick(&c, other, 1, &a, &r);
	sched_nominated_leave(&c, &t);
	assert_null(r.node);
	better = pod_of("better", 10, "1", "", "");
	t = sched_nominated_enter(&c, better, &a);
	sched_pick(&c, better, 1, &a, &r);
	sched_nominated_leave(&c, &t);
	assert_non_null(r.node);
	t = sched_nominated_enter(&c, mine, &a);
	sched_pick(&c, mine, 1, &a, &r);
	sched_nominated_leave(&c, &t);
	assert_non_null(r.node);
	assert_true(sched_unnominate(&c, STR("uid-mine")));
	assert_false(sched_unnominate(&c, STR("uid-mine")));
	sched_pod_unref(mine);
	sched_pod_unref(other);
	sched_pod_unref(better);
	sched_cache_release(&c);
}

/* Who keeps others off may have to go for it, and only they. */
void test_preempt__anti_affinity_counts(void **state)
{
	static const char off[] =
		"'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':["
		"{'topologyKey':'z','labelSelector':{'matchLabels':{'app':'web'}}}]}},";
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_node_with(&c, "n1", "'z':'1'", "", "'cpu':'10','memory':'4Gi','pods':'10'");
	put(&c, pod_of("shy", 1, "1", "", off), "n1");
	put(&c, pod_of("low", 1, "1", "", ""), "n1");
	assert_string_equal(preempt(&c, pod_of("p", 9, "1", "'app':'web'", ""), &a), "n1: shy");
	put(&c, pod_of("web", 5, "1", "'app':'web'", ""), "n1");
	assert_string_equal(preempt(&c, pod_of("q", 9, "1", "", off), &a), "n1: web");
	assert_string_equal(preempt(&c, pod_of("q", 3, "1", "", off), &a),
			    "preemption: 0/1 nodes are available: 1 node(s) didn't match pod "
			    "anti-affinity rules.");
	sched_cache_release(&c);
}

/* A full cluster is searched in bounded time, whatever the constraint asks to be counted. */
void test_preempt__a_big_cluster(void **state)
{
	static const char spread[] =
		"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':"
		"'DoNotSchedule','labelSelector':{'matchLabels':{'app':'web'}}}],";
	struct sched_cache c = {0};
	AUTO(arena) struct arena a = {0};
	char name[30], labels[30];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(labels, sizeof(labels), "'z':'%d'", i % 3);
		add_node_with(&c, name, labels, "", "'cpu':'4','memory':'4Gi','pods':'100'");
		for (int k = 0; k < 40; k++) {
			char pod[30];

			snprintf(pod, sizeof(pod), "p%d-%d", i, k);
			put(&c, pod_of(pod, 1, "100m", "'app':'web'", ""), name);
		}
	}
	assert_memory_equal(preempt(&c, pod_of("big", 9, "3", "'app':'web'", spread), &a), "n", 1);
	sched_cache_release(&c);
}

static bool fits(struct sched_cache *c, struct sched_pod *p, const char *node, struct arena *a)
{
	struct sched_result r;

	sched_pick(c, p, 1, a, &r);
	return r.node && str_is(r.node->name, node);
}

/* Whatever is there: without its victims the pod fits, and none of them went for nothing. */
void test_preempt__enough_go_and_nobody_for_nothing(void **state)
{
	struct rng rng;
	int made = 0;

	(void)state;
	rng_seed(&rng, 7);
	for (int round = 0; round < 150; round++) {
		struct sched_cache c = {0};
		AUTO(arena) struct arena a = {0};
		struct sched_pod *p, *gone[64];
		struct sched_result of;
		struct preemption r;
		char cpu[16], name[16];
		size_t before;
		const char *node;

		add_node(&c, "n");
		for (int i = 0; i < 9; i++) {
			snprintf(name, sizeof(name), "p%d", i);
			snprintf(cpu, sizeof(cpu), "%dm", 50 + (int)rng_below(&rng, 500));
			place(&c, pod_of(name, (int)rng_below(&rng, 5), cpu, "", ""), 1, &a);
		}
		snprintf(cpu, sizeof(cpu), "%dm", 300 + (int)rng_below(&rng, 1700));
		p = pod_of("new", 3, cpu, "", "");
		sched_pick(&c, p, 1, &a, &of);
		before = c.pods.n;
		if (!of.node) {
			sched_preempt(&c, p, &of, &a, &r);
			assert_int_equal(c.pods.n, before);
		}
		if (of.node || !r.node) {
			sched_pod_unref(p);
			sched_cache_release(&c);
			continue;
		}
		made++;
		node = arena_cstr(&a, r.node->name);
		for (size_t i = 0; i < r.n; i++) {
			assert_true(r.victims[i]->priority < p->priority);
			gone[i] = sched_pod_ref(r.victims[i]);
		}
		for (size_t i = 0; i < r.n; i++)
			sched_cache_del_pod(&c, gone[i]->uid);
		assert_true(fits(&c, p, node, &a));
		for (size_t i = 0; i < r.n; i++) {
			sched_cache_set_pod(&c, gone[i], str_c(node));
			assert_false(fits(&c, p, node, &a));
			sched_cache_del_pod(&c, gone[i]->uid);
			sched_pod_unref(gone[i]);
		}
		sched_pod_unref(p);
		sched_cache_release(&c);
	}
	assert_true(made > 20);
}
