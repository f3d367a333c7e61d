/* The kubelet's pure parts: the pod machine's traces, texts, environments, users, logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kubelet/env_core.h"
#include "kubelet/logs_core.h"
#include "kubelet/node_core.h"
#include "kubelet/pod_core.h"
#include "kubelet/podfiles_core.h"
#include "kubelet/probe_core.h"
#include "kubelet/status_core.h"
#include "kubelet/user_core.h"
#include "kubelet/websocket_core.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", err.msg, text);
	return v;
}

static struct pod_spec spec_of(const char *spec)
{
	struct pod_spec s;
	struct err err = {0};
	char *text = arena_printf(
		&a, "{\"metadata\":{\"namespace\":\"d\",\"name\":\"p\",\"uid\":\"u\"},\"spec\":%s}",
		spec);

	if (pod_spec_read(&a, parse(text), &s, &err))
		fail_msg("%s", err.msg);
	return s;
}

/* ---- the machine, with everything succeeding unless told otherwise ---- */

struct sim {
	struct pod_spec s;
	struct pod_obs o;
	struct pod_clock now;
	struct buf trace;
	const char *image_fails;
};

static void sim_init(struct sim *m, const char *spec)
{
	*m = (struct sim){.s = spec_of(spec), .now = {NS_PER_S, NS_PER_S * 1000}};
	pod_obs_init(&m->o, &m->s);
	m->o.start_mono = m->now.mono;
}

static void act(struct sim *m, const struct pod_action *x)
{
	struct cont_obs *c = x->c < m->o.n ? &m->o.c[x->c] : NULL;

	pod_mark(&m->s, &m->o, x, m->now);
	switch (x->act) {
	case ACT_SANDBOX:
		pod_on_sandbox(&m->o, true, "10.0.0.2", m->now);
		break;
	case ACT_VOLUMES:
		pod_on_volumes(&m->o, true, m->now);
		break;
	case ACT_IMAGE:
		pod_on_image(c, !m->image_fails, m->image_fails, "why", m->now);
		break;
	case ACT_START:
		pod_on_started(&m->s.c[x->c], c, 42, m->now);
		break;
	case ACT_PRE_STOP:
		pod_on_hook_done(c);
		break;
	case ACT_KILL:
		pod_on_exited(&m->s.c[x->c], c, 137, false, m->now.wall, NULL, m->now);
		break;
	case ACT_TEARDOWN:
		pod_on_torn_down(&m->o);
		break;
	case ACT_CONFIRM:
		pod_on_confirmed(&m->o, true, m->now);
		break;
	case ACT_TERM:
	case ACT_REMOVE:
	case ACT_MAX:
		break;
	}
}

/* Runs until there is nothing to do at this time; returns when to look again. */
static int64_t run(struct sim *m)
{
	struct pod_plan plan;

	for (int i = 0; i < 50; i++) {
		pod_settle(&m->s, &m->o, m->now);
		pod_step(&m->s, &m->o, m->now, &plan);
		if (!plan.n)
			return plan.wake_at;
		pod_plan_write(&m->s, &plan, &m->trace);
		for (size_t j = 0; j < plan.n; j++)
			act(m, &plan.v[j]);
	}
	fail_msg("it never rests: %.*s", STR_ARG(buf_view(&m->trace)));
	return 0;
}

static void assert_trace(struct sim *m, const char *want)
{
	assert_string_equal(buf_cstr(&m->trace), want);
	buf_reset(&m->trace);
}

static void sim_release(struct sim *m)
{
	pod_obs_release(&m->o);
	buf_release(&m->trace);
	arena_release(&a);
}

static void wait_for(struct sim *m, int64_t at)
{
	assert_true(at > m->now.mono);
	m->now.wall += at - m->now.mono;
	m->now.mono = at;
}

void test_cores__a_pod_starts_and_ends(void **state)
{
	struct sim m;

	(void)state;
	sim_init(&m, "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"},{\"name\":\"b\","
		     "\"image\":\"x:1\"}]}");
	run(&m);
	assert_trace(&m, "sandbox\nvolumes\nimage a\nimage b\nstart a\nstart b\n");
	assert_string_equal(pod_phase(&m.s, &m.o), "Running");
	m.s.deleting = true;
	m.s.grace_s = 5;
	int64_t at = run(&m);
	assert_trace(&m, "term a\nterm b\n");
	assert_int_equal(at, m.now.mono + 5 * NS_PER_S);
	pod_on_exited(&m.s.c[0], &m.o.c[0], 0, false, m.now.wall, NULL, m.now);
	wait_for(&m, at);
	run(&m);
	assert_trace(&m, "kill b\nteardown\nconfirm\n");
	m.o.gone = true;
	run(&m);
	assert_trace(&m, "remove\n");
	sim_release(&m);
}

/* Clients are still sent to it for a moment: hooks run at once, but nobody is told to end. */
void test_cores__a_pod_that_serves_is_told_when_it_has_left(void **state)
{
	struct sim m;

	(void)state;
	sim_init(&m,
		 "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"},{\"name\":\"b\","
		 "\"image\":\"x:1\",\"lifecycle\":{\"preStop\":{\"sleep\":{\"seconds\":1}}}}]}");
	run(&m);
	buf_reset(&m.trace);
	m.s.deleting = true;
	m.s.grace_s = 5;
	m.o.leaves_at = m.now.mono + NS_PER_S;
	int64_t at = run(&m);
	assert_trace(&m, "pre-stop b\n");
	assert_int_equal(at, m.now.mono + NS_PER_S);
	wait_for(&m, at);
	at = run(&m);
	assert_trace(&m, "term a\nterm b\n");
	/* The time for its end has run meanwhile. */
	assert_int_equal(at, m.now.mono + 4 * NS_PER_S);
	sim_release(&m);

	sim_init(&m, "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	run(&m);
	buf_reset(&m.trace);
	m.s.deleting = true;
	m.s.grace_s = 0; /* by force */
	m.o.leaves_at = m.now.mono + NS_PER_S;
	run(&m);
	assert_trace(&m, "kill a\nteardown\nconfirm\n");
	sim_release(&m);
}

/* They come while the pod runs, run once, and neither keep the pod nor end it. */
void test_cores__ephemeral_containers(void **state)
{
	static const char *const before = "{\"restartPolicy\":\"Never\",\"initContainers\":[{"
					  "\"name\":\"i\",\"image\":\"x:1\"}],"
					  "\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}";
	static const char *const after =
		"{\"restartPolicy\":\"Never\",\"initContainers\":[{\"name\":\"i\",\"image\":\"x:"
		"1\"}],"
		"\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}],"
		"\"ephemeralContainers\":[{\"name\":\"e\",\"image\":\"x:1\"}]}";
	struct sim m;

	(void)state;
	sim_init(&m, before);
	run(&m);
	assert_trace(&m, "sandbox\nvolumes\nimage i\nstart i\n");
	/* Also while the pod is stuck in its first steps. */
	m.s = spec_of(after);
	pod_obs_grow(&m.o, &m.s);
	run(&m);
	assert_trace(&m, "image e\nstart e\n");
	pod_on_exited(&m.s.c[2], &m.o.c[2], 1, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_trace(&m, "");
	assert_string_equal(pod_phase(&m.s, &m.o), "Pending");
	pod_on_exited(&m.s.c[0], &m.o.c[0], 0, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_trace(&m, "image a\nstart a\n");
	assert_string_equal(pod_phase(&m.s, &m.o), "Running");
	struct status_in in = {
		.spec = &m.s, .obs = &m.o, .host_ip = "1.2.3.4", .runtime = "crun", .now = m.now};
	struct json *st = pod_status(&a, &in);
	assert_int_equal(json_len(json_at(st, "containerStatuses")), 1);
	const struct json *e = json_item(json_at(st, "ephemeralContainerStatuses"), 0);
	assert_int_equal(json_int(json_at(e, "state", "terminated", "exitCode"), -1), 1);
	assert_false(json_bool(json_at(e, "ready"), true));
	pod_on_exited(&m.s.c[1], &m.o.c[1], 0, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_trace(&m, "teardown\n");
	assert_string_equal(pod_phase(&m.s, &m.o), "Succeeded");
	sim_release(&m);
}

void test_cores__init_containers_run_one_by_one(void **state)
{
	struct sim m;

	(void)state;
	sim_init(&m, "{\"initContainers\":[{\"name\":\"i\",\"image\":\"x:1\"},{\"name\":\"s\","
		     "\"image\":\"x:1\",\"restartPolicy\":\"Always\"}],"
		     "\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	run(&m);
	assert_trace(&m, "sandbox\nvolumes\nimage i\nstart i\n");
	assert_string_equal(pod_phase(&m.s, &m.o), "Pending");
	pod_on_exited(&m.s.c[0], &m.o.c[0], 0, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_trace(&m, "image s\nstart s\nimage a\nstart a\n");
	assert_true(pod_initialized(&m.s, &m.o));
	m.s.deleting = true;
	run(&m);
	assert_trace(&m, "term a\n"); /* the sidecar serves to the end */
	pod_on_exited(&m.s.c[2], &m.o.c[2], 0, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_trace(&m, "term s\n");
	sim_release(&m);
}

void test_cores__crashes_wait_longer_each_time(void **state)
{
	static const int64_t waits[] = {0, 10, 20, 40, 80, 160, 300, 300};
	struct sim m;

	(void)state;
	sim_init(&m, "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	run(&m);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		buf_reset(&m.trace);
		pod_on_exited(&m.s.c[0], &m.o.c[0], 1, false, m.now.wall, NULL, m.now);
		int64_t at = run(&m);
		if (waits[i]) {
			assert_int_equal(at - m.now.mono, waits[i] * NS_PER_S);
			wait_for(&m, at);
			run(&m);
		}
		assert_trace(&m, "image a\nstart a\n");
		assert_int_equal(m.o.c[0].restarts, i + 1);
	}
	sim_release(&m);
}

void test_cores__restart_policies(void **state)
{
	struct sim m;

	(void)state;
	sim_init(&m, "{\"restartPolicy\":\"OnFailure\",\"containers\":[{\"name\":\"a\",\"image\":"
		     "\"x:1\"}]}");
	run(&m);
	pod_on_exited(&m.s.c[0], &m.o.c[0], 1, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_int_equal(m.o.c[0].restarts, 1);
	pod_on_exited(&m.s.c[0], &m.o.c[0], 0, false, m.now.wall, NULL, m.now);
	run(&m);
	assert_string_equal(pod_phase(&m.s, &m.o), "Succeeded");
	sim_release(&m);
	sim_init(&m, "{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"a\",\"image\":\"x:"
		     "1\"}]}");
	run(&m);
	pod_on_exited(&m.s.c[0], &m.o.c[0], 7, true, m.now.wall, NULL, m.now);
	run(&m);
	assert_string_equal(pod_phase(&m.s, &m.o), "Failed");
	assert_string_equal(m.o.c[0].end.reason, "OOMKilled");
	sim_release(&m);
}

void test_cores__the_deadline_ends_a_pod(void **state)
{
	struct sim m;

	(void)state;
	sim_init(&m, "{\"activeDeadlineSeconds\":30,\"terminationGracePeriodSeconds\":2,"
		     "\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	int64_t at = run(&m);
	buf_reset(&m.trace);
	wait_for(&m, at);
	wait_for(&m, run(&m));
	run(&m);
	assert_trace(&m, "term a\nkill a\nteardown\n");
	assert_string_equal(pod_phase(&m.s, &m.o), "Failed");
	assert_string_equal(m.o.end_reason, "DeadlineExceeded");
	sim_release(&m);
}

void test_cores__an_image_that_is_missing_shows(void **state)
{
	struct sim m;
	AUTO(buf) struct buf out = {0};

	(void)state;
	sim_init(&m, "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	m.image_fails = "ErrImagePull";
	wait_for(&m, run(&m));
	run(&m);
	struct status_in in = {
		.spec = &m.s, .obs = &m.o, .host_ip = "1.2.3.4", .runtime = "crun", .now = m.now};
	struct json *st = pod_status(&a, &in);
	struct json *w =
		json_at(json_item(json_at(st, "containerStatuses"), 0), "state", "waiting");
	assert_true(str_is(json_str(json_at(w, "reason")), "ImagePullBackOff"));
	assert_true(str_is(json_str(json_at(st, "phase")), "Pending"));
	m.image_fails = NULL;
	pod_retry_now(&m.o);
	run(&m);
	st = pod_status(&a, &in);
	assert_true(str_is(json_str(json_at(st, "phase")), "Running"));
	assert_true(str_is(json_str(json_at(st, "podIP")), "10.0.0.2"));
	sim_release(&m);
}

static struct str waits_for(const struct json *list, size_t i)
{
	return json_str(json_at(json_item(list, i), "state", "waiting", "reason"));
}

void test_cores__init_containers_all_wait_for_the_pod(void **state)
{
	struct sim m;

	(void)state;
	sim_init(
		&m,
		"{\"initContainers\":[{\"name\":\"a\",\"image\":\"x:1\"},{\"name\":\"b\",\"image\":"
		"\"x:1\"}],\"containers\":[{\"name\":\"c\",\"image\":\"x:1\"}]}");
	struct status_in in = {
		.spec = &m.s, .obs = &m.o, .host_ip = "1.2.3.4", .runtime = "crun", .now = m.now};
	struct json *st = pod_status(&a, &in);
	assert_true(str_is(waits_for(json_at(st, "initContainerStatuses"), 0), "PodInitializing"));
	assert_true(str_is(waits_for(json_at(st, "initContainerStatuses"), 1), "PodInitializing"));
	assert_true(str_is(waits_for(json_at(st, "containerStatuses"), 0), "PodInitializing"));
	sim_release(&m);
}

static struct json *told(struct sim *m, const struct json *old)
{
	struct status_in in = {.spec = &m->s,
			       .obs = &m->o,
			       .old = old,
			       .host_ip = "1.2.3.4",
			       .runtime = "crun",
			       .now = m->now};

	return pod_status(&a, &in);
}

/* Kubernetes' kubelet tells nothing between the end of the old image's run and the start of the
 * new one's, so a pod that is given another image stays ready. */
void test_cores__another_image_is_no_gap(void **state)
{
	struct sim m;
	struct pod_action start = {ACT_START, 0};

	(void)state;
	sim_init(&m, "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	run(&m);
	struct json *before = told(&m, NULL), *now;
	pod_on_swap(&m.o.c[0]);
	assert_true(json_equal(told(&m, before), before));
	pod_on_exited(&m.s.c[0], &m.o.c[0], 137, false, m.now.wall, NULL, m.now);
	assert_true(json_equal(told(&m, before), before));
	pod_mark(&m.s, &m.o, &start, m.now);
	assert_true(json_equal(told(&m, before), before));
	pod_on_started(&m.s.c[0], &m.o.c[0], 43, m.now);
	assert_true(json_equal(told(&m, before), before));
	wait_for(&m, run(&m));
	now = json_item(json_at(told(&m, before), "containerStatuses"), 0);
	assert_int_equal(json_int(json_at(now, "restartCount"), 0), 1);
	assert_true(json_bool(json_at(now, "ready"), false));
	sim_release(&m);
}

void test_cores__another_image_that_is_missing_shows(void **state)
{
	struct sim m;

	(void)state;
	sim_init(&m, "{\"containers\":[{\"name\":\"a\",\"image\":\"x:1\"}]}");
	run(&m);
	struct json *before = told(&m, NULL);
	pod_on_swap(&m.o.c[0]);
	pod_on_exited(&m.s.c[0], &m.o.c[0], 137, false, m.now.wall, NULL, m.now);
	m.image_fails = "ErrImagePull";
	run(&m);
	struct json *now = json_item(json_at(told(&m, before), "containerStatuses"), 0);
	assert_false(json_bool(json_at(now, "ready"), true));
	assert_true(str_is(json_str(json_at(now, "state", "waiting", "reason")), "ErrImagePull"));
	sim_release(&m);
}

/* ---- texts ---- */

static const struct json *find(void *arg, bool secret, struct str name)
{
	const struct json *all = arg;

	return json_get(json_get(all, secret ? STR("s") : STR("c")), name);
}

static struct str no_token(void *arg, const struct json *source)
{
	(void)arg, (void)source;
	return STR("tok");
}

static struct payload_in input(const struct pod_spec *s, struct json *objects)
{
	return (struct payload_in){
		.pod = s,
		.fields = {.pod = s->json, .pod_ip = STR("10.0.0.9"), .host_ip = STR("1.1.1.1")},
		.node = {4000, 1 << 30, 1 << 30},
		.find = find,
		.token = no_token,
		.arg = objects};
}

void test_cores__environment(void **state)
{
	struct pod_spec s = spec_of(
		"{\"containers\":[{\"name\":\"a\",\"image\":\"x\",\"resources\":{\"limits\":{"
		"\"cpu\":\"1500m\"}},"
		"\"envFrom\":[{\"prefix\":\"P_\",\"configMapRef\":{\"name\":\"m\"}},{\"secretRef\":"
		"{\"name\":\"no\",\"optional\":true}}],"
		"\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"value\":\"$(A)-$(NO)-$"
		"$(A)\"},"
		"{\"name\":\"S\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"k\",\"key\":\"t\"}}},"
		"{\"name\":\"C\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"limits.cpu\"}}"
		"},"
		"{\"name\":\"N\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.namespace\"}"
		"}}]}]}");
	struct json *objects = parse("{\"c\":{\"m\":{\"data\":{\"k\":\"v\"}}},\"s\":{\"k\":{"
				     "\"data\":{\"t\":\"czNjcmV0\"}}}}");
	const struct json *services[] = {
		parse("{\"metadata\":{\"name\":\"my-db\",\"namespace\":\"d\"},\"spec\":{"
		      "\"clusterIP\":\"10.96.0.5\","
		      "\"ports\":[{\"name\":\"sql\",\"port\":5432,\"protocol\":\"TCP\"}]}}")};
	struct payload_in in = input(&s, objects);
	struct env_in e = {.in = &in,
			   .c = &s.c[0],
			   .image = parse("{\"Env\":[\"PATH=/x\",\"A=0\"]}"),
			   .services = services,
			   .nservices = 1,
			   .hostname = STR("p")};
	static const char *const want[][2] = {{"PATH", "/x"},
					      {"HOSTNAME", "p"},
					      {"A", "1"},
					      {"B", "1-$(NO)-$(A)"},
					      {"P_k", "v"},
					      {"S", "s3cret"},
					      {"C", "2"},
					      {"N", "d"},
					      {"MY_DB_SERVICE_HOST", "10.96.0.5"},
					      {"MY_DB_SERVICE_PORT_SQL", "5432"},
					      {"MY_DB_PORT_5432_TCP", "tcp://10.96.0.5:5432"}};
	struct env env;
	struct err err = {0};

	(void)state;
	assert_int_equal(env_build(&a, &e, &env, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_string_equal(arena_cstr(&a, env_get(&env, str_c(want[i][0]))), want[i][1]);
	in.arg = parse("{}");
	assert_int_equal(env_build(&a, &e, &env, &err), -1);
	assert_string_equal(err.msg, "configmap \"m\" not found");
	arena_release(&a);
}

void test_cores__payloads(void **state)
{
	struct pod_spec s = spec_of("{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}");
	struct payload_in in = input(&s, parse("{\"c\":{\"m\":{\"data\":{\"k\":\"v\",\"l\":\"w\"},"
					       "\"binaryData\":{\"b\":\"AAE=\"}}}}"));
	struct payload p;
	struct err err = {0};

	(void)state;
	assert_int_equal(payload_of(&a, &in,
				    parse("{\"configMap\":{\"name\":\"m\",\"defaultMode\":256}}"),
				    &p, &err),
			 0);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.v[0].mode, 0400);
	assert_int_equal(p.v[2].data.n, 2);
	assert_int_equal(payload_of(&a, &in,
				    parse("{\"configMap\":{\"name\":\"m\",\"items\":[{\"key\":"
					  "\"k\",\"path\":\"../x\"}]}}"),
				    &p, &err),
			 -1);
	assert_int_equal(payload_of(&a, &in,
				    parse("{\"configMap\":{\"name\":\"m\",\"items\":[{\"key\":"
					  "\"no\",\"path\":\"x\"}]}}"),
				    &p, &err),
			 -1);
	assert_int_equal(payload_of(&a, &in, parse("{\"configMap\":{\"name\":\"q\"}}"), &p, &err),
			 -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(payload_of(&a, &in,
				    parse("{\"configMap\":{\"name\":\"q\",\"optional\":true}}"), &p,
				    &err),
			 0);
	assert_int_equal(payload_of(&a, &in,
				    parse("{\"projected\":{\"sources\":[{\"serviceAccountToken\":{"
					  "\"path\":\"t\"}},"
					  "{\"configMap\":{\"name\":\"m\",\"items\":[{\"key\":"
					  "\"k\",\"path\":\"t\"}]}}]}}"),
				    &p, &err),
			 0);
	assert_int_equal(p.n, 1);
	assert_true(str_is(p.v[0].data, "v"));
	arena_release(&a);
}

static int user(const char *spec, const char *image, struct oci_user *ret)
{
	struct pod_spec s = spec_of(spec);
	struct user_in in = {.pod = &s,
			     .c = &s.c[0],
			     .image = parse(image),
			     .passwd = STR("root:x:0:0::/:\nweb:x:7:8::/:\n"),
			     .group = STR("web:x:8:\nmore:x:9:web\n")};
	struct err err = {0};

	return user_of(&in, ret, &err);
}

void test_cores__users(void **state)
{
	struct oci_user u;

	(void)state;
	assert_int_equal(user("{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}",
			      "{\"User\":\"web\"}", &u),
			 0);
	assert_true(u.uid == 7 && u.gid == 8 && u.ngroups == 1 && u.groups[0] == 9);
	assert_int_equal(user("{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}",
			      "{\"User\":\"12:13\"}", &u),
			 0);
	assert_true(u.uid == 12 && u.gid == 13);
	assert_int_equal(user("{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}",
			      "{\"User\":\"nobody\"}", &u),
			 -1);
	assert_int_equal(user("{\"securityContext\":{\"runAsNonRoot\":true},\"containers\":[{"
			      "\"name\":\"a\",\"image\":\"x\"}]}",
			      "{}", &u),
			 -1);
	assert_int_equal(user("{\"securityContext\":{\"runAsUser\":5,\"runAsGroup\":6,\"fsGroup\":"
			      "4},\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}",
			      "{\"User\":\"web\"}", &u),
			 0);
	assert_true(u.uid == 5 && u.gid == 6 && u.groups[0] == 4);
	arena_release(&a);
}

void test_cores__logs_are_rendered(void **state)
{
	struct str in = STR("2024-01-01T00:00:01.000000001+00:00 stdout P "
			    "par\n2024-01-01T00:00:01.000000002+00:00 stdout F tial\n"
			    "rubbish\n2024-01-01T00:00:05.5+00:00 stderr F two words\nunfinished");
	struct log_opts o = {.limit_bytes = -1};
	struct log_state s = {0};
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_int_equal(log_render(in, &o, &s, &out), in.n - 10);
	assert_string_equal(buf_cstr(&out), "partial\ntwo words\n");
	buf_reset(&out);
	s = (struct log_state){0};
	o.timestamps = true;
	assert_int_equal(time_parse(STR("2024-01-01T00:00:03Z"), &o.since_ns), 0);
	log_render(in, &o, &s, &out);
	assert_string_equal(buf_cstr(&out), "2024-01-01T00:00:05.5Z two words\n");
	buf_reset(&out);
	s = (struct log_state){0};
	o = (struct log_opts){.limit_bytes = 5};
	log_render(in, &o, &s, &out);
	assert_string_equal(buf_cstr(&out), "parti");
	assert_true(s.done);
}

void test_cores__names_and_resolver(void **state)
{
	struct pod_spec s =
		spec_of("{\"containers\":[{\"name\":\"a\",\"image\":\"x\"}],\"hostAliases\":[{"
			"\"ip\":\"9.9.9.9\",\"hostnames\":[\"nine\"]}]}");
	AUTO(buf) struct buf hosts = {0}, resolv = {0};

	struct node_names n = {STR("node"), STR("10.96.0.10"), STR("cluster.local")};
	struct str name = STR_NONE;
	struct err err = {0};

	(void)state;
	assert_int_equal(pod_hostname(&a, &s, &n, &name, &err), 0);
	assert_true(str_is(name, "p"));
	pod_hosts(&s, &n, STR("10.0.0.2"), STR_NONE, &hosts);
	assert_true(str_starts(buf_view(&hosts), STR("# Kubernetes-managed hosts file.\n")));
	assert_true(str_find(buf_view(&hosts), STR("10.0.0.2\tp\n")) >= 0);
	assert_true(str_find(buf_view(&hosts), STR("9.9.9.9\tnine\n")) >= 0);
	pod_resolv(&s, &n, STR("nameserver 8.8.8.8\nsearch corp.example\n"), &resolv);
	assert_string_equal(buf_cstr(&resolv),
			    "search d.svc.cluster.local svc.cluster.local cluster.local "
			    "corp.example\nnameserver 10.96.0.10\noptions ndots:5\n");
	buf_reset(&resolv);
	n.dns = STR("");
	pod_resolv(&s, &n, STR("nameserver 8.8.8.8\n"), &resolv);
	assert_string_equal(buf_cstr(&resolv), "nameserver 8.8.8.8\n");
	arena_release(&a);
}

#define ONE_CONTAINER "\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]"

void test_cores__names_of_subdomains_and_the_host(void **state)
{
	struct pod_spec sub = spec_of("{" ONE_CONTAINER ",\"hostname\":\"web\",\"subdomain\":"
				      "\"sub\",\"setHostnameAsFQDN\":true}");
	struct pod_spec host = spec_of("{" ONE_CONTAINER ",\"hostNetwork\":true,\"hostAliases\":["
				       "{\"ip\":\"9.9.9.9\",\"hostnames\":[\"a\",\"b\"]}]}");
	struct pod_spec dns = spec_of(
		"{" ONE_CONTAINER
		",\"dnsConfig\":{\"nameservers\":[\"1.1.1.1\"],\"searches\":[\"x.y\"],"
		"\"options\":[{\"name\":\"ndots\",\"value\":\"2\"},{\"name\":\"edns0\"}]}}");
	struct node_names n = {STR("node"), STR("10.96.0.10"), STR("my.domain")};
	struct node_names far = n;
	AUTO(buf) struct buf hosts = {0}, resolv = {0};
	struct str name;
	struct err err = {0};

	(void)state;
	assert_int_equal(pod_hostname(&a, &sub, &n, &name, &err), 0);
	assert_true(str_is(name, "web.sub.d.svc.my.domain"));
	pod_hosts(&sub, &n, STR("10.0.0.2"), STR_NONE, &hosts);
	assert_non_null(strstr(buf_cstr(&hosts), "10.0.0.2\tweb.sub.d.svc.my.domain\tweb\n"));
	far.domain = STR("a-domain-that-is-much-too-long-for-the-kernel.example.com");
	assert_int_equal(pod_hostname(&a, &sub, &far, &name, &err), -1);
	buf_reset(&hosts);
	pod_hosts(&host, &n, STR_NONE, STR("127.0.0.1 localhost"), &hosts);
	assert_string_equal(buf_cstr(&hosts),
			    "# Kubernetes-managed hosts file (host network).\n127.0.0.1 "
			    "localhost\n\n# Entries added by HostAliases.\n9.9.9.9\ta\tb\n");
	pod_resolv(&dns, &n, STR(""), &resolv);
	assert_string_equal(buf_cstr(&resolv),
			    "search d.svc.my.domain svc.my.domain my.domain x.y\n"
			    "nameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n");
	buf_reset(&resolv);
	pod_resolv(&host, &n, STR("search a\nsearch b\nnameserver 8.8.8.8\noptions rotate\n"),
		   &resolv);
	assert_string_equal(buf_cstr(&resolv), "search b\nnameserver 8.8.8.8\noptions rotate\n");
	arena_release(&a);
}

void test_cores__bad_pods_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"../"
		"x\",\"uid\":\"u\"},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}",
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"x\",\"uid\":\"u/"
		"..\"},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}",
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"x\",\"uid\":\"u\"},\"spec\":{"
		"\"containers\":[]}}",
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"x\",\"uid\":\"u\"},\"spec\":{"
		"\"containers\":[{\"name\":\"a/b\"}]}}",
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"x\",\"uid\":\"u\"},\"spec\":{"
		"\"containers\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct pod_spec s;
		struct err err = {0};
		assert_int_equal(pod_spec_read(&a, parse(bad[i]), &s, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	arena_release(&a);
}

void test_cores__probe_thresholds(void **state)
{
	struct probe_spec s = {.success = 2, .failure = 3, .period_s = 10};
	struct probe_count c = {0};

	(void)state;
	assert_false(probe_count_result(&c, &s, true));
	assert_true(probe_count_result(&c, &s, true) && c.verdict);
	assert_false(probe_count_result(&c, &s, false));
	assert_false(probe_count_result(&c, &s, true));
	assert_false(probe_count_result(&c, &s, false));
	assert_false(probe_count_result(&c, &s, false));
	assert_true(probe_count_result(&c, &s, false) && !c.verdict);
}

void test_cores__the_node_keeps_foreign_conditions(void **state)
{
	struct node_facts f = {.name = "n",
			       .ip = "1.2.3.4",
			       .runtime = "crun",
			       .runtime_version = "1",
			       .kernel = "k",
			       .os_image = "o",
			       .arch = "amd64",
			       .machine_id = "m",
			       .boot_id = "b",
			       .version = "v1.32.0",
			       .cpus = 2,
			       .memory = 1 << 30,
			       .storage = 1 << 30,
			       .max_pods = 10,
			       .memory_available = 1 << 29,
			       .storage_available = 1 << 29,
			       .now_ns = NS_PER_S};
	struct json *old =
		parse("{\"conditions\":[{\"type\":\"NetworkUnavailable\",\"status\":\"False\"}]}");
	struct json *st = node_status(&a, &f, old), *holder = json_build(&a, "{s:o}", "status", st);

	(void)state;
	assert_non_null(condition_find(holder, "NetworkUnavailable"));
	assert_true(str_is(json_str(json_at(condition_find(holder, "Ready"), "status")), "True"));
	assert_true(str_is(json_str(json_at(st, "capacity", "memory")), "1048576Ki"));
	arena_release(&a);
}

/* What an administrator adds can be had at once, and no longer than that. */
void test_cores__resources_of_others(void **state)
{
	struct node_facts f = {.name = "n", .ip = "10.0.0.1", .memory = 1 << 30, .cpus = 2};
	struct json *old = parse("{\"capacity\":{\"cpu\":\"2\",\"x.io/a\":\"5\"},"
				 "\"allocatable\":{\"cpu\":\"1\",\"x.io/b\":\"3\"}}");
	struct json *same = parse("{\"capacity\":{\"cpu\":\"2\",\"x.io/a\":\"5\"},"
				  "\"allocatable\":{\"cpu\":\"1\",\"x.io/a\":\"5\"}}");
	struct json *st = node_status(&a, &f, old);

	(void)state;
	assert_true(node_extended_differ(old));
	assert_false(node_extended_differ(same));
	assert_true(str_is(json_str(json_get(json_at(st, "allocatable"), STR("x.io/a"))), "5"));
	assert_true(json_is(json_get(json_at(st, "allocatable"), STR("x.io/b")), JSON_NULL));
	assert_true(str_is(json_str(json_at(st, "allocatable", "cpu")), "2"));
	arena_release(&a);
}

void test_cores__websocket_frames(void **state)
{
	char whole[] = "\x82\x83\x01\x02\x03\x04\x01jj"; /* masked: 0, 'h', 'i' */
	char naked[] = "\x82\x02hi", huge[] = "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....";
	AUTO(buf) struct buf out = {0};
	struct ws_frame f;

	(void)state;
	for (size_t n = 0; n < 9; n++)
		assert_int_equal(ws_parse(whole, n, &f), 0);
	assert_int_equal(ws_parse(whole, 9, &f), 9);
	assert_true(f.opcode == WS_BINARY && f.payload.n == 3 && !memcmp(f.payload.p, "\0hi", 3));
	assert_true(ws_parse(naked, 4, &f) == WS_BROKEN);
	assert_true(ws_parse(huge, 14, &f) == WS_BROKEN);
	ws_put(&out, WS_BINARY, 1, STR("ok"));
	assert_true(out.n == 5 && !memcmp(out.p, "\x82\x03\x01ok", 5));
	buf_reset(&out);
	char big[300] = {0};
	ws_put(&out, WS_BINARY, -1, (struct str){big, sizeof(big)});
	assert_true(out.n == 304 && (unsigned char)out.p[1] == 126 && out.p[2] == 1 &&
		    out.p[3] == 44);
}

/* kubectl describe node tells of the node's conditions by these reasons; of others' it doesn't. */
void test_cores__a_node_tells_of_its_conditions(void **state)
{
	(void)state;
	assert_string_equal(node_event_reason(STR("Ready"), STR("True")), "NodeReady");
	assert_string_equal(node_event_reason(STR("Ready"), STR("False")), "NodeNotReady");
	assert_string_equal(node_event_reason(STR("DiskPressure"), STR("True")),
			    "NodeHasDiskPressure");
	assert_string_equal(node_event_reason(STR("MemoryPressure"), STR("False")),
			    "NodeHasSufficientMemory");
	assert_null(node_event_reason(STR("NetworkUnavailable"), STR("False")));
}
