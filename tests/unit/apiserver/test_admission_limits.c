/* LimitRanges as writers meet them, in Kubernetes' words. */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NS "/api/v1/namespaces/default/"
#define PODS NS "pods"

static void begin(const char *limits)
{
	AUTO(buf) struct buf text = {0};

	alone_begin();
	assert_int_equal(status_of("POST", NS "serviceaccounts", NULL,
				   "{\"metadata\":{\"name\":\"default\"}}"),
			 201);
	buf_printf(&text, "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"limits\":[%s]}}", limits);
	if (status_of("POST", NS "limitranges", NULL, buf_cstr(&text)) != 201)
		fail_msg("%s", buf_cstr(&last_body));
}

static int pod(const char *resources)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text,
		   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
		   "\"image\":\"x\"%s%s}]}}",
		   resources[0] ? ",\"resources\":" : "", resources);
	return status_of("POST", PODS, NULL, buf_cstr(&text));
}

static void expect(const char *part)
{
	if (!has(buf_view(&last_body), part))
		fail_msg("%s\nlacks %s", buf_cstr(&last_body), part);
}

void test_admission_limits__containers_get_what_they_do_not_say(void **state)
{
	(void)state;
	begin("{\"type\":\"Container\",\"default\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"},"
	      "\"defaultRequest\":{\"cpu\":\"100m\"}}");
	assert_int_equal(pod(""), 201);
	expect("\"limits\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"}");
	expect("\"cpu\":\"100m\"");
	expect("\"kubernetes.io/limit-ranger\":\"LimitRanger plugin set: cpu, memory request for "
	       "container c; cpu, memory limit for container c\"");
	assert_int_equal(status_of("DELETE", PODS "/p", NULL, NULL), 200);
	assert_int_equal(pod("{\"requests\":{\"cpu\":\"50m\"},\"limits\":{\"memory\":\"2Gi\"}}"),
			 201);
	expect("\"memory\":\"2Gi\"");
	expect("\"cpu\":\"50m\"");
	expect("LimitRanger plugin set: cpu limit for container c\"");
	alone_end();
}

void test_admission_limits__the_range_itself_is_completed(void **state)
{
	(void)state;
	begin("{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"},\"min\":{\"memory\":\"1Mi\"}}");
	expect("\"default\":{\"cpu\":\"1\"}");
	expect("\"defaultRequest\":{\"cpu\":\"1\",\"memory\":\"1Mi\"}");
	alone_end();
}

void test_admission_limits__too_little_and_too_much_are_refused(void **state)
{
	(void)state;
	begin("{\"type\":\"Container\",\"max\":{\"memory\":\"1Gi\"},\"min\":{\"cpu\":\"100m\"}}");
	assert_int_equal(pod("{\"requests\":{\"cpu\":\"50m\"},\"limits\":{\"memory\":\"1536Mi\"}}"),
			 403);
	expect("pods \\\"p\\\" is forbidden: [minimum cpu usage per Container is 100m, but request "
	       "is "
	       "50m, maximum memory usage per Container is 1Gi, but limit is 1536Mi]");
	assert_int_equal(pod("{\"requests\":{\"cpu\":\"200m\"},\"limits\":{\"memory\":\"1Gi\"}}"),
			 201);
	alone_end();
}

void test_admission_limits__pods_are_added_up(void **state)
{
	(void)state;
	begin("{\"type\":\"Pod\",\"max\":{\"cpu\":\"2\"},\"maxLimitRequestRatio\":{\"cpu\":\"2\"}"
	      "}");
	assert_int_equal(pod(""), 403);
	expect("maximum cpu usage per Pod is 2.  No limit is specified");
	expect("cpu max limit to request ratio per Pod is 2, but no request is specified or "
	       "request "
	       "is 0");
	assert_int_equal(pod("{\"requests\":{\"cpu\":\"500m\"},\"limits\":{\"cpu\":\"1500m\"}}"),
			 403);
	expect("forbidden: cpu max limit to request ratio per Pod is 2, but provided ratio is "
	       "3.000000\"");
	assert_int_equal(pod("{\"requests\":{\"cpu\":\"1\"},\"limits\":{\"cpu\":\"2\"}}"), 201);
	alone_end();
}

void test_admission_limits__claims_have_bounds(void **state)
{
#define CLAIM(size)                                                                                \
	"{\"metadata\":{\"name\":\"c\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"            \
	"\"resources\":{\"requests\":{\"storage\":\"" size "\"}}}}"
	(void)state;
	begin("{\"type\":\"PersistentVolumeClaim\",\"min\":{\"storage\":\"1Gi\"},\"max\":{"
	      "\"storage\":\"2Gi\"}}");
	assert_int_equal(status_of("POST", NS "persistentvolumeclaims", NULL, CLAIM("1Mi")), 403);
	expect("minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi");
	assert_int_equal(status_of("POST", NS "persistentvolumeclaims", NULL, CLAIM("3Gi")), 403);
	expect("maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi");
	assert_int_equal(status_of("POST", NS "persistentvolumeclaims", NULL, CLAIM("2Gi")), 201);
	expect("kubernetes.io/pvc-protection");
	alone_end();
}
