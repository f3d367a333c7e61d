/* The audit log: what a policy picks, what a line says, what it never says, and the file's care. */
#include "tests/unit/apiserver/live.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/audit.h"
#include "lib/json/json.h"

static const char policy_text[] = "apiVersion: audit.k8s.io/v1\n"
				  "kind: Policy\n"
				  "omitStages: [RequestReceived]\n"
				  "rules:\n"
				  "- level: None\n"
				  "  users: [noisy]\n"
				  "- level: None\n"
				  "  nonResourceURLs: ['/healthz*', /version]\n"
				  "- level: RequestResponse\n"
				  "  resources:\n"
				  "  - group: ''\n"
				  "    resources: [secrets, configmaps, serviceaccounts/token]\n"
				  "- level: Request\n"
				  "  verbs: [create]\n"
				  "  resources:\n"
				  "  - group: ''\n"
				  "    resources: [pods, 'pods/*']\n"
				  "  namespaces: [shop]\n"
				  "- level: Metadata\n"
				  "  userGroups: [ops]\n"
				  "  omitStages: [ResponseStarted]\n"
				  "- level: Metadata\n"
				  "  resources:\n"
				  "  - group: apps\n"
				  "    resources: ['*/scale']\n"
				  "    resourceNames: [web]\n";

static const struct str ops[] = {{"ops", 3}};

static struct audit_policy *policy(void)
{
	struct err err = {0};
	struct audit_policy *p = audit_policy_new(str_c(policy_text), &err);

	if (!p)
		fail_msg("%s", err.msg);
	return p;
}

static struct audit_verdict find(const struct audit_policy *p, const char *user, const char *verb,
				 const char *group, const char *resource, const char *sub,
				 const char *ns, const char *name)
{
	struct admission_user u = {.name = str_c(user)};
	struct audit_ask q = {.user = &u,
			      .verb = str_c(verb),
			      .group = str_c(group),
			      .resource = str_c(resource),
			      .subresource = str_c(sub),
			      .namespace = str_c(ns),
			      .name = str_c(name)};

	if (!strcmp(user, "olga")) {
		u.groups = ops;
		u.ngroups = 1;
	}
	if (resource[0] == '/') {
		q.path = str_c(resource);
		q.resource = STR_NONE;
	}
	return audit_policy_find(p, &q);
}

void test_audit__a_policy_picks(void **state)
{
	struct audit_policy *p = policy();

	(void)state;
	assert_int_equal(find(p, "noisy", "get", "", "secrets", "", "x", "y").level, AUDIT_NONE);
	assert_int_equal(find(p, "eve", "get", "", "secrets", "", "x", "y").level, AUDIT_RESPONSE);
	assert_int_equal(find(p, "eve", "get", "", "/healthz/etcd", "", "", "").level, AUDIT_NONE);
	assert_int_equal(find(p, "olga", "get", "", "/version", "", "", "").level, AUDIT_NONE);
	assert_int_equal(find(p, "olga", "get", "", "/metrics", "", "", "").level, AUDIT_METADATA);
	assert_int_equal(find(p, "eve", "create", "", "pods", "", "shop", "").level, AUDIT_REQUEST);
	assert_int_equal(find(p, "eve", "create", "", "pods", "exec", "shop", "a").level,
			 AUDIT_REQUEST);
	assert_int_equal(find(p, "eve", "create", "", "pods", "", "other", "").level, AUDIT_NONE);
	assert_int_equal(find(p, "eve", "get", "", "pods", "", "shop", "a").level, AUDIT_NONE);
	assert_int_equal(find(p, "eve", "update", "apps", "deployments", "scale", "x", "web").level,
			 AUDIT_METADATA);
	assert_int_equal(find(p, "eve", "update", "apps", "deployments", "scale", "x", "db").level,
			 AUDIT_NONE);
	assert_false(find(p, "olga", "list", "", "nodes", "", "", "").omit_managed);
	assert_int_equal(find(p, "olga", "list", "", "nodes", "", "", "").omit,
			 1U << AUDIT_RECEIVED | 1U << AUDIT_STARTED);
	audit_policy_free(p);
}

void test_audit__whether_managed_fields_are_shown(void **state)
{
	static const char text[] = "{kind: Policy, apiVersion: audit.k8s.io/v1,\n"
				   "omitManagedFields: true, rules: [{level: Request, verbs: [get],"
				   "omitManagedFields: false}, {level: Request}]}";
	struct audit_policy *p = audit_policy_new(str_c(text), NULL);
	AUTO(buf) struct buf line = {0};
	struct admission_user u = {.name = STR("eve")};
	struct audit_event e = {
		.level = AUDIT_RESPONSE,
		.stage = AUDIT_COMPLETE,
		.id = "id-1",
		.ask = {.user = &u, .verb = STR("list"), .resource = STR("pods")},
		.request = STR("{\"metadata\":{\"managedFields\":[\"one\"],\"name\":\"x\"}}"),
		.response = STR("{\"items\":[{\"metadata\":{\"managedFields\":[\"two\"]}},7]}"),
		.omit_managed = true};

	(void)state;
	assert_non_null(p);
	assert_false(find(p, "eve", "get", "", "pods", "", "x", "y").omit_managed);
	assert_true(find(p, "eve", "list", "", "pods", "", "x", "").omit_managed);
	audit_policy_free(p);
	audit_event_write(&e, &line);
	assert_true(str_find(buf_view(&line), STR("managedFields")) < 0);
	assert_true(str_find(buf_view(&line), STR("{\"name\":\"x\"}")) > 0);
}

void test_audit__policies_that_are_none(void **state)
{
	static const char *const bad[] = {
		"",
		"a: [",
		"kind: Policy\napiVersion: audit.k8s.io/v1\n",
		"kind: Policy\napiVersion: audit.k8s.io/v1\nrules: [{level: Everything}]\n",
		"kind: Policy\napiVersion: audit.k8s.io/v1\nrules: [{level: None, user: [x]}]\n",
		"kind: Policy\napiVersion: audit.k8s.io/v1\nrules: [{level: None, users: x}]\n",
		"kind: Policy\napiVersion: audit.k8s.io/v1\nrules: [{level: None, "
		"omitStages: [Whatever]}]\n",
		"kind: Policy\napiVersion: audit.k8s.io/v1\nrules: [{level: None, "
		"nonResourceURLs: [/x], namespaces: [y]}]\n",
		"kind: Other\napiVersion: audit.k8s.io/v1\nrules: [{level: None}]\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		if (audit_policy_new(str_c(bad[i]), &err))
			fail_msg("%zu was taken", i);
		assert_int_not_equal(err.code, ERR_NONE);
	}
}

void test_audit__a_line_is_one_line_and_keeps_secrets(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf line = {0};
	static const struct user_extra more[] = {{{"k", 1}, {"a\nb", 3}}, {{"k", 1}, {"c", 1}}};
	struct admission_user u = {.name = STR("e\"v\ne"),
				   .groups = ops,
				   .ngroups = 1,
				   .extra = more,
				   .nextra = ARRAY_LEN(more)};
	struct audit_event e = {.level = AUDIT_RESPONSE,
				.stage = AUDIT_COMPLETE,
				.id = "id-1",
				.ask = {.user = &u,
					.verb = STR("update"),
					.resource = STR("configmaps"),
					.namespace = STR("x"),
					.name = STR("y")},
				.uri = STR("/api/v1/namespaces/x/configmaps/y"),
				.source = STR("10.0.0.1"),
				.version = STR("v1"),
				.received_ns = 1000,
				.now_ns = 2000,
				.code = 200,
				.decision = "allow",
				.request = STR("{\"data\":\n{\"k\":\"v\"}}"),
				.response = STR("{\"data\": {\"k\":\"w\"}}")};

	(void)state;
	audit_event_write(&e, &line);
	assert_int_equal(str_find(buf_view(&line), STR("\n")), line.n - 1);
	const struct json *v = json_parse(&a, buf_view(&line), NULL, NULL);
	assert_non_null(v);
	assert_true(str_is(json_str(json_at(v, "user", "username")), "e\"v\ne"));
	assert_int_equal(json_len(json_at(v, "user", "extra", "k")), 2);
	assert_true(str_is(json_str(json_at(v, "requestObject", "data", "k")), "v"));
	assert_true(str_is(json_str(json_at(v, "responseObject", "data", "k")), "w"));
	assert_int_equal(json_int(json_at(v, "responseStatus", "code"), 0), 200);
	assert_true(str_is(json_str(json_at(v, "objectRef", "apiVersion")), "v1"));
	buf_reset(&line);
	e.request = STR("{\"half\":");
	audit_event_write(&e, &line);
	assert_non_null(json_parse(&a, buf_view(&line), NULL, NULL));
	e.request = e.response = STR("{\"data\":{\"k\":\"c2VjcmV0\"}}");
	e.status_message = STR("a webhook refuses quoted-secret");
	static const struct {
		const char *group, *resource, *sub;
	} hidden[] = {{"", "secrets", ""},
		      {"", "serviceaccounts", "token"},
		      {"authentication.k8s.io", "tokenreviews", ""}};
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		buf_reset(&line);
		e.ask.group = str_c(hidden[i].group);
		e.ask.resource = str_c(hidden[i].resource);
		e.ask.subresource = str_c(hidden[i].sub);
		audit_event_write(&e, &line);
		assert_true(str_find(buf_view(&line), STR("c2VjcmV0")) < 0);
		assert_true(str_find(buf_view(&line), STR("quoted-secret")) < 0);
		assert_true(str_find(buf_view(&line), STR("\"level\":\"Metadata\"")) > 0);
	}
}

/* ---- the file ---- */

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/plumb-test-audit-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static size_t count_files(bool remove)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (remove)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	if (remove)
		rmdir(dir);
	return n;
}

void test_audit__files_are_turned_over(void **state)
{
	static char line[1 << 16];
	char path[128];
	struct err err = {0};
	struct stat st;

	(void)state;
	make_dir();
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	struct audit_log_opts o = {
		.path = path, .max_size_mb = 1, .max_backups = 2, .blocking = true};
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int run = 0; run < 6; run++) {
		struct audit_log *l = audit_log_new(&o, &err);
		assert_non_null(l);
		for (int i = 0; i < 15; i++)
			audit_log_put(l, (struct str){line, sizeof(line)});
		audit_log_free(l);
	}
	/* Nothing is torn, the file is not too big, and only two old ones are left. */
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 1 << 20 && st.st_size % (off_t)sizeof(line) == 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count_files(true), 3);
	o.path = "/nowhere/at/all";
	assert_null(audit_log_new(&o, &err));
}

/* ---- through the front ---- */

static char *read_log(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = xalloc(1 << 20);

	assert_non_null(f);
	size_t n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static bool has_line(const char *log, const char *a, const char *b, const char *c)
{
	struct str rest = str_c(log), line;

	while (rest.p && str_next(&rest, '\n', &line))
		if (str_find(line, str_c(a)) >= 0 && str_find(line, str_c(b)) >= 0 &&
		    str_find(line, str_c(c)) >= 0)
			return true;
	return false;
}

#define ADMISSION "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"

/* A policy that only notes, and a namespace that only notes. */
static void break_rules(void)
{
	static const char policy[] =
		"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"matchConstraints\":{\"resourceRules\":["
		"{"
		"\"operations\":[\"CREATE\"],\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],"
		"\"resources\":[\"configmaps\"]}]},\"validations\":[{\"expression\":\"true\"},"
		"{\"expression\":\"false\",\"message\":\"no "
		"\\\"maps\\\"\"}],\"auditAnnotations\":[{"
		"\"key\":\"who\",\"valueExpression\":\"'name ' + object.metadata.name\"}]}}";
	static const char binding[] = "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"policyName\":"
				      "\"p\",\"validationActions\":[\"Audit\"]}}";
	static const char pod[] =
		"{\"metadata\":{\"name\":\"loud\"},\"spec\":{\"containers\":[{\"name\":\"c\","
		"\"image\":\"i\",\"securityContext\":{\"privileged\":true}}]}}";
	static const char labels[] = "{\"metadata\":{\"name\":\"strict\",\"labels\":{"
				     "\"pod-security.kubernetes.io/audit\":\"baseline\"}}}";

	assert_int_equal(ASK(&admin, "POST", ADMISSION "ies", policy), 201);
	assert_int_equal(ASK(&admin, "POST", ADMISSION "ybindings", binding), 201);
	assert_int_equal(ASK(&admin, "POST", CM, "{\"metadata\":{\"name\":\"noted\"}}"), 201);
	assert_int_equal(ASK(&admin, "POST", "/api/v1/namespaces", labels), 201);
	assert_int_equal(ASK(&admin, "POST", "/api/v1/namespaces/strict/serviceaccounts",
			     "{\"metadata\":{\"name\":\"default\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "POST", "/api/v1/namespaces/strict/pods", pod), 201);
	assert_int_equal(ASK(&admin, "GET", "/apis/batch/v1beta1/cronjobs", NULL), 200);
}

static void check_notes(const char *log)
{
	assert_true(
		has_line(log, "\"name\":\"noted\"", "\"p/who\":\"name noted\"",
			 "\"validation.policy.admission.k8s.io/validation_failure\":\"[{"
			 "\\\"message\\\":\\\"no \\\\\\\"maps\\\\\\\"\\\",\\\"policy\\\":\\\"p\\\","
			 "\\\"binding\\\":\\\"b\\\",\\\"expressionIndex\\\":1,"
			 "\\\"validationActions\\\":[\\\"Audit\\\"]}]\""));
	assert_true(has_line(log, "\"requestURI\":\"/apis/batch/v1beta1/cronjobs\"",
			     "\"stage\":\"ResponseComplete\"", "\"k8s.io/deprecated\":\"true\""));
	assert_true(has_line(log, "\"name\":\"loud\"",
			     "\"pod-security.kubernetes.io/enforce-policy\":\"privileged:latest\"",
			     "\"pod-security.kubernetes.io/audit-violations\":\"would violate "
			     "PodSecurity \\\"baseline:latest\\\": privileged"));
}

void test_audit__what_the_front_tells(void **state)
{
	struct err err = {0};
	char path[128];
	static const char everything[] = "kind: Policy\napiVersion: audit.k8s.io/v1\n"
					 "rules: [{level: RequestResponse}]\n";

	(void)state;
	make_dir();
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	audit_log = audit_log_new(&(struct audit_log_opts){.path = path, .blocking = true}, &err);
	audit_policy = audit_policy_new(str_c(everything), &err);
	assert_non_null(audit_policy);
	setup();
	assert_int_equal(ASK(&admin, "POST", CM,
			     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"seen\"},\"data\":{\"k\":\"shown\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "POST", NS "secrets",
			     "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"s\"},\"stringData\":{\"k\":\"never-shown\"}}"),
			 201);
	assert_int_equal(ASK(&alice, "GET", CM "/seen?pretty=true", NULL), 403);
	break_rules();
	assert_int_equal(ASK(&nobody, "GET", CM "/seen", NULL), 401);
	assert_int_equal(ASK(&admin, "GET", CM "/gone", NULL, "Impersonate-User", "bob",
			     "Impersonate-Group", "system:masters"),
			 404);
	teardown();
	audit_log_free(audit_log);
	audit_policy_free(audit_policy);
	audit_log = NULL;
	audit_policy = NULL;
	char *log = read_log(path);
	check_notes(log);
	assert_true(has_line(log, "\"stage\":\"RequestReceived\"", "\"verb\":\"create\"",
			     "\"username\":\"root\""));
	assert_true(has_line(log, "\"stage\":\"ResponseComplete\"", "\"code\":201",
			     "\"responseObject\":{\"kind\":\"ConfigMap\""));
	assert_true(has_line(log, "\"requestObject\":", "shown", "\"name\":\"seen\""));
	assert_true(has_line(log, "\"resource\":\"secrets\"", "\"level\":\"Metadata\"",
			     "\"code\":201"));
	assert_null(strstr(log, "never-shown"));
	assert_true(has_line(log,
			     "\"requestURI\":\"/api/v1/namespaces/default/configmaps/seen?"
			     "pretty=true\"",
			     "\"authorization.k8s.io/decision\":\"forbid\"", "\"code\":403"));
	assert_true(has_line(log, "\"code\":401", "\"user\":{}", "\"reason\":\"Unauthorized\""));
	assert_true(has_line(log, "\"impersonatedUser\":{\"username\":\"bob\"",
			     "\"user\":{\"username\":\"root\"", "\"reason\":\"NotFound\""));
	free(log);
	count_files(true);
}
