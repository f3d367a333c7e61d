/* Pod Security as writers meet it: who is refused, who is warned, and the exact words. */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NS "/api/v1/namespaces/default/"
#define PODS NS "pods"
#define SAFE                                                                                       \
	"\"securityContext\":{\"allowPrivilegeEscalation\":false,\"runAsNonRoot\":true,"           \
	"\"capabilities\":{\"drop\":[\"ALL\"]},\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}"

static struct buf warned;

static int ask(const char *method, const char *path, const char *type, const char *body)
{
	struct asked *q = ask_core(method, path, type, body);
	int status = q->status;

	buf_reset(&last_body);
	buf_str(&last_body, buf_view(&q->body));
	buf_reset(&warned);
	buf_str(&warned, buf_view(&q->warnings));
	ask_free(q);
	return status;
}

static int label(const char *labels)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "{\"metadata\":{\"labels\":{%s}}}", labels);
	return ask("PATCH", "/api/v1/namespaces/default", "application/merge-patch+json",
		   buf_cstr(&text));
}

#define LABEL(mode, level) "\"pod-security.kubernetes.io/" mode "\":\"" level "\""

static void begin(const char *labels)
{
	alone_begin();
	assert_int_equal(
		ask("POST", NS "serviceaccounts", NULL, "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	assert_int_equal(label(labels), 200);
}

static void end(void)
{
	buf_release(&warned);
	alone_end();
}

static int pod(const char *name, const char *spec, const char *container)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text,
		   "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s%s\"containers\":[{\"name\":\"c\","
		   "\"image\":\"x\"%s%s}]}}",
		   name, spec, spec[0] ? "," : "", container[0] ? "," : "", container);
	return ask("POST", PODS, NULL, buf_cstr(&text));
}

static void expect(const struct buf *b, const char *part)
{
	if (!has(buf_view(b), part))
		fail_msg("%.*s\nlacks %s", (int)b->n, b->p, part);
}

void test_admission_pods__restricted_is_told_whole(void **state)
{
	(void)state;
	begin(LABEL("enforce", "restricted"));
	assert_int_equal(pod("p", "", ""), 403);
	expect(&last_body,
	       "\"message\":\"pods \\\"p\\\" is forbidden: violates PodSecurity "
	       "\\\"restricted:latest\\\": allowPrivilegeEscalation != false (container \\\"c\\\" "
	       "must "
	       "set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
	       "(container \\\"c\\\" must set securityContext.capabilities.drop=[\\\"ALL\\\"]), "
	       "runAsNonRoot != true (pod or container \\\"c\\\" must set "
	       "securityContext.runAsNonRoot=true), seccompProfile (pod or container \\\"c\\\" "
	       "must "
	       "set securityContext.seccompProfile.type to \\\"RuntimeDefault\\\" or "
	       "\\\"Localhost\\\")\"");
	expect(&last_body, "\"reason\":\"Forbidden\"");
	expect(&last_body, "\"code\":403");
	assert_int_equal(pod("p", "", SAFE), 201);
	assert_int_equal(warned.n, 0);
	end();
}

void test_admission_pods__baseline_finds_each_way_out(void **state)
{
	static const struct {
		const char *spec, *container, *says;
	} v[] = {
		{"\"hostNetwork\":true,\"hostPID\":true", "",
		 "host namespaces (hostNetwork=true, hostPID=true)"},
		{"", "\"securityContext\":{\"privileged\":true}",
		 "privileged (container \\\"c\\\" must not set securityContext.privileged=true)"},
		{"", "\"securityContext\":{\"capabilities\":{\"add\":[\"SYS_ADMIN\",\"CHOWN\"]}}",
		 "non-default capabilities (container \\\"c\\\" must not include \\\"SYS_ADMIN\\\" "
		 "in "
		 "securityContext.capabilities.add)"},
		{"\"volumes\":[{\"name\":\"a\",\"hostPath\":{\"path\":\"/\"}}]", "",
		 "hostPath volumes (volume \\\"a\\\")"},
		{"", "\"ports\":[{\"containerPort\":80,\"hostPort\":80}]",
		 "hostPort (container \\\"c\\\" uses hostPort 80)"},
		{"\"securityContext\":{\"sysctls\":[{\"name\":\"kernel.msgmax\",\"value\":\"1\"}]}",
		 "", "forbidden sysctls (kernel.msgmax)"},
		{"\"securityContext\":{\"seccompProfile\":{\"type\":\"Unconfined\"}}", "",
		 "seccompProfile (pod must not set securityContext.seccompProfile.type to "
		 "\\\"Unconfined\\\")"},
		{"", "\"securityContext\":{\"seLinuxOptions\":{\"type\":\"spc_t\",\"user\":\"u\"}}",
		 "seLinuxOptions (container \\\"c\\\" set forbidden "
		 "securityContext.seLinuxOptions: "
		 "type \\\"spc_t\\\"; user may not be set)"},
		{"", "\"securityContext\":{\"appArmorProfile\":{\"type\":\"Unconfined\"}}",
		 "forbidden AppArmor profile (container \\\"c\\\" must not set AppArmor profile "
		 "type "
		 "to \\\"Unconfined\\\")"},
		{"\"securityContext\":{\"windowsOptions\":{\"hostProcess\":true}}", "",
		 "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"},
	};

	(void)state;
	begin(LABEL("enforce", "baseline"));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		if (pod("p", v[i].spec, v[i].container) != 403)
			fail_msg("%zu: %s", i, buf_cstr(&last_body));
		expect(&last_body, v[i].says);
		expect(&last_body, "violates PodSecurity \\\"baseline:latest\\\"");
	}
	assert_int_equal(pod("p", "", ""), 201);
	end();
}

void test_admission_pods__versions_know_what_they_knew(void **state)
{
#define SYSCTL                                                                                     \
	"\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.tcp_rmem\",\"value\":\"4096\"}]}"
	(void)state;
	begin(LABEL("enforce", "baseline") "," LABEL("enforce-version", "v1.24"));
	assert_int_equal(pod("p", SYSCTL, ""), 403);
	expect(&last_body, "\\\"baseline:v1.24\\\"");
	assert_int_equal(label(LABEL("enforce-version", "v1.32")), 200);
	assert_int_equal(pod("p", SYSCTL, ""), 201);
	end();
}

void test_admission_pods__what_makes_pods_is_only_warned_about(void **state)
{
	(void)state;
	begin(LABEL("enforce", "baseline") "," LABEL("warn", "baseline"));
	assert_int_equal(
		ask("POST", "/apis/apps/v1/namespaces/default/deployments", NULL,
		    "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":"
		    "\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{"
		    "\"hostIPC\":true,\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}}}"),
		201);
	expect(&warned, "would violate PodSecurity \"baseline:latest\": host namespaces "
			"(hostIPC=true)");
	end();
}

void test_admission_pods__a_new_label_tells_of_the_pods_there_are(void **state)
{
	(void)state;
	begin("");
	assert_int_equal(pod("a", "\"hostPID\":true", ""), 201);
	assert_int_equal(pod("b", "\"hostPID\":true", ""), 201);
	assert_int_equal(label(LABEL("enforce", "baseline")), 200);
	expect(&warned,
	       "existing pods in namespace \"default\" violate the new PodSecurity enforce "
	       "level \"baseline:latest\"\n"
	       "a (and 1 other pod): host namespaces\n");
	assert_int_equal(label(LABEL("enforce", "strict")), 422);
	expect(&last_body, "must be one of privileged, baseline, restricted");
	end();
}

void test_admission_pods__labels_of_a_pod_may_change_though_it_is_not_fine(void **state)
{
	(void)state;
	begin("");
	assert_int_equal(pod("a", "\"hostPID\":true", ""), 201);
	assert_int_equal(label(LABEL("enforce", "baseline")), 200);
	assert_int_equal(ask("PATCH", PODS "/a", "application/merge-patch+json",
			     "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}"),
			 200);
	assert_int_equal(ask("PATCH", PODS "/a", "application/strategic-merge-patch+json",
			     "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"y\"}]}}"),
			 403);
	end();
}

/* What was added to a pod that was made stays though a manifest in its place leaves it out. */
void test_admission_pods__what_was_added_stays_when_it_is_replaced(void **state)
{
	(void)state;
	begin("");
	assert_int_equal(pod("a",
			     "\"serviceAccountName\":\"default\","
			     "\"automountServiceAccountToken\":false",
			     ""),
			 201);
	expect(&last_body, "tolerationSeconds");
	assert_int_equal(
		ask("PUT", PODS "/a", NULL,
		    "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"}},\"spec\":{"
		    "\"serviceAccountName\":\"default\",\"automountServiceAccountToken\":false,"
		    "\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}"),
		200);
	expect(&last_body, "\"x\":\"y\"");
	expect(&last_body, "tolerationSeconds");
	expect(&last_body, "\"priority\":0");
	end();
}

/* Whoever registers a node says what it has; kubelets that only make believe do it so. */
void test_admission_pods__a_node_comes_with_its_status(void **state)
{
	(void)state;
	begin("");
	assert_int_equal(ask("POST", "/api/v1/nodes", NULL,
			     "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"podCIDR\":\"10.9.0.0/24\","
			     "\"podCIDRs\":[\"10.9.0.0/24\"]},\"status\":{\"capacity\":{"
			     "\"memory\":\"1Gi\"}}}"),
			 201);
	expect(&last_body, "\"capacity\":{\"memory\":\"1Gi\"}");
	assert_int_equal(ask("PUT", "/api/v1/nodes/n", NULL, "{\"metadata\":{\"name\":\"n\"}}"),
			 422);
	expect(&last_body,
	       "Node \\\"n\\\" is invalid: spec.podCIDRs: Forbidden: node updates may not "
	       "change podCIDR except from \\\"\\\" to valid\"");
	end();
}

/* What Kubernetes won't have, in its words. */
void test_admission_pods__what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	begin("");
	assert_int_equal(pod("a", "", "\"resources\":{\"limits\":{\"memroy\":\"1\"}}"), 422);
	expect(&last_body, "spec.containers[0].resources.limits[memroy]: Invalid value: "
			   "\\\"memroy\\\": must be a standard resource for containers");
	assert_int_equal(pod("a", "", "\"resources\":{\"limits\":{\"example.com/gpu\":\"1\"}}"),
			 201);
	assert_int_equal(pod("b", "", "\"envFrom\":[{}]"), 422);
	expect(&last_body, "must specify one of: `configMapRef` or `secretRef`");
	assert_int_equal(pod("c", "\"hostNetwork\":true",
			     "\"ports\":[{\"containerPort\":80,\"hostPort\":81}]"),
			 422);
	expect(&last_body, "must match `hostPort` when `hostNetwork` is true");
	end();
}
