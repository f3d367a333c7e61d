/* The ReplicaSet controller over plain lists. */
#include "fake.h"

#include "controllers/replicaset_core.h"
#include "lib/base/map.h"

extern const struct controller controller_replicaset;

#define RS                                                                                         \
	"{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'web','namespace':'a',"    \
	"'uid':'rs-1'},'spec':{'replicas':3,'selector':{'matchLabels':{'app':'web'}},"             \
	"'template':{'metadata':{'labels':{'app':'web','x':'y'}},"                                 \
	"'spec':{'containers':[{'name':'c','image':'i'}]}}}}"

static struct fake *start(const char *rs)
{
	struct fake *f = fake_new(&controller_replicaset);

	fake_add(f, &res_replicasets, rs);
	return f;
}

static void set_pod(struct fake *f, size_t i, const char *node, bool ready)
{
	size_t at = 0;
	char text[TIME_TEXT_MAX];

	for (size_t n = 0; n < f->n; n++) {
		if (f->v[n].r != &res_pods || at++ != i)
			continue;
		struct json *new = json_copy(&f->arena, f->v[n].tree);

		json_set_str(&f->arena, json_set_object(&f->arena, new, "spec"), "nodeName",
			     str_c(node));
		json_set(&f->arena, new, STR("status"),
			 json_build(&f->arena, "{s:s, s:[{s:s, s:s, s:S}]}", "phase", "Running",
				    "conditions", "type", "Ready", "status",
				    ready ? "True" : "False", "lastTransitionTime",
				    time_format(f->now_ns, text)));
		fake_stamp(f, new);
		f->v[n].tree = new;
		return;
	}
	fail_msg("no pod %zu", i);
}

static const struct json *status(struct fake *f)
{
	return json_at(fake_get(f, &res_replicasets, "a", "web"), "status");
}

void test_replicaset__creates_what_is_missing(void **state)
{
	struct fake *f = start(RS);
	const struct json *pod;

	(void)state;
	fake_run(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 3);
	assert_true(fake_had_event(f, "SuccessfulCreate: Created pod: web-"));
	pod = f->v[1].tree;
	assert_str(meta_label(pod, "x"), "y");
	assert_str(json_str(json_at(meta_controller(pod), "uid")), "rs-1");
	assert_str(json_str(json_at(json_item(json_at(pod, "spec", "containers"), 0), "image")),
		   "i");
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 3);
	assert_int_equal(json_int(json_at(status(f), "replicas"), -1), 3);
	assert_int_equal(json_int(json_at(status(f), "fullyLabeledReplicas"), -1), 3);
	assert_null(json_at(status(f), "readyReplicas"));
	fake_free(f);
}

/* Deciding twice on the same state asks for the same names. */
void test_replicaset__names_are_deterministic(void **state)
{
	struct fake *f = start(RS), *g = start(RS);

	(void)state;
	fake_run(f, "a", "web");
	fake_run(g, "a", "web");
	for (size_t i = 1; i <= 3; i++)
		assert_true(str_eq(meta_name(f->v[i].tree), meta_name(g->v[i].tree)));
	fake_free(f);
	fake_free(g);
}

void test_replicaset__names_are_new_for_each_number_only(void **state)
{
	struct fake *f = start(RS);
	const struct json *rs = fake_get(f, &res_replicasets, "a", "web");
	AUTO(arena) struct arena a = {0};
	AUTO(map) struct map seen = {0};
	size_t names = 0;

	(void)state;
	for (uint32_t n = 0; n < 5000; n += 7, names++)
		map_set(&seen, replicaset_pod_name(&a, rs, n), f);
	assert_int_equal(seen.n, names);
	fake_merge(f, &res_replicasets, "a", "web", "{'status':{'replicas':1}}");
	rs = fake_get(f, &res_replicasets, "a", "web");
	assert_true(map_has(&seen, replicaset_pod_name(&a, rs, 0)));
	fake_free(f);
}

/* The answer to a creation was lost, the pod isn't seen yet, the status was written meanwhile: the
 * same name again, which is refused, or there would be one pod too many. */
void test_replicaset__a_pod_that_is_not_seen_yet_is_asked_for_again(void **state)
{
	struct fake *f = start(RS);
	struct str last;

	(void)state;
	fake_settle(f, "a", "web");
	last = meta_name(f->v[f->n - 1].tree);
	fake_remove(f, &f->v[f->n - 1]);
	f->gone = 0; /* it never was there */
	fake_merge(f, &res_replicasets, "a", "web", "{'status':{'replicas':2}}");
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 3);
	assert_non_null(fake_find(f, &res_pods, STR("a"), last));
	fake_free(f);
}

/* Somebody may be waiting for the old name to disappear. */
void test_replicaset__what_follows_a_pod_that_is_gone_has_another_name(void **state)
{
	struct fake *f = start(RS);
	struct str gone[3];

	(void)state;
	fake_settle(f, "a", "web");
	for (size_t n = 0; n < 3; n++) {
		gone[n] = meta_name(f->v[f->n - 1].tree);
		fake_remove(f, &f->v[f->n - 1]);
		fake_settle(f, "a", "web");
		assert_int_equal(fake_count(f, &res_pods), 3);
		for (size_t i = 0; i <= n; i++)
			assert_null(fake_find(f, &res_pods, STR("a"), gone[i]));
	}
	fake_free(f);
}

void test_replicaset__replaces_a_terminating_pod_under_a_new_name(void **state)
{
	struct fake *f = start(RS);

	(void)state;
	fake_settle(f, "a", "web");
	f->graceful_pods = true;
	fake_merge(f, &res_pods, "a", meta_name(f->v[3].tree).p,
		   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 4);
	assert_int_equal(json_int(json_at(status(f), "replicas"), -1), 3);
	fake_free(f);
}

void test_replicaset__deletes_the_least_useful(void **state)
{
	struct fake *f = start(RS);
	struct str last;

	(void)state;
	fake_settle(f, "a", "web");
	set_pod(f, 0, "n1", true);
	set_pod(f, 1, "n1", false);
	set_pod(f, 2, "n2", true);
	last = meta_name(f->v[3].tree);
	fake_merge(f, &res_replicasets, "a", "web", "{'spec':{'replicas':2}}");
	fake_run(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 2);
	assert_true(pod_ready(f->v[1].tree) && pod_ready(f->v[2].tree));
	/* Both ready now: the one that stands alone on its node isn't doubled up. */
	fake_merge(f, &res_replicasets, "a", "web", "{'spec':{'replicas':3}}");
	fake_settle(f, "a", "web");
	set_pod(f, 2, "n1", true);
	fake_merge(f, &res_replicasets, "a", "web", "{'spec':{'replicas':1}}");
	fake_run(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 1);
	assert_true(str_eq(meta_name(f->v[1].tree), last));
	fake_free(f);
}

void test_replicaset__deletion_cost_decides_among_equals(void **state)
{
	struct fake *f = start(RS);
	struct str cheap;

	(void)state;
	fake_settle(f, "a", "web");
	for (size_t i = 0; i < 3; i++)
		set_pod(f, i, "n1", true);
	cheap = meta_name(f->v[2].tree);
	fake_merge(f, &res_pods, "a", cheap.p,
		   "{'metadata':{'annotations':"
		   "{'controller.kubernetes.io/pod-deletion-cost':'-5'}}}");
	fake_merge(f, &res_replicasets, "a", "web", "{'spec':{'replicas':2}}");
	fake_run(f, "a", "web");
	assert_null(fake_get(f, &res_pods, "a", cheap.p));
	fake_free(f);
}

void test_replicaset__adopts_and_releases(void **state)
{
	struct fake *f = start(RS);
	const struct json *pod;

	(void)state;
	fake_add(f, &res_pods,
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'stray','namespace':'a',"
		 "'labels':{'app':'web'}},'spec':{}}");
	fake_add(f, &res_pods,
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'other','namespace':'b',"
		 "'labels':{'app':'web'}},'spec':{}}");
	fake_settle(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 4);
	pod = fake_get(f, &res_pods, "a", "stray");
	assert_str(json_str(json_at(meta_controller(pod), "uid")), "rs-1");
	assert_null(meta_controller(fake_get(f, &res_pods, "b", "other")));
	/* Its labels change: let go, and replaced. */
	fake_merge(f, &res_pods, "a", "stray", "{'metadata':{'labels':{'app':'debug'}}}");
	fake_settle(f, "a", "web");
	assert_null(meta_controller(fake_get(f, &res_pods, "a", "stray")));
	assert_int_equal(fake_count(f, &res_pods), 5);
	fake_free(f);
}

void test_replicaset__available_after_min_ready_seconds(void **state)
{
	struct fake *f = start(RS);

	(void)state;
	fake_merge(f, &res_replicasets, "a", "web", "{'spec':{'minReadySeconds':10}}");
	fake_settle(f, "a", "web");
	for (size_t i = 0; i < 3; i++)
		set_pod(f, i, "n1", true);
	fake_run(f, "a", "web");
	assert_int_equal(json_int(json_at(status(f), "readyReplicas"), -1), 3);
	assert_null(json_at(status(f), "availableReplicas"));
	assert_int_equal(f->requeue_ns, 10 * NS_PER_S);
	f->now_ns += 10 * NS_PER_S;
	fake_run(f, "a", "web");
	assert_int_equal(json_int(json_at(status(f), "availableReplicas"), -1), 3);
	fake_free(f);
}

void test_replicaset__says_what_failed_and_forgets_it(void **state)
{
	struct fake *f = start(RS);
	struct err quota = {.code = ERR_FORBIDDEN, .msg = "exceeded quota"};
	const struct json *c;

	(void)state;
	f->failed = &quota;
	fake_run(f, "a", "web");
	c = condition_find(fake_get(f, &res_replicasets, "a", "web"), "ReplicaFailure");
	assert_str(json_str(json_at(c, "reason")), "FailedCreate");
	assert_str(json_str(json_at(c, "message")), "exceeded quota");
	assert_true(fake_had_event(f, "FailedCreate: Error creating: exceeded quota"));
	f->failed = NULL;
	fake_settle(f, "a", "web");
	assert_null(condition_find(fake_get(f, &res_replicasets, "a", "web"), "ReplicaFailure"));
	fake_free(f);
}

void test_replicaset__leaves_all_alone_while_it_is_deleted(void **state)
{
	struct fake *f = start(RS);

	(void)state;
	fake_merge(f, &res_replicasets, "a", "web",
		   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'}}");
	fake_run(f, "a", "web");
	assert_int_equal(fake_count(f, &res_pods), 0);
	fake_run(f, "a", "unknown");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

/* Whatever happens to the pods in between, it comes back to the number wanted. */
void test_replicaset__converges_from_any_state(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 7);
	for (int round = 0; round < 60; round++) {
		struct fake *f = start(RS);
		int64_t wanted = (int64_t)rng_below(&rng, 8);
		char patch[64];

		for (int step = 0; step < 8; step++) {
			size_t pods = fake_count(f, &res_pods);
			size_t at = 1 + (pods ? rng_below(&rng, pods) : 0);

			if (pods && rng_below(&rng, 3) == 0)
				fake_remove(f, &f->v[at]);
			else if (pods && rng_below(&rng, 2) == 0)
				fake_merge(f, &res_pods, "a", meta_name(f->v[at].tree).p,
					   "{'status':{'phase':'Failed'}}");
			fake_run(f, "a", "web");
		}
		snprintf(patch, sizeof(patch), "{'spec':{'replicas':%d}}", (int)wanted);
		fake_merge(f, &res_replicasets, "a", "web", patch);
		fake_settle(f, "a", "web");
		assert_int_equal(json_int(json_at(status(f), "replicas"), -1), wanted);
		fake_free(f);
	}
}
