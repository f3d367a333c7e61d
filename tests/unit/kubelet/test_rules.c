/* What Kubernetes' own tests of nodes look at, as far as it is pure: ends, orders, words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kubelet/admit_core.h"
#include "kubelet/env_core.h"
#include "kubelet/evict_core.h"
#include "kubelet/grpc_core.h"
#include "kubelet/probe_core.h"
#include "kubelet/status_core.h"
#include "kubelet/user_core.h"
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

static const struct pod_clock start = {NS_PER_S, NS_PER_S * 1000};

static struct pod_clock at(int64_t seconds)
{
	return (struct pod_clock){start.mono + seconds * NS_PER_S, start.wall + seconds * NS_PER_S};
}

/* All of its containers run. */
static void run_all(const struct pod_spec *s, struct pod_obs *o)
{
	pod_obs_init(o, s);
	o->sandbox.state = o->volumes.state = PART_READY;
	o->start_mono = start.mono;
	for (size_t i = 0; i < s->n; i++)
		pod_on_started(&s->c[i], &o->c[i], 42, start);
}

/* What is done at that time, in one line. */
static const char *steps(const struct pod_spec *s, struct pod_obs *o, struct pod_clock now)
{
	struct pod_plan plan;
	AUTO(buf) struct buf out = {0};

	pod_settle(s, o, now);
	pod_step(s, o, now, &plan);
	for (size_t i = 0; i < plan.n; i++)
		pod_mark(s, o, &plan.v[i], now);
	pod_plan_write(s, &plan, &out);
	for (size_t i = 0; i < out.n; i++)
		out.p[i] = out.p[i] == '\n' ? ',' : out.p[i];
	return arena_cstr(&a, buf_view(&out));
}

static void exits(const struct pod_spec *s, struct pod_obs *o, size_t i, int code)
{
	pod_on_exited(&s->c[i], &o->c[i], code, false, start.wall, NULL, at(1));
}

static struct json *status_of(const struct pod_spec *s, const struct pod_obs *o)
{
	struct status_in in = {
		.spec = s, .obs = o, .host_ip = "1.1.1.1", .runtime = "crun", .now = at(1)};

	return pod_status(&a, &in);
}

#define TWO_SIDECARS                                                                               \
	"\"initContainers\":[{\"name\":\"s1\",\"image\":\"x\",\"restartPolicy\":\"Always\"},"      \
	"{\"name\":\"s2\",\"image\":\"x\",\"restartPolicy\":\"Always\",\"lifecycle\":{"            \
	"\"preStop\":"                                                                             \
	"{\"sleep\":{\"seconds\":1}}}}],\"containers\":[{\"name\":\"m\",\"image\":\"x\"}]"

void test_rules__sidecars_end_in_reverse(void **state)
{
	struct pod_spec s = spec_of("{" TWO_SIDECARS ",\"terminationGracePeriodSeconds\":10}");
	struct pod_obs o;

	(void)state;
	run_all(&s, &o);
	s.deleting = true;
	assert_string_equal(steps(&s, &o, at(0)), "pre-stop s2,term m,");
	pod_on_hook_done(&o.c[1]);
	assert_string_equal(steps(&s, &o, at(1)), "");
	exits(&s, &o, 2, 0);
	assert_string_equal(steps(&s, &o, at(2)), "term s2,");
	assert_string_equal(steps(&s, &o, at(3)), "");
	exits(&s, &o, 1, 0);
	assert_string_equal(steps(&s, &o, at(4)), "term s1,");
	assert_string_equal(steps(&s, &o, at(9)), "");
	assert_string_equal(steps(&s, &o, at(10)), "kill s1,");
	pod_obs_release(&o);
	arena_release(&a);
}

/* What the condition of that type says: "False containers with unready status: [s1]". */
static const char *said(const struct json *status, const char *type)
{
	const struct json *list = json_at(status, "conditions");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_item(list, i);
		struct str message = json_str(json_at(c, "message"));

		if (str_is(json_str(json_at(c, "type")), type))
			return arena_printf(&a, "%.*s%s%.*s",
					    STR_ARG(json_str(json_at(c, "status"))),
					    message.n ? " " : "", STR_ARG(message));
	}
	return "none";
}

void test_rules__a_pod_is_as_ready_as_its_sidecars(void **state)
{
	struct pod_spec s = spec_of("{" TWO_SIDECARS "}");
	struct pod_obs o;

	(void)state;
	run_all(&s, &o);
	for (size_t i = 0; i < 3; i++)
		o.c[i].started = o.c[i].ready = true;
	assert_string_equal(said(status_of(&s, &o), "Ready"), "True");
	o.c[0].ready = false;
	assert_string_equal(said(status_of(&s, &o), "Ready"),
			    "False containers with unready status: [s1]");
	assert_string_equal(said(status_of(&s, &o), "ContainersReady"),
			    "False containers with unready status: [s1]");
	assert_string_equal(said(status_of(&s, &o), "Initialized"), "True");
	o.c[0].ready = true;
	exits(&s, &o, 1, 1);
	o.c[2].ready = false;
	assert_string_equal(said(status_of(&s, &o), "Ready"),
			    "False containers with unready status: [s2 m]");
	pod_obs_release(&o);
	arena_release(&a);
}

void test_rules__the_grace_is_the_pods(void **state)
{
	struct pod_spec s = spec_of("{" TWO_SIDECARS ",\"terminationGracePeriodSeconds\":5}");
	struct pod_obs o;

	(void)state;
	run_all(&s, &o);
	s.deleting = true;
	assert_string_equal(steps(&s, &o, at(0)), "pre-stop s2,term m,");
	/* Nobody ends: at the end of the grace the others get at least their two seconds. */
	assert_string_equal(steps(&s, &o, at(5)), "term s1,term s2,kill m,");
	assert_string_equal(steps(&s, &o, at(6)), "");
	exits(&s, &o, 2, 137);
	assert_string_equal(steps(&s, &o, at(7)), "kill s1,kill s2,");
	pod_obs_release(&o);
	arena_release(&a);
}

void test_rules__a_phase_is_final_when_nothing_runs(void **state)
{
	struct pod_spec s = spec_of("{" TWO_SIDECARS ",\"restartPolicy\":\"Never\"}");
	struct pod_obs o;

	(void)state;
	run_all(&s, &o);
	exits(&s, &o, 2, 0);
	(void)steps(&s, &o, at(1));
	assert_int_equal(o.end, POD_END_SUCCEEDED);
	assert_string_equal(pod_phase(&s, &o), "Running");
	exits(&s, &o, 0, 137);
	exits(&s, &o, 1, 137);
	assert_string_equal(pod_phase(&s, &o), "Succeeded");
	pod_obs_release(&o);
	arena_release(&a);
}

void test_rules__a_deleted_pod_has_an_end_too(void **state)
{
	struct pod_spec s = spec_of("{\"containers\":[{\"name\":\"m\",\"image\":\"x\"}]}");
	struct pod_obs o;

	(void)state;
	for (int code = 0; code < 2; code++) {
		run_all(&s, &o);
		s.deleting = true;
		exits(&s, &o, 0, code);
		assert_string_equal(pod_phase(&s, &o), "Running");
		pod_on_torn_down(&o);
		assert_string_equal(pod_phase(&s, &o), code ? "Failed" : "Succeeded");
		pod_obs_release(&o);
	}
	pod_obs_init(&o, &s);
	pod_on_torn_down(&o);
	assert_string_equal(pod_phase(&s, &o), "Failed"); /* it never ran */
	pod_obs_release(&o);
	arena_release(&a);
}

void test_rules__a_start_that_fails_is_an_end(void **state)
{
	struct pod_spec once = spec_of("{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":"
				       "\"m\",\"image\":\"x\"}]}");
	struct pod_spec always = spec_of("{\"containers\":[{\"name\":\"m\",\"image\":\"x\"}]}");
	struct pod_obs o;

	(void)state;
	run_all(&once, &o);
	pod_on_start_error(&once.c[0], &o.c[0], "no such file", at(0));
	pod_settle(&once, &o, at(0));
	assert_string_equal(pod_phase(&once, &o), "Failed");
	const struct json *t =
		json_at(json_item(json_at(status_of(&once, &o), "containerStatuses"), 0), "state",
			"terminated");
	assert_true(str_is(json_str(json_at(t, "reason")), "StartError"));
	assert_int_equal(json_int(json_at(t, "exitCode"), 0), 128);
	pod_obs_release(&o);
	run_all(&always, &o);
	pod_on_start_error(&always.c[0], &o.c[0], "no such file", at(0));
	t = json_at(json_item(json_at(status_of(&always, &o), "containerStatuses"), 0), "state",
		    "waiting");
	assert_true(str_is(json_str(json_at(t, "reason")), "RunContainerError"));
	assert_string_equal(pod_phase(&always, &o), "Running");
	pod_on_start_error(&always.c[0], &o.c[0], "no such file", at(0));
	t = json_at(json_item(json_at(status_of(&always, &o), "containerStatuses"), 0), "state",
		    "waiting");
	assert_true(str_is(json_str(json_at(t, "reason")), "CrashLoopBackOff"));
	pod_obs_release(&o);
	arena_release(&a);
}

void test_rules__mounts_and_gates_are_told(void **state)
{
	struct pod_spec s = spec_of(
		"{\"readinessGates\":[{\"conditionType\":\"x/y\"}],\"containers\":[{\"name\":\"m\","
		"\"image\":\"x\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/"
		"v\",\"readOnly\":"
		"true},{\"name\":\"w\",\"mountPath\":\"/w\"}]}]}");
	struct pod_obs o;

	(void)state;
	run_all(&s, &o);
	struct json *holder = json_new(&a, JSON_OBJECT);
	json_set(&a, holder, STR("status"), status_of(&s, &o));
	const struct json *m = json_at(json_item(json_at(holder, "status", "containerStatuses"), 0),
				       "volumeMounts");
	assert_int_equal(json_len(m), 2);
	assert_true(str_is(json_str(json_at(json_item(m, 0), "recursiveReadOnly")), "Disabled"));
	assert_null(json_at(json_item(m, 1), "readOnly"));
	const struct json *ready = condition_find(holder, "Ready");
	assert_true(str_is(json_str(json_at(ready, "reason")), "ReadinessGatesNotReady"));
	assert_true(
		str_is(json_str(json_at(ready, "message")),
		       "corresponding condition of pod readiness gate \"x/y\" does not exist."));
	pod_obs_release(&o);
	arena_release(&a);
}

static const char *refused(const char *spec, const char *image)
{
	struct pod_spec s = spec_of(spec);
	struct user_in in = {.pod = &s, .c = &s.c[0], .image = parse(image)};
	struct oci_user u;
	static struct err err;

	err = (struct err){0};
	return user_of(&in, &u, &err) ? err.msg : "";
}

void test_rules__who_may_not_be_root(void **state)
{
	static const char *const pods[][3] = {
		{"{\"securityContext\":{\"runAsNonRoot\":true},\"containers\":[{\"name\":\"m\"}]}",
		 "{}", "container has runAsNonRoot and image will run as root (pod: \"p_d(u)\""},
		{"{\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":0},\"containers\":[{"
		 "\"name\":\"m\"}]}",
		 "{}", "container's runAsUser breaks non-root policy"},
		{"{\"securityContext\":{\"runAsNonRoot\":true},\"containers\":[{\"name\":\"m\"}]}",
		 "{\"User\":\"web\"}", ""},
		{"{\"securityContext\":{\"runAsNonRoot\":true},\"containers\":[{\"name\":\"m\"}]}",
		 "{\"User\":\"12\"}", ""}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		const char *why = refused(pods[i][0], pods[i][1]);
		if (strncmp(why, pods[i][2], strlen(pods[i][2])) ||
		    (!*pods[i][2] && i == 3 && *why))
			fail_msg("%zu: %s", i, why);
	}
	arena_release(&a);
}

void test_rules__references_see_what_the_pod_says(void **state)
{
	struct env e = {0};
	struct err err = {0};
	struct str out;

	(void)state;
	assert_int_equal(env_set(&a, &e, STR("PATH"), STR("/bin"), &err), 0);
	env_hide(&e);
	assert_int_equal(env_set(&a, &e, STR("A"), STR("1"), &err), 0);
	assert_true(str_is(expand_vars(&a, STR("$(PATH) $(A)"), &e), "$(PATH) 1"));
	assert_int_equal(expand_all_vars(&a, STR("x/$(A)"), &e, &out, &err), 0);
	assert_true(str_is(out, "x/1"));
	assert_int_equal(expand_all_vars(&a, STR("x/$(NO)"), &e, &out, &err), -1);
	assert_string_equal(err.msg, "missing value for \"NO\"");
	assert_int_equal(env_set(&a, &e, STR("PATH"), STR("/mine"), &err), 0);
	assert_true(str_is(expand_vars(&a, STR("$(PATH)"), &e), "/mine"));
	arena_release(&a);
}

void test_rules__labels_are_sorted(void **state)
{
	struct field_ctx ctx = {
		.pod = parse("{\"metadata\":{\"labels\":{\"b\":\"2\",\"a\":\"1\"}}}")};
	struct err err = {0};
	struct str out;

	(void)state;
	assert_int_equal(field_value(&a, &ctx, STR("metadata.labels"), &out, &err), 0);
	assert_true(str_is(out, "a=\"1\"\nb=\"2\""));
	arena_release(&a);
}

static struct str token(void *arg UNUSED, const struct json *source UNUSED)
{
	return STR("tok");
}

void test_rules__tokens_are_their_users_alone(void **state)
{
#define SOURCE                                                                                     \
	"\"volumes\":[{\"name\":\"v\",\"projected\":{\"sources\":[{\"serviceAccountToken\":{"      \
	"\"path\":\"t\"}}]}}]"
	static const struct {
		const char *spec;
		unsigned mode;
		bool owned;
	} v[] = {{"{\"containers\":[{\"name\":\"m\"}]," SOURCE "}", 0644, false},
		 {"{\"securityContext\":{\"runAsUser\":7},\"containers\":[{\"name\":\"m\"}]," SOURCE
		  "}",
		  0600, true},
		 {"{\"securityContext\":{\"fsGroup\":7},\"containers\":[{\"name\":\"m\"}]," SOURCE
		  "}",
		  0600, false},
		 {"{\"containers\":[{\"name\":\"m\",\"securityContext\":{\"runAsUser\":7}},{"
		  "\"name\":"
		  "\"o\"}]," SOURCE "}",
		  0644, false}};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct pod_spec s = spec_of(v[i].spec);
		struct payload_in in = {.pod = &s, .token = token};
		struct payload p;
		assert_int_equal(
			payload_of(&a, &in, json_item(json_at(s.spec, "volumes"), 0), &p, &err), 0);
		assert_int_equal(p.v[0].mode, v[i].mode);
		assert_int_equal(p.v[0].owned, v[i].owned);
		assert_true(!p.v[0].owned || p.v[0].uid == 7);
	}
	arena_release(&a);
}

static const char *judged(const char *spec, const char *other)
{
	static struct admit_no why;
	struct pod_spec s = spec_of(spec), o = spec_of(other ? other : spec);
	const struct pod_spec *const others[] = {&o};
	struct admit_in in = {
		.pod = &s,
		.node = parse("{\"metadata\":{\"name\":\"n\",\"labels\":{\"disk\":\"ssd\"}}}"),
		.others = others,
		.nothers = other ? 1 : 0,
		.cpu_m = 2000,
		.memory = 1 << 30,
		.max_pods = 2};

	return pod_admit(&in, &why) ? "" : why.reason;
}

#define CPU(n) "\"containers\":[{\"name\":\"a\",\"resources\":{\"requests\":{\"cpu\":\"" n "\"}}}]"
#define PORT(ip)                                                                                   \
	"{\"containers\":[{\"name\":\"a\",\"ports\":[{\"hostPort\":80,\"hostIP\":\"" ip "\"}]}]}"
#define SYSCTL(name, more)                                                                         \
	"{\"securityContext\":{\"sysctls\":[{\"name\":\"" name "\",\"value\":\"1\"}]}" more        \
	"," CPU("1") "}"

void test_rules__what_a_node_refuses(void **state)
{
	static const char *const v[][3] = {
		{"{" CPU("1") "}", NULL, ""},
		{"{" CPU("2500m") "}", NULL, "OutOfcpu"},
		{"{" CPU("1500m") "}", "{" CPU("1") "}", "OutOfcpu"},
		{"{" CPU("1") ",\"overhead\":{\"cpu\":\"1500m\"}}", NULL, "OutOfcpu"},
		{"{" CPU("1") ",\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{"
			      "\"memory\":\"2Gi\"}}}]}",
		 NULL, "OutOfmemory"},
		{"{" CPU("1") ",\"nodeSelector\":{\"disk\":\"ssd\"}}", NULL, ""},
		{"{" CPU("1") ",\"nodeSelector\":{\"disk\":\"hdd\"}}", NULL, "NodeAffinity"},
		{"{" CPU("1") ",\"os\":{\"name\":\"windows\"}}", NULL, "PodOSNotSupported"},
		{PORT("1.1.1.1"), PORT("2.2.2.2"), ""},
		{PORT("1.1.1.1"), PORT(""), "NodePorts"},
		{SYSCTL("kernel.shm_rmid_forced", ""), NULL, ""},
		{SYSCTL("net/ipv4/tcp_syncookies", ""), NULL, ""},
		{SYSCTL("net.ipv4.tcp_syncookies", ",\"hostNetwork\":true"), NULL,
		 "SysctlForbidden"},
		{SYSCTL("kernel.msgmax", ""), NULL, "SysctlForbidden"},
		{"{\"securityContext\":{\"appArmorProfile\":{\"type\":\"RuntimeDefault\"}}," CPU(
			 "1") "}",
		 NULL, "AppArmor"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		const char *is = judged(v[i][0], v[i][1]);
		if (strcmp(is, v[i][2]))
			fail_msg("%s: '%s', not '%s'", v[i][0], is, v[i][2]);
	}
	arena_release(&a);
}

void test_rules__a_pods_share_of_the_node(void **state)
{
	static const struct {
		const char *spec;
		int64_t cpu, memory;
	} v[] = {{"{\"containers\":[{\"name\":\"a\"}]}", 2, 0},
		 {"{" CPU("1500m") "}", 1536, 0},
		 {"{\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"memory\":\"1Mi\"}}"
		  "},"
		  "{\"name\":\"b\",\"resources\":{\"limits\":{\"memory\":\"2Mi\"}}}]}",
		  2, 3 << 20},
		 {"{\"initContainers\":[{\"name\":\"i\",\"resources\":{\"limits\":{\"memory\":"
		  "\"8Mi\"}}}],"
		  "\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"memory\":\"1Mi\"}}}"
		  "]}",
		  2, 8 << 20}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct pod_spec s = spec_of(v[i].spec);
		struct pod_share is = pod_share(&s);
		assert_int_equal(is.cpu_shares, v[i].cpu);
		assert_int_equal(is.memory, v[i].memory);
	}
	arena_release(&a);
}

void test_rules__what_the_api_forgot_ends_soon(void **state)
{
	struct pod_spec s = spec_of("{\"containers\":[{\"name\":\"m\",\"image\":\"x\"}]}");
	struct pod_obs o;

	(void)state;
	run_all(&s, &o);
	pod_on_gone(&s, &o);
	assert_string_equal(steps(&s, &o, at(0)), "term m,");
	assert_string_equal(steps(&s, &o, at(1)), "kill m,");
	pod_obs_release(&o);
	run_all(&s, &o);
	s.deleting = true; /* it has its own time */
	pod_on_gone(&s, &o);
	assert_string_equal(steps(&s, &o, at(0)), "term m,");
	assert_string_equal(steps(&s, &o, at(1)), "");
	pod_obs_release(&o);
	arena_release(&a);
}

void test_rules__redirections(void **state)
{
	static const struct {
		const char *to, *want; /* scheme host port path; NULL = refused */
	} v[] = {{"/x?y", "http h 8080 /x?y"},
		 {"http://h:8081", "http h 8081 /"},
		 {"https://other/a#b", "https other 443 /a"},
		 {"//h/z", "http h 80 /z"},
		 {"c", "http h 8080 /a/c"},
		 {"?q", "http h 8080 /a/b?q"},
		 {"http://u@h/", NULL},
		 {"http://h:99999/", NULL},
		 {"a b", NULL},
		 {"", NULL}};
	struct probe_url from = {STR("h"), STR("/a/b?old"), 8080, false}, to;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		int rc = probe_redirect(&a, &from, str_c(v[i].to), &to);
		assert_int_equal(rc, v[i].want ? 0 : -1);
		if (!rc)
			assert_string_equal(
				arena_printf(&a, "%s %.*s %d %.*s", to.tls ? "https" : "http",
					     STR_ARG(to.host), to.port, STR_ARG(to.path)),
				v[i].want);
	}
	arena_release(&a);
}

void test_rules__grpc_health(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum grpc_verdict want;
	} v[] = {
		{"\0\0\0\4\0\0\0\0\0"
		 "\0\0\1\1\4\0\0\0\1x"
		 "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\1",
		 35, GRPC_SERVING},
		{"\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\2", 16, GRPC_UNHEALTHY},
		{"\0\0\5\0\0\0\0\0\1\0\0\0\0\0", 14, GRPC_UNHEALTHY},
		{"\0\0\x0a\0\x08\0\0\0\1\2\0\0\0\0\2\x08\1--", 19, GRPC_SERVING},
		{"\0\0\2\0\x08\0\0\0\1\2\0", 11, GRPC_BROKEN}, /* padding beyond its frame */
		{"\0\0\1\1\5\0\0\0\1x", 10, GRPC_BROKEN},      /* an end without a message */
		{"\x7f\0\0\0\0\0\0\0\1", 9, GRPC_BROKEN},
		{"HTTP/1.1 400 Bad Request\r\n", 26, GRPC_BROKEN},
	};
	AUTO(buf) struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct grpc_call whole = {0}, bytewise = {0};
		enum grpc_verdict last = GRPC_MORE;
		assert_int_equal(grpc_feed(&whole, (struct str){v[i].bytes, v[i].n}, &out),
				 v[i].want);
		for (size_t j = 0; j < v[i].n && last == GRPC_MORE; j++)
			last = grpc_feed(&bytewise, (struct str){v[i].bytes + j, 1}, &out);
		assert_int_equal(last, v[i].want);
		grpc_release(&whole);
		grpc_release(&bytewise);
	}
	buf_reset(&out);
	grpc_request(STR("10.0.0.1:1"), STR("svc"), &out);
	assert_true(str_starts(buf_view(&out), STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
	assert_true(str_ends(buf_view(&out), (struct str){"\0\0\0\0\5\x0a\3svc", 10}));
}

void test_rules__limits_on_disk(void **state)
{
	static const char *const spec =
		"{\"volumes\":[{\"name\":\"m\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":"
		"\"1\"}},"
		"{\"name\":\"d\",\"emptyDir\":{\"sizeLimit\":\"1Mi\"}}],\"containers\":["
		"{\"name\":\"a\",\"resources\":{\"limits\":{\"ephemeral-storage\":\"2Mi\"}}},"
		"{\"name\":\"b\",\"resources\":{\"limits\":{\"ephemeral-storage\":\"3Mi\"}}}]}";
	static const struct {
		int64_t volume_kib, a_kib, b_kib;
		const char *want;
	} v[] = {{1024, 2048, 0, ""},
		 {1025, 0, 0, "Usage of EmptyDir volume \"d\" exceeds the limit \"1Mi\". "},
		 {1000, 2000, 3000,
		  "Pod ephemeral local storage usage exceeds the total limit of containers "
		  "5242880. "},
		 {0, 2049, 0, "Container a exceeded its local ephemeral storage limit \"2Mi\". "}};
	struct pod_spec s = spec_of(spec),
			none = spec_of("{\"volumes\":[{\"name\":\"d\",\"emptyDir\":{}}],"
				       "\"containers\":[{\"name\":\"a\"}]}");
	AUTO(buf) struct buf message = {0};

	(void)state;
	assert_true(disk_limited(&s));
	assert_false(disk_limited(&none));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct disk_use u;
		memset(&u, 0xff, sizeof(u));
		buf_reset(&message);
		assert_false(disk_exceeded(&s, &u, &message)); /* what isn't known is no reason */
		u.volumes[1] = v[i].volume_kib << 10;
		u.containers[0] = v[i].a_kib << 10;
		u.containers[1] = v[i].b_kib << 10;
		assert_int_equal(disk_exceeded(&s, &u, &message), *v[i].want != 0);
		assert_string_equal(buf_cstr(&message), v[i].want);
	}
	arena_release(&a);
}

void test_rules__who_goes_first(void **state)
{
	struct pod_spec low = spec_of("{\"priority\":1,\"containers\":[{\"name\":\"a\"}]}");
	struct pod_spec high = spec_of("{\"priority\":2,\"containers\":[{\"name\":\"a\"}]}");
	struct pod_spec critical =
		spec_of("{\"priority\":2000001000,\"containers\":[{\"name\":\"a\"}]}");
	struct evict_candidate v[] = {{&critical, 1000, 0},
				      {&low, 10, 20},
				      {&high, 50, 20},
				      {&high, 90, 20},
				      {&high, 15, 20}};
	struct pod_obs o;

	(void)state;
	assert_int_equal(evict_choose(v, 5), 3); /* beyond its request, the most of them */
	assert_int_equal(evict_choose(v, 2), 1);
	assert_int_equal(evict_choose(v, 1), -1);
	run_all(&low, &o);
	pod_on_evicted(&o, true, "why");
	assert_string_equal(steps(&low, &o, at(0)), "term a,");
	assert_string_equal(steps(&low, &o, at(1)), "kill a,");
	exits(&low, &o, 0, 137);
	struct json *holder = json_new(&a, JSON_OBJECT);
	json_set(&a, holder, STR("status"), status_of(&low, &o));
	assert_true(str_is(json_str(json_at(holder, "status", "reason")), "Evicted"));
	assert_true(str_is(json_str(json_at(condition_find(holder, "DisruptionTarget"), "reason")),
			   "TerminationByKubelet"));
	pod_obs_release(&o);
	arena_release(&a);
}
