/* Kinds: what all of them must hold to, and the rules of single ones, driven as the core does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/kinds/rules.h"
#include "lib/base/timefmt.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static const struct kind *find(const char *kind)
{
	for (size_t i = 0; kind_registry[i]; i++)
		if (!strcmp(kind_registry[i]->kind, kind))
			return kind_registry[i];
	fail_msg("no kind %s", kind);
	return NULL;
}

static const struct schema *schema_of(const struct kind *k)
{
	return schema_find(str_c(k->schema_name));
}

static struct kind_ctx context(void)
{
	return (struct kind_ctx){.a = &a, .now_ns = NOW, .problems = {.a = &a}};
}

/* Defaults, preparation and rules, in the core's order. Answers the problems, a line each. */
static const char *written(const char *kind, struct json *next, const struct json *live)
{
	const struct kind *k = find(kind);
	struct kind_ctx c = context();
	AUTO(buf) struct buf out = {0};

	schema_default(&a, schema_of(k), next);
	if (k->set_defaults)
		k->set_defaults(&c, next);
	if (k->prepare)
		k->prepare(&c, next, live);
	schema_check(schema_of(k), next, &c.problems, &c.problems);
	if (k->validate)
		k->validate(&c, next, live);
	for (size_t i = 0; i < c.problems.n; i++)
		buf_printf(&out, "%s%.*s: %.*s", i ? "\n" : "", STR_ARG(c.problems.v[i].field),
			   STR_ARG(c.problems.v[i].message));
	return arena_cstr(&a, buf_view(&out));
}

static struct json *made(const char *kind, const char *text)
{
	struct json *v = parse(text);

	assert_string_equal(written(kind, v, NULL), "");
	return v;
}

static const char *refused(const char *kind, const char *text)
{
	return written(kind, parse(text), NULL);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' lacks '%s'", text, part);
}

static const char *row_of(const char *kind, const struct json *o)
{
	struct kind_ctx c = context();
	struct json *cells = json_new(&a, JSON_ARRAY);
	AUTO(buf) struct buf out = {0};

	find(kind)->row(&c, o, cells);
	for (size_t i = 0; i < json_len(cells); i++) {
		const struct json *v = json_item(cells, i);
		if (i)
			buf_puts(&out, " | ");
		if (json_is(v, JSON_STRING))
			buf_str(&out, json_str(v));
		else
			json_write(v, &out);
	}
	return arena_cstr(&a, buf_view(&out));
}

/* ---- all of them ---- */

void test_kinds__each_has_a_schema_and_a_place_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; kind_registry[i]; i++) {
		const struct kind *k = kind_registry[i];
		const char *version =
			k->group[0] ? arena_printf(&a, "%s/%s", k->group, k->version) : k->version;
		if (!schema_of(k))
			fail_msg("%s: no schema %s", k->kind, k->schema_name);
		if (schema_find_kind(str_c(version), str_c(k->kind)) != schema_of(k))
			fail_msg("%s %s has another schema", version, k->kind);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(kind_registry[j]->plural, k->plural) &&
			    !strcmp(kind_registry[j]->group, k->group) &&
			    !strcmp(kind_registry[j]->version, k->version))
				fail_msg("%s twice", k->plural);
	}
	arena_release(&a);
}

void test_kinds__rows_fit_their_columns_even_of_empty_objects(void **state)
{
	(void)state;
	for (size_t i = 0; kind_registry[i]; i++) {
		const struct kind *k = kind_registry[i];
		struct kind_ctx c = context();
		struct json *cells = json_new(&a, JSON_ARRAY);
		size_t n = 0;
		if (!k->row)
			continue;
		while (k->columns[n].name)
			n++;
		k->row(&c, json_new(&a, JSON_OBJECT), cells);
		if (json_len(cells) != n)
			fail_msg("%s: %zu cells in %zu columns", k->kind, json_len(cells), n);
	}
	arena_release(&a);
}

/* Whatever a client sends, rules answer with problems. */
void test_kinds__rules_survive_odd_objects(void **state)
{
	static const char *const odd[] = {
		"{}",
		"{\"metadata\":{\"name\":\"x\"},\"spec\":null,\"status\":null,\"data\":null}",
		"{\"spec\":{\"template\":null,\"selector\":null,\"ports\":null,\"strategy\":null}}",
		"{\"spec\":{\"ports\":[{}],\"rules\":[{}],\"taints\":[{}],\"volumes\":[{}]}}",
		"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{}],\"volumes\":[{}]}}}}",
		"{\"subsets\":[{}],\"endpoints\":[{}],\"rules\":[{}],\"subjects\":[{}]}",
	};

	(void)state;
	for (size_t i = 0; kind_registry[i]; i++) {
		const struct kind *k = kind_registry[i];
		for (size_t n = 0; n < ARRAY_LEN(odd); n++) {
			struct kind_ctx c = context();
			struct json *v = parse(odd[n]);
			schema_prune(schema_of(k), v);
			schema_default(&a, schema_of(k), v);
			if (k->set_defaults)
				k->set_defaults(&c, v);
			if (k->prepare)
				k->prepare(&c, v, NULL);
			if (k->validate) {
				k->validate(&c, v, NULL);
				k->validate(&c, v, parse(odd[n]));
			}
		}
	}
	arena_release(&a);
}

/* ---- pods ---- */

#define POD(spec) "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":{" spec "}}"
#define ONE "\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]"

void test_kinds__pod_is_filled_in(void **state)
{
	struct json *v = made("Pod", POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\","
					 "\"resources\":{\"limits\":{\"cpu\":\"1\"}}}]"));
	const struct json *c = json_item(json_at(v, "spec", "containers"), 0);

	(void)state;
	assert_true(str_is(json_str(json_at(v, "status", "phase")), "Pending"));
	assert_true(str_is(json_str(json_at(v, "status", "qosClass")), "Burstable"));
	assert_true(str_is(json_str(json_get(c, STR("imagePullPolicy"))), "Always"));
	assert_true(str_is(json_str(json_at(c, "resources", "requests", "cpu")), "1"));
	assert_true(json_bool(json_at(v, "spec", "enableServiceLinks"), false));
	assert_true(str_is(json_str(json_at(v, "spec", "restartPolicy")), "Always"));
	assert_int_equal(json_int(json_at(v, "spec", "terminationGracePeriodSeconds"), 0), 30);
	arena_release(&a);
}

void test_kinds__pod_quality_compares_amounts(void **state)
{
	struct json *v = made("Pod", POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\","
					 "\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":"
					 "\"1Gi\"},\"requests\":{\"cpu\":\"1000m\",\"memory\":"
					 "\"1024Mi\"}}}]"));

	(void)state;
	assert_true(str_is(json_str(json_at(v, "status", "qosClass")), "Guaranteed"));
	v = made("Pod", POD(ONE));
	assert_true(str_is(json_str(json_at(v, "status", "qosClass")), "BestEffort"));
	arena_release(&a);
}

void test_kinds__pod_without_containers_is_refused(void **state)
{
	(void)state;
	has(refused("Pod", POD("\"containers\":[]")), "spec.containers: Required value");
	has(refused("Pod", POD(ONE ",\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}},{\"name\":\"v\","
				   "\"emptyDir\":{}}]")),
	    "spec.volumes[1].name: Duplicate value: \"v\"");
	has(refused("Pod", POD(ONE ",\"restartPolicy\":\"Maybe\"")), "spec.restartPolicy: ");
	arena_release(&a);
}

/* Kubernetes takes any text: a scheduler that isn't there keeps a pod from being placed. */
void test_kinds__pod_scheduler_may_be_called_anything(void **state)
{
	(void)state;
	assert_string_equal(refused("Pod", "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},"
					   "\"spec\":{\"schedulerName\":\"please don't\","
					   "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"),
			    "");
}

/* A pod whose container has these devices, and the folder "m" mounted at /m. */
static const char *with_devices(const char *devices)
{
	return refused("Pod", arena_printf(&a,
					   POD("\"containers\":[{\"name\":\"c\",\"image\":\"i:1\","
					       "\"volumeMounts\":[{\"name\":\"m\",\"mountPath\":"
					       "\"/m\"}],\"volumeDevices\":[%s]}],\"volumes\":[{"
					       "\"name\":\"m\",\"persistentVolumeClaim\":{"
					       "\"claimName\":\"m\"}},{\"name\":\"d\","
					       "\"persistentVolumeClaim\":{\"claimName\":\"d\"}},{"
					       "\"name\":\"e\",\"emptyDir\":{}}]"),
					   devices));
}

void test_kinds__pod_devices_are_claims(void **state)
{
	(void)state;
#define DEVICE(name, path) "{\"name\":\"" name "\",\"devicePath\":\"" path "\"}"
	assert_string_equal(with_devices(DEVICE("d", "/dev/x")), "");
	has(with_devices(DEVICE("no", "/dev/x")), "volumeDevices[0].name: Not found: \"no\"");
	has(with_devices(DEVICE("e", "/dev/x")), "can only use volume source type of Persistent");
	has(with_devices(DEVICE("m", "/dev/x")), "must not already exist in volumeMounts");
	has(with_devices(DEVICE("d", "/m")), "must not already exist as a path in volumeMounts");
	has(with_devices(DEVICE("d", "/dev/../x")), "can not contain backsteps ('..')");
	has(with_devices(DEVICE("d", "/x") "," DEVICE("d", "/y")), "volumeDevices[1].name");
	arena_release(&a);
}

void test_kinds__pod_image_may_change_and_little_else(void **state)
{
	struct json *live = made("Pod", POD(ONE));
	struct json *next = json_copy(&a, live);

	(void)state;
	json_set_str(&a, json_item(json_at(next, "spec", "containers"), 0), "image", STR("i:2"));
	assert_string_equal(written("Pod", next, live), "");
	json_set_str(&a, json_item(json_at(next, "spec", "containers"), 0), "name", STR("other"));
	has(written("Pod", next, live), "pod updates may not change fields other than");
	arena_release(&a);
}

static const char *pod_row(const char *status)
{
	return row_of("Pod",
		      parse(arena_printf(&a,
					 "{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":"
					 "\"2023-11-14T22:12:20Z\"},\"spec\":{%s},\"status\":{%s}}",
					 ONE, status)));
}

void test_kinds__pod_rows_say_what_is_wrong(void **state)
{
	(void)state;
	has(pod_row("\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,"
		    "\"restartCount\":2,\"state\":{\"running\":{}}}]"),
	    "p | 1/1 | Running | 2 | 60s | <none> | <none>");
	has(pod_row("\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"c\",\"ready\":false,"
		    "\"restartCount\":0,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}}"
		    "]"),
	    "p | 0/1 | CrashLoopBackOff | 0");
	has(pod_row("\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"c\",\"ready\":false,"
		    "\"restartCount\":0,\"state\":{\"terminated\":{\"exitCode\":3}}}]"),
	    "p | 0/1 | ExitCode:3 | 0");
	arena_release(&a);
}

/* ---- workloads ---- */

#define TEMPLATE(labels) "\"template\":{\"metadata\":{\"labels\":{" labels "}},\"spec\":{" ONE "}}"
#define APP "\"app\":\"x\""
#define SELECT "\"selector\":{\"matchLabels\":{" APP "}}"
#define WORKLOAD(spec) "{\"metadata\":{\"name\":\"w\",\"namespace\":\"d\"},\"spec\":{" spec "}}"

void test_kinds__deployment_defaults_and_fixed_selector(void **state)
{
	struct json *live = made("Deployment", WORKLOAD(SELECT "," TEMPLATE(APP)));
	struct json *next = json_copy(&a, live);

	(void)state;
	assert_int_equal(json_int(json_at(live, "spec", "replicas"), 0), 1);
	assert_true(str_is(json_str(json_at(live, "spec", "strategy", "rollingUpdate", "maxSurge")),
			   "25%"));
	json_set(&a, json_get(next, STR("spec")), STR("selector"),
		 parse("{\"matchLabels\":{\"app\":\"y\"}}"));
	has(written("Deployment", next, live), "field is immutable");
	has(refused("Deployment", WORKLOAD(SELECT "," TEMPLATE("\"app\":\"z\""))),
	    "`selector` does not match template `labels`");
	has(refused("Deployment", WORKLOAD("\"strategy\":{\"rollingUpdate\":{\"maxSurge\":0,"
					   "\"maxUnavailable\":0}}," SELECT "," TEMPLATE(APP))),
	    "may not be 0 when `maxSurge` is 0");
	arena_release(&a);
}

void test_kinds__workloads_keep_their_pods_running(void **state)
{
	static const char *const kinds[] = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"};
	const char *once = WORKLOAD(SELECT ",\"template\":{\"metadata\":{\"labels\":{" APP
					   "}},\"spec\":{\"restartPolicy\":\"Never\"," ONE "}}");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		made(kinds[i], WORKLOAD(SELECT "," TEMPLATE(APP)));
		has(refused(kinds[i], once), "supported values: \"Always\"");
	}
	has(refused("Job", WORKLOAD(TEMPLATE(APP))), "valid values: \"OnFailure\", \"Never\"");
	arena_release(&a);
}

void test_kinds__job_selects_by_its_own_uid(void **state)
{
	struct json *v = made("Job", "{\"metadata\":{\"name\":\"j\",\"namespace\":\"d\",\"uid\":"
				     "\"u-1\"},\"spec\":{\"template\":{\"spec\":{"
				     "\"restartPolicy\":\"Never\"," ONE "}}}}");

	(void)state;
	assert_true(str_is(json_str(json_at(v, "spec", "selector", "matchLabels",
					    "batch.kubernetes.io/controller-uid")),
			   "u-1"));
	assert_true(str_is(
		json_str(json_at(v, "spec", "template", "metadata", "labels", "job-name")), "j"));
	arena_release(&a);
}

/* ---- services, configuration ---- */

void test_kinds__service_ports_are_completed_and_checked(void **state)
{
	struct json *v = made("Service", WORKLOAD("\"ports\":[{\"port\":80}]"));
	const struct json *p = json_item(json_at(v, "spec", "ports"), 0);

	(void)state;
	assert_int_equal(json_int(json_get(p, STR("targetPort")), 0), 80);
	assert_true(str_is(json_str(json_get(p, STR("protocol"))), "TCP"));
	assert_true(str_is(json_str(json_at(v, "spec", "type")), "ClusterIP"));
	/* Clients in Go write what nobody set as nothing. */
	v = made("Service", WORKLOAD("\"ports\":[{\"port\":80,\"targetPort\":0,\"name\":\"\"}]"));
	p = json_item(json_at(v, "spec", "ports"), 0);
	assert_int_equal(json_int(json_get(p, STR("targetPort")), 0), 80);
	v = made("Service", WORKLOAD("\"ports\":[{\"port\":80,\"targetPort\":\"\"}]"));
	p = json_item(json_at(v, "spec", "ports"), 0);
	assert_int_equal(json_int(json_get(p, STR("targetPort")), 0), 80);
	made("Endpoints", "{\"metadata\":{\"name\":\"e\",\"namespace\":\"d\"},\"subsets\":[{"
			  "\"addresses\":[{\"ip\":\"10.1.2.3\",\"hostname\":\"\"}],"
			  "\"ports\":[{\"name\":\"\",\"port\":80}]}]}");
	has(refused("Service", WORKLOAD("\"ports\":[{\"port\":80},{\"port\":81}]")),
	    "spec.ports[0].name: Required value");
	has(refused("Service", WORKLOAD("\"type\":\"ExternalName\"")),
	    "spec.externalName: Required value");
	has(refused("Service", WORKLOAD("\"ports\":[{\"port\":70000}]")), "spec.ports[0].port");
	arena_release(&a);
}

void test_kinds__secret_text_becomes_data_and_never_a_message(void **state)
{
	struct json *v = made("Secret", "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":"
					"\"hush\"}}");
	struct json *bad = parse("{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"bad key\":"
				 "\"hush\"}}");

	(void)state;
	assert_true(str_is(json_str(json_at(v, "data", "k")), "aHVzaA=="));
	assert_null(json_get(v, STR("stringData")));
	assert_true(str_is(json_str(json_get(v, STR("type"))), "Opaque"));
	const char *why = written("Secret", bad, NULL);
	has(why, "bad key");
	assert_null(strstr(why, "aHVzaA"));
	assert_null(strstr(why, "hush"));
	arena_release(&a);
}

void test_kinds__lines_of_base64_become_one(void **state)
{
	struct json *v = made("Secret", "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":"
					"\"aHVz\\r\\naA==\\n\"}}");

	(void)state;
	assert_true(str_is(json_str(json_at(v, "data", "k")), "aHVzaA=="));
	v = made("ConfigMap", "{\"metadata\":{\"name\":\"s\"},\"data\":{\"t\":\"a\\n\"},"
			      "\"binaryData\":{\"k\":\"aHVz\\naA==\"}}");
	assert_true(str_is(json_str(json_at(v, "binaryData", "k")), "aHVzaA=="));
	assert_true(str_is(json_str(json_at(v, "data", "t")), "a\n"));
	has(refused("Secret", "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"a b=\"}}"),
	    "illegal base64");
	arena_release(&a);
}

void test_kinds__frozen_configuration_stays(void **state)
{
	struct json *live = made("ConfigMap", "{\"metadata\":{\"name\":\"c\"},\"immutable\":true,"
					      "\"data\":{\"k\":\"v\"}}");
	struct json *next = json_copy(&a, live);

	(void)state;
	json_set_str(&a, json_get(next, STR("data")), "k", STR("w"));
	has(written("ConfigMap", next, live), "field is immutable when `immutable` is set");
	arena_release(&a);
}

void test_kinds__role_bindings_keep_their_role(void **state)
{
	const char *text = "{\"metadata\":{\"name\":\"b\",\"namespace\":\"d\"},\"roleRef\":{"
			   "\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\"name\":"
			   "\"%s\"},\"subjects\":[{\"kind\":\"User\",\"name\":\"u\",\"apiGroup\":"
			   "\"rbac.authorization.k8s.io\"}]}";
	struct str at = STR("%s");
	AUTO(buf) struct buf other = {0};

	(void)state;
	buf_str(&other, str_sub(str_c(text), 0, (size_t)str_find(str_c(text), at)));
	size_t head = other.n;
	buf_puts(&other, "one");
	buf_puts(&other, text + head + 2);
	struct json *live = made("RoleBinding", buf_cstr(&other));
	struct json *next = json_copy(&a, live);
	json_set_str(&a, json_get(next, STR("roleRef")), "name", STR("two"));
	has(written("RoleBinding", next, live), "cannot change roleRef");
	arena_release(&a);
}
