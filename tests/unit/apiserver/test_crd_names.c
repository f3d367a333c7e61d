/*
 * Definitions that want the same names: the first keeps them, the second is told, is not served,
 * and gets them when the first is gone. And which versions may go.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CRDS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define VERSION(name, storage)                                                                     \
	"{\"name\":\"" name "\",\"served\":true,\"storage\":" storage                              \
	",\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\"}}}"
#define CRD(plural, kind, more)                                                                    \
	"{\"metadata\":{\"name\":\"" plural ".x.io\"},\"spec\":{\"group\":\"x.io\",\"scope\":"     \
	"\"Cluster\",\"names\":{\"plural\":\"" plural "\",\"kind\":\"" kind "\"" more              \
	"},\"versions\":[" VERSION("v1", "true") "]}}"

static bool shows(const char *target, const char *part)
{
	assert_int_equal(status_of("GET", target, NULL, NULL), 200);
	return has(buf_view(&last_body), part);
}

void test_crd_names__the_second_is_told_and_waits(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(
		status_of("POST", CRDS, NULL, CRD("as", "Thing", ",\"shortNames\":[\"t\"]")), 201);
	assert_int_equal(status_of("POST", CRDS, NULL, CRD("bs", "Thing", "")), 201);
	assert_int_equal(
		status_of("POST", CRDS, NULL, CRD("cs", "Other", ",\"shortNames\":[\"t\"]")), 201);
	assert_true(shows(CRDS "/as.x.io", "\"reason\":\"NoConflicts\""));
	assert_true(shows(CRDS "/bs.x.io", "\"reason\":\"ListKindConflict\""));
	assert_true(shows(CRDS "/bs.x.io", "\\\"ThingList\\\" is already in use"));
	assert_true(shows(CRDS "/bs.x.io", "\"reason\":\"NotAccepted\""));
	assert_true(shows(CRDS "/cs.x.io", "\"reason\":\"ShortNamesConflict\""));
	assert_int_equal(status_of("GET", "/apis/x.io/v1/as", NULL, NULL), 200);
	assert_int_equal(status_of("GET", "/apis/x.io/v1/bs", NULL, NULL), 404);
	assert_int_equal(status_of("DELETE", CRDS "/as.x.io", NULL, NULL), 200);
	for (int i = 0; i < 4; i++)
		core_turn(core);
	assert_int_equal(status_of("GET", CRDS "/as.x.io", NULL, NULL), 404);
	assert_true(shows(CRDS "/bs.x.io", "\"reason\":\"NoConflicts\""));
	assert_true(shows(CRDS "/bs.x.io", "\"reason\":\"InitialNamesAccepted\""));
	assert_int_equal(status_of("GET", "/apis/x.io/v1/bs", NULL, NULL), 200);
	assert_int_equal(status_of("GET", "/apis/x.io/v1/cs", NULL, NULL), 200);
	alone_end();
}

void test_crd_names__what_is_established_stays_served(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", CRDS, NULL, CRD("as", "A", ",\"shortNames\":[\"t\"]")),
			 201);
	assert_int_equal(status_of("POST", CRDS, NULL, CRD("bs", "B", "")), 201);
	assert_int_equal(status_of("PATCH", CRDS "/bs.x.io", "application/merge-patch+json",
				   "{\"spec\":{\"names\":{\"shortNames\":[\"t\"]}}}"),
			 200);
	assert_true(shows(CRDS "/bs.x.io", "\"reason\":\"ShortNamesConflict\""));
	assert_true(shows(CRDS "/bs.x.io", "\"reason\":\"InitialNamesAccepted\""));
	assert_int_equal(status_of("GET", "/apis/x.io/v1/bs", NULL, NULL), 200);
	/* The other gives the name up. */
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io", "application/merge-patch+json",
				   "{\"spec\":{\"names\":{\"shortNames\":[\"u\"]}}}"),
			 200);
	core_turn(core);
	assert_true(shows(CRDS "/bs.x.io", "\"acceptedNames\":{\"plural\":\"bs\",\"kind\":\"B\","
					   "\"singular\":\"b\",\"listKind\":\"BList\","
					   "\"shortNames\":[\"t\"]}"));
	alone_end();
}

void test_crd_names__versions_that_are_stored_may_not_go(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", CRDS, NULL, CRD("as", "A", "")), 201);
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io", "application/merge-patch+json",
				   "{\"spec\":{\"versions\":[" VERSION("v2", "true") "]}}"),
			 422);
	assert_true(has(buf_view(&last_body), "v1 was previously a storage version"));
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io", "application/merge-patch+json",
				   "{\"spec\":{\"versions\":[" VERSION("v1", "false") "," VERSION(
					   "v2", "true") "]}}"),
			 200);
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io/status", "application/merge-patch+json",
				   "{\"status\":{\"storedVersions\":[\"v2\"]}}"),
			 200);
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io", "application/merge-patch+json",
				   "{\"spec\":{\"versions\":[" VERSION("v2", "true") "]}}"),
			 200);
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io/status", "application/merge-patch+json",
				   "{\"status\":{\"storedVersions\":[]}}"),
			 422);
	alone_end();
}

void test_crd_names__converters_must_make_sense(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", CRDS, NULL, CRD("as", "A", "")), 201);
	assert_int_equal(status_of("PATCH", CRDS "/as.x.io", "application/merge-patch+json",
				   "{\"spec\":{\"conversion\":{\"strategy\":\"Webhook\",\"webhook\""
				   ":{\"conversionReviewVersions\":[\"v7\"],\"clientConfig\":{"
				   "\"url\":\"http://x\"}}}}}"),
			 422);
	assert_true(has(buf_view(&last_body), "spec.conversion.webhookClientConfig.url"));
	assert_true(has(buf_view(&last_body), "must include at least one of v1, v1beta1"));
	alone_end();
}
