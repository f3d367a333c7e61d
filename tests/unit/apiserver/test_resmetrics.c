/* What readings of counters make: rates, and the objects of metrics.k8s.io. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/resmetrics_series.h"
#include "lib/base/timefmt.h"

#define KEY STR("pod/u/main")
#define S NS_PER_S

static struct reading at(int64_t s, double cpu_s)
{
	return (struct reading){s * S, (uint64_t)(cpu_s * 1e9), 4096};
}

static void expect(const struct series_set *s, int64_t window_s, uint64_t nanocores)
{
	struct rate r;

	assert_true(series_rate(s, KEY, &r));
	assert_int_equal(r.window_ns, window_s * S);
	assert_int_equal(r.nanocores, nanocores);
	assert_int_equal(r.memory, 4096);
}

void test_resmetrics__two_readings_make_a_rate(void **state)
{
	struct series_set s = {0};
	struct rate r;

	(void)state;
	assert_false(series_rate(&s, KEY, &r));
	series_add(&s, KEY, 0, at(1000, 5));
	assert_false(series_rate(&s, KEY, &r));
	series_add(&s, KEY, 0, at(1004, 7));
	expect(&s, 4, 500000000);
	series_set_release(&s);
}

void test_resmetrics__a_new_container_is_measured_from_its_start(void **state)
{
	struct series_set s = {0};
	struct rate r;

	(void)state;
	series_add(&s, KEY, 1000 * S, at(1005, 1));
	expect(&s, 5, 200000000);
	/* One that began long ago needs a second reading. */
	series_add(&s, KEY, 10 * S, at(1006, 50));
	assert_false(series_rate(&s, KEY, &r));
	series_set_release(&s);
}

void test_resmetrics__the_window_is_short(void **state)
{
	struct series_set s = {0};

	(void)state;
	for (int64_t i = 0; i < 100; i++) /* idle, and busy for the last ten seconds */
		series_add(&s, KEY, 0, at(1000 + i, i < 90 ? 0 : (double)(i - 89)));
	expect(&s, 7, 1000000000); /* as far as is remembered */
	series_set_release(&s);
	for (int64_t i = 0; i < 10; i++)
		series_add(&s, KEY, 0, at(1000 + 5 * i, (double)i));
	expect(&s, 10, 200000000);
	series_add(&s, KEY, 0, at(1105, 15)); /* after a while: since the last time */
	expect(&s, 60, 100000000);
	series_set_release(&s);
}

void test_resmetrics__what_goes_back_begins_anew(void **state)
{
	struct series_set s = {0};
	struct rate r;

	(void)state;
	series_add(&s, KEY, 0, at(1000, 50));
	series_add(&s, KEY, 0, at(1010, 60));
	series_add(&s, KEY, 0, at(1020, 1));
	assert_false(series_rate(&s, KEY, &r));
	series_add(&s, KEY, 0, at(1015, 5)); /* an older one changes nothing */
	assert_false(series_rate(&s, KEY, &r));
	series_add(&s, KEY, 0, at(1022, 3));
	expect(&s, 2, 1000000000);
	series_set_trim(&s, 1022 * S);
	expect(&s, 2, 1000000000);
	series_set_trim(&s, 1023 * S);
	assert_false(series_rate(&s, KEY, &r));
	series_set_release(&s);
}

static const char summary[] =
	"{\"node\":{\"nodeName\":\"n\",\"cpu\":{\"time\":\"2024-01-01T00:00:%s.5Z\","
	"\"usageCoreNanoSeconds\":%s},\"memory\":{\"workingSetBytes\":1048576}},"
	"\"pods\":[{\"podRef\":{\"name\":\"p\",\"namespace\":\"d\",\"uid\":\"u\"},\"containers\":["
	"{\"name\":\"main\",\"startTime\":\"2020-01-01T00:00:00Z\",\"cpu\":{\"time\":\"2024-01-"
	"01T00:00:%s.5Z\",\"usageCoreNanoSeconds\":%s},\"memory\":{\"workingSetBytes\":3072}}]}]}";

static struct json *take(struct series_set *s, struct arena *a, const char *second, const char *cpu)
{
	char *text = arena_printf(a, summary, second, cpu, second, cpu);
	struct json *v = json_parse(a, str_c(text), NULL, NULL);

	assert_non_null(v);
	series_take_summary(s, v);
	return v;
}

void test_resmetrics__objects(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct series_set s = {0};
	struct json *pod = json_build(&a, "{s:{s:s,s:s,s:s,s:{s:s}}}", "metadata", "name", "p",
				      "namespace", "d", "uid", "u", "labels", "app", "x");
	struct json *node = json_build(&a, "{s:{s:s}}", "metadata", "name", "n");
	struct json *v = take(&s, &a, "10", "1000000000");
	const struct json *stats = json_item(json_get(v, STR("pods")), 0);

	(void)state;
	assert_null(series_node_metrics(&s, &a, node));
	assert_null(series_pod_metrics(&s, &a, pod, stats));
	take(&s, &a, "14", "1500000000");
	json_write(series_node_metrics(&s, &a, node), &out);
	json_write(series_pod_metrics(&s, &a, pod, stats), &out);
	assert_string_equal(
		buf_cstr(&out),
		"{\"kind\":\"NodeMetrics\",\"apiVersion\":\"metrics.k8s.io/v1beta1\",\"metadata\":{"
		"\"name\":\"n\",\"creationTimestamp\":\"2024-01-01T00:00:14Z\"},\"timestamp\":"
		"\"2024-01-01T00:00:14Z\",\"window\":\"4s\",\"usage\":{\"cpu\":\"125m\",\"memory\":"
		"\"1Mi\"}}"
		"{\"kind\":\"PodMetrics\",\"apiVersion\":\"metrics.k8s.io/v1beta1\",\"metadata\":{"
		"\"name\":\"p\",\"namespace\":\"d\",\"labels\":{\"app\":\"x\"},"
		"\"creationTimestamp\":\"2024-01-01T00:00:14Z\"},\"timestamp\":\"2024-01-01T00:00:"
		"14Z\",\"window\":\"4s\",\"containers\":[{\"name\":\"main\",\"usage\":{\"cpu\":"
		"\"125m\",\"memory\":\"3Ki\"}}]}");
	/* Without figures for each of its containers, a pod has none. */
	json_append(&a, json_get(stats, STR("containers")),
		    json_build(&a, "{s:s}", "name", "other"));
	assert_null(series_pod_metrics(&s, &a, pod, stats));
	series_set_release(&s);
}

void test_resmetrics__nonsense_is_left_out(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct series_set s = {0};

	(void)state;
	take(&s, &a, "10", "-5");
	take(&s, &a, "11", "\"x\"");
	take(&s, &a, "1x", "5");
	series_take_summary(&s, NULL);
	series_take_summary(&s, json_build(&a, "{s:[i],s:s}", "pods", 1, "node", "x"));
	assert_int_equal(s.map.n, 0);
	series_set_release(&s);
}
