/*
 * Whether an OpenAPI schema is structural, which Kubernetes demands of CustomResourceDefinitions:
 * every value has a type, combinations only add limits, lists and maps say how they merge.
 *
 * Pure. Words as in k8s.io/apiextensions-apiserver's validation.
 */
#include "lib/schema/crd_rules.h"
#include "lib/schema/crd_schema.h"

#include <string.h>

#include "lib/base/pure.h"

struct walk {
	struct schema_problems *ps;
	struct arena *a;
};

static const struct json *keyword(const struct json *o, const char *name)
{
	const struct json *v = json_get(o, str_c(name));

	return json_is(v, JSON_NULL) ? NULL : v;
}

static struct str below(struct walk *w, struct str at, const char *name)
{
	return arena_strf(w->a, "%.*s.%s", STR_ARG(at), name);
}

static void forbidden(struct walk *w, struct str at, const char *name, const char *why)
{
	schema_problem(w->ps, "FieldValueForbidden", below(w, at, name), 0, "Forbidden: %s", why);
}

static void check_type(struct walk *w, const struct json *o, struct str at)
{
	static const char *const types[] = {"array",  "boolean", "integer",
					    "number", "object",  "string"};
	struct str type = json_str(keyword(o, "type"));
	bool either = json_bool(keyword(o, "x-kubernetes-int-or-string"), false),
	     loose = json_bool(keyword(o, "x-kubernetes-preserve-unknown-fields"), false);

	if (!type.n && !either && !loose)
		schema_problem(w->ps, "FieldValueRequired", below(w, at, "type"), 0,
			       "Required value: must not be empty for specified %s",
			       str_ends(at, STR("]"))        ? "object fields"
			       : str_ends(at, STR(".items")) ? "array items"
							     : "object fields");
	if (type.n && either)
		schema_problem(w->ps, "FieldValueInvalid", below(w, at, "type"), 0,
			       "Invalid value: \"%.*s\": must be empty if "
			       "x-kubernetes-int-or-string is true",
			       (int)MIN(type.n, 100), type.p);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!type.n || str_is(type, types[i]))
			return;
	schema_problem(w->ps, "FieldValueNotSupported", below(w, at, "type"), 0,
		       "Unsupported value: \"%.*s\": supported values: \"array\", \"boolean\", "
		       "\"integer\", \"number\", \"object\", \"string\"",
		       (int)MIN(type.n, 100), type.p);
}

static void check_extensions(struct walk *w, const struct json *o, struct str at)
{
	struct str type = json_str(keyword(o, "type")),
		   list = json_str(keyword(o, "x-kubernetes-list-type"));
	const struct json *keys = keyword(o, "x-kubernetes-list-map-keys"),
			  *properties = keyword(keyword(o, "items"), "properties");

	if (json_bool(keyword(o, "x-kubernetes-embedded-resource"), false) &&
	    !str_is(type, "object"))
		schema_problem(w->ps, "FieldValueInvalid", below(w, at, "type"), 0,
			       "Invalid value: \"%.*s\": must be object if "
			       "x-kubernetes-embedded-resource is true",
			       (int)MIN(type.n, 100), type.p ? type.p : "");
	if (list.n && !str_is(type, "array"))
		schema_problem(w->ps, "FieldValueInvalid", below(w, at, "type"), 0,
			       "Invalid value: \"%.*s\": must be array if x-kubernetes-list-type "
			       "is specified",
			       (int)MIN(type.n, 100), type.p ? type.p : "");
	if (list.n && !str_is(list, "atomic") && !str_is(list, "set") && !str_is(list, "map"))
		schema_problem(w->ps, "FieldValueNotSupported",
			       below(w, at, "x-kubernetes-list-type"), 0,
			       "Unsupported value: \"%.*s\": supported values: \"atomic\", "
			       "\"map\", \"set\"",
			       (int)MIN(list.n, 100), list.p);
	if (str_is(list, "map") && !json_len(keys))
		schema_problem(
			w->ps, "FieldValueRequired", below(w, at, "x-kubernetes-list-map-keys"), 0,
			"Required value: must not be empty if x-kubernetes-list-type is map");
	for (size_t i = 0; i < json_len(keys) && str_is(list, "map"); i++) {
		struct str key = json_str(json_item(keys, i));

		if (!key.n || !json_get(properties, key))
			schema_problem(w->ps, "FieldValueInvalid",
				       below(w, at, "x-kubernetes-list-map-keys"), 0,
				       "Invalid value: \"%.*s\": entries must all be names of item "
				       "properties",
				       (int)MIN(key.n, 100), key.p ? key.p : "");
	}
}

/* Inside allOf, anyOf, oneOf and not nothing may be typed, defaulted or described anew. */
static void check_branch(struct walk *w, const struct json *o, struct str at, bool either)
{
	static const char *const names[] = {"default",
					    "nullable",
					    "description",
					    "title",
					    "x-kubernetes-preserve-unknown-fields",
					    "x-kubernetes-embedded-resource",
					    "x-kubernetes-int-or-string",
					    "x-kubernetes-validations"};

	if (keyword(o, "type") && !either)
		forbidden(w, at, "type", "must be empty to be structural");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct json *v = keyword(o, names[i]);

		if (v && !(v->type == JSON_BOOL && !v->b))
			forbidden(w, at, names[i], "must be empty to be structural");
	}
	if (keyword(o, "additionalProperties"))
		forbidden(w, at, "additionalProperties", "must be empty to be structural");
}

static void check_branches(struct walk *w, const struct json *o, struct str at)
{
	static const char *const names[] = {"allOf", "anyOf", "oneOf"};
	bool either = json_bool(keyword(o, "x-kubernetes-int-or-string"), false);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct json *list = keyword(o, names[i]);

		for (size_t j = 0; json_is(list, JSON_ARRAY) && j < json_len(list); j++)
			check_branch(w, json_item(list, j),
				     arena_strf(w->a, "%.*s.%s[%zu]", STR_ARG(at), names[i], j),
				     either);
	}
	if (keyword(o, "not"))
		check_branch(w, keyword(o, "not"), below(w, at, "not"), either);
}

static void check(struct walk *w, const struct json *o, struct str at);

static void check_below(struct walk *w, const struct json *o, struct str at)
{
	const struct json *properties = keyword(o, "properties"),
			  *more = keyword(o, "additionalProperties"), *items = keyword(o, "items");
	const struct json_member *m = json_members(properties);

	for (size_t i = 0; m && i < json_len(properties); i++)
		check(w, &m[i].value,
		      arena_strf(w->a, "%.*s.properties[%.*s]", STR_ARG(at),
				 (int)MIN(m[i].key.n, 200), m[i].key.p));
	if (json_is(more, JSON_OBJECT))
		check(w, more, below(w, at, "additionalProperties"));
	if (json_is(items, JSON_ARRAY))
		forbidden(w, at, "items", "items must be a schema object and not an array");
	else if (items)
		check(w, items, below(w, at, "items"));
	else if (str_is(json_str(keyword(o, "type")), "array"))
		schema_problem(w->ps, "FieldValueRequired", below(w, at, "items"), 0,
			       "Required value: must be specified");
}

/* A default must be what it is a default of. */
static void check_default(struct walk *w, const struct json *o, struct str at)
{
	const struct json *v = json_get(o, STR("default"));
	struct schema_problems ps = {.a = w->a, .max = 10};
	const struct schema *s;
	struct json *in;

	if (!v)
		return;
	s = crd_schema_build(
		w->a,
		json_build(w->a, "{s:s,s:{s:o}}", "type", "object", "properties", "default", o),
		false);
	in = json_copy(w->a, json_build(w->a, "{s:o}", "default", v));
	schema_default(w->a, s, in);
	schema_check(s, in, &ps, NULL);
	for (size_t i = 0; i < ps.n; i++)
		schema_problem(w->ps, ps.v[i].reason,
			       arena_strf(w->a, "%.*s.%.*s", STR_ARG(at), STR_ARG(ps.v[i].field)),
			       0, "%.*s", STR_ARG(ps.v[i].message));
}

static void check(struct walk *w, const struct json *o, struct str at)
{
	static const char *const never[] = {"definitions", "dependencies", "$ref",
					    "additionalItems", "patternProperties"};

	if (!json_is(o, JSON_OBJECT)) {
		schema_problem(w->ps, "FieldValueInvalid", at, 0,
			       "Invalid value: must be a schema object");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (keyword(o, never[i]))
			forbidden(w, at, never[i], "must be empty to be structural");
	if (json_bool(keyword(o, "uniqueItems"), false))
		forbidden(w, at, "uniqueItems",
			  "uniqueItems cannot be set to true since the runtime complexity becomes "
			  "quadratic");
	if (keyword(o, "properties") && keyword(o, "additionalProperties"))
		forbidden(w, at, "additionalProperties",
			  "additionalProperties and properties are mutual exclusive");
	check_default(w, o, at);
	check_type(w, o, at);
	check_extensions(w, o, at);
	check_branches(w, o, at);
	check_below(w, o, at);
}

void crd_schema_check(const struct json *openapi, struct str at, struct schema_problems *problems)
{
	struct walk w = {problems, problems->a};
	struct str type = json_str(keyword(openapi, "type"));

	check(&w, openapi, at);
	crd_rules_judge(crd_schema_build(w.a, openapi, false), at, problems);
	if (type.n && !str_is(type, "object"))
		schema_problem(problems, "FieldValueInvalid", below(&w, at, "type"), 0,
			       "Invalid value: \"%.*s\": must be object at the root",
			       (int)MIN(type.n, 100), type.p);
}
