/* Pods go where their volumes are, or can be made. */
#include "cluster.h"

#include "scheduler/plugins/plugin.h"

static void put(struct map *m, const char *key, const char *kind, const char *name,
		const char *meta, const char *rest)
{
	struct obj *o = make(kind, name, meta, rest);

	sched_object_set(m, str_c(key), o);
	obj_unref(o);
}

static void add_class(struct sched_cache *c, const char *name, const char *rest)
{
	put(&c->classes, name, "StorageClass", name, "", rest);
}
#define LAZY "'volumeBindingMode':'WaitForFirstConsumer'"

static void add_claim(struct sched_cache *c, const char *name, const char *annotations,
		      const char *spec)
{
	AUTO(arena) struct arena a = {0};

	put(&c->claims, arena_printf(&a, "a/%s", name), "PersistentVolumeClaim", name,
	    arena_printf(&a, "'namespace':'a','annotations':{%s}", annotations),
	    arena_printf(&a,
			 "'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{"
			 "'storage':'1Gi'}},%s}",
			 spec));
}
#define DONE "'pv.kubernetes.io/bind-completed':'yes'"

static void add_volume(struct sched_cache *c, const char *name, const char *node)
{
	AUTO(arena) struct arena a = {0};

	put(&c->volumes, name, "PersistentVolume", name, "",
	    arena_printf(&a,
			 "'spec':{'storageClassName':'fixed','accessModes':['ReadWriteOnce'],"
			 "'capacity':{'storage':'1Gi'},'nodeAffinity':{'required':{"
			 "'nodeSelectorTerms':[{'matchExpressions':[{'key':'kubernetes.io/"
			 "hostname','operator':'In','values':['%s']}]}]}}},'status':{'phase':"
			 "'Available'}",
			 node));
}

static void add_named_node(struct sched_cache *c, const char *name, const char *more)
{
	AUTO(arena) struct arena a = {0};

	add_node_with(c, name, arena_printf(&a, "'kubernetes.io/hostname':'%s'%s", name, more), "",
		      "'cpu':'2','memory':'4Gi','pods':'10'");
}

static struct sched_cache *cluster(void)
{
	static struct sched_cache c;

	c = (struct sched_cache){0};
	add_named_node(&c, "n1", "");
	add_named_node(&c, "n2", ",'zone':'z'");
	add_class(&c, "fixed", "'provisioner':'kubernetes.io/no-provisioner'," LAZY);
	add_class(&c, "made", "'provisioner':'plumb.dev/local'," LAZY);
	return &c;
}

static struct sched_pod *user(const char *name, const char *claim)
{
	AUTO(arena) struct arena a = {0};

	return make_pod(name, "",
			arena_printf(&a,
				     "'volumes':[{'name':'v','persistentVolumeClaim':{"
				     "'claimName':'%s'}}],'containers':[]",
				     claim));
}

void test_volumes__a_bound_claim_holds_its_pod(void **state)
{
	struct sched_cache *c = cluster();
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_volume(c, "v", "n2");
	add_claim(c, "c", DONE, "'volumeName':'v'");
	for (uint64_t seed = 0; seed < 5; seed++)
		assert_string_equal(place(c, user("p", "c"), seed, &a), "n2");
	add_volume(c, "v", "n9");
	assert_string_equal(
		why_not(c, user("q", "c"), &a),
		"0/2 nodes are available: 2 node(s) had volume node affinity conflict.");
	sched_object_set(&c->volumes, STR("v"), NULL);
	assert_non_null(strstr(why_not(c, user("q", "c"), &a), "non-existent pv(s)"));
	sched_cache_release(c);
}

void test_volumes__claims_that_are_not_ready_refuse_every_node(void **state)
{
	struct sched_cache *c = cluster();
	AUTO(arena) struct arena a = {0};

	(void)state;
	assert_string_equal(why_not(c, user("p", "c"), &a),
			    "0/2 nodes are available: persistentvolumeclaim \"c\" not found.");
	add_claim(c, "c", "", "'storageClassName':''");
	assert_string_equal(why_not(c, user("p", "c"), &a),
			    "0/2 nodes are available: pod has unbound immediate "
			    "PersistentVolumeClaims.");
	sched_cache_release(c);
}

void test_volumes__a_waiting_claim_goes_where_a_volume_is(void **state)
{
	struct sched_cache *c = cluster();
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_claim(c, "c", "", "'storageClassName':'fixed'");
	assert_string_equal(why_not(c, user("p", "c"), &a),
			    "0/2 nodes are available: 2 node(s) didn't find available persistent "
			    "volumes to bind.");
	add_volume(c, "v", "n2");
	assert_string_equal(place(c, user("p", "c"), 1, &a), "n2");
	sched_cache_release(c);
}

void test_volumes__one_volume_serves_one_claim(void **state)
{
	struct sched_cache *c = cluster();
	AUTO(arena) struct arena a = {0};
	struct sched_pod *p;

	(void)state;
	add_claim(c, "c", "", "'storageClassName':'fixed'");
	add_claim(c, "d", "", "'storageClassName':'fixed'");
	add_volume(c, "v", "n2");
	p = make_pod("p", "",
		     "'volumes':[{'name':'v','persistentVolumeClaim':{'claimName':'c'}},{'name':"
		     "'w','persistentVolumeClaim':{'claimName':'d'}}],'containers':[]");
	why_not(c, p, &a);
	/* Promised to c, though not written yet. */
	map_set(&c->reserved, STR("v"), xstrdup("uid-c"));
	why_not(c, user("q", "d"), &a);
	assert_string_equal(place(c, user("r", "c"), 1, &a), "n2");
	sched_cache_release(c);
}

void test_volumes__made_ones_go_anywhere_or_where_the_class_says(void **state)
{
	struct sched_cache *c = cluster();
	AUTO(arena) struct arena a = {0};

	(void)state;
	add_claim(c, "c", "", "'storageClassName':'made'");
	assert_true(place(c, user("p", "c"), 1, &a)[0] == 'n');
	add_class(c, "made",
		  "'provisioner':'plumb.dev/local','allowedTopologies':[{'matchLabelExpressions':"
		  "[{'key':'zone','values':['y','z']}]}]," LAZY);
	for (uint64_t seed = 0; seed < 5; seed++)
		assert_string_equal(place(c, user("q", "c"), seed, &a), "n2");
	add_claim(c, "d", "'volume.kubernetes.io/selected-node':'n1'", "'storageClassName':'made'");
	why_not(c, user("r", "d"), &a); /* the class and the earlier choice contradict */
	sched_cache_release(c);
}

void test_volumes__read_write_once_pod_is_for_one_pod(void **state)
{
	struct sched_cache *c = cluster();
	AUTO(arena) struct arena a = {0};

	(void)state;
	put(&c->claims, "a/c", "PersistentVolumeClaim", "c", "'namespace':'a'",
	    "'spec':{'accessModes':['ReadWriteOncePod'],'resources':{'requests':{'storage':'1Gi'}},"
	    "'storageClassName':'made'}");
	assert_true(place(c, user("p", "c"), 1, &a)[0] == 'n');
	assert_non_null(strstr(why_not(c, user("q", "c"), &a), "ReadWriteOncePod"));
	sched_cache_del_pod(c, STR("uid-p"));
	assert_true(place(c, user("q", "c"), 1, &a)[0] == 'n');
	sched_cache_release(c);
}
