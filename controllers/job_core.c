/*
 * Counting a Job's pods exactly once, whoever deletes them: a pod that has ended is first noted in
 * status.uncountedTerminatedPods, then loses its finalizer, and is then added to the totals. A
 * crash at any point repeats a step, never a count. Pure.
 */
#include "controllers/job_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define BACKOFF_FIRST (10 * NS_PER_S)
#define BACKOFF_MAX (600 * NS_PER_S)

bool job_has(const struct json *job, const char *condition)
{
	return str_is(json_str(json_get(condition_find(job, condition), STR("status"))), "True");
}

/* ---- indexes ---- */

int64_t job_index_of(const struct json *pod)
{
	int64_t i;

	return str_to_i64(meta_annotation(pod, JOB_INDEX), &i) || i < 0 ? -1 : i;
}

void job_indexes_parse(struct str text, bool *flags, int64_t n)
{
	struct str part, first, last;
	int64_t done = -1;

	/* In order: however long the text is, no index is looked at twice. */
	while (str_next(&text, ',', &part)) {
		int64_t from, to;

		if (!str_cut(part, '-', &first, &last))
			first = last = part;
		if (str_to_i64(first, &from) || str_to_i64(last, &to))
			continue;
		for (int64_t i = MAX(from, done + 1); i <= to && i < n; i++) {
			flags[i] = true;
			done = i;
		}
	}
}

struct str job_indexes_text(struct arena *a, const bool *flags, int64_t n)
{
	AUTO(buf) struct buf out = {0};

	for (int64_t i = 0; i < n; i++) {
		int64_t from = i;

		if (!flags[i])
			continue;
		while (i + 1 < n && flags[i + 1])
			i++;
		buf_printf(&out, "%s%lld", out.n ? "," : "", (long long)from);
		if (i > from)
			buf_printf(&out, "%c%lld", i == from + 1 ? ',' : '-', (long long)i);
	}
	return arena_str(a, buf_view(&out));
}

/* ---- finalizers ---- */

bool job_tracked(const struct json *pod)
{
	const struct json *all = json_at(pod, "metadata", "finalizers");

	for (size_t i = 0; i < json_len(all); i++)
		if (str_is(json_str(json_item(all, i)), JOB_TRACKING))
			return true;
	return false;
}

void job_let_go(const struct view *v, struct plan *p, const struct json *pod)
{
	struct json *rest = json_copy(v->arena, json_at(pod, "metadata", "finalizers"));

	if (!job_tracked(pod))
		return;
	for (size_t i = json_len(rest); i-- > 0;)
		if (str_is(json_str(json_item(rest, i)), JOB_TRACKING))
			json_remove(rest, i);
	plan_patch(p, &res_pods, pod, NULL,
		   json_build(v->arena, "{s:{s:S, s:S, s:o}}", "metadata", "uid", meta_uid(pod),
			      "resourceVersion",
			      json_str(json_at(pod, "metadata", "resourceVersion")), "finalizers",
			      rest));
	p->last->ignore_not_found = true;
}

/* ---- what has ended ---- */

bool job_waits_for_ends(const struct job *j)
{
	return str_is(json_str(json_at(j->spec, "podReplacementPolicy")), "Failed") ||
	       json_at(j->spec, "podFailurePolicy");
}

bool job_pod_failed(const struct job *j, const struct json *pod)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	if (str_is(phase, "Failed"))
		return true;
	return meta_deleting(pod) && !str_is(phase, "Succeeded") && !job_waits_for_ends(j);
}

static bool has_succeeded(const struct json *pod)
{
	return str_is(json_str(json_at(pod, "status", "phase")), "Succeeded");
}

static const struct json *exit_code_matches(const struct json *rule, const struct json *statuses)
{
	const struct json *want = json_at(rule, "onExitCodes"), *values = json_at(want, "values");
	struct str only = json_str(json_at(want, "containerName"));
	bool in = str_is(json_str(json_at(want, "operator")), "In");

	for (size_t i = 0; i < json_len(statuses); i++) {
		const struct json *c = json_item(statuses, i);
		int64_t code = json_int(json_at(c, "state", "terminated", "exitCode"), 0);
		bool listed = false;

		if (!code || (only.n && !str_eq(only, json_str(json_at(c, "name")))))
			continue;
		for (size_t k = 0; k < json_len(values); k++)
			listed |= json_int(json_item(values, k), -1) == code;
		if (listed == in)
			return c;
	}
	return NULL;
}

static const struct json *condition_matches(const struct job *j, const struct json *rule,
					    const struct json *pod)
{
	const struct json *all = json_at(rule, "onPodConditions");

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *want = json_item(all, i), *have;

		have = condition_find(pod,
				      arena_cstr(j->v->arena, json_str(json_at(want, "type"))));
		if (have && str_eq(json_str(json_at(have, "status")),
				   json_str_or(json_at(want, "status"), STR("True"))))
			return have;
	}
	return NULL;
}

/* Says in *ret what the rule saw. */
static bool rule_matches(struct job *j, const struct json *rule, const struct json *pod,
			 struct str *ret)
{
	const struct json *hit;

	if (json_at(rule, "onExitCodes")) {
		hit = exit_code_matches(rule, json_at(pod, "status", "containerStatuses"));
		if (!hit)
			hit = exit_code_matches(rule,
						json_at(pod, "status", "initContainerStatuses"));
		if (hit)
			*ret = arena_strf(
				j->v->arena,
				"Container %.*s for pod %.*s/%.*s failed with exit code %lld",
				STR_ARG(json_str(json_at(hit, "name"))),
				STR_ARG(meta_namespace(pod)), STR_ARG(meta_name(pod)),
				(long long)json_int(json_at(hit, "state", "terminated", "exitCode"),
						    0));
		return hit != NULL;
	}
	hit = condition_matches(j, rule, pod);
	if (hit)
		*ret = arena_strf(j->v->arena, "Pod %.*s/%.*s has condition %.*s",
				  STR_ARG(meta_namespace(pod)), STR_ARG(meta_name(pod)),
				  STR_ARG(json_str(json_at(hit, "type"))));
	return hit != NULL;
}

struct str job_failure_action(struct job *j, const struct json *pod)
{
	const struct json *rules = json_at(j->spec, "podFailurePolicy", "rules");
	struct str seen;

	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *rule = json_item(rules, i);
		struct str action = json_str(json_at(rule, "action"));

		if (!rule_matches(j, rule, pod, &seen))
			continue;
		if (str_is(action, "FailJob"))
			j->ends = arena_strf(j->v->arena, "%.*s matching FailJob rule at index %zu",
					     STR_ARG(seen), i);
		return action;
	}
	return STR("Count");
}

/* ---- counting ---- */

struct ledger {
	struct json *succeeded, *failed; /* uids noted and not yet counted */
};

static bool noted(const struct json *list, struct str uid)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_item(list, i)), uid))
			return true;
	return false;
}

static const struct json *by_uid(const struct job *j, struct str uid)
{
	for (size_t i = 0; i < j->pods.n; i++)
		if (str_eq(meta_uid(j->pods.v[i]), uid))
			return j->pods.v[i];
	return NULL;
}

/* Noted pods that have lost their finalizer go into the total; the rest is tried again. */
static int64_t settle(struct job *j, struct json *list)
{
	int64_t n = 0;

	for (size_t i = json_len(list); i-- > 0;) {
		const struct json *pod = by_uid(j, json_str(json_item(list, i)));

		if (pod && job_tracked(pod)) {
			trees_add(j->v->arena, &j->count_now, pod);
			continue;
		}
		json_remove(list, i);
		n++;
	}
	return n;
}

static void note(struct job *j, struct json *list, const struct json *pod)
{
	json_append_str(j->v->arena, list, meta_uid(pod));
	trees_add(j->v->arena, &j->count_now, pod);
}

static void note_success(struct job *j, struct ledger *l, const struct json *pod)
{
	if (j->indexed)
		trees_add(j->v->arena, &j->count_now, pod); /* completedIndexes is the count */
	else
		note(j, l->succeeded, pod);
}

/* A failed pod that isn't counted yet. */
static void note_failure(struct job *j, struct ledger *l, const struct json *pod)
{
	bool ignored = str_is(job_failure_action(j, pod), "Ignore");

	if (job_index_holds(j, pod)) {
		j->held = true;
		j->failed += !ignored;
	} else if (ignored) {
		trees_add(j->v->arena, &j->count_now, pod);
	} else {
		note(j, l->failed, pod);
	}
}

static void sort_out(struct job *j, struct ledger *l)
{
	for (size_t i = 0; i < j->pods.n; i++) {
		const struct json *pod = j->pods.v[i];
		bool counts = job_tracked(pod) && !noted(l->succeeded, meta_uid(pod)) &&
			      !noted(l->failed, meta_uid(pod));

		j->terminating += meta_deleting(pod) && !pod_finished(pod);
		if (has_succeeded(pod)) {
			if (counts)
				note_success(j, l, pod);
		} else if (job_pod_failed(j, pod)) {
			if (counts)
				note_failure(j, l, pod);
		} else if (!meta_deleting(pod)) {
			trees_add(j->v->arena, &j->active, pod);
			j->ready += pod_ready(pod);
		}
	}
}

/* An index that has succeeded isn't run again. Seen before failures are looked at. */
static void mark_done(struct job *j)
{
	for (size_t i = 0; i < j->pods.n; i++) {
		int64_t index = job_index_of(j->pods.v[i]);

		if (has_succeeded(j->pods.v[i]) && job_tracked(j->pods.v[i]) && index >= 0 &&
		    index < j->completions)
			j->done[index] = true;
	}
}

static void read_wanted(struct job *j)
{
	j->spec = json_at(j->was, "spec");
	j->parallelism = count_of(json_at(j->spec, "parallelism"), 1);
	j->completions =
		json_at(j->spec, "completions") ? count_of(json_at(j->spec, "completions"), 1) : -1;
	j->backoff_limit = count_of(json_at(j->spec, "backoffLimit"), 6);
	j->suspended = json_bool(json_at(j->spec, "suspend"), false);
	j->indexed = str_is(json_str(json_at(j->spec, "completionMode")), "Indexed") &&
		     j->completions >= 0 && j->completions <= JOB_INDEXES_MAX;
	j->index_limit = count_of(json_at(j->spec, "backoffLimitPerIndex"), -1);
	j->over = job_has(j->was, "FailureTarget") || job_has(j->was, "SuccessCriteriaMet");
}

static void set_count(struct job *j, const char *field, int64_t n)
{
	if (n)
		json_set_int(j->v->arena, j->status, field, n);
	else
		json_del(j->status, str_c(field));
}

static void write_counts(struct job *j, const struct ledger *l, int64_t succeeded, int64_t failed)
{
	struct arena *a = j->v->arena;
	struct json *uncounted;

	set_count(j, "succeeded", succeeded);
	set_count(j, "failed", failed);
	set_count(j, "active", (int64_t)j->active.n);
	json_set_int(a, j->status, "ready", j->ready);
	json_set_int(a, j->status, "terminating", j->terminating);
	uncounted = json_set_object(a, j->status, "uncountedTerminatedPods");
	uncounted->n = 0;
	if (json_len(l->succeeded))
		json_set(a, uncounted, STR("succeeded"), l->succeeded);
	if (json_len(l->failed))
		json_set(a, uncounted, STR("failed"), l->failed);
	if (j->indexed) {
		struct str text = job_indexes_text(a, j->done, j->completions);

		if (text.n)
			json_set_str(a, j->status, "completedIndexes", text);
		else
			json_del(j->status, STR("completedIndexes"));
	}
	if (j->index_failed)
		json_set_str(a, j->status, "failedIndexes",
			     job_indexes_text(a, j->index_failed, j->completions));
}

static struct json *list_of(struct job *j, const char *field)
{
	const struct json *v =
		json_get(json_at(j->was, "status", "uncountedTerminatedPods"), str_c(field));

	return v ? json_copy(j->v->arena, v) : json_new(j->v->arena, JSON_ARRAY);
}

void job_look(struct job *j)
{
	struct ledger l = {list_of(j, "succeeded"), list_of(j, "failed")};
	int64_t succeeded = count_of(json_at(j->was, "status", "succeeded"), 0),
		failed = count_of(json_at(j->was, "status", "failed"), 0);

	read_wanted(j);
	j->new = json_copy(j->v->arena, j->was);
	j->status = json_set_object(j->v->arena, j->new, "status");
	if (j->indexed) {
		j->done = arena_array(j->v->arena, (size_t)j->completions + 1, sizeof(bool));
		job_indexes_parse(json_str(json_at(j->status, "completedIndexes")), j->done,
				  j->completions);
		mark_done(j);
		if (json_at(j->spec, "backoffLimitPerIndex"))
			job_index_look(j);
	}
	succeeded += settle(j, l.succeeded);
	failed += settle(j, l.failed);
	sort_out(j, &l);
	if (j->indexed) {
		succeeded = 0;
		for (int64_t i = 0; i < j->completions; i++)
			succeeded += j->done[i];
	}
	write_counts(j, &l, succeeded, failed);
	j->succeeded = succeeded + (int64_t)json_len(l.succeeded);
	j->failed += failed + (int64_t)json_len(l.failed);
	j->all_counted =
		!j->held && !json_len(l.succeeded) && !json_len(l.failed) && !j->count_now.n;
}

/* ---- backing off ---- */

int64_t job_ended_ns(const struct json *pod)
{
	const struct json *all = json_at(pod, "status", "containerStatuses");
	int64_t last = meta_created_ns(pod);

	for (size_t i = 0; i < json_len(all); i++)
		last = MAX(last, meta_time_ns(json_at(json_item(all, i), "state", "terminated",
						      "finishedAt")));
	return last;
}

int64_t job_backoff_after(int64_t failures, int64_t last_ns, int64_t now_ns)
{
	int64_t wait = BACKOFF_FIRST;

	for (int64_t i = 1; i < failures && wait < BACKOFF_MAX; i++)
		wait *= 2;
	return MAX(last_ns + MIN(wait, BACKOFF_MAX) - now_ns, 0);
}

/* Ten seconds after the first failure, twice as long after each that follows without a success. */
int64_t job_backoff_ns(const struct job *j)
{
	int64_t last_success = 0, last_failure = 0, failures = 0;

	if (j->index_failed) /* each index waits for itself */
		return 0;
	for (size_t i = 0; i < j->pods.n; i++)
		if (has_succeeded(j->pods.v[i]))
			last_success = MAX(last_success, job_ended_ns(j->pods.v[i]));
	for (size_t i = 0; i < j->pods.n; i++) {
		const struct json *pod = j->pods.v[i];

		if (!str_is(json_str(json_at(pod, "status", "phase")), "Failed") ||
		    job_ended_ns(pod) <= last_success)
			continue;
		failures++;
		last_failure = MAX(last_failure, job_ended_ns(pod));
	}
	return failures ? job_backoff_after(failures, last_failure, j->v->now_ns) : 0;
}
