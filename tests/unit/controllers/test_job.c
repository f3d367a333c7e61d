/* The Job controller over plain lists. */
#include "fake.h"

#include "controllers/job_core.h"

extern const struct controller controller_job;

#define JOB                                                                                        \
	"{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'sum','namespace':'a','uid':"    \
	"'j-1'},'spec':{'parallelism':2,'completions':3,'backoffLimit':2,'completionMode':"        \
	"'NonIndexed','selector':{'matchLabels':{'uid':'j-1'}},'template':{'metadata':{'labels':"  \
	"{'uid':'j-1'}},'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':"        \
	"'i'}]}}}}"

static struct fake *start(const char *patch)
{
	struct fake *f = fake_new(&controller_job);

	fake_add(f, &res_jobs, JOB);
	if (patch)
		fake_merge(f, &res_jobs, "a", "sum", patch);
	fake_settle(f, "a", "sum");
	return f;
}

static const struct json *status(struct fake *f)
{
	return json_at(fake_get(f, &res_jobs, "a", "sum"), "status");
}

static int64_t count(struct fake *f, const char *field)
{
	return json_int(json_get(status(f), str_c(field)), 0);
}

static bool has(struct fake *f, const char *condition)
{
	return job_has(fake_get(f, &res_jobs, "a", "sum"), condition);
}

/* The n-th pod that still runs ends in `phase`. */
static void finish(struct fake *f, const char *phase)
{
	char patch[300], text[TIME_TEXT_MAX];

	snprintf(patch, sizeof(patch),
		 "{'status':{'phase':'%s','containerStatuses':[{'name':'c','state':{'terminated':"
		 "{'exitCode':%d,'finishedAt':'%s'}}}]}}",
		 phase, strcmp(phase, "Succeeded") ? 42 : 0, time_format(f->now_ns, text).p);
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].r != &res_pods || pod_finished(f->v[i].tree))
			continue;
		fake_merge(f, &res_pods, "a", arena_cstr(&f->arena, meta_name(f->v[i].tree)),
			   patch);
		break;
	}
	fake_settle(f, "a", "sum");
}

static size_t running(struct fake *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].r == &res_pods && pod_active(f->v[i].tree);
	return n;
}

static size_t tracked(struct fake *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].r == &res_pods && job_tracked(f->v[i].tree);
	return n;
}

void test_job__runs_so_many_at_a_time_until_enough_succeeded(void **state)
{
	struct fake *f = start(NULL);

	(void)state;
	assert_int_equal(running(f), 2);
	finish(f, "Succeeded");
	assert_int_equal(running(f), 2);
	finish(f, "Succeeded");
	assert_int_equal(running(f), 1);
	finish(f, "Succeeded");
	assert_int_equal(running(f), 0);
	assert_true(has(f, "Complete"));
	assert_int_equal(count(f, "succeeded"), 3);
	assert_int_equal(count(f, "active"), 0);
	assert_int_equal(tracked(f), 0);
	assert_true(json_str(json_at(status(f), "completionTime")).n > 0);
	fake_free(f);
}

/* Who deletes an ended pod before it was counted cannot: the finalizer holds it. */
void test_job__an_end_is_counted_once_whatever_happens_to_the_pod(void **state)
{
	struct fake *f = start(NULL);

	(void)state;
	finish(f, "Succeeded");
	assert_int_equal(count(f, "succeeded"), 1);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_pods && pod_finished(f->v[i].tree)) {
			assert_false(job_tracked(f->v[i].tree));
			fake_remove(f, &f->v[i]);
			break;
		}
	fake_settle(f, "a", "sum");
	assert_int_equal(count(f, "succeeded"), 1);
	assert_int_equal(running(f), 2);
	fake_free(f);
}

/* A failure that isn't counted leaves no trace but that a pod has gone: who evicted the pod waits
 * for its name to be gone. */
void test_job__the_next_attempt_at_an_index_has_another_name(void **state)
{
	struct fake *f = start("{'spec':{'parallelism':1,'completions':1,'backoffLimit':0,"
			       "'completionMode':'Indexed','podReplacementPolicy':'Failed',"
			       "'podFailurePolicy':{'rules':[{'action':'Ignore','onExitCodes':{"
			       "'operator':'In','values':[42]}}]}}}");
	struct str first = meta_name(f->v[1].tree);

	(void)state;
	assert_int_equal(running(f), 1);
	finish(f, "Failed");
	fake_remove(f, fake_find(f, &res_pods, STR("a"), first));
	f->now_ns += 60 * NS_PER_S;
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 1);
	assert_null(fake_find(f, &res_pods, STR("a"), first));
	fake_free(f);
}

void test_job__failures_wait_longer_each_time_and_end_it(void **state)
{
	struct fake *f = start("{'spec':{'parallelism':1,'completions':1}}");

	(void)state;
	finish(f, "Failed");
	assert_int_equal(running(f), 0);
	assert_int_equal(f->requeue_ns, 10 * NS_PER_S);
	f->now_ns += 10 * NS_PER_S;
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 1);
	finish(f, "Failed");
	assert_int_equal(f->requeue_ns, 20 * NS_PER_S);
	f->now_ns += 20 * NS_PER_S;
	fake_settle(f, "a", "sum");
	finish(f, "Failed");
	assert_true(has(f, "Failed"));
	assert_int_equal(count(f, "failed"), 3);
	assert_str(json_str(json_at(condition_find(fake_get(f, &res_jobs, "a", "sum"), "Failed"),
				    "reason")),
		   "BackoffLimitExceeded");
	fake_free(f);
}

void test_job__a_deadline_ends_it_and_its_pods(void **state)
{
	struct fake *f = start("{'spec':{'activeDeadlineSeconds':60}}");

	(void)state;
	assert_int_equal(f->requeue_ns, 60 * NS_PER_S);
	f->now_ns += 61 * NS_PER_S;
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 0);
	assert_true(has(f, "Failed"));
	fake_free(f);
}

void test_job__indexes_are_each_done_once(void **state)
{
	struct fake *f =
		start("{'spec':{'completionMode':'Indexed','completions':4,'parallelism':4}}");
	bool seen[4] = {false};

	(void)state;
	assert_int_equal(running(f), 4);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_pods)
			seen[job_index_of(f->v[i].tree)] = true;
	assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
	finish(f, "Succeeded");
	finish(f, "Succeeded");
	assert_str(json_str(json_at(status(f), "completedIndexes")), "0,1");
	finish(f, "Succeeded");
	finish(f, "Succeeded");
	assert_str(json_str(json_at(status(f), "completedIndexes")), "0-3");
	assert_int_equal(count(f, "succeeded"), 4);
	assert_true(has(f, "Complete"));
	fake_free(f);
}

void test_job__suspended_it_has_no_pods(void **state)
{
	struct fake *f = start("{'spec':{'suspend':true}}");

	(void)state;
	assert_int_equal(running(f), 0);
	assert_true(has(f, "Suspended"));
	assert_null(json_at(status(f), "startTime"));
	fake_merge(f, &res_jobs, "a", "sum", "{'spec':{'suspend':false}}");
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 2);
	assert_false(has(f, "Suspended"));
	/* Whom it ends itself it doesn't count, however long they take and whatever they say. */
	fake_merge(f, &res_jobs, "a", "sum", "{'spec':{'suspend':true,'backoffLimit':0}}");
	fake_settle(f, "a", "sum");
	assert_int_equal(tracked(f), 0);
	assert_int_equal(count(f, "failed"), 0);
	assert_false(has(f, "FailureTarget"));
	fake_free(f);
}

void test_job__a_policy_may_fail_it_at_once(void **state)
{
	struct fake *f =
		start("{'spec':{'podFailurePolicy':{'rules':[{'action':'FailJob','onExitCodes':"
		      "{'operator':'In','values':[42]}}]}}}");

	(void)state;
	finish(f, "Failed");
	assert_true(has(f, "Failed"));
	assert_int_equal(running(f), 0);
	fake_free(f);
}

void test_job__goes_when_its_time_is_up(void **state)
{
	struct fake *f = start("{'spec':{'completions':1,'ttlSecondsAfterFinished':30}}");

	(void)state;
	finish(f, "Succeeded");
	fake_run(f, "a", "sum");
	assert_true(has(f, "Complete"));
	assert_int_equal(f->requeue_ns, 30 * NS_PER_S);
	f->now_ns += 31 * NS_PER_S;
	fake_settle(f, "a", "sum");
	assert_null(fake_get(f, &res_jobs, "a", "sum"));
	fake_free(f);
}

void test_job__pods_of_a_job_that_is_gone_are_let_go(void **state)
{
	struct fake *f = start(NULL);

	(void)state;
	assert_int_equal(tracked(f), 2);
	fake_remove(f, fake_find(f, &res_jobs, STR("a"), STR("sum")));
	fake_settle(f, "a", "sum");
	assert_int_equal(tracked(f), 0);
	fake_free(f);
}

void test_job__indexes_as_text(void **state)
{
	AUTO(arena) struct arena a = {0};
	bool flags[10] = {false};

	(void)state;
	job_indexes_parse(STR("0,2-4,9,77,x,-1"), flags, 10);
	assert_str(job_indexes_text(&a, flags, 10), "0,2-4,9");
}

/* ---- indexes by themselves ---- */

#define INDEXED "'completionMode':'Indexed'"

static const struct json *pod_of_index(struct fake *f, int64_t index)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_pods && pod_active(f->v[i].tree) &&
		    job_index_of(f->v[i].tree) == index)
			return f->v[i].tree;
	return NULL;
}

static void end_index(struct fake *f, int64_t index, const char *phase)
{
	const struct json *pod = pod_of_index(f, index);
	char patch[300], text[TIME_TEXT_MAX];

	assert_non_null(pod);
	snprintf(patch, sizeof(patch),
		 "{'status':{'phase':'%s','containerStatuses':[{'name':'c','state':{'terminated':"
		 "{'exitCode':%d,'finishedAt':'%s'}}}]}}",
		 phase, strcmp(phase, "Succeeded") ? 42 : 0, time_format(f->now_ns, text).p);
	fake_merge(f, &res_pods, "a", arena_cstr(&f->arena, meta_name(pod)), patch);
	fake_settle(f, "a", "sum");
}

static bool condition_is(struct fake *f, const char *type, const char *reason)
{
	const struct json *c = condition_find(fake_get(f, &res_jobs, "a", "sum"), type);

	return str_is(json_str(json_at(c, "status")), "True") &&
	       str_is(json_str(json_at(c, "reason")), reason);
}

void test_job__an_index_that_fails_too_often_fails_alone(void **state)
{
	struct fake *f = start("{'spec':{" INDEXED ",'backoffLimit':100,'completions':2,"
			       "'backoffLimitPerIndex':1}}");
	const struct json *pod;

	(void)state;
	assert_true(str_is(
		meta_annotation(pod_of_index(f, 0), "batch.kubernetes.io/job-index-failure-count"),
		"0"));
	end_index(f, 0, "Failed");
	assert_null(pod_of_index(f, 0)); /* not before its time */
	assert_int_equal(tracked(f), 2);
	f->now_ns += 11 * NS_PER_S;
	fake_settle(f, "a", "sum");
	pod = pod_of_index(f, 0);
	assert_non_null(pod);
	assert_true(
		str_is(meta_annotation(pod, "batch.kubernetes.io/job-index-failure-count"), "1"));
	assert_int_equal(count(f, "failed"), 1);
	end_index(f, 0, "Failed");
	assert_true(str_is(json_str(json_at(status(f), "failedIndexes")), "0"));
	assert_false(has(f, "Failed"));
	end_index(f, 1, "Succeeded");
	assert_true(condition_is(f, "Failed", "FailedIndexes"));
	assert_true(str_is(json_str(json_at(status(f), "completedIndexes")), "1"));
	assert_int_equal(count(f, "failed"), 2);
	assert_int_equal(count(f, "succeeded"), 1);
	assert_int_equal(tracked(f), 0);
	fake_free(f);
}

void test_job__too_many_failed_indexes_end_it(void **state)
{
	struct fake *f = start("{'spec':{" INDEXED ",'backoffLimit':100,'completions':4,"
			       "'parallelism':4,'backoffLimitPerIndex':0,'maxFailedIndexes':1}}");

	(void)state;
	end_index(f, 2, "Failed");
	assert_false(has(f, "FailureTarget"));
	end_index(f, 0, "Failed");
	assert_true(condition_is(f, "Failed", "MaxFailedIndexesExceeded"));
	assert_int_equal(running(f), 0);
	assert_int_equal(tracked(f), 0);
	fake_free(f);
}

void test_job__a_policy_fails_an_index_at_once(void **state)
{
	struct fake *f = start(
		"{'spec':{" INDEXED ",'completions':2,'backoffLimitPerIndex':5,'backoffLimit':100,"
		"'podFailurePolicy':{'rules':[{'action':'FailIndex','onExitCodes':{'operator':'In',"
		"'values':[42]}}]}}}");

	(void)state;
	end_index(f, 1, "Failed");
	assert_true(str_is(json_str(json_at(status(f), "failedIndexes")), "1"));
	fake_free(f);
}

void test_job__a_policy_fails_the_job_and_says_why(void **state)
{
	struct fake *f =
		start("{'spec':{'podFailurePolicy':{'rules':[{'action':'FailJob','onExitCodes':{"
		      "'operator':'In','values':[42]}}]}}}");
	const struct json *c;

	(void)state;
	finish(f, "Failed");
	c = condition_find(fake_get(f, &res_jobs, "a", "sum"), "FailureTarget");
	assert_true(str_is(json_str(json_at(c, "reason")), "PodFailurePolicy"));
	assert_true(str_starts(json_str(json_at(c, "message")), STR("Container c for pod a/sum-")));
	assert_true(str_ends(json_str(json_at(c, "message")),
			     STR(" failed with exit code 42 matching FailJob rule at index 0")));
	fake_free(f);
}

void test_job__success_by_policy_ends_the_rest(void **state)
{
	struct fake *f =
		start("{'spec':{" INDEXED ",'completions':3,'parallelism':3,'successPolicy':{"
		      "'rules':[{'succeededIndexes':'0-1','succeededCount':1}]}}}");

	(void)state;
	end_index(f, 2, "Succeeded");
	assert_false(has(f, "SuccessCriteriaMet"));
	end_index(f, 1, "Succeeded");
	assert_true(condition_is(f, "Complete", "SuccessPolicy"));
	assert_int_equal(running(f), 0);
	assert_int_equal(tracked(f), 0);
	assert_int_equal(count(f, "succeeded"), 2);
	fake_free(f);
}

/* Fewer indexes than before: the pods of those beyond go, and no others. */
void test_job__an_indexed_job_shrinks_and_grows(void **state)
{
	struct fake *f = start("{'spec':{" INDEXED ",'completions':4,'parallelism':4}}");

	(void)state;
	assert_int_equal(running(f), 4);
	fake_merge(f, &res_jobs, "a", "sum", "{'spec':{'completions':2,'parallelism':2}}");
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 2);
	assert_non_null(pod_of_index(f, 0));
	assert_non_null(pod_of_index(f, 1));
	fake_merge(f, &res_jobs, "a", "sum", "{'spec':{'completions':3,'parallelism':3}}");
	fake_settle(f, "a", "sum");
	f->now_ns += 60 * NS_PER_S;
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 3);
	assert_non_null(pod_of_index(f, 2));
	fake_free(f);
}

/* A pod that is let go must not keep what only its Job would take away. */
void test_job__adopts_and_releases_with_the_finalizer(void **state)
{
	struct fake *f = start(NULL);
	const char *name = NULL;

	(void)state;
	for (size_t i = 0; i < f->n && !name; i++)
		if (f->v[i].r == &res_pods)
			name = arena_cstr(&f->arena, meta_name(f->v[i].tree));
	fake_merge(f, &res_pods, "a", name, "{'metadata':{'labels':{'uid':'x'}}}");
	fake_settle(f, "a", "sum");
	assert_false(job_tracked(fake_get(f, &res_pods, "a", name)));
	assert_null(meta_controller(fake_get(f, &res_pods, "a", name)));
	assert_int_equal(running(f), 3);
	fake_merge(f, &res_pods, "a", name, "{'metadata':{'labels':{'uid':'j-1'}}}");
	fake_settle(f, "a", "sum");
	assert_int_equal(running(f), 2);
	assert_int_equal(count(f, "active"), 2);
	fake_free(f);
}

static const char *some_pod(struct fake *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_pods && pod_active(f->v[i].tree))
			return arena_cstr(&f->arena, meta_name(f->v[i].tree));
	return NULL;
}

/* Told to wait, it makes no new pod while the old one may still be at work. */
void test_job__waits_for_the_end_where_asked(void **state)
{
	static const char *const policies[] = {"TerminatingOrFailed", "Failed"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct fake *f = start(NULL);
		const char *name = some_pod(f);

		fake_merge(f, &res_jobs, "a", "sum",
			   arena_printf(&f->arena, "{'spec':{'podReplacementPolicy':'%s'}}",
					policies[i]));
		fake_merge(f, &res_pods, "a", name,
			   "{'metadata':{'deletionTimestamp':'2023-01-01T00:00:00Z'},'spec':{"
			   "'nodeName':'n'}}");
		fake_settle(f, "a", "sum");
		assert_int_equal(running(f), i ? 1 : 2);
		assert_int_equal(count(f, "terminating"), 1);
		assert_int_equal(count(f, "failed"), i ? 0 : 1);
		fake_merge(f, &res_pods, "a", name, "{'status':{'phase':'Failed'}}");
		f->now_ns += 60 * NS_PER_S;
		fake_settle(f, "a", "sum");
		assert_int_equal(running(f), 2);
		assert_int_equal(count(f, "failed"), 1);
		fake_free(f);
	}
}
