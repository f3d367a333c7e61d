/* The Deployment controller over plain lists; ReplicaSets are played by the test. */
#include "fake.h"

#include "controllers/deployment_core.h"

extern const struct controller controller_deployment;

#define DEPLOYMENT                                                                                 \
	"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'a',"    \
	"'uid':'d-1','annotations':{'note':'x',"                                                   \
	"'kubectl.kubernetes.io/last-applied-configuration':'{}'}},'spec':{'replicas':4,"          \
	"'progressDeadlineSeconds':600,'revisionHistoryLimit':2,"                                  \
	"'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1,'maxUnavailable':1}},"   \
	"'selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':"               \
	"{'app':'web'}},'spec':{'containers':[{'name':'c','image':'one'}]}}}}"

static struct fake *start(void)
{
	struct fake *f = fake_new(&controller_deployment);

	fake_add(f, &res_deployments, DEPLOYMENT);
	return f;
}

static const struct json *deployment(struct fake *f)
{
	return fake_get(f, &res_deployments, "a", "web");
}

static struct fake_object *rs_at(struct fake *f, size_t i)
{
	for (size_t n = 0; n < f->n; n++)
		if (f->v[n].r == &res_replicasets && i-- == 0)
			return &f->v[n];
	fail_msg("no such ReplicaSet");
	return NULL;
}

static int64_t spec_of(const struct json *rs)
{
	return json_int(json_at(rs, "spec", "replicas"), -1);
}

static const char *image_of(struct fake *f, const struct json *rs)
{
	const struct json *containers = json_at(rs, "spec", "template", "spec", "containers");

	return arena_cstr(&f->arena, json_str(json_at(json_item(containers, 0), "image")));
}

/* What the ReplicaSet controller would report with so many pods available. */
static void report(struct fake *f, struct fake_object *o, int64_t available)
{
	struct json *new = json_copy(&f->arena, o->tree);
	int64_t n = spec_of(o->tree);

	json_set(&f->arena, new, STR("status"),
		 json_build(&f->arena, "{s:I, s:I, s:I, s:I}", "replicas", n, "readyReplicas",
			    available, "availableReplicas", available, "observedGeneration",
			    json_int(json_at(o->tree, "metadata", "generation"), 0)));
	fake_stamp(f, new);
	o->tree = new;
}

static void all_available(struct fake *f)
{
	for (size_t i = 0; i < fake_count(f, &res_replicasets); i++)
		report(f, rs_at(f, i), spec_of(rs_at(f, i)->tree));
}

static void roll_out(struct fake *f)
{
	for (int i = 0; i < 20; i++) {
		fake_run(f, "a", "web");
		all_available(f);
	}
	fake_settle(f, "a", "web");
}

static void set_image(struct fake *f, const char *image)
{
	char patch[400];

	snprintf(patch, sizeof(patch),
		 "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'%s'}]}}}}",
		 image);
	fake_merge(f, &res_deployments, "a", "web", patch);
}

static const char *progress(struct fake *f)
{
	const struct json *c = condition_find(deployment(f), "Progressing");

	return arena_cstr(&f->arena, json_str(json_at(c, "reason")));
}

void test_deployment__first_rollout(void **state)
{
	struct fake *f = start();
	const struct json *rs;
	struct str hash;

	(void)state;
	fake_run(f, "a", "web");
	assert_int_equal(fake_count(f, &res_replicasets), 1);
	rs = rs_at(f, 0)->tree;
	hash = meta_label(rs, LABEL_HASH);
	assert_true(hash.n > 0 && str_ends(meta_name(rs), hash));
	assert_int_equal(spec_of(rs), 4);
	assert_true(
		str_eq(json_str(json_at(rs, "spec", "selector", "matchLabels", LABEL_HASH)), hash));
	assert_str(meta_annotation(rs, ANNOTATION_REVISION), "1");
	assert_str(meta_annotation(rs, ANNOTATION_DESIRED), "4");
	assert_str(meta_annotation(rs, ANNOTATION_MAX), "5");
	assert_str(meta_annotation(rs, "note"), "x");
	assert_null(meta_annotation(rs, "kubectl.kubernetes.io/last-applied-configuration").p);
	assert_str(meta_annotation(deployment(f), ANNOTATION_REVISION), "1");
	assert_string_equal(progress(f), "NewReplicaSetCreated");
	assert_true(fake_had_event(f, "Scaled up replica set web-"));
	all_available(f);
	fake_settle(f, "a", "web");
	assert_string_equal(progress(f), "NewReplicaSetAvailable");
	assert_str(json_str(json_at(condition_find(deployment(f), "Available"), "status")), "True");
	assert_int_equal(json_int(json_at(deployment(f), "status", "availableReplicas"), 0), 4);
	assert_int_equal(json_int(json_at(deployment(f), "status", "observedGeneration"), 0), 1);
	fake_free(f);
}

void test_deployment__rolls_and_rolls_back(void **state)
{
	struct fake *f = start();

	(void)state;
	roll_out(f);
	set_image(f, "two");
	fake_run(f, "a", "web");
	assert_int_equal(fake_count(f, &res_replicasets), 2);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 1);
	roll_out(f);
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 0);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 4);
	assert_str(meta_annotation(deployment(f), ANNOTATION_REVISION), "2");
	/* The old template again: the old ReplicaSet, under the newest number. */
	set_image(f, "one");
	roll_out(f);
	assert_int_equal(fake_count(f, &res_replicasets), 2);
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 4);
	assert_str(meta_annotation(rs_at(f, 0)->tree, ANNOTATION_REVISION), "3");
	assert_str(meta_annotation(rs_at(f, 0)->tree, ANNOTATION_HISTORY), "1");
	assert_str(meta_annotation(deployment(f), ANNOTATION_REVISION), "3");
	fake_free(f);
}

void test_deployment__keeps_so_much_history(void **state)
{
	struct fake *f = start();
	const char *const images[] = {"two", "three", "four", "five"};

	(void)state;
	roll_out(f);
	for (size_t i = 0; i < ARRAY_LEN(images); i++) {
		set_image(f, images[i]);
		roll_out(f);
	}
	assert_int_equal(fake_count(f, &res_replicasets), 3);
	assert_string_equal(image_of(f, rs_at(f, 0)->tree), "three");
	assert_string_equal(image_of(f, rs_at(f, 2)->tree), "five");
	fake_free(f);
}

void test_deployment__a_broken_image_stops_the_rollout(void **state)
{
	struct fake *f = start();

	(void)state;
	roll_out(f);
	set_image(f, "broken");
	for (int i = 0; i < 20; i++) {
		fake_run(f, "a", "web");
		report(f, rs_at(f, 0), spec_of(rs_at(f, 0)->tree));
		report(f, rs_at(f, 1), 0);
	}
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 3);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 2);
	assert_true(f->requeue_ns > 0);
	f->now_ns += 700 * NS_PER_S;
	fake_settle(f, "a", "web");
	assert_string_equal(progress(f), "ProgressDeadlineExceeded");
	assert_str(json_str(json_at(condition_find(deployment(f), "Progressing"), "status")),
		   "False");
	/* Healed by a good image; the broken pods went first. */
	set_image(f, "good");
	roll_out(f);
	assert_string_equal(progress(f), "NewReplicaSetAvailable");
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 0);
	fake_free(f);
}

void test_deployment__scales_in_proportion_during_a_rollout(void **state)
{
	struct fake *f = start();

	(void)state;
	fake_merge(f, &res_deployments, "a", "web",
		   "{'spec':{'replicas':10,'strategy':{'rollingUpdate':"
		   "{'maxSurge':3,'maxUnavailable':2}}}}");
	roll_out(f);
	set_image(f, "two");
	for (int i = 0; i < 5; i++) {
		fake_run(f, "a", "web");
		report(f, rs_at(f, 0), spec_of(rs_at(f, 0)->tree));
		if (fake_count(f, &res_replicasets) > 1)
			report(f, rs_at(f, 1), 0);
	}
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 8);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 5);
	fake_merge(f, &res_deployments, "a", "web", "{'spec':{'replicas':15}}");
	fake_run(f, "a", "web");
	/* 15 + 3 in all, shared as 8 : 5 was. */
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 11);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 7);
	fake_free(f);
}

void test_deployment__scaling_is_no_new_revision(void **state)
{
	struct fake *f = start();

	(void)state;
	roll_out(f);
	fake_merge(f, &res_deployments, "a", "web", "{'spec':{'replicas':0}}");
	roll_out(f);
	assert_int_equal(fake_count(f, &res_replicasets), 1);
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 0);
	fake_merge(f, &res_deployments, "a", "web", "{'spec':{'replicas':2}}");
	roll_out(f);
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 2);
	assert_str(meta_annotation(deployment(f), ANNOTATION_REVISION), "1");
	fake_free(f);
}

void test_deployment__paused_scales_but_does_not_roll(void **state)
{
	struct fake *f = start();

	(void)state;
	roll_out(f);
	fake_merge(f, &res_deployments, "a", "web", "{'spec':{'paused':true,'replicas':6}}");
	set_image(f, "two");
	roll_out(f);
	assert_int_equal(fake_count(f, &res_replicasets), 1);
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 6);
	assert_string_equal(progress(f), "DeploymentPaused");
	fake_merge(f, &res_deployments, "a", "web", "{'spec':{'paused':false}}");
	roll_out(f);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 6);
	fake_free(f);
}

void test_deployment__recreate_waits_for_the_old_pods(void **state)
{
	struct fake *f = start();
	const struct json *rs;

	(void)state;
	fake_merge(f, &res_deployments, "a", "web",
		   "{'spec':{'strategy':{'type':'Recreate','rollingUpdate':null}}}");
	roll_out(f);
	rs = rs_at(f, 0)->tree;
	fake_put(f, &res_pods,
		 json_build(&f->arena, "{s:s, s:s, s:{s:s, s:s, s:[o]}}", "apiVersion", "v1",
			    "kind", "Pod", "metadata", "name", "old", "namespace", "a",
			    "ownerReferences", meta_owner_ref(&f->arena, rs, true)));
	set_image(f, "two");
	roll_out(f);
	assert_int_equal(spec_of(rs_at(f, 0)->tree), 0);
	assert_int_equal(fake_count(f, &res_replicasets), 1);
	fake_remove(f, fake_find(f, &res_pods, STR("a"), STR("old")));
	roll_out(f);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 4);
	fake_free(f);
}

void test_deployment__a_strangers_name_is_avoided(void **state)
{
	struct fake *f = start(), *g = start();
	const char *name;
	char rs[300];

	(void)state;
	fake_run(g, "a", "web");
	name = arena_cstr(&g->arena, meta_name(rs_at(g, 0)->tree));
	snprintf(rs, sizeof(rs),
		 "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'%s',"
		 "'namespace':'a'},'spec':{'replicas':1}}",
		 name);
	fake_add(f, &res_replicasets, rs);
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_replicasets), 2);
	assert_int_equal(json_int(json_at(deployment(f), "status", "collisionCount"), 0), 1);
	fake_free(f);
	fake_free(g);
}

void test_deployment__zero_bounds_become_one_unavailable(void **state)
{
	struct fake *f = start();

	(void)state;
	fake_merge(f, &res_deployments, "a", "web",
		   "{'spec':{'strategy':{'rollingUpdate':{'maxSurge':0,'maxUnavailable':'10%'}}}}");
	roll_out(f);
	set_image(f, "two");
	roll_out(f);
	assert_int_equal(spec_of(rs_at(f, 1)->tree), 4);
	fake_free(f);
}

/* ---- a rollout keeps its bounds, whatever the pods do ---- */

static int64_t total(struct fake *f, bool available)
{
	int64_t sum = 0;

	for (size_t i = 0; i < fake_count(f, &res_replicasets); i++) {
		const struct json *rs = rs_at(f, i)->tree;

		sum += available ? MIN(json_int(json_at(rs, "status", "availableReplicas"), 0),
				       spec_of(rs))
				 : spec_of(rs);
	}
	return sum;
}

/* One ReplicaSet catches up by a random step; pods never break by themselves. */
static void step_replicaset(struct fake *f, struct rng *rng)
{
	struct fake_object *o = rs_at(f, rng_below(rng, fake_count(f, &res_replicasets)));
	int64_t have = json_int(json_at(o->tree, "status", "availableReplicas"), 0);
	int64_t most = spec_of(o->tree);

	if (have < most)
		have += (int64_t)rng_below(rng, (uint64_t)(most - have + 1));
	report(f, o, MIN(have, most));
}

void test_deployment__never_leaves_its_bounds(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 11);
	for (int round = 0; round < 60; round++) {
		struct fake *f = start();
		int64_t replicas = 1 + (int64_t)rng_below(&rng, 12), surge, unavailable;
		struct dep d;
		char patch[200];

		snprintf(patch, sizeof(patch),
			 "{'spec':{'replicas':%d,'strategy':{'rollingUpdate':"
			 "{'maxSurge':'%d%%','maxUnavailable':%d}}}}",
			 (int)replicas, (int)rng_below(&rng, 120), (int)rng_below(&rng, 4));
		fake_merge(f, &res_deployments, "a", "web", patch);
		roll_out(f);
		dep_init(&d, &(struct view){.arena = &f->arena}, deployment(f), NULL);
		surge = d.surge;
		unavailable = d.unavailable;
		for (int image = 0; image < 3; image++) {
			snprintf(patch, sizeof(patch), "image-%d", image);
			set_image(f, patch);
			for (int i = 0; i < 60; i++) {
				if (rng_below(&rng, 2))
					fake_run(f, "a", "web");
				else
					step_replicaset(f, &rng);
				assert_true(total(f, false) <= replicas + surge);
				assert_true(total(f, true) >= replicas - unavailable);
			}
		}
		roll_out(f);
		assert_string_equal(progress(f), "NewReplicaSetAvailable");
		fake_free(f);
	}
}
