/*
 * A definition's schema as OpenAPI documents show it: what its author wrote and nothing besides,
 * but for what every object has. The old form leaves out what Swagger 2.0 can't say and what makes
 * kubectl refuse objects that are well. Reads hostile input: any keyword may be of any type, and
 * recursion is as deep as the JSON parser let the schema be.
 *
 * Pure. Trees are made in the caller's arena and share their leaves with the definition.
 */
#include "apiserver/openapi.h"

#include "lib/base/pure.h"

struct custom {
	struct arena *a;
	bool v3;
	const struct json *metadata; /* the property of that name, where an object is a whole one */
};

static struct json *copy_schema(const struct custom *c, const struct json *s);

static const struct json *keyword(const struct json *s, const char *name)
{
	return json_get(s, str_c(name));
}

static bool is_on(const struct json *s, const char *name)
{
	return json_bool(keyword(s, name), false);
}

static bool is_open(const struct json *s)
{
	return is_on(s, "x-kubernetes-preserve-unknown-fields");
}

/* Keywords that are taken as they are. */
static bool is_plain(const struct custom *c, struct str name)
{
	static const char *const plain[] = {
		"title",     "description",   "default",          "format",           "maximum",
		"minimum",   "multipleOf",    "exclusiveMaximum", "exclusiveMinimum", "maxLength",
		"minLength", "pattern",       "maxItems",         "minItems",         "uniqueItems",
		"enum",      "maxProperties", "minProperties"};
	static const char *const newer[] = {"nullable", "allOf", "anyOf", "oneOf", "not"};

	if (str_starts(name, STR("x-kubernetes-")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_is(name, plain[i]))
			return true;
	for (size_t i = 0; c->v3 && i < ARRAY_LEN(newer); i++)
		if (str_is(name, newer[i]))
			return true;
	return false;
}

/* What nobody else may see (items, properties) in the old form: kubectl would hold objects to it.
 */
static bool is_opaque(const struct custom *c, const struct json *s)
{
	return !c->v3 && (is_on(s, "nullable") || is_open(s));
}

static bool has_type(const struct custom *c, const struct json *s)
{
	struct str type = json_str(keyword(s, "type"));

	if (c->v3 || !type.n)
		return type.n > 0;
	if (is_on(s, "nullable") || (is_open(s) && str_is(type, "object")))
		return false;
	/* kubectl can't read lists of it does not know what. */
	return !str_is(type, "array") ||
	       (!is_opaque(c, s) && json_is(keyword(s, "items"), JSON_OBJECT));
}

static void put_properties(const struct custom *c, const struct json *s, struct json *o)
{
	const struct json *properties = keyword(s, "properties");
	struct json *to;

	if (!json_is(properties, JSON_OBJECT) || is_opaque(c, s))
		return;
	to = json_set_object(c->a, o, "properties");
	for (size_t i = 0; i < json_len(properties); i++)
		json_add(c->a, to, properties->members[i].key,
			 copy_schema(c, &properties->members[i].value));
}

/* The old form can't say that a field has to be there, though null. */
static void put_required(const struct custom *c, const struct json *s, struct json *o)
{
	const struct json *list = keyword(s, "required"), *properties = keyword(s, "properties");
	bool looked = !c->v3 && !is_opaque(c, s);

	if (!json_is(list, JSON_ARRAY) ||
	    (!c->v3 && is_on(keyword(s, "additionalProperties"), "nullable")))
		return;
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_item(list, i));
		if (!looked || !is_on(json_get(properties, name), "nullable"))
			json_append_str(c->a, json_set_array(c->a, o, "required"), name);
	}
}

/* In the new form the extension is said in OpenAPI's own words, too. */
static void put_int_or_string(const struct custom *c, const struct json *s, struct json *o)
{
	struct json *either, *all;

	if (!c->v3 || !is_on(s, "x-kubernetes-int-or-string"))
		return;
	either = json_build(c->a, "[{s:s},{s:s}]", "type", "integer", "type", "string");
	if (!json_len(keyword(s, "anyOf"))) {
		if (!json_equal(json_get(json_item(keyword(s, "allOf"), 0), STR("anyOf")), either))
			json_set(c->a, o, STR("anyOf"), either);
		return;
	}
	if (json_equal(keyword(s, "anyOf"), either))
		return;
	all = json_build(c->a, "[{s:o}]", "anyOf", either);
	for (size_t i = 0; i < json_len(keyword(s, "allOf")); i++)
		json_append(c->a, all, json_item(keyword(s, "allOf"), i));
	json_set(c->a, o, STR("allOf"), all);
}

/* What every object has. */
static void put_meta(const struct custom *c, struct json *o)
{
	struct json *to = json_set_object(c->a, o, "properties");

	json_set(c->a, to, STR("apiVersion"),
		 json_build(
			 c->a, "{s:s,s:s}", "description",
			 "APIVersion defines the group and version that the object is written in.",
			 "type", "string"));
	json_set(c->a, to, STR("kind"),
		 json_build(c->a, "{s:s,s:s}", "description",
			    "What kind of thing the object describes.", "type", "string"));
	json_set(c->a, to, STR("metadata"), c->metadata);
}

static bool lists(const struct json *list, const char *name)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), name))
			return true;
	return false;
}

static void put_embedded(const struct custom *c, struct json *o)
{
	static const char *const names[] = {"kind", "apiVersion"};
	struct json *required = json_set_array(c->a, o, "required");

	put_meta(c, o);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!lists(required, names[i]))
			json_append_str(c->a, required, str_c(names[i]));
}

static struct json *copy_schema(const struct custom *c, const struct json *s)
{
	struct json *o = json_new(c->a, JSON_OBJECT);
	const struct json *items = keyword(s, "items"), *more = keyword(s, "additionalProperties");

	for (size_t i = 0; json_is(s, JSON_OBJECT) && i < json_len(s); i++)
		if (is_plain(c, s->members[i].key))
			json_add(c->a, o, s->members[i].key, &s->members[i].value);
	if (has_type(c, s))
		json_set(c->a, o, STR("type"), keyword(s, "type"));
	if (json_is(items, JSON_OBJECT) && !is_opaque(c, s))
		json_set(c->a, o, STR("items"), copy_schema(c, items));
	if (json_is(more, JSON_OBJECT))
		json_set(c->a, o, STR("additionalProperties"), copy_schema(c, more));
	else if (json_is(more, JSON_BOOL))
		json_set(c->a, o, STR("additionalProperties"), more);
	put_properties(c, s, o);
	put_required(c, s, o);
	put_int_or_string(c, s, o);
	if (is_on(s, "x-kubernetes-embedded-resource") && (c->v3 || !is_open(s)))
		put_embedded(c, o);
	return o;
}

struct json *openapi_custom(struct arena *a, const struct json *schema, const struct json *metadata,
			    bool v3)
{
	struct custom c = {.a = a, .v3 = v3, .metadata = metadata};
	struct json *o;

	/* With any field named, kubectl would hold that there are no others. */
	if (!json_is(schema, JSON_OBJECT) || (!v3 && is_open(schema)))
		return json_build(a, "{s:s}", "type", "object");
	o = copy_schema(&c, schema);
	put_meta(&c, o);
	return o;
}
