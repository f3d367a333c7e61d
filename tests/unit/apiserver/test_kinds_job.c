/* Jobs: what their status may say and become, and what of a suspended one may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/kinds/rules.h"

extern const struct kind kind_job;

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

/* The problems of going from one status to another, a line each. */
static const char *goes(const char *spec, const char *from, const char *to)
{
	struct kind_ctx c = {.a = &a, .subresource = "status", .problems = {.a = &a}};
	struct json *live = json_new(&a, JSON_OBJECT), *next = json_new(&a, JSON_OBJECT);
	AUTO(buf) struct buf out = {0};

	json_set(&a, live, STR("spec"), parse(spec));
	json_set(&a, live, STR("status"), parse(from));
	json_set(&a, next, STR("spec"), parse(spec));
	json_set(&a, next, STR("status"), parse(to));
	kind_job.validate(&c, next, live);
	for (size_t i = 0; i < c.problems.n; i++)
		buf_printf(&out, "%s%.*s: %.*s", i ? "\n" : "", STR_ARG(c.problems.v[i].field),
			   STR_ARG(c.problems.v[i].message));
	return arena_cstr(&a, buf_view(&out));
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in \"%s\"", part, text);
}

#define TRUE_(type) "{\"type\":\"" type "\",\"status\":\"True\"}"
#define AT(n) "\"2026-01-01T00:00:0" n "Z\""
#define WELL                                                                                       \
	"{\"startTime\":" AT("0") ",\"completionTime\":" AT(                                       \
		"5") ",\"succeeded\":2,\"conditions\":[" TRUE_("SuccessCriteriaMet") "," TRUE_("C" \
											       "o" \
											       "m" \
											       "p" \
											       "l" \
											       "e" \
											       "t" \
											       "e") "]}"
#define PLAIN "{\"completions\":3}"
#define INDEXED "{\"completions\":9,\"completionMode\":\"Indexed\",\"backoffLimitPerIndex\":1}"

void test_kinds_job__an_end_is_announced_and_stays(void **state)
{
	(void)state;
	assert_string_equal(goes(PLAIN, "{\"startTime\":" AT("0") "}", WELL), "");
	has(goes(PLAIN, "{}",
		 "{\"startTime\":" AT("0") ",\"completionTime\":" AT("5") ",\"conditions\":[" TRUE_(
			 "Complete") "]}"),
	    "without the SuccessCriteriaMet=true condition");
	has(goes(PLAIN, "{}", "{\"startTime\":" AT("0") ",\"conditions\":[" TRUE_("Failed") "]}"),
	    "without the FailureTarget=true condition");
	has(goes(PLAIN, "{}",
		 "{\"conditions\":[" TRUE_("FailureTarget") "," TRUE_("SuccessCriteriaMet") "]}"),
	    "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
	has(goes(PLAIN, WELL,
		 "{\"startTime\":" AT("0") ",\"succeeded\":2,\"conditions\":[" TRUE_(
			 "SuccessCriteriaMet") "]}"),
	    "cannot disable the terminal Complete=True condition");
	arena_release(&a);
}

void test_kinds_job__what_was_stored_before_the_rules_stays_writable(void **state)
{
	const char *old = "{\"active\":1,\"ready\":2,\"conditions\":[" TRUE_("Complete") "]}";

	(void)state;
	assert_string_equal(goes(PLAIN, old, old), "");
	arena_release(&a);
}

void test_kinds_job__times_come_in_order(void **state)
{
	(void)state;
	has(goes(PLAIN, "{}", "{\"completionTime\":" AT("1") "}"),
	    "status.completionTime: Invalid value");
	has(goes(PLAIN, "{\"startTime\":" AT("1") "}", "{\"startTime\":" AT("2") "}"),
	    "startTime cannot be removed for unsuspended job");
	assert_string_equal(goes("{\"suspend\":true}", "{\"startTime\":" AT("1") "}", "{}"), "");
	has(goes(PLAIN, "{}",
		 "{\"startTime\":" AT("6") ",\"completionTime\":" AT("5") ",\"conditions\":[" TRUE_(
			 "SuccessCriteriaMet") "," TRUE_("Complete") "]}"),
	    "completionTime cannot be set before startTime");
	has(goes(PLAIN, "{}",
		 "{\"conditions\":[" TRUE_("SuccessCriteriaMet") "," TRUE_("Complete") "]}"),
	    "completionTime is required for Complete jobs");
	arena_release(&a);
}

void test_kinds_job__counts_grow_and_end(void **state)
{
	(void)state;
	has(goes(PLAIN, "{\"succeeded\":2}", "{\"succeeded\":1}"),
	    "cannot decrease the succeeded counter");
	has(goes(PLAIN, "{}", "{\"active\":1,\"ready\":2}"),
	    "cannot set more ready pods than active");
	has(goes(PLAIN, "{}", "{\"active\":-1}"), "must be greater than or equal to 0");
	has(goes(PLAIN, WELL,
		 "{\"active\":1,\"startTime\":" AT("0") ",\"completionTime\":" AT(
			 "5") ",\"succeede"
			      "d\":2,"
			      "\"condition"
			      "s\":"
			      "[" TRUE_("S"
					"u"
					"c"
					"c"
					"e"
					"s"
					"s"
					"C"
					"r"
					"i"
					"t"
					"e"
					"r"
					"i"
					"a"
					"M"
					"e"
					"t") "," TRUE_("Com"
						       "ple"
						       "te") "]}"),
	    "active>0 is invalid for finished job");
	has(goes(PLAIN, "{}",
		 "{\"uncountedTerminatedPods\":{\"succeeded\":[\"a\",\"b\"],"
		 "\"failed\":[\"a\",\"\"]}}"),
	    "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"");
	arena_release(&a);
}

void test_kinds_job__indexes_exist_once(void **state)
{
	(void)state;
	assert_string_equal(goes(INDEXED, "{}",
				 "{\"completedIndexes\":\"0,2-4\","
				 "\"failedIndexes\":\"1,5-8\"}"),
			    "");
	has(goes(INDEXED, "{}", "{\"completedIndexes\":\"0,2-9\"}"), "status.completedIndexes");
	has(goes(INDEXED, "{}", "{\"completedIndexes\":\"0,\"}"), "status.completedIndexes");
	has(goes(INDEXED, "{}", "{\"completedIndexes\":\"0-3\",\"failedIndexes\":\"3,5\"}"),
	    "overlap");
	has(goes(PLAIN, "{}", "{\"completedIndexes\":\"0\"}"), "when non-indexed completion mode");
	has(goes(PLAIN, "{}", "{\"failedIndexes\":\"\"}"),
	    "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
	arena_release(&a);
}

/* The problems of another template in a Job that is suspended, or not. */
static const char *retold(bool suspended, const char *template)
{
	struct kind_ctx c = {.a = &a, .problems = {.a = &a}};
	struct json *live = parse("{\"metadata\":{\"name\":\"j\"},\"spec\":{\"suspend\":true,"
				  "\"parallelism\":1,\"completions\":1,\"template\":{\"spec\":{"
				  "\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\","
				  "\"image\":\"i\"}]}}}}");
	struct json *next;

	json_set_bool(&a, json_get(live, STR("spec")), "suspend", suspended);
	next = json_copy(&a, live);
	json_set(&a, json_get(next, STR("spec")), STR("template"), parse(template));
	kind_job.set_defaults(&c, next);
	kind_job.set_defaults(&c, live);
	kind_job.validate(&c, next, live);
	return c.problems.n ? arena_cstr(&a, c.problems.v[0].message) : "";
}

#define POD(more)                                                                                  \
	"\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}"   \
	"]" more "}"

void test_kinds_job__a_suspended_one_is_told_where_to_run(void **state)
{
	static const char *const where = "{\"metadata\":{\"labels\":{\"a\":\"b\"}}," POD(
		",\"nodeSelector\":{\"zone\":\"z\"},\"tolerations\":[{\"operator\":\"Exists\"}],"
		"\"affinity\":{\"nodeAffinity\":{"
		"\"requiredDuringSchedulingIgnoredDuringExecution\":{"
		"\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"k\",\"operator\":"
		"\"Exists\"}]}]}}}") "}";

	(void)state;
	assert_string_equal(retold(true, where), "");
	has(retold(false, where), "field is immutable");
	has(retold(true, "{" POD(",\"priorityClassName\":\"x\"") "}"), "field is immutable");
	arena_release(&a);
}
