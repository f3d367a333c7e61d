/* The StatefulSet controller over plain lists. */
#include "fake.h"

extern const struct controller controller_statefulset;

#define STS                                                                                        \
	"{'apiVersion':'apps/v1','kind':'StatefulSet','metadata':{'name':'db','namespace':'a',"    \
	"'uid':'sts-1','generation':1},'spec':{'replicas':3,'serviceName':'db',"                   \
	"'selector':{'matchLabels':{'app':'db'}},'updateStrategy':{'type':'RollingUpdate',"        \
	"'rollingUpdate':{'partition':0}},'volumeClaimTemplates':[{'metadata':{'name':'data'},"    \
	"'spec':{'accessModes':['ReadWriteOnce']}}],'template':{'metadata':{'labels':{'app':"      \
	"'db'}},'spec':{'containers':[{'name':'c','image':'i:1'}]}}}}"
#define IMAGE(image)                                                                               \
	"{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'" image "'}]}}}}"

static struct fake *start(void)
{
	struct fake *f = fake_new(&controller_statefulset);

	fake_add(f, &res_statefulsets, STS);
	return f;
}

static void step(struct fake *f)
{
	fake_settle(f, "a", "db");
}

static void make_ready(struct fake *f, const char *name, bool ready)
{
	char text[TIME_TEXT_MAX];
	struct fake_object *o = fake_find(f, &res_pods, STR("a"), str_c(name));
	struct json *new;

	assert_non_null(o);
	new = json_copy(&f->arena, o->tree);
	json_set(&f->arena, new, STR("status"),
		 json_build(&f->arena, "{s:s, s:[{s:s, s:s, s:S}]}", "phase", "Running",
			    "conditions", "type", "Ready", "status", ready ? "True" : "False",
			    "lastTransitionTime", time_format(f->now_ns, text)));
	fake_stamp(f, new);
	o->tree = new;
	step(f);
}

static bool has(struct fake *f, const char *pod)
{
	return fake_get(f, &res_pods, "a", pod) != NULL;
}

static struct str image(struct fake *f, const char *pod)
{
	return json_str(json_at(
		json_item(json_at(fake_get(f, &res_pods, "a", pod), "spec", "containers"), 0),
		"image"));
}

static int64_t status(struct fake *f, const char *field)
{
	return json_int(json_get(json_at(fake_get(f, &res_statefulsets, "a", "db"), "status"),
				 str_c(field)),
			0);
}

static struct fake *complete(void)
{
	struct fake *f = start();

	step(f);
	make_ready(f, "db-0", true);
	make_ready(f, "db-1", true);
	make_ready(f, "db-2", true);
	return f;
}

void test_statefulset__pods_come_one_after_another(void **state)
{
	struct fake *f = start();
	const struct json *pod;

	(void)state;
	step(f);
	assert_int_equal(fake_count(f, &res_pods), 1);
	pod = fake_get(f, &res_pods, "a", "db-0");
	assert_str(json_str(json_at(pod, "spec", "hostname")), "db-0");
	assert_str(json_str(json_at(pod, "spec", "subdomain")), "db");
	assert_str(meta_label(pod, "statefulset.kubernetes.io/pod-name"), "db-0");
	assert_non_null(fake_get(f, &res_persistentvolumeclaims, "a", "data-db-0"));
	assert_str(json_str(json_at(json_item(json_at(pod, "spec", "volumes"), 0),
				    "persistentVolumeClaim", "claimName")),
		   "data-db-0");
	make_ready(f, "db-0", false);
	assert_int_equal(fake_count(f, &res_pods), 1);
	make_ready(f, "db-0", true);
	assert_true(has(f, "db-1") && !has(f, "db-2"));
	make_ready(f, "db-1", true);
	make_ready(f, "db-2", true);
	assert_int_equal(status(f, "readyReplicas"), 3);
	assert_int_equal(status(f, "currentReplicas"), 3);
	assert_int_equal(status(f, "updatedReplicas"), 3);
	fake_free(f);
}

void test_statefulset__parallel_ones_come_at_once(void **state)
{
	struct fake *f = start();

	(void)state;
	fake_merge(f, &res_statefulsets, "a", "db",
		   "{'spec':{'podManagementPolicy':'Parallel','ordinals':{'start':5}}}");
	step(f);
	assert_int_equal(fake_count(f, &res_pods), 3);
	assert_true(has(f, "db-5") && has(f, "db-7"));
	fake_free(f);
}

void test_statefulset__the_highest_goes_first_and_its_claim_stays(void **state)
{
	struct fake *f = complete();

	(void)state;
	f->graceful_pods = true;
	for (int i = 0; i < 3; i++)
		fake_merge(f, &res_pods, "a", (const char *[]){"db-0", "db-1", "db-2"}[i],
			   "{'spec':{'nodeName':'n'}}");
	fake_merge(f, &res_statefulsets, "a", "db", "{'spec':{'replicas':1}}");
	step(f);
	assert_true(meta_deleting(fake_get(f, &res_pods, "a", "db-2")));
	assert_false(meta_deleting(fake_get(f, &res_pods, "a", "db-1")));
	fake_remove(f, fake_find(f, &res_pods, STR("a"), STR("db-2")));
	step(f);
	assert_true(meta_deleting(fake_get(f, &res_pods, "a", "db-1")));
	fake_remove(f, fake_find(f, &res_pods, STR("a"), STR("db-1")));
	step(f);
	assert_true(has(f, "db-0"));
	assert_int_equal(fake_count(f, &res_persistentvolumeclaims), 3);
	fake_free(f);
}

void test_statefulset__rolls_from_the_highest_down(void **state)
{
	struct fake *f = complete();

	(void)state;
	fake_merge(f, &res_statefulsets, "a", "db", IMAGE("i:2"));
	step(f);
	assert_str(image(f, "db-2"), "i:2");
	assert_str(image(f, "db-1"), "i:1");
	assert_int_equal(status(f, "updatedReplicas"), 1);
	make_ready(f, "db-2", true);
	assert_str(image(f, "db-1"), "i:2");
	assert_str(image(f, "db-0"), "i:1");
	make_ready(f, "db-1", true);
	make_ready(f, "db-0", true);
	assert_str(image(f, "db-0"), "i:2");
	assert_int_equal(status(f, "updatedReplicas"), 3);
	assert_int_equal(status(f, "currentReplicas"), 3);
	fake_free(f);
}

/* Below the partition a lost pod comes back as it was. */
void test_statefulset__the_partition_holds_the_rest_back(void **state)
{
	struct fake *f = complete();

	(void)state;
	fake_merge(f, &res_statefulsets, "a", "db",
		   "{'spec':{'updateStrategy':{'rollingUpdate':{'partition':2}}}}");
	fake_merge(f, &res_statefulsets, "a", "db", IMAGE("i:2"));
	step(f);
	make_ready(f, "db-2", true);
	assert_str(image(f, "db-2"), "i:2");
	assert_str(image(f, "db-1"), "i:1");
	fake_remove(f, fake_find(f, &res_pods, STR("a"), STR("db-0")));
	step(f);
	assert_str(image(f, "db-0"), "i:1");
	fake_free(f);
}

/* A template that never becomes ready is left behind as soon as a better one is there. */
void test_statefulset__a_broken_rollout_is_replaced(void **state)
{
	struct fake *f = complete();

	(void)state;
	fake_merge(f, &res_statefulsets, "a", "db", IMAGE("broken"));
	step(f);
	make_ready(f, "db-2", false);
	assert_str(image(f, "db-2"), "broken");
	fake_merge(f, &res_statefulsets, "a", "db", IMAGE("i:3"));
	step(f);
	assert_str(image(f, "db-2"), "i:3");
	assert_str(image(f, "db-1"), "i:1");
	fake_free(f);
}

/* One that was ready, and isn't for now, holds the others up: it is no broken template. */
void test_statefulset__a_rollout_waits_for_a_pod_that_was_well(void **state)
{
	struct fake *f = complete();

	(void)state;
	fake_merge(f, &res_pods, "a", "db-1",
		   "{'status':{'phase':'Running','containerStatuses':[{'name':'c','state':"
		   "{'running':{'startedAt':'2023-11-14T22:10:00Z'}}}],'conditions':[{'type':"
		   "'Ready','status':'False','lastTransitionTime':'2023-11-14T22:12:00Z'}]}}");
	fake_merge(f, &res_statefulsets, "a", "db", IMAGE("i:2"));
	step(f);
	assert_str(image(f, "db-2"), "i:1");
	assert_str(image(f, "db-1"), "i:1");
	/* Its container came anew and was never ready: nothing to wait for. */
	fake_merge(f, &res_pods, "a", "db-1",
		   "{'status':{'containerStatuses':[{'name':'c','state':"
		   "{'running':{'startedAt':'2023-11-14T22:13:00Z'}}}]}}");
	step(f);
	assert_str(image(f, "db-1"), "i:2");
	fake_free(f);
}

void test_statefulset__claims_go_with_the_set_where_asked(void **state)
{
	struct fake *f = complete();
	const struct json *claim;

	(void)state;
	fake_merge(f, &res_statefulsets, "a", "db",
		   "{'spec':{'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Delete',"
		   "'whenScaled':'Retain'}}}");
	step(f);
	claim = fake_get(f, &res_persistentvolumeclaims, "a", "data-db-1");
	assert_str(json_str(json_at(json_item(json_at(claim, "metadata", "ownerReferences"), 0),
				    "uid")),
		   "sts-1");
	fake_free(f);
}

void test_statefulset__a_claim_that_a_waiting_pod_lacks_comes_back(void **state)
{
	struct fake *f = start();

	(void)state;
	step(f);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_persistentvolumeclaims) {
			fake_remove(f, &f->v[i]);
			break;
		}
	assert_null(fake_get(f, &res_persistentvolumeclaims, "a", "data-db-0"));
	step(f);
	assert_non_null(fake_get(f, &res_persistentvolumeclaims, "a", "data-db-0"));
	fake_free(f);
}

static struct str owner_of_claim(struct fake *f, const char *name)
{
	const struct json *refs = json_at(fake_get(f, &res_persistentvolumeclaims, "a", name),
					  "metadata", "ownerReferences");

	assert_true(json_len(refs) <= 1);
	return json_str(json_at(json_item(refs, 0), "kind"));
}

/* Both: the claim of a pod that is too many is the pod's alone. */
void test_statefulset__claims_go_with_pods_where_asked(void **state)
{
	struct fake *f = complete();

	(void)state;
	fake_merge(f, &res_statefulsets, "a", "db",
		   "{'spec':{'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Delete',"
		   "'whenScaled':'Delete'}}}");
	step(f);
	assert_str(owner_of_claim(f, "data-db-2"), "StatefulSet");
	fake_merge(f, &res_statefulsets, "a", "db", "{'spec':{'replicas':2}}");
	step(f);
	assert_str(owner_of_claim(f, "data-db-1"), "StatefulSet");
	assert_str(owner_of_claim(f, "data-db-2"), "Pod");
	fake_free(f);
}
