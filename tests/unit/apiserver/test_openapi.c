/* OpenAPI documents: paths and types of the served kinds, and the protobuf form of the old one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/openapi.h"

static struct arena a;

static struct openapi all(void)
{
	struct openapi o = {.kinds = kind_registry};

	while (kind_registry[o.n])
		o.n++;
	return o;
}

static struct json *parsed(struct buf *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, arena_str(&a, buf_view(text)), NULL, &err);

	if (!v)
		fail_msg("%s", err.msg);
	buf_release(text);
	return v;
}

static struct json *v3(const char *group_version)
{
	struct openapi o = all();
	struct buf text = {0};

	assert_true(openapi_v3(&o, str_c(group_version), &text));
	return parsed(&text);
}

static struct json *v2(void)
{
	struct openapi o = all();
	struct buf text = {0};

	openapi_v2_json(&o, &text);
	return parsed(&text);
}

/* Every $ref leads somewhere. */
static void check_refs(const struct json *v, const struct json *defs, struct str prefix)
{
	struct str ref = json_str(json_get(v, STR("$ref")));

	if (ref.n) {
		assert_true(str_starts(ref, prefix));
		if (!json_get(defs, str_sub(ref, prefix.n, ref.n)))
			fail_msg("no %.*s", STR_ARG(ref));
	}
	for (size_t i = 0; i < json_len(v); i++)
		check_refs(json_is(v, JSON_ARRAY) ? json_item(v, i) : &v->members[i].value, defs,
			   prefix);
}

static void cleanup(void)
{
	arena_release(&a);
}

void test_openapi__references_lead_to_definitions(void **state)
{
	struct json *doc = v3("apis/apps/v1");

	(void)state;
	check_refs(doc, json_at(doc, "components", "schemas"), STR("#/components/schemas/"));
	doc = v2();
	check_refs(doc, json_get(doc, STR("definitions")), STR("#/definitions/"));
	cleanup();
}

void test_openapi__a_kind_is_found_by_path_and_by_definition(void **state)
{
	struct json *doc = v3("apis/apps/v1");
	const struct json *get =
		json_at(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments", "get");
	const struct json *gvk = json_get(get, STR("x-kubernetes-group-version-kind"));
	const struct json *def =
		json_at(doc, "components", "schemas", "io.k8s.api.apps.v1.Deployment");

	(void)state;
	assert_true(str_is(json_str(json_get(gvk, STR("kind"))), "Deployment"));
	assert_true(json_equal(json_item(json_get(def, STR("x-kubernetes-group-version-kind")), 0),
			       gvk));
	assert_non_null(json_at(doc, "components", "schemas", "io.k8s.api.core.v1.PodSpec",
				"properties", "containers"));
	cleanup();
}

void test_openapi__patch_tells_what_the_server_checks(void **state)
{
	struct json *doc = v3("api/v1");
	const struct json *list = json_at(
		doc, "paths", "/api/v1/namespaces/{namespace}/pods/{name}", "patch", "parameters");
	bool validation = false, dry = false;

	(void)state;
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_get(json_item(list, i), STR("name")));
		validation = validation || str_is(name, "fieldValidation");
		dry = dry || str_is(name, "dryRun");
	}
	assert_true(validation && dry);
	assert_non_null(json_at(doc, "paths", "/api/v1/nodes/{name}", "get"));
	cleanup();
}

void test_openapi__lists_say_how_they_merge(void **state)
{
	struct json *doc = v2();
	const struct json *containers = json_at(doc, "definitions", "io.k8s.api.core.v1.PodSpec",
						"properties", "containers");
	const struct json *strategy = json_at(doc, "definitions",
					      "io.k8s.api.apps.v1."
					      "DeploymentSpec",
					      "properties", "strategy");

	(void)state;
	assert_true(str_is(json_str(json_get(containers, STR("x-kubernetes-patch-merge-key"))),
			   "name"));
	assert_true(str_is(json_str(json_get(containers, STR("x-kubernetes-patch-strategy"))),
			   "merge"));
	assert_true(str_is(json_str(json_get(strategy, STR("x-kubernetes-patch-strategy"))),
			   "retainKeys"));
	cleanup();
}

void test_openapi__the_index_lists_each_group_version_once(void **state)
{
	struct openapi o = all();
	struct buf text = {0};

	(void)state;
	openapi_v3_index(&o, &text);
	struct json *doc = parsed(&text);
	assert_true(str_starts(json_str(json_at(doc, "paths", "apis/apps/v1", "serverRelativeURL")),
			       STR("/openapi/v3/apis/apps/v1?hash=")));
	assert_non_null(json_at(doc, "paths", "api/v1"));
	assert_false(openapi_v3(&o, STR("apis/nothing.example/v1"), &text));
	assert_int_equal(text.n, 0);
	cleanup();
}

/* ---- the protobuf form, read back with a walk of its own ---- */

static uint64_t varint(struct str *s)
{
	uint64_t v = 0;
	for (unsigned shift = 0; s->n; shift += 7) {
		uint8_t b = (uint8_t)*s->p;
		*s = str_sub(*s, 1, s->n);
		v |= (uint64_t)(b & 127) << shift;
		if (b < 128)
			break;
	}
	return v;
}

/* The next field that is bytes and has that number. */
static bool next(struct str *s, uint32_t number, struct str *ret)
{
	while (s->n) {
		uint64_t key = varint(s), n = varint(s);
		if ((key & 7) != 2)
			continue; /* a number: its value is n */
		assert_true(n <= s->n);
		*ret = str_sub(*s, 0, n);
		*s = str_sub(*s, n, s->n);
		if (key >> 3 == number)
			return true;
	}
	return false;
}

static struct str named(struct str list, uint32_t pairs, const char *name)
{
	struct str pair, key, value;

	while (next(&list, pairs, &pair)) {
		struct str rest = pair;
		assert_true(next(&rest, 1, &key));
		if (str_is(key, name) && next(&rest, 2, &value))
			return value;
	}
	return STR_NONE;
}

void test_openapi__protobuf_holds_definitions_and_extensions(void **state)
{
	struct openapi o = all();
	AUTO(buf) struct buf text = {0};
	struct str doc, definitions, properties, ext, any, yaml, type, type_item;

	(void)state;
	openapi_v2_proto(&o, &text);
	doc = buf_view(&text);
	assert_true(next(&doc, 9, &definitions));
	struct str pod = named(definitions, 1, "io.k8s.api.core.v1.Pod");
	assert_true(pod.n > 0);
	struct str rest = pod;
	assert_true(next(&rest, 22, &type_item));
	assert_true(next(&type_item, 1, &type));
	assert_true(str_is(type, "object"));
	rest = pod;
	assert_true(next(&rest, 25, &properties));
	assert_true(named(properties, 1, "spec").n > 0);
	rest = pod;
	assert_true(next(&rest, 31, &ext));
	struct str name;
	assert_true(next(&ext, 1, &name));
	assert_true(str_is(name, "x-kubernetes-group-version-kind"));
	assert_true(next(&ext, 2, &any));
	assert_true(next(&any, 2, &yaml));
	assert_true(str_find(yaml, STR("\"kind\":\"Pod\"")) >= 0);
}

void test_openapi__every_document_says_what_fields_mean(void **state)
{
	static const char *const spec = "io.k8s.api.apps.v1.DeploymentSpec";
	struct openapi o = all();
	AUTO(buf) struct buf text = {0};
	struct json *new = v3("apis/apps/v1"), *old = v2();
	struct str doc, definitions, rest, properties, said;

	(void)state;
	new = json_get(json_get(json_get(new, STR("components")), STR("schemas")), str_c(spec));
	new = json_get(json_get(new, STR("properties")), STR("replicas"));
	old = json_get(json_get(json_get(old, STR("definitions")), str_c(spec)), STR("properties"));
	said = json_str(json_get(new, STR("description")));
	assert_true(said.n > 0);
	assert_true(str_eq(said,
			   json_str(json_get(json_get(old, STR("replicas")), STR("description")))));
	openapi_v2_proto(&o, &text);
	doc = buf_view(&text);
	assert_true(next(&doc, 9, &definitions));
	rest = named(definitions, 1, spec);
	assert_true(next(&rest, 25, &properties));
	rest = named(properties, 1, "replicas");
	assert_true(next(&rest, 4, &definitions));
	assert_true(str_eq(said, definitions));
	cleanup();
}

void test_openapi__protobuf_patch_knows_dry_run(void **state)
{
	struct openapi o = all();
	AUTO(buf) struct buf text = {0};
	struct str doc, paths, patch, item, p, kind, query, name;
	bool found = false;

	(void)state;
	openapi_v2_proto(&o, &text);
	doc = buf_view(&text);
	assert_true(next(&doc, 8, &paths));
	struct str path = named(paths, 2, "/api/v1/namespaces/{namespace}/pods/{name}");
	assert_true(next(&path, 8, &patch));
	while (next(&patch, 8, &item)) {
		assert_true(next(&item, 1, &p));
		assert_true(next(&p, 2, &kind));
		assert_true(next(&kind, 3, &query));
		assert_true(next(&query, 4, &name));
		found = found || str_is(name, "dryRun");
	}
	assert_true(found);
}

/* What an extension publishes: its own group version, and no definition in place of one of ours. */
void test_openapi__of_extensions(void **state)
{
	static const char theirs[] =
		"{\"paths\":{\"/apis/x.io/v1/fruits\":{\"get\":{}},\"/apis/apps/v1/"
		"deployments\":{},"
		"\"/apis/x.io/v1beta1/fruits\":{}},\"definitions\":{\"io.x.Fruit\":{\"type\":"
		"\"object\"},\"io.k8s.api.core.v1.Pod\":{\"type\":\"string\"}}}";
	static const char index[] =
		"{\"paths\":{\"apis/x.io/v1\":{\"serverRelativeURL\":\"/openapi/v3/apis/x.io/"
		"v1?hash=1\"},\"apis/x.io/v2\":{\"serverRelativeURL\":\"/api/v1/secrets\"}}}";
	struct openapi o = all();
	struct buf part = {0}, text = {0};

	(void)state;
	openapi_part_v2(json_parse(&a, str_c(theirs), NULL, NULL), STR("x.io"), STR("v1"), &part);
	struct json *own = parsed(&part);
	assert_int_equal(json_len(json_get(own, STR("paths"))), 1);
	struct str url = openapi_part_v3(&a, json_parse(&a, str_c(index), NULL, NULL), STR("x.io"),
					 STR("v1"));
	assert_true(str_is(url, "/openapi/v3/apis/x.io/v1?hash=1"));
	assert_false(openapi_part_v3(&a, json_parse(&a, str_c(index), NULL, NULL), STR("x.io"),
				     STR("v2"))
			     .n);
	o.external = json_build(&a, "[{s:s,s:S,s:o}]", "path", "apis/x.io/v1", "url", url,
				"swagger", own);
	openapi_v2_json(&o, &text);
	struct json *doc = parsed(&text);
	assert_non_null(json_at(doc, "paths", "/apis/x.io/v1/fruits", "get"));
	assert_non_null(json_at(doc, "definitions", "io.x.Fruit"));
	assert_true(str_is(json_str(json_at(doc, "definitions", "io.k8s.api.core.v1.Pod", "type")),
			   "object"));
	openapi_v3_index(&o, &text);
	doc = parsed(&text);
	assert_non_null(json_at(doc, "paths", "apis/apps/v1", "serverRelativeURL"));
	assert_true(
		str_eq(json_str(json_at(doc, "paths", "apis/x.io/v1", "serverRelativeURL")), url));
	/* Whatever comes instead of a document. */
	static const char *const odd[] = {"7", "{\"paths\":[]}",
					  "{\"paths\":{\"/apis/x.io/v1/a\":1}}"};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		openapi_part_v2(json_parse(&a, str_c(odd[i]), NULL, NULL), STR("x.io"), STR("v1"),
				&part);
		assert_int_equal(part.n, 0);
	}
	openapi_part_v2(NULL, STR("x.io"), STR("v1"), &part);
	assert_int_equal(part.n, 0);
}

/* What extensions publish may be of any shape, and is written in either form. */
void test_openapi__odd_parts(void **state)
{
	static const char *const odd[] = {
		"[1,2,3]",
		"{\"get\":[{\"a\":1}],\"parameters\":{\"a\":1}}",
		"{\"get\":{\"parameters\":[[1],7,{\"in\":[\"body\"],\"schema\":[1,2]}],"
		"\"responses\":[1,{\"a\":[]}]}}",
		"\"text\"",
		"null",
	};
	static const char *const types[] = {
		"[1,2]", "{\"properties\":[1,2,3],\"required\":{\"a\":1},\"enum\":7}",
		"{\"allOf\":{\"a\":1},\"items\":[[1]],\"type\":{},\"x-a\":[{}]}", "true"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		for (size_t k = 0; k < ARRAY_LEN(types); k++) {
			struct openapi o = all();
			struct buf text = {0};
			o.external = json_build(
				&a, "[{s:{s:{s:o},s:{s:o}}}]", "swagger", "paths",
				"/apis/x.io/v1/a", json_parse(&a, str_c(odd[i]), NULL, NULL),
				"definitions", "T", json_parse(&a, str_c(types[k]), NULL, NULL));
			openapi_v2_proto(&o, &text);
			assert_true(text.n > 1000);
			buf_release(&text);
			openapi_v2_json(&o, &text);
			(void)parsed(&text);
		}
	}
}

/* ---- definitions ---- */

/* The published schema of field x, sorted. */
static struct str published(const char *x, bool new)
{
	struct json *schema = json_parse(
		&a,
		arena_strf(&a,
			   "{\"type\":\"object\",\"required\":[\"x\"],\"properties\":{\"x\":%s}}",
			   x),
		NULL, NULL);
	struct json *meta = json_build(&a, "{s:s}", "type", "object"), *got;
	AUTO(buf) struct buf text = {0};

	assert_non_null(schema);
	got = openapi_custom(&a, schema, meta, new);
	assert_true(json_equal(json_at(got, "properties", "metadata"), meta));
	assert_non_null(json_at(got, "properties", "kind", "type"));
	/* The words that Kubernetes' conformance tests look for in what kubectl explains. */
	assert_true(str_starts(json_str(json_at(got, "properties", "apiVersion", "description")),
			       STR("APIVersion defines")));
	if (json_get(got, STR("required")))
		buf_puts(&text, "required ");
	json_write_sorted(json_at(got, "properties", "x"), &text);
	return arena_str(&a, buf_view(&text));
}

static void shows(const char *x, const char *old, const char *new)
{
	assert_string_equal(arena_cstr(&a, published(x, false)), old);
	assert_string_equal(arena_cstr(&a, published(x, true)), new ? new : old);
}

/* Nothing is added to what the author wrote, and limits are not lost. */
void test_openapi__definitions_show_what_was_written(void **state)
{
	static const char list[] =
		"required {\"items\":{\"type\":\"string\"},\"maxItems\":3,\"type\":\"array\"}";
	static const char limits[] =
		"required {\"default\":\"a\",\"enum\":[\"a\",\"b\"],\"pattern\":"
		"\"[ab]\",\"type\":\"string\"}";

	(void)state;
	shows("{\"type\":\"array\",\"maxItems\":3,\"items\":{\"type\":\"string\"}}", list, NULL);
	shows("{\"type\":\"string\",\"pattern\":\"[ab]\",\"enum\":[\"a\",\"b\"],\"default\":\"a\"}",
	      limits, NULL);
	shows("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\",\"minimum\":1}}",
	      "required {\"additionalProperties\":{\"minimum\":1,\"type\":\"integer\"},\"type\":"
	      "\"object\"}",
	      NULL);
	cleanup();
}

/* What kubectl would misread is not in the old form. */
void test_openapi__definitions_in_the_old_form_claim_less(void **state)
{
	(void)state;
	shows("{\"type\":\"string\",\"nullable\":true}", "{}",
	      "required {\"nullable\":true,\"type\":\"string\"}");
	shows("{\"type\":\"string\",\"anyOf\":[{\"minLength\":1}]}",
	      "required {\"type\":\"string\"}",
	      "required {\"anyOf\":[{\"minLength\":1}],\"type\":\"string\"}");
	shows("{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,"
	      "\"properties\":{\"y\":{\"type\":\"string\"}}}",
	      "required {\"x-kubernetes-preserve-unknown-fields\":true}",
	      "required {\"properties\":{\"y\":{\"type\":\"string\"}},\"type\":\"object\","
	      "\"x-kubernetes-preserve-unknown-fields\":true}");
	shows("{\"x-kubernetes-int-or-string\":true}",
	      "required {\"x-kubernetes-int-or-string\":true}",
	      "required {\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}],"
	      "\"x-kubernetes-int-or-string\":true}");
	cleanup();
}

void test_openapi__definitions_without_a_schema_name_no_field(void **state)
{
	const struct json *open =
		json_parse(&a,
			   STR("{\"type\":\"object\",\"properties\":{\"x\":{}},\"x-"
			       "kubernetes-preserve-unknown-fields\":true}"),
			   NULL, NULL);
	const struct json *plain = json_build(&a, "{s:s}", "type", "object");

	(void)state;
	assert_true(json_equal(openapi_custom(&a, NULL, plain, false), plain));
	assert_true(json_equal(openapi_custom(&a, NULL, plain, true), plain));
	assert_true(json_equal(openapi_custom(&a, open, plain, false), plain));
	assert_non_null(json_at(openapi_custom(&a, open, plain, true), "properties", "x"));
	cleanup();
}

/* An object within an object has a name and a kind, too. */
void test_openapi__definitions_embed_whole_objects(void **state)
{
	const struct json *meta = json_build(&a, "{s:s}", "type", "object"), *got, *x;
	static const char text[] =
		"{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"object\","
		"\"x-kubernetes-embedded-resource\":true,\"required\":[\"kind\"]}}}";

	(void)state;
	got = openapi_custom(&a, json_parse(&a, str_c(text), NULL, NULL), meta, false);
	x = json_at(got, "properties", "x");
	assert_non_null(json_at(x, "properties", "metadata"));
	assert_int_equal(json_len(json_get(x, STR("required"))), 2);
	/* Keywords of any type. */
	openapi_custom(&a,
		       json_parse(&a,
				  STR("{\"properties\":[1],\"required\":{},\"items\":[],\"type\":7,"
				      "\"allOf\":1,\"anyOf\":{},\"additionalProperties\":\"x\"}"),
				  NULL, NULL),
		       meta, true);
	cleanup();
}
