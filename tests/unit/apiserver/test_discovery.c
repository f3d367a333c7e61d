/* Discovery documents, over a few kinds of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/discovery.h"
#include "lib/json/json.h"

static const char *const po[] = {"po", NULL}, *const all[] = {"all", NULL};
static const char *const pod_subs[] = {"log", "eviction", NULL};
static const struct kind kinds[] = {
	{.group = "zoo.example.com", .version = "v1alpha1", .kind = "Ape", .plural = "apes"},
	{.group = "apps",
	 .version = "v1",
	 .kind = "Deployment",
	 .plural = "deployments",
	 .categories = all,
	 .flags = KIND_NAMESPACED | KIND_STATUS | KIND_SCALE},
	{.group = "zoo.example.com", .version = "v1", .kind = "Ape", .plural = "apes"},
	{.group = "",
	 .version = "v1",
	 .kind = "Pod",
	 .plural = "pods",
	 .short_names = po,
	 .subresources = pod_subs,
	 .flags = KIND_NAMESPACED | KIND_STATUS},
	{.group = "authorization.k8s.io",
	 .version = "v1",
	 .kind = "SubjectAccessReview",
	 .plural = "subjectaccessreviews",
	 .flags = KIND_NO_STORE},
	{.group = "zoo.example.com", .version = "v1beta2", .kind = "Ape", .plural = "apes"},
	{.group = "", .version = "v1", .kind = "Node", .plural = "nodes"},
};
static size_t nkinds = ARRAY_LEN(kinds);

/* Instead of a core. */
const struct kind *core_kind_at(const struct core *c, size_t i)
{
	(void)c;
	return i < nkinds ? &kinds[i] : NULL;
}

static struct json *get(struct discovery *d, struct arena *a, const char *path,
			enum accept_discovery form)
{
	struct discovery_answer r;

	if (!discovery_find(d, str_c(path), form, &r))
		return NULL;
	assert_non_null(r.etag);
	struct json *v = json_parse(a, r.block->data, NULL, NULL);
	assert_non_null(v);
	return v;
}

static struct json *named(const struct json *list, const char *key, const char *name)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_is(json_str(json_get(json_item(list, i), str_c(key))), name))
			return json_item(list, i);
	}
	return NULL;
}

void test_discovery__old_form(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct discovery *d = discovery_new(NULL, "10.0.0.1:6443");

	(void)state;
	struct json *v = get(d, &a, "/api", DISCOVERY_PLAIN);
	assert_true(str_is(json_str(json_at(v, "kind")), "APIVersions"));
	v = get(d, &a, "/apis", DISCOVERY_PLAIN);
	assert_int_equal(json_len(json_at(v, "groups")), 3);
	struct json *zoo = json_item(json_at(v, "groups"), 2);
	assert_true(str_is(json_str(json_at(zoo, "name")), "zoo.example.com"));
	assert_int_equal(json_len(json_at(zoo, "versions")), 3);
	assert_true(str_is(json_str(json_at(zoo, "preferredVersion", "version")), "v1"));
	assert_true(str_is(json_str(json_at(json_item(json_at(zoo, "versions"), 1), "version")),
			   "v1beta2"));
	v = get(d, &a, "/apis/apps", DISCOVERY_PLAIN);
	assert_true(str_is(json_str(json_at(v, "kind")), "APIGroup"));
	v = get(d, &a, "/apis/apps/v1", DISCOVERY_V2);
	assert_true(str_is(json_str(json_at(v, "groupVersion")), "apps/v1"));
	struct json *scale = named(json_at(v, "resources"), "name", "deployments/scale");
	assert_true(str_is(json_str(json_at(scale, "kind")), "Scale"));
	assert_true(str_is(json_str(json_at(scale, "group")), "autoscaling"));
	v = get(d, &a, "/api/v1", DISCOVERY_PLAIN);
	struct json *pods = named(json_at(v, "resources"), "name", "pods");
	assert_true(json_bool(json_at(pods, "namespaced"), false));
	assert_true(str_is(json_str(json_at(pods, "singularName")), "pod"));
	assert_true(str_is(json_str(json_item(json_at(pods, "shortNames"), 0)), "po"));
	v = get(d, &a, "/apis/authorization.k8s.io/v1", DISCOVERY_PLAIN);
	assert_int_equal(json_len(json_at(json_item(json_at(v, "resources"), 0), "verbs")), 1);
	assert_null(get(d, &a, "/apis/none", DISCOVERY_PLAIN));
	assert_null(get(d, &a, "/apis/apps/v2", DISCOVERY_PLAIN));
	assert_null(get(d, &a, "/apis//v1", DISCOVERY_PLAIN));
	assert_null(get(d, &a, "/api/v2", DISCOVERY_PLAIN));
	discovery_free(d);
}

void test_discovery__aggregated(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct discovery *d = discovery_new(NULL, NULL);
	struct discovery_answer r;

	(void)state;
	struct json *v = get(d, &a, "/apis", DISCOVERY_V2);
	assert_true(str_is(json_str(json_at(v, "apiVersion")), "apidiscovery.k8s.io/v2"));
	assert_int_equal(json_len(json_at(v, "items")), 3);
	struct json *apps = json_item(json_at(v, "items"), 0);
	assert_true(str_is(json_str(json_at(apps, "metadata", "name")), "apps"));
	struct json *v1 = json_item(json_at(apps, "versions"), 0);
	struct json *deploy = json_item(json_at(v1, "resources"), 0);
	assert_true(str_is(json_str(json_at(deploy, "resource")), "deployments"));
	assert_true(str_is(json_str(json_at(deploy, "scope")), "Namespaced"));
	assert_true(str_is(json_str(json_at(deploy, "responseKind", "kind")), "Deployment"));
	assert_true(str_is(json_str(json_item(json_at(deploy, "categories"), 0)), "all"));
	assert_int_equal(json_len(json_at(deploy, "subresources")), 2);
	struct json *zoo = json_item(json_at(v, "items"), 2);
	assert_int_equal(json_len(json_at(zoo, "versions")), 3);
	v = get(d, &a, "/api", DISCOVERY_V2BETA1);
	assert_true(str_is(json_str(json_at(v, "apiVersion")), "apidiscovery.k8s.io/v2beta1"));
	assert_int_equal(json_len(json_at(v, "items")), 1);
	assert_true(discovery_find(d, STR("/api"), DISCOVERY_V2, &r));
	assert_string_equal(r.content_type,
			    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
	discovery_free(d);
}

void test_discovery__forgets_when_definitions_change(void **state)
{
	static const struct kind crd = {.plural = "customresourcedefinitions"};
	AUTO(arena) struct arena a = {0};
	struct discovery *d = discovery_new(NULL, NULL);

	(void)state;
	nkinds = 2;
	assert_int_equal(json_len(json_at(get(d, &a, "/apis", DISCOVERY_PLAIN), "groups")), 2);
	nkinds = ARRAY_LEN(kinds);
	discovery_change(d, &kinds[0]);
	assert_int_equal(json_len(json_at(get(d, &a, "/apis", DISCOVERY_PLAIN), "groups")), 2);
	discovery_change(d, &crd);
	assert_int_equal(json_len(json_at(get(d, &a, "/apis", DISCOVERY_PLAIN), "groups")), 3);
	discovery_free(d);
}
