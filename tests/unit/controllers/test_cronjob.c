/* The CronJob controller over plain lists. */
#include "fake.h"

#include "controllers/job_core.h"
#include "lib/os/zoneinfo.h"

extern const struct controller controller_cronjob;

#define MINUTE (60 * NS_PER_S)
#define CRON                                                                                       \
	"{'apiVersion':'batch/v1','kind':'CronJob','metadata':{'name':'tick','namespace':'a',"     \
	"'uid':'c-1','creationTimestamp':'2023-11-14T22:13:20Z'},'spec':{'schedule':'*/5 * * * "   \
	"*','concurrencyPolicy':'Allow','successfulJobsHistoryLimit':1,'jobTemplate':{'spec':{"    \
	"'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}}" \
	"}"

static struct fake *start(const char *patch)
{
	struct fake *f = fake_new(&controller_cronjob);

	fake_add(f, &res_cronjobs, CRON);
	if (patch)
		fake_merge(f, &res_cronjobs, "a", "tick", patch);
	fake_settle(f, "a", "tick");
	return f;
}

static void pass(struct fake *f, int64_t ns)
{
	f->now_ns += ns;
	fake_settle(f, "a", "tick");
}

static void complete_all(struct fake *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_jobs)
			fake_merge(f, &res_jobs, "a",
				   arena_cstr(&f->arena, meta_name(f->v[i].tree)),
				   "{'status':{'completionTime':'2023-11-14T22:16:00Z','conditions'"
				   ":[{'type':'Complete','status':'True'}]}}");
	fake_settle(f, "a", "tick");
}

static size_t active(struct fake *f)
{
	return json_len(json_at(fake_get(f, &res_cronjobs, "a", "tick"), "status", "active"));
}

void test_cronjob__a_job_for_each_time(void **state)
{
	struct fake *f = start(NULL);

	(void)state;
	assert_int_equal(fake_count(f, &res_jobs), 0);
	assert_int_equal(f->requeue_ns, 100 * NS_PER_S); /* 22:13:20 → 22:15 */
	pass(f, 100 * NS_PER_S);
	assert_int_equal(fake_count(f, &res_jobs), 1);
	assert_int_equal(active(f), 1);
	assert_non_null(fake_get(f, &res_jobs, "a", "tick-28333335"));
	pass(f, 5 * MINUTE);
	assert_int_equal(fake_count(f, &res_jobs), 2);
	fake_free(f);
}

void test_cronjob__missed_times_make_one_job(void **state)
{
	struct fake *f = start(NULL);

	(void)state;
	pass(f, 33 * MINUTE);
	assert_int_equal(fake_count(f, &res_jobs), 1);
	fake_free(f);
}

void test_cronjob__forbid_waits_and_replace_takes_over(void **state)
{
	struct fake *f = start("{'spec':{'concurrencyPolicy':'Forbid'}}");

	(void)state;
	pass(f, 2 * MINUTE);
	pass(f, 5 * MINUTE);
	assert_int_equal(fake_count(f, &res_jobs), 1);
	fake_merge(f, &res_cronjobs, "a", "tick", "{'spec':{'concurrencyPolicy':'Replace'}}");
	pass(f, 5 * MINUTE);
	assert_int_equal(fake_count(f, &res_jobs), 1);
	assert_null(fake_get(f, &res_jobs, "a", "tick-28333335"));
	fake_free(f);
}

void test_cronjob__keeps_as_many_as_asked(void **state)
{
	struct fake *f = start(NULL);

	(void)state;
	for (int i = 0; i < 4; i++) {
		pass(f, 5 * MINUTE);
		complete_all(f);
	}
	assert_int_equal(fake_count(f, &res_jobs), 1);
	assert_int_equal(active(f), 0);
	assert_str(json_str(json_at(fake_get(f, &res_cronjobs, "a", "tick"), "status",
				    "lastSuccessfulTime")),
		   "2023-11-14T22:16:00Z");
	fake_free(f);
}

void test_cronjob__too_late_is_too_late(void **state)
{
	struct fake *f = start("{'spec':{'startingDeadlineSeconds':60}}");

	(void)state;
	pass(f, 4 * MINUTE); /* 22:17:20: 22:15 is over a minute ago */
	assert_int_equal(fake_count(f, &res_jobs), 0);
	fake_free(f);
}

/* 22:13:20 in UTC is 3:43:20 of the next day in India. */
void test_cronjob__by_the_clock_of_a_zone(void **state)
{
	static const struct controllers_config config = {.find_zone = zoneinfo_find};
	struct fake *f = fake_new(&controller_cronjob);
	const struct timezone *tz;

	(void)state;
	if (!zoneinfo_find(STR("Asia/Kolkata"), &tz))
		skip();
	f->config = &config;
	fake_add(f, &res_cronjobs, CRON);
	fake_merge(f, &res_cronjobs, "a", "tick",
		   "{'spec':{'schedule':'0 4 * * *','timeZone':'Asia/Kolkata'}}");
	fake_settle(f, "a", "tick");
	assert_int_equal(f->requeue_ns, 1000 * NS_PER_S);
	pass(f, 1000 * NS_PER_S);
	assert_int_equal(fake_count(f, &res_jobs), 1);
	assert_true(str_is(json_str(json_at(fake_get(f, &res_cronjobs, "a", "tick"), "status",
					    "lastScheduleTime")),
			   "2023-11-14T22:30:00Z"));
	fake_free(f);
}

void test_cronjob__an_unknown_zone_is_told_of(void **state)
{
	struct fake *f = start("{'spec':{'timeZone':'Mars/Olympus'}}");

	(void)state;
	pass(f, 3600 * NS_PER_S);
	assert_int_equal(fake_count(f, &res_jobs), 0);
	fake_free(f);
}

void test_cronjob__a_job_that_is_taken_away_is_missed_and_a_replaced_one_is_not(void **state)
{
	struct fake *f = start("{'spec':{'concurrencyPolicy':'Replace'}}");

	(void)state;
	pass(f, 100 * NS_PER_S);
	assert_int_equal(active(f), 1);
	pass(f, 5 * MINUTE);
	assert_int_equal(fake_count(f, &res_jobs), 1);
	assert_int_equal(active(f), 1);
	assert_false(fake_had_event(f, "MissingJob"));
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_jobs) {
			fake_remove(f, &f->v[i]);
			break;
		}
	fake_run(f, "a", "tick");
	assert_true(fake_had_event(f, "MissingJob"));
	fake_settle(f, "a", "tick");
	assert_int_equal(active(f), 0);
	fake_free(f);
}
