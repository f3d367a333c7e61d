/*
 * A schema and an object, a line each: is the schema structural, what type does it make, and what
 * becomes of the object under it, and how is it published. Nothing may fault.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/crd.h"
#include "apiserver/openapi.h"
#include "lib/json/jsonpath.h"
#include "lib/schema/crd_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void treat(struct arena *a, const struct schema *s, struct json *o)
{
	schema_prune(s, o);
	crd_schema_drop_nulls(s, o);
	schema_default(a, s, o);
}

static void publish(const struct crd *c)
{
	const struct kind *k = &c->versions[0].kind;
	const struct openapi all = {.kinds = &k, .n = c->n ? 1 : 0};
	AUTO(buf) struct buf out = {0};

	openapi_v2_json(&all, &out);
	openapi_v2_proto(&all, &out);
	(void)openapi_v3(&all, STR("apis/x.y/v1"), &out);
}

static void as_definition(struct arena *a, const struct json *schema)
{
	const struct json *o = json_build(
		a, "{s:{s:s},s:{s:s,s:{s:s,s:s},s:[{s:s,s:b,s:b,s:{s:o}}]}}", "metadata", "name",
		"w.x.y", "spec", "group", "x.y", "names", "plural", "w", "kind", "W", "versions",
		"name", "v1", "served", 1, "storage", 1, "schema", "openAPIV3Schema", schema);

	struct crd *c = crd_new(o);

	if (c)
		publish(c);
	crd_free(c);
	crd_free(crd_new(schema));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, first, second;
	struct json_limits limits = {.depth = 32, .nodes = 2000};
	AUTO(arena) struct arena a = {0};
	struct schema_problems ps = {.a = &a}, unknown = {.a = &a};

	str_cut(in, '\n', &first, &second);
	const struct json *schema = json_parse(&a, first, &limits, NULL);
	struct json *o = json_parse(&a, second, &limits, NULL);
	if (!json_is(schema, JSON_OBJECT))
		return 0;
	crd_schema_check(schema, STR("s"), &ps);
	as_definition(&a, schema);
	jsonpath_ok(second);
	jsonpath_first(schema, second);
	if (!json_is(o, JSON_OBJECT))
		return 0;
	const struct schema *s = crd_schema_build(&a, schema, false);
	ps = (struct schema_problems){.a = &a};
	schema_check(s, o, &ps, &unknown);
	o = json_copy(&a, o);
	treat(&a, s, o);
	schema_check(s, o, &ps, NULL);
	return 0;
}
