/* Claims find volumes, volumes find their end. */
#include "fake.h"

#include "lib/kube/pvmatch.h"

extern const struct controller controller_persistentvolumeclaim, controller_persistentvolume,
	controller_localvolume;

static struct fake *cluster(void)
{
	struct fake *f = fake_new(&controller_persistentvolumeclaim);

	fake_add(f, &res_storageclasses,
		 "{'apiVersion':'storage.k8s.io/"
		 "v1','kind':'StorageClass','metadata':{'name':'lazy'},"
		 "'provisioner':'plumb.dev/local','reclaimPolicy':'Delete','volumeBindingMode':"
		 "'WaitForFirstConsumer'}");
	fake_add(f, &res_storageclasses,
		 "{'apiVersion':'storage.k8s.io/"
		 "v1','kind':'StorageClass','metadata':{'name':'quick'},"
		 "'provisioner':'plumb.dev/local','reclaimPolicy':'Retain','volumeBindingMode':"
		 "'Immediate'}");
	return f;
}

static void add_claim(struct fake *f, const char *name, const char *meta, const char *spec)
{
	fake_add(f, &res_persistentvolumeclaims,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{"
			      "'name':'%s','namespace':'a','uid':'uid-%s'%s},'spec':{'accessModes':"
			      "['ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}%s},"
			      "'status':{'phase':'Pending'}}",
			      name, name, meta, spec));
}

static void add_volume(struct fake *f, const char *name, const char *size, const char *spec,
		       const char *phase)
{
	fake_add(
		f, &res_persistentvolumes,
		arena_printf(&f->arena,
			     "{'apiVersion':'v1','kind':'PersistentVolume','metadata':{'name':'%s',"
			     "'labels':{'n':'%s'}},'spec':{'accessModes':['ReadWriteOnce'],"
			     "'capacity':{'storage':'%s'}%s},'status':{'phase':'%s'}}",
			     name, name, size, spec, phase));
}

static void add_node(struct fake *f, const char *name, const char *annotations)
{
	fake_add(f, &res_nodes,
		 arena_printf(
			 &f->arena,
			 "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s','labels':{"
			 "'kubernetes.io/hostname':'%s'},'annotations':{%s}},'spec':{},'status':"
			 "{'conditions':[{'type':'Ready','status':'True'}]}}",
			 name, name, annotations));
}
#define HOLDS "'plumb.dev/volumes':'/var/v'"

static void run(struct fake *f, const struct controller *c, const char *ns, const char *name)
{
	f->controller = c;
	fake_run(f, ns, name);
}
static void run_claim(struct fake *f, const char *name)
{
	run(f, &controller_persistentvolumeclaim, "a", name);
}

static struct str volume_of(struct fake *f, const char *claim)
{
	return json_str(json_at(fake_get(f, &res_persistentvolumeclaims, "a", claim), "spec",
				"volumeName"));
}
static struct str phase_of(struct fake *f, const struct resource *r, const char *name)
{
	return json_str(
		json_at(fake_get(f, r, r->namespaced ? "a" : NULL, name), "status", "phase"));
}
static bool said(struct fake *f, const char *what)
{
	for (size_t i = 0; i < f->nevents; i++)
		if (str_find(f->events[i], str_c(what)) >= 0)
			return true;
	return false;
}

void test_volumes__the_smallest_that_fits_is_taken_by_both_sides(void **state)
{
	struct fake *f = cluster();
	const struct json *pv;

	(void)state;
	add_claim(f, "c", "", ",'storageClassName':''");
	add_volume(f, "small", "500Mi", "", "Available");
	add_volume(f, "big", "10Gi", "", "Available");
	add_volume(f, "right", "2Gi", "", "Available");
	add_volume(f, "other", "1Gi", ",'storageClassName':'lazy'", "Available");
	add_volume(f, "block", "1Gi", ",'volumeMode':'Block'", "Available");
	add_volume(f, "new", "1Gi", "", "Pending");
	run_claim(f, "c");
	assert_true(str_is(volume_of(f, "c"), "right"));
	pv = fake_get(f, &res_persistentvolumes, NULL, "right");
	assert_true(str_is(json_str(json_at(pv, "spec", "claimRef", "uid")), "uid-c"));
	assert_true(str_is(meta_annotation(pv, ANN_BOUND_BY_CONTROLLER), "yes"));
	assert_true(claim_is_bound(fake_get(f, &res_persistentvolumeclaims, "a", "c")));
	assert_true(str_is(phase_of(f, &res_persistentvolumeclaims, "c"), "Bound"));
	run(f, &controller_persistentvolume, NULL, "right");
	assert_true(str_is(phase_of(f, &res_persistentvolumes, "right"), "Bound"));
	run_claim(f, "c");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_volumes__selectors_and_modes_count(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_claim(f, "c", "", ",'storageClassName':'','selector':{'matchLabels':{'n':'big'}}");
	add_claim(f, "many", "", ",'storageClassName':''");
	fake_merge(f, &res_persistentvolumeclaims, "a", "many",
		   "{'spec':{'accessModes':['ReadWriteMany']}}");
	add_volume(f, "right", "2Gi", "", "Available");
	add_volume(f, "big", "10Gi", "", "Available");
	run_claim(f, "c");
	assert_true(str_is(volume_of(f, "c"), "big"));
	run_claim(f, "many");
	assert_int_equal(volume_of(f, "many").n, 0);
	assert_true(said(f, "FailedBinding: no persistent volumes available"));
	fake_free(f);
}

void test_volumes__a_reserved_one_is_nobody_elses(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_claim(f, "c", "", ",'storageClassName':''");
	add_claim(f, "d", "", ",'storageClassName':''");
	add_volume(f, "v", "10Gi", ",'claimRef':{'namespace':'a','name':'d'}", "Available");
	add_volume(f, "w", "1Gi", "", "Available");
	run_claim(f, "d");
	assert_true(str_is(volume_of(f, "d"), "v"));
	assert_null(meta_annotation(fake_get(f, &res_persistentvolumes, NULL, "v"),
				    ANN_BOUND_BY_CONTROLLER)
			    .p);
	add_claim(f, "e", "", ",'storageClassName':'','volumeName':'v'");
	run_claim(f, "e");
	assert_true(said(f, "already bound to a different claim"));
	run_claim(f, "c");
	assert_true(str_is(volume_of(f, "c"), "w"));
	fake_free(f);
}

void test_volumes__a_lazy_class_waits_for_the_node(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_node(f, "n1", HOLDS);
	add_node(f, "n2", HOLDS);
	add_claim(f, "c", "", ",'storageClassName':'lazy'");
	add_volume(f, "far", "1Gi",
		   ",'storageClassName':'lazy','nodeAffinity':{'required':{'nodeSelectorTerms':[{"
		   "'matchExpressions':[{'key':'kubernetes.io/hostname','operator':'In','values':"
		   "['n1']}]}]}}",
		   "Available");
	run_claim(f, "c");
	assert_int_equal(f->writes, 0);
	assert_true(said(f, "WaitForFirstConsumer"));
	fake_merge(f, &res_persistentvolumeclaims, "a", "c",
		   "{'metadata':{'annotations':{'volume.kubernetes.io/selected-node':'n2'}}}");
	run_claim(f, "c");
	assert_int_equal(volume_of(f, "c").n, 0);
	assert_true(said(f, "ExternalProvisioning"));
	run(f, &controller_localvolume, "a", "c");
	assert_true(said(f, "ProvisioningSucceeded"));
	run_claim(f, "c");
	assert_true(str_is(volume_of(f, "c"), "pvc-uid-c"));
	const struct json *pv = fake_get(f, &res_persistentvolumes, NULL, "pvc-uid-c");
	assert_true(str_is(json_str(json_at(pv, "spec", "local", "path")), "/var/v/pvc-uid-c"));
	assert_true(str_is(meta_label(pv, LOCAL_NODE), "n2"));
	struct node_facts n1 = node_facts_of(fake_get(f, &res_nodes, NULL, "n1")),
			  n2 = node_facts_of(fake_get(f, &res_nodes, NULL, "n2"));
	assert_false(volume_reaches(pv, &n1));
	assert_true(volume_reaches(pv, &n2));
	fake_free(f);
}

void test_volumes__a_node_that_cannot_is_given_back(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_node(f, "n1", "");
	add_claim(f, "c",
		  ",'annotations':{'volume.kubernetes.io/selected-node':'n1','volume.kubernetes.io/"
		  "storage-provisioner':'plumb.dev/local'}",
		  ",'storageClassName':'lazy'");
	run(f, &controller_localvolume, "a", "c");
	assert_true(said(f, "ProvisioningFailed"));
	assert_null(meta_annotation(fake_get(f, &res_persistentvolumeclaims, "a", "c"),
				    ANN_SELECTED_NODE)
			    .p);
	assert_int_equal(fake_count(f, &res_persistentvolumes), 0);
	fake_free(f);
}

void test_volumes__an_eager_class_takes_any_ready_node(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_claim(f, "c", "", ",'storageClassName':'quick'");
	run_claim(f, "c");
	run(f, &controller_localvolume, "a", "c");
	assert_true(said(f, "no ready node"));
	add_node(f, "n1", HOLDS);
	run(f, &controller_localvolume, "a", "c");
	run_claim(f, "c");
	assert_true(str_is(volume_of(f, "c"), "pvc-uid-c"));
	fake_free(f);
}

static void bound_pair(struct fake *f, const char *policy, const char *provisioner)
{
	add_claim(f, "c", ",'annotations':{'pv.kubernetes.io/bind-completed':'yes'}",
		  ",'storageClassName':'lazy','volumeName':'v'");
	add_volume(f, "v", "1Gi",
		   arena_printf(&f->arena,
				",'storageClassName':'lazy','persistentVolumeReclaimPolicy':'%s',"
				"'claimRef':{'namespace':'a','name':'c','uid':'uid-c'}",
				policy),
		   "Pending");
	fake_merge(f, &res_persistentvolumes, NULL, "v",
		   arena_printf(&f->arena, "{'metadata':{'annotations':{%s}}}", provisioner));
	run(f, &controller_persistentvolume, NULL, "v");
	assert_true(str_is(phase_of(f, &res_persistentvolumes, "v"), "Bound"));
}
#define BY_US "'pv.kubernetes.io/provisioned-by':'plumb.dev/local'"

static void remove_claim(struct fake *f)
{
	fake_remove(f, fake_find(f, &res_persistentvolumeclaims, STR("a"), STR("c")));
	run(f, &controller_persistentvolume, NULL, "v");
}

void test_volumes__released_ones_go_or_stay(void **state)
{
	struct fake *f = cluster();

	(void)state;
	bound_pair(f, "Delete", BY_US);
	remove_claim(f);
	assert_null(fake_get(f, &res_persistentvolumes, NULL, "v"));
	bound_pair(f, "Retain", BY_US);
	remove_claim(f);
	assert_true(str_is(phase_of(f, &res_persistentvolumes, "v"), "Released"));
	/* Nobody gets it but by somebody's hand. */
	add_claim(f, "d", "", ",'storageClassName':'lazy','volumeName':'v'");
	run_claim(f, "d");
	assert_false(claim_is_bound(fake_get(f, &res_persistentvolumeclaims, "a", "d")));
	fake_merge(f, &res_persistentvolumes, NULL, "v", "{'spec':{'claimRef':null}}");
	run(f, &controller_persistentvolume, NULL, "v");
	assert_true(str_is(phase_of(f, &res_persistentvolumes, "v"), "Available"));
	fake_free(f);
}

void test_volumes__what_nobody_can_delete_fails(void **state)
{
	struct fake *f = cluster();

	(void)state;
	bound_pair(f, "Delete", "");
	remove_claim(f);
	assert_true(str_is(phase_of(f, &res_persistentvolumes, "v"), "Failed"));
	fake_free(f);
}

void test_volumes__a_claim_of_the_same_name_is_another(void **state)
{
	struct fake *f = cluster();

	(void)state;
	bound_pair(f, "Retain", BY_US);
	fake_remove(f, fake_find(f, &res_persistentvolumeclaims, STR("a"), STR("c")));
	add_claim(f, "c", ",'generateName':'x'", ",'storageClassName':''");
	fake_merge(f, &res_persistentvolumeclaims, "a", "c", "{'metadata':{'uid':'uid-new'}}");
	run(f, &controller_persistentvolume, NULL, "v");
	assert_true(str_is(phase_of(f, &res_persistentvolumes, "v"), "Released"));
	run_claim(f, "c");
	assert_int_equal(volume_of(f, "c").n, 0);
	fake_free(f);
}

/* The claim of a new volume may be younger than the cache: its data are not given up for that. */
void test_volumes__a_claim_gets_time_to_show_up(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_volume(f, "v", "1Gi",
		   ",'persistentVolumeReclaimPolicy':'Delete','claimRef':{'namespace':'a','name':"
		   "'c','uid':'uid-c'}",
		   "Pending");
	fake_merge(f, &res_persistentvolumes, NULL, "v",
		   "{'metadata':{'annotations':{" BY_US "}}}");
	run(f, &controller_persistentvolume, NULL, "v");
	assert_int_equal(f->writes, 0);
	assert_true(f->requeue_ns > 0);
	f->now_ns += 20 * NS_PER_S;
	run(f, &controller_persistentvolume, NULL, "v");
	assert_null(fake_get(f, &res_persistentvolumes, NULL, "v"));
	fake_free(f);
}

void test_volumes__a_lost_volume_is_told(void **state)
{
	struct fake *f = cluster();

	(void)state;
	bound_pair(f, "Retain", BY_US);
	fake_remove(f, fake_find(f, &res_persistentvolumes, STR_NONE, STR("v")));
	run_claim(f, "c");
	assert_true(str_is(phase_of(f, &res_persistentvolumeclaims, "c"), "Lost"));
	assert_true(said(f, "ClaimLost"));
	run_claim(f, "c");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_volumes__nobody_waits_for_a_node_that_is_no_more(void **state)
{
	struct fake *f = cluster();

	(void)state;
	bound_pair(f, "Delete", BY_US);
	fake_merge(f, &res_persistentvolumes, NULL, "v",
		   "{'metadata':{'labels':{'plumb.dev/node':'n1'},'deletionTimestamp':"
		   "'2030-01-01T00:00:00Z','finalizers':['plumb.dev/local-volume','x/y']}}");
	add_node(f, "n1", HOLDS);
	run(f, &controller_persistentvolume, NULL, "v");
	assert_int_equal(json_len(json_at(fake_get(f, &res_persistentvolumes, NULL, "v"),
					  "metadata", "finalizers")),
			 2);
	fake_remove(f, fake_find(f, &res_nodes, STR_NONE, STR("n1")));
	run(f, &controller_persistentvolume, NULL, "v");
	assert_int_equal(json_len(json_at(fake_get(f, &res_persistentvolumes, NULL, "v"),
					  "metadata", "finalizers")),
			 1);
	fake_free(f);
}

void test_volumes__a_claim_without_class_gets_the_default_that_comes(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_claim(f, "c", "", "");
	run_claim(f, "c");
	assert_int_equal(f->writes, 0);
	fake_merge(f, &res_storageclasses, NULL, "lazy",
		   "{'metadata':{'annotations':{'storageclass.kubernetes.io/is-default-class':"
		   "'true'}}}");
	run_claim(f, "c");
	assert_true(
		str_is(volume_class(fake_get(f, &res_persistentvolumeclaims, "a", "c")), "lazy"));
	fake_free(f);
}
