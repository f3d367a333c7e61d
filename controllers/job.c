/*
 * Job: pods until so many of them have succeeded, or too many failed. Pure; see job_core.c for
 * what is counted and how.
 */
#include "controllers/job_core.h"
#include "controllers/replicaset_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define INDEX_JOB "job" /* pods by the namespace and name of the Job that controls them */

enum { BURST = 500 }; /* creations in one plan */

static void set_time(struct job *j, const char *field)
{
	char text[TIME_TEXT_MAX];

	json_set_str(j->v->arena, j->status, field, time_format(j->v->now_ns, text));
}

static bool set_condition(struct job *j, const char *type, const char *status, const char *reason,
			  struct str message)
{
	return condition_set(j->v->arena, j->new, type, status, reason, message, j->v->now_ns);
}

static int by_index(const void *pa, const void *pb)
{
	int64_t a = job_index_of(*(const struct json *const *)pa),
		b = job_index_of(*(const struct json *const *)pb);

	return (a > b) - (a < b);
}

/* Pods of an index that isn't asked for, or has another pod already, come first; returns how many
 * they are. */
static int64_t misfits_first(struct job *j)
{
	struct trees misfits = {0}, rest = {0};

	qsort(j->active.v, j->active.n, sizeof(*j->active.v), by_index);
	for (size_t i = 0; i < j->active.n; i++) {
		int64_t index = job_index_of(j->active.v[i]);
		bool same = rest.n && job_index_of(rest.v[rest.n - 1]) == index;
		bool fits = index >= 0 && index < j->completions && !same;

		trees_add(j->v->arena, fits ? &rest : &misfits, j->active.v[i]);
	}
	if (rest.n)
		replicaset_rank(j->v, &rest, &rest);
	for (size_t i = 0; i < rest.n; i++)
		j->active.v[misfits.n + i] = rest.v[i];
	for (size_t i = 0; i < misfits.n; i++)
		j->active.v[i] = misfits.v[i];
	return (int64_t)misfits.n;
}

static void delete_active(struct job *j, int64_t n)
{
	for (int64_t i = 0; i < MIN(n, (int64_t)j->active.n); i++) {
		/* Ended by us: no failure of theirs. */
		job_let_go(j->v, j->plan, j->active.v[i]);
		plan_delete(j->plan, &res_pods, j->active.v[i])->ignore_not_found = true;
		plan_event(j->plan, j->was, "Normal", "SuccessfulDelete", "Deleted pod: %.*s",
			   STR_ARG(meta_name(j->active.v[i])));
	}
}

/* ---- making pods ---- */

static void set_index(struct job *j, struct json *pod, int64_t index)
{
	struct arena *a = j->v->arena;
	struct str text = arena_strf(a, "%lld", (long long)index);
	struct json *spec = json_get(pod, STR("spec"));
	static const char *const lists[] = {"initContainers", "containers"};

	json_set_str(a, meta_set_object(a, pod, "annotations"), JOB_INDEX, text);
	json_set_str(a, meta_set_object(a, pod, "labels"), JOB_INDEX, text);
	job_index_annotate(j, pod, index);
	json_set_str(a, spec, "hostname",
		     arena_strf(a, "%.*s-%.*s", STR_ARG(meta_name(j->was)), STR_ARG(text)));
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct json *all = json_get(spec, str_c(lists[l]));

		for (size_t i = 0; i < json_len(all); i++) {
			struct json *env = json_set_array(a, json_item(all, i), "env");
			bool had = false;

			for (size_t k = 0; k < json_len(env); k++)
				had |= str_is(json_str(json_at(json_item(env, k), "name")),
					      "JOB_COMPLETION_INDEX");
			if (!had)
				json_append(a, env,
					    json_build(a, "{s:s, s:{s:{s:s}}}", "name",
						       "JOB_COMPLETION_INDEX", "valueFrom",
						       "fieldRef", "fieldPath",
						       "metadata.labels['" JOB_INDEX "']"));
		}
	}
}

static void create_pod(struct job *j, struct str name, int64_t index)
{
	struct arena *a = j->v->arena;
	const struct json *template = json_at(j->spec, "template");
	struct json *pod = object_new(a, &res_pods, meta_namespace(j->was), name);
	struct json *meta = json_set_object(a, pod, "metadata");
	static const char *const copied[] = {"labels", "annotations"};

	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		const struct json *v = json_at(template, "metadata", copied[i]);

		if (json_len(v))
			json_set(a, meta, str_c(copied[i]), json_copy(a, v));
	}
	json_set_str(a, meta, "generateName", arena_strf(a, "%.*s-", STR_ARG(meta_name(j->was))));
	json_append_str(a, json_set_array(a, meta, "finalizers"), STR(JOB_TRACKING));
	json_append(a, json_set_array(a, meta, "ownerReferences"), meta_owner_ref(a, j->was, true));
	json_set(a, pod, STR("spec"), json_copy(a, json_at(template, "spec")));
	if (index >= 0)
		set_index(j, pod, index);
	plan_create(j->plan, &res_pods, pod);
	j->plan->last->ignore_exists = true;
	plan_event(j->plan, j->was, "Normal", "SuccessfulCreate", "Created pod: %.*s",
		   STR_ARG(name));
}

static void create_any(struct job *j, int64_t n)
{
	uint32_t next = (uint32_t)j->pods.n + j->v->gone;

	for (; n > 0; next++) {
		struct str name = replicaset_pod_name(j->v->arena, j->was, next);

		if (view_get(j->v, &res_pods, meta_namespace(j->was), name))
			continue;
		create_pod(j, name, -1);
		n--;
	}
}

/* "name-INDEX-xxxxx": another one for each attempt at the index, and after pods that are gone. */
static struct str indexed_name(struct job *j, int64_t index)
{
	uint32_t code, attempt = j->v->gone;

	for (size_t i = 0; i < j->pods.n; i++)
		attempt += job_index_of(j->pods.v[i]) == index;
	code = str_fnv32(arena_strf(j->v->arena, "%.*s/%lld/%u/%lld", STR_ARG(meta_uid(j->was)),
				    (long long)index, attempt, (long long)j->failed));
	char suffix[6] = "";

	for (size_t i = 0; i < 5; i++, code /= 27)
		suffix[i] = name_alphabet[code % 27];
	return arena_strf(j->v->arena, "%.*s-%lld-%s", (int)MIN(meta_name(j->was).n, 50),
			  meta_name(j->was).p, (long long)index, suffix);
}

/* Those that run, and those that are on their way out where they count until they are gone. */
static bool *busy_indexes(struct job *j)
{
	bool *busy = arena_array(j->v->arena, (size_t)j->completions + 1, sizeof(bool));

	for (size_t i = 0; i < j->pods.n; i++) {
		const struct json *pod = j->pods.v[i];
		int64_t index = job_index_of(pod);

		if (index >= 0 && index < j->completions && !pod_finished(pod) &&
		    (!meta_deleting(pod) || job_waits_for_ends(j)))
			busy[index] = true;
	}
	return busy;
}

static void create_indexed(struct job *j, int64_t n)
{
	const bool *busy = busy_indexes(j);

	for (int64_t i = 0; n > 0 && i < j->completions; i++) {
		int64_t wait;

		if (j->done[i] || busy[i] || (j->index_failed && j->index_failed[i]))
			continue;
		n--;
		wait = job_index_wait_ns(j, i);
		if (wait)
			plan_requeue(j->plan, wait);
		else
			create_pod(j, indexed_name(j, i), i);
	}
}

static int64_t wanted_active(const struct job *j)
{
	if (j->completions < 0)
		return j->succeeded ? (int64_t)j->active.n : j->parallelism;
	return MIN(j->parallelism, MAX(j->completions - j->succeeded, 0));
}

/* As many as may run at a time; after failures not before the time has come. */
static void keep_active(struct job *j)
{
	int64_t misfits = j->indexed && j->active.n ? misfits_first(j) : 0, wait;
	int64_t diff = wanted_active(j) - (int64_t)j->active.n;

	if (diff < 0 || misfits) {
		if (!j->indexed)
			replicaset_rank(j->v, &j->active, &j->active);
		delete_active(j, MAX(-diff, misfits));
		return; /* the rest when they are gone */
	}
	if (job_waits_for_ends(j))
		diff -= j->terminating;
	if (diff <= 0)
		return;
	wait = job_backoff_ns(j);
	if (wait) {
		plan_requeue(j->plan, wait);
		return;
	}
	if (j->indexed)
		create_indexed(j, MIN(diff, BURST));
	else
		create_any(j, MIN(diff, BURST));
}

/* ---- how it ends ---- */

/* Containers that are restarted in place fail without a pod failing. */
static bool restarts_exceed(const struct job *j)
{
	int64_t sum = 0;

	if (!str_is(json_str(json_at(j->spec, "template", "spec", "restartPolicy")), "OnFailure"))
		return false;
	for (size_t i = 0; i < j->active.n; i++) {
		const struct json *all = json_at(j->active.v[i], "status", "containerStatuses");

		for (size_t k = 0; k < json_len(all); k++)
			sum += count_of(json_at(json_item(all, k), "restartCount"), 0);
	}
	return j->backoff_limit ? sum >= j->backoff_limit : sum > 0;
}

static bool deadline_passed(struct job *j)
{
	int64_t limit = json_int(json_at(j->spec, "activeDeadlineSeconds"), -1),
		since = meta_time_ns(json_at(j->status, "startTime")), left;

	if (limit < 0 || !since || j->suspended)
		return false;
	left = since + MIN(limit, INT32_MAX) * NS_PER_S - j->v->now_ns;
	if (left > 0)
		plan_requeue(j->plan, left);
	return left <= 0;
}

/* The reason why the Job has failed, NULL when it hasn't. */
static const char *failure(struct job *j, struct str *ret_message)
{
	const struct json *target = condition_find(j->was, "FailureTarget");

	if (target) { /* decided before */
		*ret_message = json_str(json_at(target, "message"));
		return arena_cstr(j->v->arena, json_str(json_at(target, "reason")));
	}
	*ret_message = j->ends;
	if (j->ends.n)
		return "PodFailurePolicy";
	if (j->failed > j->backoff_limit || restarts_exceed(j)) {
		*ret_message = STR("Job has reached the specified backoff limit");
		return "BackoffLimitExceeded";
	}
	if (deadline_passed(j)) {
		*ret_message = STR("Job was active longer than specified deadline");
		return "DeadlineExceeded";
	}
	return job_index_failure(j, ret_message);
}

static bool complete(const struct job *j)
{
	if (j->completions < 0)
		return j->succeeded > 0 && !j->active.n;
	return j->succeeded >= j->completions;
}

/* First it is said that the Job will end so, and when the last pod has gone and been counted, that
 * it has. */
static void end(struct job *j, bool well, const char *reason, struct str message)
{
	delete_active(j, (int64_t)j->active.n);
	set_condition(j, well ? "SuccessCriteriaMet" : "FailureTarget", "True", reason, message);
	if (!j->all_counted || j->active.n || j->terminating)
		return;
	set_condition(j, well ? "Complete" : "Failed", "True", reason, message);
	if (well)
		set_time(j, "completionTime");
	plan_event(j->plan, j->was, well ? "Normal" : "Warning", well ? "Completed" : reason,
		   "%.*s", STR_ARG(well ? STR("Job completed") : message));
}

/* ---- suspending ---- */

static void suspend(struct job *j)
{
	delete_active(j, (int64_t)j->active.n);
	if (set_condition(j, "Suspended", "True", "JobSuspended", STR("Job suspended")))
		plan_event(j->plan, j->was, "Normal", "Suspended", "Job suspended");
}

static void resume(struct job *j)
{
	if (job_has(j->was, "Suspended") &&
	    set_condition(j, "Suspended", "False", "JobResumed", STR("Job resumed"))) {
		plan_event(j->plan, j->was, "Normal", "Resumed", "Job resumed");
		set_time(j, "startTime"); /* deadlines count from here */
	}
	if (!json_at(j->status, "startTime"))
		set_time(j, "startTime");
}

/* ---- the whole ---- */

/* That the Job will have succeeded is never taken back. */
static bool decided(struct job *j)
{
	const struct json *met = condition_find(j->was, "SuccessCriteriaMet");

	if (!job_has(j->was, "SuccessCriteriaMet"))
		return false;
	end(j, true, arena_cstr(j->v->arena, json_str(json_at(met, "reason"))),
	    json_str(json_at(met, "message")));
	return true;
}

static void work(struct job *j)
{
	struct str message;
	const char *reason;

	if (!j->suspended)
		resume(j);
	if (decided(j))
		return;
	reason = failure(j, &message);
	if (reason)
		end(j, false, reason, message);
	else if (job_success_policy(j, &message))
		end(j, true, "SuccessPolicy", message);
	else if (complete(j))
		end(j, true, "CompletionsReached",
		    STR("Reached expected number of succeeded pods"));
	else if (j->suspended)
		suspend(j);
	else
		keep_active(j);
}

/* What is noted in the status may lose its finalizer, and not a moment sooner. */
static void record(struct job *j)
{
	if (!json_equal(j->status, json_at(j->was, "status"))) {
		plan_update_status(j->plan, &res_jobs, j->new);
		j->plan->last->ignore_not_found = true;
	}
	for (size_t i = 0; i < j->count_now.n; i++)
		job_let_go(j->v, j->plan, j->count_now.v[i]);
}

/* A Job that is over: nothing of it runs on, and it goes when its time is up. */
static void after_the_end(const struct view *v, const struct json *was, const struct trees *pods,
			  struct plan *p)
{
	const struct json *ttl = json_at(was, "spec", "ttlSecondsAfterFinished");
	const struct json *ended =
		condition_find(was, job_has(was, "Complete") ? "Complete" : "Failed");
	int64_t left;

	for (size_t i = 0; i < pods->n; i++) {
		job_let_go(v, p, pods->v[i]);
		if (pod_active(pods->v[i]))
			plan_delete(p, &res_pods, pods->v[i])->ignore_not_found = true;
	}
	if (!ttl)
		return;
	left = meta_time_ns(json_at(ended, "lastTransitionTime")) + count_of(ttl, 0) * NS_PER_S -
	       v->now_ns;
	if (left > 0) {
		plan_requeue(p, left);
		return;
	}
	plan_delete(p, &res_jobs, was)->propagation = "Foreground";
	p->last->ignore_not_found = true;
}

/* Pods of a Job that is gone, or of one that had its name before: nobody counts them any more. */
static void let_go_of_strangers(const struct view *v, struct str key, struct str uid,
				struct plan *p)
{
	struct json_set_view all = view_by_index(v, &res_pods, INDEX_JOB, key);

	for (size_t i = 0; i < all.n; i++)
		if (!str_eq(json_str(json_at(meta_controller(all.v[i]), "uid")), uid))
			job_let_go(v, p, all.v[i]);
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *was = view_get(v, &res_jobs, namespace, name);
	struct str by = json_str(json_at(was, "spec", "managedBy"));
	struct job j = {.v = v, .plan = p, .was = was};
	struct selector s;

	let_go_of_strangers(v, obj_key(v->arena, namespace, name), was ? meta_uid(was) : STR_NONE,
			    p);
	if (!was || (by.n && !str_is(by, "kubernetes.io/job-controller")))
		return 0;
	if (selector_from_json(v->arena, json_at(was, "spec", "selector"), &s, err))
		return -1;
	claim_objects(v, was, &s, &res_pods, p, &j.pods);
	if (meta_deleting(was)) {
		for (size_t i = 0; i < j.pods.n; i++)
			job_let_go(v, p, j.pods.v[i]);
		return 0;
	}
	if (job_has(was, "Complete") || job_has(was, "Failed")) {
		after_the_end(v, was, &j.pods, p);
		return 0;
	}
	job_look(&j);
	work(&j);
	record(&j);
	return 0;
}

/* ---- watching ---- */

static void index_by_job(const struct obj *o, struct arena *a,
			 void (*put)(void *ctx, struct str value), void *ctx)
{
	const struct json *owner = obj_controller(o, a);

	if (str_is(json_str(json_at(owner, "kind")), "Job"))
		put(ctx, obj_key(a, o->namespace, json_str(json_at(owner, "name"))));
}

static void map_pod(const struct view *v, const struct obj *o,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	map_to_owner_or_selectors(v, &res_jobs, o, put, ctx);
}

static const struct controller_watch watches[] = {
	{&res_jobs, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_OWNER, index_by_controller_uid},
	{&res_pods, INDEX_ORPHAN, index_orphans},
	{&res_pods, INDEX_JOB, index_by_job},
	{0},
};

const struct controller controller_job = {
	.name = "job",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
	.counts_gone = true,
};
