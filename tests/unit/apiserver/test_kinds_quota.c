/* ResourceQuotas: names that somebody counts, whole numbers of whole things, scopes that fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/kinds/rules.h"

static struct arena a;

/* The problems of a spec, a line each. */
static const char *said(const char *spec)
{
	struct kind_ctx c = {.a = &a, .problems = {.a = &a}};
	struct json *next = json_new(&a, JSON_OBJECT);
	struct err err = {0};
	AUTO(buf) struct buf out = {0};

	json_set(&a, next, STR("spec"), json_parse(&a, str_c(spec), NULL, &err));
	quota_validate(&c, next, NULL);
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

void test_kinds_quota__bounds_what_somebody_counts(void **state)
{
	(void)state;
	assert_string_equal(
		said("{\"hard\":{\"pods\":\"1k\",\"requests.cpu\":\"500m\","
		     "\"count/deployments.apps\":\"2\",\"requests.nvidia.com/gpu\":\"1\","
		     "\"hugepages-2Mi\":\"1Gi\",\"limits.ephemeral-storage\":\"1Gi\",\"services."
		     "loadbalancers\":\"1\","
		     "\"gold.storageclass.storage.k8s.io/requests.storage\":\"1Gi\"}}"),
		"");
	has(said("{\"hard\":{\"gold\":\"1\"}}"), "must be a standard resource for quota");
	has(said("{\"hard\":{\"pods\":\"500m\"}}"), "must be an integer");
	has(said("{\"hard\":{\"count/widgets.example.com\":\"1500m\"}}"), "must be an integer");
	has(said("{\"hard\":{\"cpu\":\"-1\"}}"), "must be greater than or equal to 0");
	arena_release(&a);
}

void test_kinds_quota__scopes_go_with_what_they_bound(void **state)
{
	(void)state;
	assert_string_equal(said("{\"hard\":{\"pods\":\"1\",\"cpu\":\"1\"},\"scopes\":["
				 "\"NotBestEffort\",\"Terminating\"]}"),
			    "");
	has(said("{\"hard\":{\"cpu\":\"1\"},\"scopes\":[\"BestEffort\"]}"),
	    "unsupported scope applied to resource");
	has(said("{\"hard\":{\"secrets\":\"1\"},\"scopes\":[\"Terminating\"]}"),
	    "unsupported scope applied to resource");
	has(said("{\"hard\":{\"pods\":\"1\"},\"scopes\":[\"Nope\"]}"), "unsupported scope");
	has(said("{\"hard\":{\"pods\":\"1\"},\"scopes\":[\"BestEffort\",\"NotBestEffort\"]}"),
	    "conflicting scopes");
	arena_release(&a);
}

#define SELECTING(what)                                                                            \
	"{\"hard\":{\"pods\":\"1\"},\"scopeSelector\":{\"matchExpressions\":[" what "]}}"

void test_kinds_quota__selectors_compare_with_values(void **state)
{
	(void)state;
	assert_string_equal(said(SELECTING("{\"scopeName\":\"PriorityClass\",\"operator\":\"In\","
					   "\"values\":[\"high\"]}")),
			    "");
	has(said(SELECTING("{\"scopeName\":\"PriorityClass\",\"operator\":\"In\"}")),
	    "spec.scopeSelector.matchExpressions.values: Required value");
	has(said(SELECTING("{\"scopeName\":\"PriorityClass\",\"operator\":\"Exists\",\"values\":["
			   "\"x\"]}")),
	    "must be no value");
	has(said(SELECTING("{\"scopeName\":\"BestEffort\",\"operator\":\"DoesNotExist\"}")),
	    "must be 'Exist'");
	has(said(SELECTING("{\"scopeName\":\"PriorityClass\",\"operator\":\"Near\"}")),
	    "not a valid selector operator");
	has(said(SELECTING("{\"scopeName\":\"Terminating\",\"operator\":\"Exists\"},"
			   "{\"scopeName\":\"NotTerminating\",\"operator\":\"Exists\"}")),
	    "conflicting scopes");
	arena_release(&a);
}
