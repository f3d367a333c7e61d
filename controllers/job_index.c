/*
 * Indexed Jobs whose indexes fail by themselves (backoffLimitPerIndex), and those that succeed by a
 * policy. The count of an index's failures travels in an annotation of its pods: the last failed
 * pod stays uncounted until its successor is there to carry the count on. Pure.
 */
#include "controllers/job_core.h"

#include "lib/base/pure.h"

#define FAILURES "batch.kubernetes.io/job-index-failure-count"
#define IGNORED "batch.kubernetes.io/job-index-ignored-failure-count"

enum { FAILURES_MAX = 1 << 30 };

static int64_t annotated(const struct json *pod, const char *key)
{
	int64_t n;

	if (str_to_i64(meta_annotation(pod, key), &n) || n < 0)
		return 0;
	return MIN(n, FAILURES_MAX);
}

static int64_t failures_so_far(const struct json *pod)
{
	return annotated(pod, FAILURES) + annotated(pod, IGNORED);
}

static bool index_has_failed(struct job *j, const struct json *pod)
{
	struct str action = job_failure_action(j, pod);

	if (str_is(action, "FailIndex"))
		return true;
	return !str_is(action, "Ignore") && annotated(pod, FAILURES) >= j->index_limit;
}

void job_index_look(struct job *j)
{
	bool *busy = arena_array(j->v->arena, (size_t)j->completions + 1, sizeof(bool));

	j->index_failed = arena_array(j->v->arena, (size_t)j->completions + 1, sizeof(bool));
	j->last_failed =
		arena_array(j->v->arena, (size_t)j->completions + 1, sizeof(*j->last_failed));
	job_indexes_parse(json_str(json_at(j->was, "status", "failedIndexes")), j->index_failed,
			  j->completions);
	for (size_t i = 0; i < j->pods.n; i++) {
		const struct json *pod = j->pods.v[i], **last;
		int64_t index = job_index_of(pod);

		if (index < 0 || index >= j->completions)
			continue;
		busy[index] |= pod_active(pod);
		if (!job_tracked(pod) || !job_pod_failed(j, pod))
			continue;
		if (index_has_failed(j, pod))
			j->index_failed[index] = true;
		last = &j->last_failed[index];
		if (!*last || failures_so_far(*last) < failures_so_far(pod))
			*last = pod;
	}
	for (int64_t i = 0; i < j->completions; i++)
		if (busy[i] || j->index_failed[i] || j->done[i] || j->over)
			j->last_failed[i] = NULL;
}

bool job_index_holds(const struct job *j, const struct json *pod)
{
	int64_t index = job_index_of(pod);

	return j->last_failed && index >= 0 && index < j->completions &&
	       j->last_failed[index] == pod;
}

void job_index_annotate(struct job *j, struct json *pod, int64_t index)
{
	const struct json *last = j->last_failed ? j->last_failed[index] : NULL;
	struct json *to = meta_set_object(j->v->arena, pod, "annotations");
	int64_t failures = last ? annotated(last, FAILURES) : 0,
		ignored = last ? annotated(last, IGNORED) : 0;

	if (!j->index_failed)
		return;
	if (last && str_is(job_failure_action(j, last), "Ignore"))
		ignored++;
	else if (last)
		failures++;
	json_set_str(j->v->arena, to, FAILURES,
		     arena_strf(j->v->arena, "%lld", (long long)failures));
	if (ignored)
		json_set_str(j->v->arena, to, IGNORED,
			     arena_strf(j->v->arena, "%lld", (long long)ignored));
}

int64_t job_index_wait_ns(const struct job *j, int64_t index)
{
	const struct json *last = j->last_failed ? j->last_failed[index] : NULL;

	return last ? job_backoff_after(failures_so_far(last) + 1, job_ended_ns(last), j->v->now_ns)
		    : 0;
}

static int64_t count_true(const bool *flags, int64_t n)
{
	int64_t found = 0;

	for (int64_t i = 0; i < n; i++)
		found += flags[i];
	return found;
}

const char *job_index_failure(const struct job *j, struct str *ret_message)
{
	const struct json *most = json_at(j->spec, "maxFailedIndexes");
	int64_t failed;

	if (!j->index_failed)
		return NULL;
	failed = count_true(j->index_failed, j->completions);
	if (most && failed > count_of(most, 0)) {
		*ret_message =
			STR("Job has exceeded the specified maximal number of failed indexes");
		return "MaxFailedIndexesExceeded";
	}
	if (failed && failed + count_true(j->done, j->completions) >= j->completions) {
		*ret_message = STR("Job has failed indexes");
		return "FailedIndexes";
	}
	return NULL;
}

static bool rule_is_met(const struct job *j, const struct json *rule)
{
	const struct json *listed = json_at(rule, "succeededIndexes"),
			  *count = json_at(rule, "succeededCount");
	bool *asked = arena_array(j->v->arena, (size_t)j->completions + 1, sizeof(bool));
	int64_t of = 0, met = 0;

	if (listed)
		job_indexes_parse(json_str(listed), asked, j->completions);
	for (int64_t i = 0; i < j->completions; i++) {
		if (listed && !asked[i])
			continue;
		of++;
		met += j->done[i];
	}
	if (!of || !met || (!listed && !count))
		return false;
	return (listed && met == of) || (count && met >= count_of(count, INT32_MAX));
}

bool job_success_policy(const struct job *j, struct str *ret_message)
{
	const struct json *rules = json_at(j->spec, "successPolicy", "rules");

	if (!j->indexed)
		return false;
	for (size_t i = 0; i < json_len(rules); i++) {
		if (!rule_is_met(j, json_item(rules, i)))
			continue;
		*ret_message = arena_strf(j->v->arena, "Matched rules at index %zu", i);
		return true;
	}
	return false;
}
