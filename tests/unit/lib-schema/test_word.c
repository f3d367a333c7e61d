/* Quantities, times and durations as Kubernetes keeps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/schema/schema.h"

static void assert_worded(const char *kind, const char *version, const char *in, const char *want)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf got = {0};
	struct json *v = json_parse(&a, str_c(in), NULL, NULL);

	schema_word(&a, schema_find_kind(str_c(version), str_c(kind)), v);
	json_write(v, &got);
	assert_string_equal(buf_cstr(&got), want);
}

#define LIMITS(x) "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{" x "}}}]}}"

void test_word__quantities(void **state)
{
	(void)state;
	assert_worded(
		"Pod", "v1",
		LIMITS("\"cpu\":1,\"memory\":\"1024Mi\",\"x\":0.5,\"y\":\"1000m\",\"z\":\"100m\""),
		LIMITS("\"cpu\":\"1\",\"memory\":\"1Gi\",\"x\":\"500m\",\"y\":\"1\",\"z\":"
		       "\"100m\""));
	assert_worded("Pod", "v1",
		      LIMITS("\"a\":\"1000\",\"b\":\"01\",\"c\":\"1.5Gi\",\"d\":\"0\""),
		      LIMITS("\"a\":\"1k\",\"b\":\"1\",\"c\":\"1536Mi\",\"d\":\"0\""));
	/* What is none is for the checks. */
	assert_worded("Pod", "v1", LIMITS("\"a\":\"x\",\"b\":true,\"c\":\"\""),
		      LIMITS("\"a\":\"x\",\"b\":true,\"c\":\"\""));
	assert_worded("Pod", "v1", "{\"spec\":[]}", "{\"spec\":[]}");
}

void test_word__times(void **state)
{
	(void)state;
	assert_worded("Lease", "coordination.k8s.io/v1",
		      "{\"spec\":{\"renewTime\":\"2024-01-01T02:00:00.5+02:00\",\"acquireTime\":"
		      "\"soon\"}}",
		      "{\"spec\":{\"renewTime\":\"2024-01-01T00:00:00.500000Z\",\"acquireTime\":"
		      "\"soon\"}}");
	assert_worded("Pod", "v1", "{\"status\":{\"startTime\":\"2024-01-01T02:00:00.5Z\"}}",
		      "{\"status\":{\"startTime\":\"2024-01-01T02:00:00Z\"}}");
}
