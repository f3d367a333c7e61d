/* What autoscalers decide: Kubernetes' published algorithm by examples, and what holds always. */
#include "fake.h"

#include "controllers/hpa_core.h"
#include "lib/base/codec.h"

#define S NS_PER_S

/* ---- one metric ---- */

/* One letter a pod. r: ready; y: started lately, measured before it was ready; u: never ready;
 * p: Pending; m: not measured; d: being deleted; f: Failed. Each requests `request` of both. */
static void put_pods(struct fake *f, struct hpa_ask *q, const char *pods, const int64_t *cpu,
		     const char *request)
{
	size_t n = strlen(pods), samples = 0;
	const struct json **v = arena_array(&f->arena, n + 1, sizeof(*v));
	struct hpa_sample *s = arena_array(&f->arena, n + 1, sizeof(*s));
	char young[TIME_TEXT_MAX], now[TIME_TEXT_MAX];

	time_format(q->now_ns - 60 * S, young);
	time_format(q->now_ns, now);
	for (size_t i = 0; i < n; i++) {
		char c = pods[i];
		bool old = c != 'y';
		struct str name = arena_strf(&f->arena, "p%zu", i);

		v[i] = fake_json(
			f,
			arena_printf(
				&f->arena,
				"{'metadata':{'name':'p%zu'%s},'spec':{'containers':[{'name':'main'"
				","
				"'resources':{'requests':{'cpu':'%s','memory':'%s'}}}]},'status':{"
				"'phase':'%s','startTime':'%s','conditions':[{'type':'Ready',"
				"'status':'%s','lastTransitionTime':'%s'}]}}",
				i, c == 'd' ? ",'deletionTimestamp':'2023-01-01T00:00:00Z'" : "",
				request, request,
				c == 'p'   ? "Pending"
				: c == 'f' ? "Failed"
					   : "Running",
				old ? "2020-01-01T00:00:00Z" : young, c == 'u' ? "False" : "True",
				old ? "2020-01-01T00:00:10Z" : now));
		if (c != 'm' && c != 'p')
			s[samples++] = (struct hpa_sample){name, cpu[i], q->now_ns, 10 * S};
	}
	q->pods = (struct json_set_view){v, n};
	q->samples = s;
	q->nsamples = samples;
}

struct example {
	const char *pods, *resource;
	int64_t replicas, target; /* percent */
	int64_t cpu[8];
	int64_t want, utilization;
};

static const struct example examples[] = {
	/* desired = ceil(current × now / wanted) */
	{"rrr", "cpu", 3, 30, {300, 500, 700}, 5, 50},
	{"rrr", "cpu", 3, 100, {300, 500, 700}, 2, 50},
	{"rr", "cpu", 2, 50, {1000, 1000}, 4, 100},
	/* within a tenth nothing is done */
	{"rrr", "cpu", 3, 50, {500, 550, 540}, 3, 53},
	{"rrr", "cpu", 3, 50, {440, 460, 460}, 3, 45},
	/* what is being deleted or Failed counts for nothing */
	{"rrd", "cpu", 2, 50, {1000, 1000, 1000}, 4, 100},
	{"rrf", "cpu", 2, 50, {500, 500, 5000}, 2, 50},
	/* not ready yet: use nothing, scaling up */
	{"rry", "cpu", 3, 30, {500, 700, 5000}, 4, 60},
	{"rrp", "cpu", 3, 30, {300, 500, 0}, 3, 40},
	{"rrryp", "cpu", 5, 50, {600, 600, 600, 5000, 0}, 5, 60},
	{"ryyy", "cpu", 4, 50, {1000, 5000, 5000, 5000}, 4, 100},
	{"ru", "cpu", 2, 50, {1000, 5000}, 2, 100},
	/* … and are left out, scaling down */
	{"rry", "cpu", 3, 100, {100, 100, 5000}, 1, 10},
	/* but memory is used from the start */
	{"rry", "memory", 3, 50, {500, 500, 2000}, 6, 100},
	/* unknown: all of it, scaling down; nothing, scaling up */
	{"rrm", "cpu", 3, 100, {100, 100}, 2, 10},
	{"rrm", "cpu", 3, 200, {100, 100}, 2, 10},
	{"rrmm", "cpu", 4, 50, {1000, 1000}, 4, 100},
	{"rrm", "cpu", 3, 30, {900, 900}, 6, 90},
};

void test_hpa__by_utilization(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		const struct example *e = &examples[i];
		struct fake *f = fake_new(NULL);
		struct hpa_ask q = {.a = &f->arena,
				    .now_ns = f->now_ns,
				    .resource = str_c(e->resource),
				    .replicas = e->replicas};
		struct hpa_proposal p = {0};
		struct err err = {0};

		put_pods(f, &q, e->pods, e->cpu, "1");
		if (hpa_by_utilization(&q, e->target, &p, &err))
			fail_msg("%s: %s", e->pods, err.msg);
		if (p.replicas != e->want || p.utilization != e->utilization)
			fail_msg("%zu: %s at %d%%: %d at %d%%, not %d at %d%%", i, e->pods,
				 (int)e->target, (int)p.replicas, (int)p.utilization, (int)e->want,
				 (int)e->utilization);
		fake_free(f);
	}
}

static const char *error_of(struct fake *f, struct hpa_ask *q, const char *pods,
			    const char *request)
{
	static const int64_t cpu[8] = {100, 100, 100};
	struct hpa_proposal p = {0};
	struct err err = {0};

	put_pods(f, q, pods, cpu, request);
	return hpa_by_utilization(q, 50, &p, &err) ? arena_printf(&f->arena, "%s", err.msg) : "";
}

void test_hpa__what_cannot_be_computed(void **state)
{
	struct fake *f = fake_new(NULL);
	struct hpa_ask q = {
		.a = &f->arena, .now_ns = f->now_ns, .resource = STR("cpu"), .replicas = 2};

	(void)state;
	assert_string_equal(error_of(f, &q, "m", "1"),
			    "no metrics returned from resource metrics API");
	assert_string_equal(error_of(f, &q, "ry", "x"),
			    "missing request for cpu in container main of Pod p0");
	assert_string_equal(error_of(f, &q, "yu", "1"),
			    "did not receive metrics for targeted pods (pods might be unready)");
	assert_string_equal(error_of(f, &q, "rr", "0"), "no metrics returned matched known pods");
	fake_free(f);
}

void test_hpa__by_average_value_and_single_values(void **state)
{
	static const int64_t queue[8] = {10000, 30000, 20000};
	struct fake *f = fake_new(NULL);
	struct hpa_ask q = {.a = &f->arena, .now_ns = f->now_ns, .replicas = 3};
	struct hpa_proposal p = {0};
	struct err err = {0};

	(void)state;
	put_pods(f, &q, "rrr", queue, "1");
	assert_int_equal(hpa_by_average(&q, 10000, &p, &err), 0);
	assert_int_equal(p.replicas, 6);
	assert_int_equal(p.milli, 20000);
	assert_int_equal(p.utilization, -1);
	assert_int_equal(hpa_by_average(&q, 0, &p, &err), -1);
	assert_int_equal(hpa_by_value(&q, 30000, 20000, &p, &err), 0); /* 1.5 × 3 ready */
	assert_int_equal(p.replicas, 5);
	assert_int_equal(hpa_by_value(&q, 21000, 20000, &p, &err), 0);
	assert_int_equal(p.replicas, 3);
	assert_int_equal(hpa_by_share(100000, 10000, 3, &p, &err), 0);
	assert_int_equal(p.replicas, 10);
	assert_int_equal(p.milli, 33334);
	assert_int_equal(hpa_by_share(31000, 10000, 3, &p, &err), 0);
	assert_int_equal(p.replicas, 3);
	assert_int_equal(hpa_by_share(5000, 0, 3, &p, &err), -1);
	assert_int_equal(hpa_by_share(INT64_MAX, 1, 0, &p, &err), 0);
	assert_int_equal(p.replicas, HPA_COUNT_MAX);
	fake_free(f);
}

void test_hpa__samples_of_containers(void **state)
{
	struct fake *f = fake_new(NULL);
	const struct json *list =
		fake_json(f, "{'items':[{'metadata':{'name':'a','namespace':'n'},'timestamp':"
			     "'2023-01-01T00:00:00Z','window':'10s','containers':["
			     "{'name':'main','usage':{'cpu':'1500000n','memory':'1Ki'}},"
			     "{'name':'side','usage':{'cpu':'2m','memory':'1Ki'}}]},"
			     "{'metadata':{'name':'b','namespace':'n'},'containers':["
			     "{'name':'main','usage':{'memory':'1Ki'}},{'name':'side','usage':{'"
			     "cpu':'2m'}}]}]}");
	struct hpa_ask q = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(hpa_samples(&f->arena, list, STR("cpu"), STR_NONE, &q, &err), 0);
	assert_int_equal(q.nsamples, 1);
	assert_int_equal(q.samples[0].milli, 4); /* each rounded up */
	assert_int_equal(q.samples[0].window_ns, 10 * S);
	assert_int_equal(hpa_samples(&f->arena, list, STR("cpu"), STR("side"), &q, &err), 0);
	assert_int_equal(q.nsamples, 2);
	assert_int_equal(hpa_samples(&f->arena, list, STR("cpu"), STR("nosuch"), &q, &err), -1);
	assert_string_equal(err.msg, "container nosuch not present in metrics for pod n/a");
	fake_free(f);
}

/* ---- limits ---- */

static int64_t limited(const struct json *spec, struct hpa_memory *m, int64_t s, int64_t current,
		       int64_t wanted, const char *reason)
{
	struct hpa_verdict v = {0};

	hpa_remember(m, s * S, current);
	hpa_limit(spec, m, s * S, current, wanted, &v);
	if (reason)
		assert_string_equal(v.limited_reason, reason);
	if (v.replicas != current)
		hpa_note(spec, m, s * S, current, v.replicas);
	return v.replicas;
}

void test_hpa__without_behavior(void **state)
{
	struct fake *f = fake_new(NULL);
	const struct json *spec = fake_json(f, "{'minReplicas':2,'maxReplicas':20}");
	struct hpa_memory m = {0};

	(void)state;
	/* doubling, at least to four */
	assert_int_equal(limited(spec, &m, 1000, 2, 20, "ScaleUpLimit"), 4);
	assert_int_equal(limited(spec, &m, 1015, 4, 20, "ScaleUpLimit"), 8);
	assert_int_equal(limited(spec, &m, 1030, 16, 50, "TooManyReplicas"), 20);
	/* down only after five minutes of it */
	assert_int_equal(limited(spec, &m, 1100, 20, 1, "TooManyReplicas"), 20);
	assert_int_equal(limited(spec, &m, 1329, 20, 3, NULL), 20);
	assert_int_equal(limited(spec, &m, 1331, 20, 1, "DesiredWithinRange"), 3);
	hpa_memory_release(&m);
	assert_int_equal(limited(spec, &m, 2000, 2, 1, "DesiredWithinRange"), 2);
	assert_int_equal(limited(spec, &m, 2301, 2, 1, "TooFewReplicas"), 2);
	hpa_memory_release(&m);
	fake_free(f);
}

void test_hpa__policies(void **state)
{
	struct fake *f = fake_new(NULL);
	const struct json *spec =
		fake_json(f, "{'minReplicas':1,'maxReplicas':100,'behavior':{'scaleUp':{"
			     "'stabilizationWindowSeconds':0,'selectPolicy':'Max','policies':["
			     "{'type':'Pods','value':4,'periodSeconds':60},"
			     "{'type':'Percent','value':100,'periodSeconds':60}]},'scaleDown':{"
			     "'stabilizationWindowSeconds':60,'selectPolicy':'Min','policies':["
			     "{'type':'Pods','value':5,'periodSeconds':60},"
			     "{'type':'Percent','value':10,'periodSeconds':60}]}}}");
	struct hpa_memory m = {0};

	(void)state;
	assert_int_equal(limited(spec, &m, 1000, 1, 50, "ScaleUpLimit"), 5);
	assert_int_equal(limited(spec, &m, 1010, 5, 50, "ScaleUpLimit"), 5); /* same minute */
	assert_int_equal(limited(spec, &m, 1061, 5, 50, "ScaleUpLimit"), 10);
	assert_int_equal(limited(spec, &m, 1122, 10, 50, "ScaleUpLimit"), 20);
	assert_int_equal(limited(spec, &m, 1183, 40, 50, "DesiredWithinRange"), 50);
	/* the lesser of five and a tenth, after a minute of wanting less */
	assert_int_equal(limited(spec, &m, 1200, 50, 10, NULL), 50);
	assert_int_equal(limited(spec, &m, 1250, 50, 10, "ScaleDownLimit"), 45);
	assert_int_equal(limited(spec, &m, 1260, 45, 10, "ScaleDownLimit"), 45);
	assert_int_equal(limited(spec, &m, 1311, 45, 10, "ScaleDownLimit"), 40);
	hpa_memory_release(&m);
	fake_free(f);
}

void test_hpa__disabled_and_slow_ways(void **state)
{
	struct fake *f = fake_new(NULL);
	const struct json *spec =
		fake_json(f, "{'minReplicas':1,'maxReplicas':100,'behavior':{'scaleUp':{"
			     "'stabilizationWindowSeconds':30,'selectPolicy':'Max','policies':["
			     "{'type':'Pods','value':50,'periodSeconds':60}]},'scaleDown':{"
			     "'selectPolicy':'Disabled','policies':[]}}}");
	struct hpa_memory m = {0};
	struct hpa_verdict v;

	(void)state;
	assert_int_equal(limited(spec, &m, 1000, 10, 1, "DesiredWithinRange"), 10);
	assert_int_equal(limited(spec, &m, 1400, 10, 1, "ScaleDownLimit"), 10);
	hpa_memory_release(&m);
	/* Up to the lowest of the last half minute. */
	hpa_remember(&m, 2000 * S, 10);
	hpa_limit(spec, &m, 2001 * S, 10, 30, &v);
	assert_int_equal(v.replicas, 10);
	assert_string_equal(v.able_reason, "ScaleUpStabilized");
	hpa_limit(spec, &m, 2029 * S, 10, 40, &v);
	assert_int_equal(v.replicas, 10);
	hpa_limit(spec, &m, 2030 * S, 10, 40, &v);
	assert_int_equal(v.replicas, 30);
	hpa_memory_release(&m);
	fake_free(f);
}

/* ---- what holds always ---- */

static struct json *any_rules(struct fake *f, struct rng *r)
{
	static const char *const picks[] = {"Max", "Min", "Disabled"};

	return fake_json(
		f, arena_printf(&f->arena,
				"{'stabilizationWindowSeconds':%d,'selectPolicy':'%s','policies':["
				"{'type':'Pods','value':%d,'periodSeconds':%d},"
				"{'type':'Percent','value':%d,'periodSeconds':%d}]}",
				(int)(rng_u64(r) % 100), picks[rng_u64(r) % 3],
				(int)(1 + rng_u64(r) % 9), (int)(1 + rng_u64(r) % 60),
				(int)(1 + rng_u64(r) % 150), (int)(1 + rng_u64(r) % 60)));
}

void test_hpa__never_out_of_bounds_nor_away_from_what_is_wanted(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 7);
	for (int i = 0; i < 300; i++) {
		struct fake *f = fake_new(NULL);
		int64_t min = 1 + (int64_t)(rng_u64(&r) % 5),
			max = min + (int64_t)(rng_u64(&r) % 50), s = 1000, current = min;
		struct json *spec =
			json_build(&f->arena, "{s:I,s:I}", "minReplicas", min, "maxReplicas", max);
		struct hpa_memory m = {0};

		if (i % 3)
			json_set(&f->arena, spec, STR("behavior"),
				 json_build(&f->arena, "{s:o,s:o}", "scaleUp", any_rules(f, &r),
					    "scaleDown", any_rules(f, &r)));
		for (int turn = 0; turn < 60; turn++, s += 1 + (int64_t)(rng_u64(&r) % 20)) {
			int64_t wanted = (int64_t)(rng_u64(&r) % 80);
			int64_t next = limited(spec, &m, s, current, wanted, NULL);

			assert_in_range(next, min, max);
			/* Windows may hold it where it is, or let it follow later; what nobody
			 * has wanted lately is never done. */
			if (wanted >= current && i % 3)
				assert_true(next >= MIN(current, max));
			current = next;
		}
		hpa_memory_release(&m);
		fake_free(f);
	}
}

void test_hpa__more_load_never_means_fewer(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 11);
	for (int i = 0; i < 200; i++) {
		static const char kinds[] = "rrrrympu";
		char pods[9] = "r";
		int64_t cpu[8], before = 0;
		size_t n = 1 + rng_u64(&r) % 8;

		for (size_t p = 0; p < n; p++) {
			pods[p] = p ? kinds[rng_u64(&r) % 8] : 'r';
			cpu[p] = (int64_t)(rng_u64(&r) % 300);
		}
		pods[n] = 0;
		for (int more = 0; more < 20; more++) {
			struct fake *f = fake_new(NULL);
			struct hpa_ask q = {.a = &f->arena,
					    .now_ns = f->now_ns,
					    .resource = STR("cpu"),
					    .replicas = (int64_t)n};
			struct hpa_proposal p = {0};
			struct err err = {0};

			put_pods(f, &q, pods, cpu, "500m");
			assert_int_equal(hpa_by_utilization(&q, 60, &p, &err), 0);
			if (p.replicas < before)
				fail_msg("%s: %d after %d", pods, (int)p.replicas, (int)before);
			before = p.replicas;
			for (size_t c = 0; c < n; c++)
				cpu[c] += 40;
			fake_free(f);
		}
	}
}

/* ---- words ---- */

void test_hpa__statuses(void **state)
{
	static const struct {
		const char *metric, *status, *name;
	} cases[] = {
		{"{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization',"
		 "'averageUtilization':50}}}",
		 "{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"current\":{"
		 "\"averageUtilization\":40,\"averageValue\":\"1500m\"}}}",
		 "cpu resource utilization (percentage of request)"},
		{"{'type':'Object','object':{'describedObject':{'kind':'Ingress','name':'i'},"
		 "'metric':{'name':'rps'},'target':{'type':'Value','value':'10'}}}",
		 "{\"type\":\"Object\",\"object\":{\"metric\":{\"name\":\"rps\"},"
		 "\"describedObject\":{\"kind\":\"Ingress\",\"name\":\"i\"},\"current\":{"
		 "\"value\":\"1500m\"}}}",
		 "Ingress metric rps"},
	};
	struct fake *f = fake_new(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct json *m = fake_json(f, cases[i].metric);
		struct hpa_proposal p = {1, 1500, i ? -1 : 40};
		AUTO(buf) struct buf out = {0};

		json_write(hpa_metric_status(&f->arena, m, &p), &out);
		assert_string_equal(buf_cstr(&out), cases[i].status);
		assert_true(str_is(hpa_metric_name(&f->arena, m), cases[i].name));
	}
	assert_string_equal(hpa_failed_reason(fake_json(f, "{'type':'External'}")),
			    "FailedGetExternalMetric");
	assert_string_equal(hpa_failed_reason(NULL), "InvalidMetricSourceType");
	assert_null(hpa_source(fake_json(f, "{'type':'x','x':{}}")));
	fake_free(f);
}
