/* Server-side apply and managedFields: ownership, conflicts, giving up, lists by key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/apply.h"

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static const struct schema *deployment(void)
{
	return schema_find(STR("io.k8s.api.apps.v1.Deployment"));
}

static struct json *apply(const char *manager, const struct json *live, const char *config,
			  bool force, struct apply_conflicts *c, struct err *err)
{
	struct apply_opts o = {.manager = str_c(manager),
			       .api_version = STR("apps/v1"),
			       .subresource = STR(""),
			       .force = force,
			       .now_ns = 1000000000};

	return apply_merge(&a, deployment(), live, parse(config), &o, c, err);
}

static struct json *applied(const char *manager, const struct json *live, const char *config)
{
	struct apply_conflicts c;
	struct err err = {0};
	struct json *v = apply(manager, live, config, false, &c, &err);

	if (!v)
		fail_msg("%s: %s", config, err.msg);
	return v;
}

static void updated(const char *manager, const struct json *live, struct json *next)
{
	struct apply_opts o = {.manager = str_c(manager),
			       .api_version = STR("apps/v1"),
			       .subresource = STR(""),
			       .now_ns = 2000000000};

	apply_track_update(&a, deployment(), live, next, &o);
}

static void spec_is(const struct json *v, const char *want)
{
	AUTO(buf) struct buf text = {0};

	json_write_sorted(json_get(v, STR("spec")), &text);
	assert_string_equal(buf_cstr(&text), want);
}

static void fields_are(const struct json *v, const char *manager, const char *operation,
		       const char *want)
{
	AUTO(buf) struct buf text = {0};
	const struct json *e = apply_entry(v, str_c(manager), str_c(operation), STR(""));

	if (e)
		json_write_sorted(json_get(e, STR("fieldsV1")), &text);
	assert_string_equal(buf_cstr(&text), want);
}

#define META "\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\"}"

void test_apply__a_field_given_up_goes(void **state)
{
	struct json *v = applied("m", NULL, "{" META ",\"spec\":{\"replicas\":3,\"paused\":true}}");

	(void)state;
	fields_are(v, "m", "Apply", "{\"f:spec\":{\"f:paused\":{},\"f:replicas\":{}}}");
	v = applied("m", v, "{" META ",\"spec\":{\"replicas\":3}}");
	spec_is(v, "{\"replicas\":3}");
	arena_release(&a);
}

void test_apply__what_another_wants_stays(void **state)
{
	struct json *v = applied("m", NULL, "{" META ",\"spec\":{\"replicas\":3,\"paused\":true}}");

	(void)state;
	v = applied("n", v, "{" META ",\"spec\":{\"paused\":true}}");
	v = applied("m", v, "{" META ",\"spec\":{\"replicas\":3}}");
	spec_is(v, "{\"paused\":true,\"replicas\":3}");
	fields_are(v, "m", "Apply", "{\"f:spec\":{\"f:replicas\":{}}}");
	arena_release(&a);
}

void test_apply__a_conflict_names_field_and_manager_and_force_takes_over(void **state)
{
	struct json *v = applied("m", NULL, "{" META ",\"spec\":{\"replicas\":3}}"),
		    *edited = json_copy(&a, v);
	struct apply_conflicts c;
	struct err err = {0};

	(void)state;
	json_set_int(&a, json_get(edited, STR("spec")), "replicas", 5);
	updated("kubectl-edit", v, edited);
	fields_are(edited, "m", "Apply", "");
	fields_are(edited, "kubectl-edit", "Update", "{\"f:spec\":{\"f:replicas\":{}}}");
	assert_null(apply("m", edited, "{" META ",\"spec\":{\"replicas\":3}}", false, &c, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(c.n, 1);
	assert_true(str_is(c.v[0].field, ".spec.replicas"));
	assert_true(str_find(c.v[0].manager,
			     STR("\"kubectl-edit\" using apps/v1 at 1970-01-01T00:00:02Z")) == 0);
	v = apply("m", edited, "{" META ",\"spec\":{\"replicas\":3}}", true, &c, &err);
	spec_is(v, "{\"replicas\":3}");
	fields_are(v, "kubectl-edit", "Update", "");
	arena_release(&a);
}

void test_apply__the_same_value_is_shared_not_contested(void **state)
{
	struct json *v = applied("m", NULL, "{" META ",\"spec\":{\"replicas\":3}}");

	(void)state;
	v = applied("n", v, "{" META ",\"spec\":{\"replicas\":3}}");
	fields_are(v, "m", "Apply", "{\"f:spec\":{\"f:replicas\":{}}}");
	fields_are(v, "n", "Apply", "{\"f:spec\":{\"f:replicas\":{}}}");
	arena_release(&a);
}

#define CONTAINERS(list) "{" META ",\"spec\":{\"template\":{\"spec\":{\"containers\":[" list "]}}}}"

/* The sets of `kubectl run`, as a kube-apiserver keeps them. */
void test_apply__an_update_owns_the_containers_that_came_with_it(void **state)
{
	struct err err = {0};
	struct json *pod = json_parse(
		&a,
		STR("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\","
		    "\"labels\":"
		    "{\"run\":\"x\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
		    "\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\"}],\"resources\":{}}],"
		    "\"securityContext\":{}}}"),
		NULL, &err);
	struct apply_opts o = {.manager = STR("m"), .api_version = STR("v1")};
	AUTO(buf) struct buf text = {0};

	(void)state;
	apply_track_update(&a, schema_find_kind(STR("v1"), STR("Pod")), NULL, pod, &o);
	json_write_sorted(json_pointer(pod, STR("/metadata/managedFields/0/fieldsV1")), &text);
	assert_string_equal(
		buf_cstr(&text),
		"{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:run\":{}}},"
		"\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:"
		"image\":{},"
		"\"f:name\":{},\"f:ports\":{\".\":{},"
		"\"k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},"
		"\"f:containerPort\":{},\"f:protocol\":{}}},\"f:resources\":{}}},"
		"\"f:securityContext\":{}}}");
}

static void update_owns(const char *before, const char *after, const char *want)
{
	struct apply_opts o = {.manager = STR("m"), .api_version = STR("v1")};
	struct json *next = parse(after);
	AUTO(buf) struct buf text = {0};

	apply_track_update(&a, schema_find_kind(STR("v1"), STR("Pod")), parse(before), next, &o);
	json_write_sorted(json_pointer(next, STR("/metadata/managedFields/0/fieldsV1")), &text);
	assert_string_equal(text.n ? buf_cstr(&text) : "", want);
}

/* Emptied or filled, a structure is still there: only what it holds changes hands. */
void test_apply__an_emptied_structure_is_nobodys(void **state)
{
	(void)state;
	update_owns("{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", "{\"metadata\":{\"labels\":{}}}",
		    "null");
	update_owns("{\"metadata\":{\"labels\":{}}}", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}",
		    "{\"f:metadata\":{\"f:labels\":{\"f:a\":{}}}}");
	arena_release(&a);
}

void test_apply__an_applied_empty_list_is_nobodys(void **state)
{
	struct json *v = applied("m", NULL, CONTAINERS(""));

	(void)state;
	fields_are(v, "m", "Apply", "{\"f:spec\":{\"f:template\":{\"f:spec\":{}}}}");
	arena_release(&a);
}

void test_apply__lists_merge_by_key(void **state)
{
	struct json *v = applied("m", NULL,
				 CONTAINERS("{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\","
					    "\"image\":\"y\"}")),
		    *injected;

	(void)state;
	injected = json_copy(&a, v);
	json_append(&a, json_pointer(injected, STR("/spec/template/spec/containers")),
		    parse("{\"name\":\"side\",\"image\":\"z\"}"));
	updated("injector", v, injected);
	v = applied("m", injected, CONTAINERS("{\"name\":\"a\",\"image\":\"x2\"}"));
	spec_is(v, "{\"template\":{\"spec\":{\"containers\":[{\"image\":\"x2\",\"name\":\"a\"},{"
		   "\"image\":\"z\",\"name\":\"side\"}]}}}");
	arena_release(&a);
}

void test_apply__an_empty_list_takes_nobodys_items_away(void **state)
{
	struct json *v = applied("m", NULL, CONTAINERS("{\"name\":\"a\",\"image\":\"x\"}"));

	(void)state;
	v = applied("n", v, CONTAINERS(""));
	spec_is(v, "{\"template\":{\"spec\":{\"containers\":[{\"image\":\"x\",\"name\":\"a\"}]}}}");
	v = applied("m", v, CONTAINERS(""));
	spec_is(v, "{\"template\":{\"spec\":{}}}");
	arena_release(&a);
}

void test_apply__a_list_key_left_out_has_its_default(void **state)
{
	struct json *v = applied("m", NULL,
				 CONTAINERS("{\"name\":\"a\",\"image\":\"x\",\"ports\":[{"
					    "\"containerPort\":80,\"protocol\":\"TCP\"}]}"));

	(void)state;
	v = applied("m", v,
		    CONTAINERS("{\"name\":\"a\",\"image\":\"x\",\"ports\":[{\"containerPort\":80,"
			       "\"name\":\"web\"}]}"));
	spec_is(v, "{\"template\":{\"spec\":{\"containers\":[{\"image\":\"x\",\"name\":\"a\","
		   "\"ports\":[{\"containerPort\":80,\"name\":\"web\","
		   "\"protocol\":\"TCP\"}]}]}}}");
	arena_release(&a);
}

static void count_path(void *arg, struct str pointer, const struct json *value)
{
	struct buf *out = arg;

	buf_str(out, pointer);
	buf_putc(out, '=');
	json_write(value, out);
	buf_putc(out, '\n');
}

void test_apply__owned_paths_are_pointers_into_the_object(void **state)
{
	struct json *v = applied("m", NULL, CONTAINERS("{\"name\":\"a\",\"image\":\"x\"}"));
	AUTO(buf) struct buf out = {0};

	(void)state;
	apply_owned_paths(
		deployment(),
		json_get(apply_entry(v, STR("m"), STR("Apply"), STR("")), STR("fieldsV1")), v,
		count_path, &out);
	assert_string_equal(buf_cstr(&out), "/spec/template/spec/containers/0/name=\"a\"\n/spec/"
					    "template/spec/containers/0/image=\"x\"\n");
	arena_release(&a);
}

static void smp_is(const char *doc, const char *patch, const char *want)
{
	AUTO(buf) struct buf text = {0};
	struct err err = {0};
	struct json *v = schema_strategic_merge(&a, schema_find(STR("io.k8s.api.core.v1.PodSpec")),
						parse(doc), parse(patch), &err);

	if (!v)
		fail_msg("%s: %s", patch, err.msg);
	json_write_sorted(v, &text);
	assert_string_equal(buf_cstr(&text), want);
}

void test_strategic_merge__lists_and_directives(void **state)
{
	(void)state;
	smp_is("{\"containers\":[{\"name\":\"a\",\"image\":\"1\"}]}",
	       "{\"containers\":[{\"name\":\"b\",\"image\":\"2\"},{\"name\":\"a\",\"image\":\"3\"}]"
	       "}",
	       "{\"containers\":[{\"image\":\"2\",\"name\":\"b\"},{\"image\":\"3\",\"name\":\"a\"}]"
	       "}");
	smp_is("{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
	       "{\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"}]}",
	       "{\"containers\":[{\"name\":\"b\"}]}");
	smp_is("{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
	       "{\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"c\"}]}",
	       "{\"containers\":[{\"name\":\"c\"}]}");
	smp_is("{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
	       "{\"$setElementOrder/"
	       "containers\":[{\"name\":\"b\"},{\"name\":\"a\"}],\"containers\":[{\"name\":\"a\","
	       "\"image\":\"x\"}]}",
	       "{\"containers\":[{\"name\":\"b\"},{\"image\":\"x\",\"name\":\"a\"}]}");
	smp_is("{\"nodeSelector\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"nodeSelector\":{\"a\":null}}",
	       "{\"nodeSelector\":{\"b\":\"2\"}}");
	smp_is("{\"nodeSelector\":{\"a\":\"1\"}}",
	       "{\"nodeSelector\":{\"$patch\":\"replace\",\"c\":\"3\"}}",
	       "{\"nodeSelector\":{\"c\":\"3\"}}");
	smp_is("{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}",
	       "{\"volumes\":[{\"name\":\"v\",\"$retainKeys\":[\"name\",\"hostPath\"],\"hostPath\":"
	       "{\"path\":\"/x\"}}]}",
	       "{\"volumes\":[{\"hostPath\":{\"path\":\"/x\"},\"name\":\"v\"}]}");
	smp_is("{\"dnsPolicy\":\"Default\"}", "{\"dnsPolicy\":null}", "{}");
	arena_release(&a);
}

#define LAST "kubectl.kubernetes.io/last-applied-configuration"
static const char scaled_by_kubectl[] =
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\","
	"\"annotations\":{}},\"spec\":{\"replicas\":3,\"paused\":true}}";

/* An object that `kubectl apply` has made the old way, and somebody has unpaused since. */
static struct json *applied_by_client(const char *said)
{
	struct json *v = parse(
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},"
		"\"spec\":{\"replicas\":3,\"paused\":true}}");
	struct json *next;

	json_set_str(&a, json_set_object(&a, json_get(v, STR("metadata")), "annotations"), LAST,
		     str_c(said));
	updated("kubectl-client-side-apply", NULL, v);
	next = json_copy(&a, v);
	json_set_bool(&a, json_get(next, STR("spec")), "paused", false);
	updated("somebody", v, next);
	return next;
}

/* kubectl takes over from its own earlier self what still stands as it said, and nothing else. */
void test_apply__kubectl_follows_its_client_side_self(void **state)
{
	const char *more =
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},"
		"\"spec\":{\"replicas\":5}}";
	const char *paused =
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},"
		"\"spec\":{\"paused\":true,\"replicas\":5}}";
	struct json *live = applied_by_client(scaled_by_kubectl), *next;
	struct apply_conflicts c;
	struct err err = {0};

	(void)state;
	next = applied("kubectl", live, more);
	spec_is(next, "{\"paused\":false,\"replicas\":5}");
	assert_string_equal(
		json_str(json_at(next, "metadata", "annotations", LAST)).p,
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},"
		"\"spec\":{\"replicas\":5}}\n");
	assert_null(apply("another", live, more, false, &c, &err));
	assert_null(apply("kubectl", live, paused, false, &c, &err));
	assert_int_equal(c.n, 1);
	assert_string_equal(c.v[0].field.p, ".spec.paused");
	arena_release(&a);
}

/* An annotation that is no object of this version says nothing; without one none is made. */
void test_apply__a_foreign_annotation_says_nothing(void **state)
{
	const char *more =
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},"
		"\"spec\":{\"replicas\":5}}";
	const char *const said[] = {"", "{", "[]",
				    "{\"apiVersion\":\"apps/v2\",\"spec\":{\"replicas\":3}}"};
	struct apply_conflicts c;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		assert_null(apply("kubectl", applied_by_client(said[i]), more, false, &c, &err));
	assert_null(json_at(applied("kubectl", NULL, more), "metadata", "annotations"));
	arena_release(&a);
}
