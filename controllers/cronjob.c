/*
 * CronJob: a Job whenever its schedule says so, at most one for each time. The Job's name carries
 * the time, so that none is made twice. Pure.
 */
#include "controllers/common.h"
#include "controllers/job_core.h"
#include "lib/base/cron.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define TIMESTAMP "batch.kubernetes.io/cronjob-scheduled-timestamp"
#define MISSED_MAX 100

struct cronjob {
	const struct view *v;
	struct plan *plan;
	const struct json *was, *spec;
	struct json *new, *status;
	struct trees active, succeeded, failed; /* its Jobs */
	const struct timezone *zone;            /* NULL = UTC */
};

static bool ended(const struct json *job)
{
	return job_has(job, "Complete") || job_has(job, "Failed");
}

static struct str time_text(const struct cronjob *c, int64_t ns)
{
	char text[TIME_TEXT_MAX];

	return arena_str(c->v->arena, time_format(ns, text));
}

/* ---- its Jobs ---- */

static void take_jobs(struct cronjob *c)
{
	struct json_set_view all = view_by_index(c->v, &res_jobs, INDEX_OWNER, meta_uid(c->was));

	for (size_t i = 0; i < all.n; i++) {
		struct trees *to = !ended(all.v[i])                ? &c->active
				   : job_has(all.v[i], "Complete") ? &c->succeeded
								   : &c->failed;

		trees_add(c->v->arena, to, all.v[i]);
	}
}

static bool listed(const struct json *refs, const struct json *job)
{
	for (size_t i = 0; i < json_len(refs); i++)
		if (str_eq(json_str(json_at(json_item(refs, i), "uid")), meta_uid(job)))
			return true;
	return false;
}

static bool among(const struct trees *jobs, struct str uid)
{
	for (size_t i = 0; i < jobs->n; i++)
		if (str_eq(meta_uid(jobs->v[i]), uid))
			return true;
	return false;
}

/* What ran when we looked last: has it ended, or did somebody take it away? */
static void tell_what_ended(struct cronjob *c)
{
	const struct json *had = json_at(c->was, "status", "active");
	struct trees *over[] = {&c->succeeded, &c->failed};

	for (size_t k = 0; k < ARRAY_LEN(over); k++)
		for (size_t i = 0; i < over[k]->n; i++)
			if (listed(had, over[k]->v[i]))
				plan_event(c->plan, c->was, "Normal", "SawCompletedJob",
					   "Saw completed job: %.*s, condition: %s",
					   STR_ARG(meta_name(over[k]->v[i])),
					   k ? "Failed" : "Complete");
	for (size_t i = 0; i < json_len(had); i++) {
		struct str uid = json_str(json_at(json_item(had, i), "uid"));

		if (!among(&c->active, uid) && !among(&c->succeeded, uid) &&
		    !among(&c->failed, uid))
			plan_event(c->plan, c->was, "Normal", "MissingJob",
				   "Active job went missing: %.*s",
				   STR_ARG(json_str(json_at(json_item(had, i), "name"))));
	}
	for (size_t i = 0; i < c->succeeded.n; i++) {
		struct str done = json_str(json_at(c->succeeded.v[i], "status", "completionTime"));

		if (str_cmp(done, json_str(json_at(c->status, "lastSuccessfulTime"))) > 0)
			json_set_str(c->v->arena, c->status, "lastSuccessfulTime", done);
	}
}

static void set_active(struct cronjob *c)
{
	struct json *refs = json_new(c->v->arena, JSON_ARRAY);

	for (size_t i = 0; i < c->active.n; i++)
		json_append(c->v->arena, refs,
			    json_build(c->v->arena, "{s:s, s:s, s:S, s:S, s:S, s:S}", "apiVersion",
				       "batch/v1", "kind", "Job", "name", meta_name(c->active.v[i]),
				       "namespace", meta_namespace(c->was), "uid",
				       meta_uid(c->active.v[i]), "resourceVersion",
				       json_str(json_at(c->active.v[i], "metadata",
							"resourceVersion"))));
	if (json_len(refs))
		json_set(c->v->arena, c->status, STR("active"), refs);
	else
		json_del(c->status, STR("active"));
}

static int by_start(const void *pa, const void *pb)
{
	const struct json *a = *(const struct json *const *)pa,
			  *b = *(const struct json *const *)pb;
	int64_t x = meta_time_ns(json_at(a, "status", "startTime")),
		y = meta_time_ns(json_at(b, "status", "startTime"));

	return x != y ? (x > y) - (x < y) : str_cmp(meta_name(a), meta_name(b));
}

static void prune(struct cronjob *c, struct trees *jobs, const char *field, int64_t otherwise)
{
	int64_t keep = count_of(json_get(c->spec, str_c(field)), otherwise);

	if (jobs->n)
		qsort(jobs->v, jobs->n, sizeof(*jobs->v), by_start);
	for (size_t i = 0; i + (size_t)keep < jobs->n; i++) {
		plan_delete(c->plan, &res_jobs, jobs->v[i])->propagation = "Background";
		c->plan->last->ignore_not_found = true;
		plan_event(c->plan, c->was, "Normal", "SuccessfulDelete", "Deleted job %.*s",
			   STR_ARG(meta_name(jobs->v[i])));
	}
}

/* ---- when ---- */

/* The latest scheduled time that has come and not been acted on, 0 = none. */
static int64_t due_time(struct cronjob *c, const struct cron *cron)
{
	int64_t from = meta_time_ns(json_at(c->was, "status", "lastScheduleTime"));
	int64_t deadline = json_int(json_at(c->spec, "startingDeadlineSeconds"), -1);
	int64_t last = 0, missed = 0, next;

	if (!from)
		from = meta_created_ns(c->was);
	if (deadline >= 0)
		from = MAX(from, c->v->now_ns - MIN(deadline, INT32_MAX) * NS_PER_S);
	for (next = cron_next_in(cron, c->zone, from); next && next <= c->v->now_ns;
	     next = cron_next_in(cron, c->zone, next)) {
		last = next;
		if (++missed == MISSED_MAX) { /* a clock that jumped: near enough to now */
			plan_event(c->plan, c->was, "Warning", "TooManyMissedTimes",
				   "too many missed start times. Set or decrease "
				   ".spec.startingDeadlineSeconds or check clock skew");
			next = cron_next_in(cron, c->zone, c->v->now_ns - 3600 * NS_PER_S);
		}
	}
	if (next)
		plan_requeue(c->plan, next - c->v->now_ns);
	return last;
}

/* ---- what ---- */

static void start_job(struct cronjob *c, int64_t at)
{
	struct arena *a = c->v->arena;
	const struct json *template = json_at(c->spec, "jobTemplate");
	struct str name = arena_strf(a, "%.*s-%lld", (int)MIN(meta_name(c->was).n, 52),
				     meta_name(c->was).p, (long long)(at / (60 * NS_PER_S)));
	struct json *job = object_new(a, &res_jobs, meta_namespace(c->was), name), *meta;
	static const char *const copied[] = {"labels", "annotations"};

	meta = json_set_object(a, job, "metadata");
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		const struct json *v = json_at(template, "metadata", copied[i]);

		if (json_len(v))
			json_set(a, meta, str_c(copied[i]), json_copy(a, v));
	}
	json_set_str(a, meta_set_object(a, job, "annotations"), TIMESTAMP, time_text(c, at));
	json_append(a, json_set_array(a, meta, "ownerReferences"), meta_owner_ref(a, c->was, true));
	json_set(a, job, STR("spec"), json_at(template, "spec"));
	plan_create(c->plan, &res_jobs, job);
	c->plan->last->ignore_exists = true;
	plan_event(c->plan, c->was, "Normal", "SuccessfulCreate", "Created job %.*s",
		   STR_ARG(name));
	json_set_str(a, c->status, "lastScheduleTime", time_text(c, at));
}

static void act(struct cronjob *c, int64_t at)
{
	struct str policy = json_str(json_at(c->spec, "concurrencyPolicy"));

	if (str_is(policy, "Forbid") && c->active.n) {
		plan_event(c->plan, c->was, "Normal", "JobAlreadyActive",
			   "Not starting job because prior execution is running and concurrency "
			   "policy is Forbid");
		return; /* it comes again when that one has ended */
	}
	for (size_t i = 0; str_is(policy, "Replace") && i < c->active.n; i++) {
		plan_delete(c->plan, &res_jobs, c->active.v[i])->propagation = "Background";
		c->plan->last->ignore_not_found = true;
		plan_event(c->plan, c->was, "Normal", "SuccessfulDelete", "Deleted job %.*s",
			   STR_ARG(meta_name(c->active.v[i])));
	}
	if (str_is(policy, "Replace"))
		c->active.n = 0;
	start_job(c, at);
}

/* spec.timeZone, UTC where nothing is said. */
static bool zone_of(const struct cronjob *c, const struct timezone **ret)
{
	const struct controllers_config *config = c->v->config;
	const struct json *zone = json_at(c->spec, "timeZone");

	*ret = NULL;
	if (!zone)
		return true;
	if (config && config->find_zone)
		return config->find_zone(json_str(zone), ret);
	return str_is(json_str(zone), "UTC");
}

static void schedule(struct cronjob *c)
{
	struct err err = {0};
	struct cron cron;
	int64_t at;

	if (json_bool(json_at(c->spec, "suspend"), false) || meta_deleting(c->was))
		return;
	if (!zone_of(c, &c->zone)) {
		plan_event(c->plan, c->was, "Warning", "UnknownTimeZone",
			   "invalid timeZone: \"%.*s\": unknown time zone %.*s",
			   STR_ARG(json_str(json_at(c->spec, "timeZone"))),
			   STR_ARG(json_str(json_at(c->spec, "timeZone"))));
		return;
	}
	if (cron_parse(json_str(json_at(c->spec, "schedule")), &cron, &err)) {
		plan_event(c->plan, c->was, "Warning", "UnparseableSchedule",
			   "unparseable schedule: %s", err.msg);
		return;
	}
	at = due_time(c, &cron);
	if (at)
		act(c, at);
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *was = view_get(v, &res_cronjobs, namespace, name);
	struct cronjob c = {.v = v, .plan = p, .was = was, .spec = json_at(was, "spec")};

	(void)err;
	if (!was)
		return 0;
	c.new = json_copy(v->arena, was);
	c.status = json_set_object(v->arena, c.new, "status");
	take_jobs(&c);
	tell_what_ended(&c);
	prune(&c, &c.succeeded, "successfulJobsHistoryLimit", 3);
	prune(&c, &c.failed, "failedJobsHistoryLimit", 1);
	schedule(&c);
	set_active(&c);
	if (!json_equal(c.status, json_at(was, "status"))) {
		plan_update_status(p, &res_cronjobs, c.new);
		p->last->ignore_not_found = true;
	}
	return 0;
}

static const struct controller_watch watches[] = {
	{&res_cronjobs, NULL, NULL, NULL},
	{&res_jobs, map_to_controller_owner, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_jobs, INDEX_OWNER, index_by_controller_uid},
	{0},
};

const struct controller controller_cronjob = {
	.name = "cronjob",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
