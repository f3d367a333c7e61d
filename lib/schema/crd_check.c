/*
 * Whether an OpenAPI schema may be that of a CustomResourceDefinition: the keywords that it may
 * have and what they may say together. That it is structural, too, is crd_structural.c's.
 *
 * Pure. Words as in k8s.io/apiextensions-apiserver's validation.go.
 */
#include "lib/schema/crd_check-internal.h"
#include "lib/schema/crd_rules.h"
#include "lib/schema/crd_schema.h"

#include "lib/base/pure.h"

struct place {
	struct str at;
	bool root, in_meta;
	const char *no_default; /* why there may be none, or NULL */
};

static void check(struct crd_walk *w, const struct json *o, struct place here);

struct str crd_below(struct crd_walk *w, struct str at, const char *name)
{
	return name ? arena_strf(w->a, "%.*s.%s", STR_ARG(at), name) : at;
}

struct str crd_below_key(struct crd_walk *w, struct str at, const char *name, struct str key)
{
	return arena_strf(w->a, "%.*s.%s[%.*s]", STR_ARG(at), name, (int)MIN(key.n, 200), key.p);
}

struct str crd_below_item(struct crd_walk *w, struct str at, const char *name, size_t i)
{
	return arena_strf(w->a, "%.*s.%s[%zu]", STR_ARG(at), name, i);
}

void crd_forbidden(struct crd_walk *w, struct str at, const char *name, const char *why)
{
	schema_problem(w->ps, "FieldValueForbidden", crd_below(w, at, name), 0, "Forbidden: %s",
		       why);
}

void crd_required(struct crd_walk *w, struct str at, const char *name, const char *why)
{
	schema_problem(w->ps, "FieldValueRequired", crd_below(w, at, name), 0, "Required value: %s",
		       why);
}

void crd_invalid(struct crd_walk *w, const struct json *o, struct str at, const char *name,
		 const char *why)
{
	const struct json *value = crd_keyword(o, name);
	AUTO(buf) struct buf text = {0};

	if (value)
		json_write(value, &text);
	schema_problem(w->ps, "FieldValueInvalid", crd_below(w, at, name), 0,
		       "Invalid value: %.*s: %s", (int)MIN(text.n ? text.n : 2, 200),
		       text.n ? text.p : "\"\"", why);
}

static void unsupported(struct crd_walk *w, struct str at, const char *name, struct str value,
			const char *list)
{
	schema_problem(w->ps, "FieldValueNotSupported", crd_below(w, at, name), 0,
		       "Unsupported value: \"%.*s\": supported values: %s", (int)MIN(value.n, 100),
		       value.p, list);
}

static bool is_one_of(struct str s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(s, list[i]))
			return true;
	return false;
}

static void check_keywords(struct crd_walk *w, const struct json *o, const struct place *h)
{
	static const char *const types[] = {"array",  "boolean", "integer",
					    "number", "object",  "string"};
	static const char *const never[] = {"id",          "additionalItems", "patternProperties",
					    "definitions", "dependencies",    "$ref"};
	struct str type = crd_text(o, "type");

	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		if (!crd_keyword(o, never[i]))
			continue;
		crd_forbidden(w, h->at, never[i],
			      arena_printf(w->a, "%s is not supported", never[i]));
		w->foreign = true;
	}
	if (type.n && !is_one_of(type, types, ARRAY_LEN(types)))
		unsupported(w, h->at, "type", type,
			    "\"array\", \"boolean\", \"integer\", \"number\", \"object\", "
			    "\"string\"");
	if (str_is(type, "null"))
		crd_forbidden(w, h->at, "type",
			      "type cannot be set to null, use nullable as an alternative");
	if (h->no_default && crd_keyword(o, "default"))
		crd_forbidden(w, h->at, "default",
			      arena_printf(w->a, "must not be set %s", h->no_default));
	if (json_is(crd_keyword(o, "items"), JSON_ARRAY)) {
		crd_forbidden(w, h->at, "items", "items must be a schema object and not an array");
		w->foreign = true;
	}
	if (h->in_meta && crd_flag(o, "x-kubernetes-embedded-resource"))
		crd_forbidden(w, h->at, "x-kubernetes-embedded-resource",
			      "must not be used inside of resource meta");
	if (crd_flag(o, "uniqueItems"))
		crd_forbidden(w, h->at, "uniqueItems",
			      "uniqueItems cannot be set to true since the runtime complexity "
			      "becomes quadratic");
	if (crd_keyword(o, "x-kubernetes-preserve-unknown-fields") &&
	    !crd_flag(o, "x-kubernetes-preserve-unknown-fields")) {
		crd_invalid(w, o, h->at, "x-kubernetes-preserve-unknown-fields",
			    "must be true or undefined");
		w->foreign = true;
	}
}

/* ---- lists and maps ---- */

static void wants_type(struct crd_walk *w, const struct json *o, struct str at, const char *why)
{
	if (crd_text(o, "type").n)
		crd_invalid(w, o, at, "type", why);
	else
		crd_required(w, at, "type", why);
}

/* The items of a set are compared as a whole, so they must be changed as a whole. */
static void check_set_items(struct crd_walk *w, const struct json *items, struct str at)
{
	struct str list = crd_text(items, "x-kubernetes-list-type"),
		   map = crd_text(items, "x-kubernetes-map-type"), type = crd_text(items, "type");
	const char *name = NULL;

	if (str_is(type, "array") && list.p && !str_is(list, "atomic"))
		name = "x-kubernetes-list-type";
	if (str_is(type, "object") && !str_is(map, "atomic"))
		name = "x-kubernetes-map-type";
	if (name)
		schema_problem(w->ps, "FieldValueInvalid", crd_below(w, at, name), 0,
			       "Invalid value: \"%.*s\": must be atomic as item of a list with "
			       "x-kubernetes-list-type=set",
			       (int)(list.p ? MIN(list.n, 100) : 4), list.p ? list.p : "null");
}

static bool has_word(const struct json *list, struct str word)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_item(list, i)), word))
			return true;
	return false;
}

static void check_key(struct crd_walk *w, const struct json *o, struct str at, size_t i)
{
	const struct json *items = crd_keyword(o, "items"),
			  *keys = crd_keyword(o, "x-kubernetes-list-map-keys");
	struct str key = json_str(json_item(keys, i)), below = crd_below(w, at, "items");
	const struct json *field = json_get(crd_keyword(items, "properties"), key);
	struct str type = crd_text(field, "type");

	for (size_t j = 0; j < i; j++)
		if (str_eq(json_str(json_item(keys, j)), key)) {
			crd_invalid(w, o, at, "x-kubernetes-list-map-keys",
				    "must not contain duplicate entries");
			break;
		}
	if (!field) {
		crd_invalid(w, o, at, "x-kubernetes-list-map-keys",
			    "entries must all be names of item properties");
		return;
	}
	below = crd_below_key(w, below, "properties", key);
	if (str_is(type, "array") || str_is(type, "object"))
		crd_invalid(
			w, items, below, "type",
			"must be a scalar type if parent array's x-kubernetes-list-type is map");
	if (!has_word(crd_keyword(items, "required"), key) && !crd_keyword(field, "default"))
		crd_required(w, below, "default",
			     "this property is in x-kubernetes-list-map-keys, so it must have a "
			     "default or be a required property");
	if (crd_flag(field, "nullable"))
		crd_forbidden(w, below, "nullable",
			      "this property is in x-kubernetes-list-map-keys, so it cannot be "
			      "nullable");
}

static void check_list_map(struct crd_walk *w, const struct json *o, struct str at)
{
	const struct json *items = crd_keyword(o, "items"),
			  *keys = crd_keyword(o, "x-kubernetes-list-map-keys");

	if (!json_len(keys))
		crd_required(w, at, "x-kubernetes-list-map-keys",
			     "must not be empty if x-kubernetes-list-type is map");
	if (!items)
		crd_required(w, at, "items", "must have a schema if x-kubernetes-list-type is map");
	else if (json_is(items, JSON_ARRAY))
		crd_invalid(w, o, at, "items",
			    "must only have a single schema if x-kubernetes-list-type is map");
	else if (!str_is(crd_text(items, "type"), "object"))
		crd_invalid(w, items, crd_below(w, at, "items"), "type",
			    "must be object if parent array's x-kubernetes-list-type is map");
	else
		for (size_t i = 0; i < json_len(keys); i++)
			check_key(w, o, at, i);
}

static void check_merging(struct crd_walk *w, const struct json *o, struct str at)
{
	static const char *const lists[] = {"atomic", "map", "set"}, *const maps[] = {"atomic",
										      "granular"};
	struct str list = crd_text(o, "x-kubernetes-list-type"),
		   map = crd_text(o, "x-kubernetes-map-type"), type = crd_text(o, "type");
	const struct json *items = crd_keyword(o, "items");
	static const char keyed[] = "must be map if x-kubernetes-list-map-keys is non-empty";

	if (map.p && !str_is(type, "object"))
		wants_type(w, o, at, "must be object if x-kubernetes-map-type is specified");
	if (map.p && !is_one_of(map, maps, ARRAY_LEN(maps)))
		unsupported(w, at, "x-kubernetes-map-type", map, "\"atomic\", \"granular\"");
	if (list.p && !str_is(type, "array"))
		wants_type(w, o, at, "must be array if x-kubernetes-list-type is specified");
	else if (str_is(list, "set") && json_is(items, JSON_OBJECT))
		check_set_items(w, items, crd_below(w, at, "items"));
	if (list.p && !is_one_of(list, lists, ARRAY_LEN(lists)))
		unsupported(w, at, "x-kubernetes-list-type", list, "\"atomic\", \"set\", \"map\"");
	if (json_len(crd_keyword(o, "x-kubernetes-list-map-keys")) && !list.p)
		crd_required(w, at, "x-kubernetes-list-type", keyed);
	else if (json_len(crd_keyword(o, "x-kubernetes-list-map-keys")) && !str_is(list, "map"))
		crd_invalid(w, o, at, "x-kubernetes-list-type", keyed);
	if (str_is(list, "map"))
		check_list_map(w, o, at);
	if ((str_is(list, "map") || str_is(list, "set")) && crd_flag(items, "nullable"))
		crd_forbidden(w, crd_below(w, at, "items"), "nullable",
			      arena_printf(w->a,
					   "cannot be nullable when x-kubernetes-list-type is %.*s",
					   STR_ARG(list)));
}

/* ---- what is below ---- */

static void check_properties(struct crd_walk *w, const struct json *o, const struct place *h)
{
	const struct json *properties = crd_keyword(o, "properties");
	const struct json_member *m = json_members(properties);
	bool object = h->root || crd_flag(o, "x-kubernetes-embedded-resource");

	for (size_t i = 0; m && i < json_len(properties); i++) {
		struct str key = m[i].key;
		struct place below = {crd_below_key(w, h->at, "properties", key), false, h->in_meta,
				      h->no_default};

		if (object &&
		    (str_is(key, "metadata") || str_is(key, "kind") || str_is(key, "apiVersion"))) {
			below.in_meta = true;
			if (h->root)
				below.no_default =
					arena_printf(w->a, "in top-level %.*s", STR_ARG(key));
		}
		check(w, &m[i].value, below);
	}
}

static void check_more(struct crd_walk *w, const struct json *o, const struct place *h)
{
	const struct json *more = crd_keyword(o, "additionalProperties");
	struct place below = {crd_below(w, h->at, "additionalProperties"), false, h->in_meta,
			      h->no_default};

	if (!more)
		return;
	if (json_len(crd_keyword(o, "properties")) && !json_bool(more, false))
		crd_forbidden(w, h->at, "additionalProperties",
			      "additionalProperties and properties are mutual exclusive");
	if (h->in_meta)
		below.no_default = "inside additionalProperties applying to object metadata";
	if (json_is(more, JSON_OBJECT))
		check(w, more, below);
}

static void check_branches(struct crd_walk *w, const struct json *o, const struct place *h)
{
	static const char *const lists[] = {"allOf", "oneOf", "anyOf", "items"}, *const ones[] = {
											 "not",
											 "items"};
	struct place below = *h;

	below.root = false;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct json *list = crd_keyword(o, lists[i]);

		for (size_t j = 0; json_is(list, JSON_ARRAY) && j < json_len(list); j++) {
			below.at = crd_below_item(w, h->at, lists[i], j);
			check(w, json_item(list, j), below);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		const struct json *one = crd_keyword(o, ones[i]);

		below.at = crd_below(w, h->at, ones[i]);
		if (one && !json_is(one, JSON_ARRAY))
			check(w, one, below);
	}
}

static void check(struct crd_walk *w, const struct json *o, struct place here)
{
	if (!json_is(o, JSON_OBJECT)) {
		crd_invalid(w, NULL, here.at, NULL, "must be a schema object");
		return;
	}
	check_keywords(w, o, &here);
	check_merging(w, o, here.at);
	check_more(w, o, &here);
	check_properties(w, o, &here);
	check_branches(w, o, &here);
}

/* ---- defaults ---- */

/* As the type of a field: a root would be an object whatever it says. */
static const struct schema *type_of(struct arena *a, const struct json *o)
{
	const struct schema *s = crd_schema_build(
		a, json_build(a, "{s:s,s:{s:o}}", "type", "object", "properties", "v", o), false);

	return schema_field(s, STR("v"))->type;
}

/* A default must be what it is a default of, and nothing of it may be unknown. */
static void check_default(struct crd_walk *w, const struct json *o, struct str at, bool root)
{
	const struct json *v = crd_keyword(o, "default");
	struct schema_problems ps = {.a = w->a, .max = 10};
	const struct schema *s;
	struct json *in, *known;

	if (!v)
		return;
	s = type_of(w->a, o);
	known = json_copy(w->a, v);
	schema_prune(s, known);
	if (!json_equal(known, v))
		crd_invalid(w, o, at, "default", "must not have unknown fields");
	at = crd_below(w, at, "default");
	if (json_is(v, JSON_OBJECT) && (root || crd_flag(o, "x-kubernetes-embedded-resource"))) {
		if (!crd_text(v, "apiVersion").n)
			crd_required(w, at, "apiVersion", "must not be empty");
		if (!crd_text(v, "kind").n)
			crd_required(w, at, "kind", "must not be empty");
	}
	in = json_copy(w->a, v);
	schema_default(w->a, s, in);
	schema_check(s, in, &ps, NULL);
	for (size_t i = 0; i < ps.n; i++)
		schema_problem(w->ps, ps.v[i].reason,
			       ps.v[i].field.n ? arena_strf(w->a, "%.*s.%.*s", STR_ARG(at),
							    STR_ARG(ps.v[i].field))
					       : at,
			       0, "%.*s", STR_ARG(ps.v[i].message));
}

static void check_defaults(struct crd_walk *w, const struct json *o, struct str at, bool root)
{
	const struct json *properties = crd_keyword(o, "properties"),
			  *items = crd_keyword(o, "items");
	const struct json_member *m = json_members(properties);

	check_default(w, o, at, root);
	for (size_t i = 0; m && i < json_len(properties); i++)
		check_defaults(w, &m[i].value, crd_below_key(w, at, "properties", m[i].key), false);
	if (json_is(items, JSON_OBJECT))
		check_defaults(w, items, crd_below(w, at, "items"), false);
}

void crd_schema_check(const struct json *openapi, struct str at, struct schema_problems *problems)
{
	struct crd_walk w = {.ps = problems, .a = problems->a};
	size_t before = problems->n, sound;

	if (crd_flag(openapi, "nullable"))
		crd_forbidden(&w, at, "nullable", "nullable cannot be true at the root");
	check(&w, openapi, (struct place){.at = at, .root = true});
	if (w.foreign)
		return;
	sound = problems->n;
	crd_structural_check(&w, openapi, at);
	if (problems->n == sound)
		check_defaults(&w, openapi, at, true);
	if (problems->n == before)
		crd_rules_judge(crd_schema_build(w.a, openapi, false), at, problems);
}
