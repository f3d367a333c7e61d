/*
 * What the status of a Job may say: ends that are announced before they come and never taken back,
 * counts that only grow, indexes that exist. Whoever runs Jobs in our controller's place
 * (spec.managedBy) is held to the same. A rule is asked only where something that it speaks of has
 * changed, so that what was stored before there were rules can still be written. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

enum {
	COMPLETE = 1 << 0,
	FAILED = 1 << 1,
	FAILURE_TARGET = 1 << 2,
	SUCCESS_CRITERIA = 1 << 3,
	FINISHED = COMPLETE | FAILED,
};

static const char *const condition_names[] = {"Complete", "Failed", "FailureTarget",
					      "SuccessCriteriaMet"};

struct change {
	struct kind_ctx *c;
	const struct spath *at;
	const struct json *spec, *next, *live; /* the statuses */
	unsigned has, had;                     /* conditions that are true */
};

static unsigned conditions_of(const struct json *o)
{
	unsigned bits = 0;

	for (size_t i = 0; i < ARRAY_LEN(condition_names); i++)
		if (str_is(json_str(json_get(condition_find(o, condition_names[i]), STR("status"))),
			   "True"))
			bits |= 1U << i;
	return bits;
}

static bool changed(const struct change *x, const char *field)
{
	return !json_equal(json_get(x->next, str_c(field)), json_get(x->live, str_c(field)));
}

/* Whether one of these conditions, or one of the fields ("" = none), is not as it was. */
static bool touched(const struct change *x, unsigned conditions, const char *field)
{
	bool finished = !!(x->has & FINISHED) != !!(x->had & FINISHED);

	if (conditions == FINISHED ? finished : ((x->has ^ x->had) & conditions) != 0)
		return true;
	return *field && changed(x, field);
}

static int64_t count(const struct json *status, const char *field)
{
	return json_int(json_get(status, str_c(field)), 0);
}

static void bad(const struct change *x, const char *field, const char *detail)
{
	rule_invalid(x->c, x->at, field, json_get(x->next, str_c(field)), detail);
}

/* Conditions that can't be true together, or only together. */
static void check_conditions(const struct change *x)
{
	static const struct {
		unsigned both, without, when; /* when: which changes raise the question; 0 = all */
		const char *detail;
	} rules[] = {
		{COMPLETE | FAILED, 0, COMPLETE | FAILED,
		 "cannot set Complete=True and Failed=true conditions"},
		{COMPLETE | FAILURE_TARGET, 0, COMPLETE | FAILURE_TARGET,
		 "cannot set Complete=True and FailureTarget=true conditions"},
		{FAILED, FAILURE_TARGET, FAILED | FAILURE_TARGET,
		 "cannot set Failed=True condition without the FailureTarget=true condition"},
		{COMPLETE, SUCCESS_CRITERIA, COMPLETE | SUCCESS_CRITERIA,
		 "cannot set Complete=True condition without the SuccessCriteriaMet=true "
		 "condition"},
		{SUCCESS_CRITERIA | FAILED, 0, 0,
		 "cannot set SuccessCriteriaMet=True and Failed=true conditions"},
		{SUCCESS_CRITERIA | FAILURE_TARGET, 0, 0,
		 "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if ((x->has & rules[i].both) == rules[i].both && !(x->has & rules[i].without) &&
		    (!rules[i].when || touched(x, rules[i].when, "")))
			bad(x, "conditions", rules[i].detail);
	for (size_t i = 0; i < ARRAY_LEN(condition_names); i++)
		if (x->had & ~x->has & (1U << i))
			bad(x, "conditions",
			    arena_printf(x->c->a, "cannot disable the terminal %s=True condition",
					 condition_names[i]));
}

static void check_times(const struct change *x)
{
	const struct json *start = json_get(x->next, STR("startTime")),
			  *end = json_get(x->next, STR("completionTime")),
			  *was = json_get(x->live, STR("startTime"));
	bool complete = x->has & COMPLETE;
	int64_t from, to;

	if (touched(x, COMPLETE, "completionTime")) {
		if (end && !complete)
			bad(x, "completionTime",
			    "cannot set completionTime when there is no Complete=True condition");
		if (!end && complete)
			rule_required(x->c, x->at, "completionTime",
				      "completionTime is required for Complete jobs");
	}
	if ((changed(x, "startTime") || changed(x, "completionTime")) &&
	    !time_parse(json_str(start), &from) && !time_parse(json_str(end), &to) && to < from)
		bad(x, "completionTime", "completionTime cannot be set before startTime");
	if (end && json_get(x->live, STR("completionTime")) && changed(x, "completionTime"))
		bad(x, "completionTime", "completionTime cannot be mutated");
	if (touched(x, FINISHED, "startTime") && !start && (x->has & FINISHED))
		rule_required(x->c, x->at, "startTime", "startTime is required for finished job");
	if (was && changed(x, "startTime") && !json_bool(json_get(x->spec, STR("suspend")), false))
		rule_required(x->c, x->at, "startTime",
			      "startTime cannot be removed for unsuspended job");
}

/* Pods that are counted, and pods that wait to be. */
static void check_counts(const struct change *x)
{
	static const char *const any[] = {"active", "succeeded", "failed", "ready", "terminating"};
	static const char *const growing[] = {"succeeded", "failed"};
	const struct json *waiting = json_get(x->next, STR("uncountedTerminatedPods"));
	bool over = x->has & FINISHED;

	for (size_t i = 0; i < ARRAY_LEN(any); i++)
		rule_non_negative(x->c, x->at, x->next, any[i]);
	for (size_t i = 0; i < ARRAY_LEN(growing); i++)
		if (count(x->next, growing[i]) < count(x->live, growing[i]))
			bad(x, growing[i],
			    arena_printf(x->c->a, "cannot decrease the %s counter", growing[i]));
	if (over && touched(x, FINISHED, "active") && count(x->next, "active") > 0)
		bad(x, "active", "active>0 is invalid for finished job");
	if (over && touched(x, FINISHED, "terminating") && count(x->next, "terminating") > 0)
		bad(x, "terminating", "terminating>0 is invalid for finished job");
	if (over && touched(x, FINISHED, "uncountedTerminatedPods") &&
	    json_len(json_get(waiting, STR("succeeded"))) +
		    json_len(json_get(waiting, STR("failed"))))
		bad(x, "uncountedTerminatedPods",
		    "uncountedTerminatedPods needs to be empty for finished job");
	if ((changed(x, "ready") || changed(x, "active")) &&
	    count(x->next, "ready") > count(x->next, "active"))
		bad(x, "ready", "cannot set more ready pods than active");
}

static void check_uncounted(const struct change *x)
{
	static const char *const lists[] = {"succeeded", "failed"};
	const struct json *all = json_get(x->next, STR("uncountedTerminatedPods"));
	struct spath at = SPATH_FIELD(x->at, "uncountedTerminatedPods");
	AUTO(map) struct map seen = {0};

	if (!changed(x, "uncountedTerminatedPods"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct json *uids = json_get(all, str_c(lists[i]));
		struct spath list_at = {.up = &at, .name = str_c(lists[i])};

		for (size_t k = 0; k < json_len(uids); k++) {
			struct spath here = SPATH_INDEX(&list_at, k);
			const struct json *uid = json_item(uids, k);

			if (!json_str(uid).n)
				rule_invalid(x->c, &here, NULL, uid, "must not be empty");
			else if (map_has(&seen, json_str(uid)))
				rule_duplicate(x->c, &here, NULL, uid);
			else
				map_set(&seen, json_str(uid), NULL);
		}
	}
}

static void check_indexes(const struct change *x)
{
	const struct json *done = json_get(x->next, STR("completedIndexes")),
			  *lost = json_get(x->next, STR("failedIndexes")),
			  *completions = json_get(x->spec, STR("completions"));
	bool indexed = str_is(json_str(json_get(x->spec, STR("completionMode"))), "Indexed");
	int64_t below = json_int(completions, 0);

	if (changed(x, "completedIndexes") && json_str(done).n) {
		if (completions && job_count_indexes(json_str(done), below) < 0)
			bad(x, "completedIndexes",
			    "error parsing completedIndexes: it lists indexes below completions "
			    "in order, as in \"1,3-5,7\"");
		if (!indexed)
			bad(x, "completedIndexes",
			    "cannot set non-empty completedIndexes when non-indexed completion "
			    "mode");
	}
	if (!changed(x, "completedIndexes") && !changed(x, "failedIndexes"))
		return;
	if (changed(x, "failedIndexes") && lost && !json_get(x->spec, STR("backoffLimitPerIndex")))
		bad(x, "failedIndexes",
		    "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
	else if (changed(x, "failedIndexes") && json_str(lost).n && completions &&
		 job_count_indexes(json_str(lost), below) < 0)
		bad(x, "failedIndexes",
		    "error parsing failedIndexes: it lists indexes below completions in order, as "
		    "in \"1,3-5,7\"");
	else if (job_indexes_overlap(json_str(done), json_str(lost)))
		bad(x, "failedIndexes", "failedIndexes and completedIndexes overlap");
}

void job_validate_status(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "status");
	const struct change x = {.c = c,
				 .at = &at,
				 .spec = json_get(next, STR("spec")),
				 .next = json_get(next, STR("status")),
				 .live = json_get(live, STR("status")),
				 .has = conditions_of(next),
				 .had = conditions_of(live)};

	check_counts(&x);
	check_uncounted(&x);
	check_conditions(&x);
	check_times(&x);
	check_indexes(&x);
}
